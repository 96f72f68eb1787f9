//! Which files there are: patterns to names, and names beside them that rotation has given.
//!
//! Links to files are followed, and links to folders where a pattern names them; `**` does not follow links, so no loop is
//! gone round. What is no regular file is left.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::identity::{Inode, born};
use super::settings::{CannotStart, TailSettings};

/// As in shells: a leading dot must be written.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
/// Folders in folders that `**` goes down.
const DEEPEST: usize = 64;
/// So many complaints are remembered, so that each is made once.
const MOST_COMPLAINTS: usize = 1000;

/// A file with a name that was looked for.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) inode: Inode,
    pub(super) born: Option<u64>,
    pub(super) size: u64,
    /// Whether a pattern names it. If not, rotation has given it this name.
    pub(super) is_named: bool,
}

/// What there is.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Files that patterns name, by their paths.
    pub(super) files: Vec<Found>,
    /// Names that no pattern names and that look like those of rotated files, and what they would have been before.
    pub(super) rotated: Vec<(PathBuf, PathBuf)>,
}

/// One step of a path.
#[derive(Debug)]
enum Step {
    Name(OsString),
    Like(Pattern),
    Folders,
}

/// Looks for files.
#[derive(Debug)]
pub(super) struct Lister {
    patterns: Vec<(PathBuf, Vec<Step>)>,
    exclude: Vec<(bool, Pattern)>,
    complaints: HashSet<PathBuf>,
}

impl Lister {
    pub(super) fn new(settings: &TailSettings) -> Result<Self, CannotStart> {
        if settings.paths.is_empty() {
            return Err(CannotStart::NoPaths);
        }
        let patterns = settings.paths.iter().map(|path| steps(path)).collect::<Result<_, _>>()?;
        let exclude = settings.exclude.iter().map(|path| Ok((path.contains('/'), pattern(path, path)?)));
        Ok(Self {
            patterns,
            exclude: exclude.collect::<Result<_, CannotStart>>()?,
            complaints: HashSet::new(),
        })
    }

    /// All files there are now. Learns which folders were looked at, before they are.
    pub(super) fn list(&mut self, watch: &mut dyn FnMut(&Path)) -> Listing {
        let mut walk = Walk {
            exclude: &self.exclude,
            complaints: &mut self.complaints,
            watch,
            listing: Listing::default(),
        };
        for (root, steps) in &self.patterns {
            walk.go(root, steps, 0);
        }
        let mut listing = walk.listing;
        listing.files.sort_by(|a, b| a.path.cmp(&b.path));
        listing.files.dedup_by(|a, b| a.path == b.path);
        listing.rotated.sort();
        listing.rotated.dedup();
        let names: HashSet<&Path> = listing.files.iter().map(|found| found.path.as_path()).collect();
        listing.rotated.retain(|(path, _)| !names.contains(path.as_path()));
        listing
    }
}

/// Looks at one file. `None`: it is not there, or none to read.
pub(super) fn find(path: &Path, is_named: bool) -> Option<Found> {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let (inode, born, size) = (Inode::of(&metadata), born(&metadata), metadata.len());
    Some(Found { path: path.to_owned(), inode, born, size, is_named })
}

fn pattern(text: &str, whole: &str) -> Result<Pattern, CannotStart> {
    Pattern::new(text)
        .map_err(|error| CannotStart::Pattern { pattern: whole.to_owned(), why: error.msg.to_owned() })
}

fn steps(path: &str) -> Result<(PathBuf, Vec<Step>), CannotStart> {
    let root = PathBuf::from(if path.starts_with('/') { "/" } else { "." });
    let steps = path.split('/').filter(|name| !name.is_empty() && *name != ".").map(|name| match name {
        "**" => Ok(Step::Folders),
        _ if name.contains(['*', '?', '[']) => pattern(name, path).map(Step::Like),
        _ => Ok(Step::Name(name.into())),
    });
    let steps: Vec<Step> = steps.collect::<Result<_, _>>()?;
    if steps.is_empty() || path.ends_with('/') || matches!(steps.last(), Some(Step::Folders)) {
        let why = "names folders, not files; end it with a name or `*`".to_owned();
        return Err(CannotStart::Pattern { pattern: path.to_owned(), why });
    }
    Ok((root, steps))
}

struct Walk<'w> {
    exclude: &'w [(bool, Pattern)],
    complaints: &'w mut HashSet<PathBuf>,
    watch: &'w mut dyn FnMut(&Path),
    listing: Listing,
}

impl Walk<'_> {
    fn go(&mut self, folder: &Path, steps: &[Step], depth: usize) {
        let Some((step, rest)) = steps.split_first() else { return };
        match step {
            Step::Folders => {
                self.go(folder, rest, depth);
                for (name, is_link) in self.names(folder) {
                    let path = folder.join(name);
                    if depth < DEEPEST && !is_link && path.is_dir() {
                        self.go(&path, steps, depth + 1);
                    }
                }
            }
            Step::Name(name) if !rest.is_empty() => {
                let path = join(folder, name);
                if path.is_dir() {
                    self.go(&path, rest, depth);
                } else {
                    // It may appear.
                    (self.watch)(folder);
                }
            }
            Step::Name(name) => self.files(folder, &|other| other == name.to_string_lossy()),
            Step::Like(pattern) if rest.is_empty() => {
                self.files(folder, &|name| pattern.matches_with(name, OPTIONS))
            }
            Step::Like(pattern) => {
                for (name, _) in self.names(folder) {
                    let path = join(folder, &name);
                    if pattern.matches_with(&name.to_string_lossy(), OPTIONS) && path.is_dir() {
                        self.go(&path, rest, depth);
                    }
                }
            }
        }
    }

    /// The files of a folder that a pattern names, and the rotated ones beside them.
    fn files(&mut self, folder: &Path, is_named: &dyn Fn(&str) -> bool) {
        for (name, _) in self.names(folder) {
            let text = name.to_string_lossy();
            let path = join(folder, &name);
            if self.is_excluded(&path, &text) {
                continue;
            }
            if is_named(&text) {
                self.file(path);
            } else if let Some(before) = rotated_from(&text).filter(|before| is_named(before)) {
                self.listing.rotated.push((path, join(folder, before.as_ref())));
            }
        }
    }

    fn file(&mut self, path: PathBuf) {
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => {
                let (inode, born, size) = (Inode::of(&metadata), born(&metadata), metadata.len());
                self.listing.files.push(Found { path, inode, born, size, is_named: true });
            }
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => self.complain(path, "not a regular file; it is not read"),
            // A link that leads nowhere yet, or a file that was there a moment ago.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => self.complain(path, &error.to_string()),
        }
    }

    /// The names in a folder, in order, and whether they are links.
    fn names(&mut self, folder: &Path) -> Vec<(OsString, bool)> {
        (self.watch)(folder);
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                if error.kind() != ErrorKind::NotFound {
                    self.complain(folder.to_owned(), &error.to_string());
                }
                return Vec::new();
            }
        };
        let entry =
            |entry: fs::DirEntry| (entry.file_name(), entry.file_type().is_ok_and(|kind| kind.is_symlink()));
        let mut names: Vec<_> = entries.flatten().map(entry).collect();
        names.sort();
        names
    }

    fn is_excluded(&self, path: &Path, name: &str) -> bool {
        self.exclude.iter().any(|(is_path, pattern)| {
            if *is_path { pattern.matches(&path.to_string_lossy()) } else { pattern.matches(name) }
        })
    }

    fn complain(&mut self, path: PathBuf, why: &str) {
        if self.complaints.len() < MOST_COMPLAINTS && !self.complaints.contains(&path) {
            tracing::warn!(path = %path.display(), %why, "cannot be looked at; tried again");
            self.complaints.insert(path);
        }
    }
}

/// `./name` is written as `name`.
fn join(folder: &Path, name: &std::ffi::OsStr) -> PathBuf {
    if folder == Path::new(".") { PathBuf::from(name) } else { folder.join(name) }
}

/// The name that a file had before rotation gave it this one: without a number or a date behind it, or before its last
/// ending.
pub(super) fn rotated_from(name: &str) -> Option<String> {
    let cut = |name: &str| {
        let at = name.char_indices().find(|&(at, c)| {
            at > 0
                && matches!(c, '.' | '-' | '_')
                && name[at + 1..].starts_with(|c: char| c.is_ascii_digit())
                && {
                    name[at + 1..]
                        .chars()
                        .all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '_' | ':' | '+' | 'T' | 'Z'))
                }
        });
        at.map(|(at, _)| name[..at].to_owned())
    };
    cut(name).or_else(|| {
        let (stem, ending) = name.rsplit_once('.')?;
        Some(format!("{}.{ending}", cut(stem)?))
    })
}

/// Orders names of rotated files by age, oldest first: of numbers, the greatest; of dates, the first.
pub(super) fn age(path: &Path) -> (i64, PathBuf) {
    let name = path.to_string_lossy();
    let end = name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let number = Some(&name[end..]).filter(|digits| (1..=4).contains(&digits.len()));
    let is_number = end > 0
        && name[..end].ends_with(['.', '-', '_'])
        && !name[..end - 1].ends_with(|c: char| c.is_ascii_digit());
    let number = number.filter(|_| is_number).and_then(|digits| digits.parse::<i64>().ok());
    number.map_or((0, path.to_owned()), |number| (-number, PathBuf::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, want: Option<&str>) {
        assert_eq!(rotated_from(name).as_deref(), want, "{name}");
    }

    #[test]
    fn names_of_rotated_files() {
        check("app.log.1", Some("app.log"));
        check("app.log-20240229", Some("app.log"));
        check("0.log.20240229-101500", Some("0.log"));
        check("app.log.2024-02-29T10:15:00Z", Some("app.log"));
        check("app.1.log", Some("app.log"));
        check("app-2024-02-29.log", Some("app.log"));
        check("app.log", None);
        check("app.log.gz", None);
        check("1", None);
        check("", None);
        check("app.log.", None);
    }

    #[test]
    fn rotated_files_by_age() {
        let mut paths = ["l.2", "l.10", "l.1"].map(PathBuf::from);
        paths.sort_by_cached_key(|path| age(path));
        assert_eq!(paths, ["l.10", "l.2", "l.1"].map(PathBuf::from));
        let mut paths = ["l.20240301-1", "l.20240229-2", "l.20240229-1"].map(PathBuf::from);
        paths.sort_by_cached_key(|path| age(path));
        assert_eq!(paths, ["l.20240229-1", "l.20240229-2", "l.20240301-1"].map(PathBuf::from));
    }

    #[test]
    fn patterns_find_files() {
        let folder = tempfile::tempdir().expect("a folder");
        for path in
            ["a/x.log", "a/b/y.log", "a/b/c/z.log", "a/.h.log", "a/x.log.1", "a/x.log.2.gz", "a/n.txt"]
        {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, "").expect("written");
        }
        std::os::unix::fs::symlink(folder.path(), folder.path().join("a/loop")).expect("a link");
        let list = |pattern: &str| {
            let path = format!("{}/{pattern}", folder.path().display());
            let settings = TailSettings::new(vec![path], Default::default(), "c".into());
            let listing = Lister::new(&settings).expect("a pattern").list(&mut |_| {});
            let name = |path: &Path| path.strip_prefix(folder.path()).expect("below").display().to_string();
            let files: Vec<String> = listing.files.iter().map(|found| name(&found.path)).collect();
            (files, listing.rotated.iter().map(|(path, _)| name(path)).collect::<Vec<_>>())
        };
        assert_eq!(list("a/*.log"), (vec!["a/x.log".into()], vec!["a/x.log.1".into()]));
        assert_eq!(list("a/x.log").0, ["a/x.log"]);
        assert_eq!(list("a/x.log*").0, ["a/x.log", "a/x.log.1"]);
        assert_eq!(list("**/*.log").0, ["a/b/c/z.log", "a/b/y.log", "a/x.log"]);
        assert_eq!(list("a/*/[yz].log").0, ["a/b/y.log"]);
        assert_eq!(list("none/*.log").0, [""; 0]);
    }

    #[test]
    fn patterns_of_folders_are_refused() {
        for path in ["/", "/var/log/", "/var/**", "/var/[", ""] {
            let settings = TailSettings::new(vec![path.to_owned()], Default::default(), "c".into());
            assert!(Lister::new(&settings).is_err(), "{path}");
        }
    }
}
