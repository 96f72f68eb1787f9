//! Which files there are: patterns to names, and names beside them that rotation has given.
//!
//! Links are followed where they may be (`reach`), and by `**` nowhere, so no loop is gone round. What is no regular file is
//! left.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirEntryExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use glob::{MatchOptions, Pattern};

use super::identity::{Inode, born};
use super::naming::{Origin, rotated_from};
use super::reach::{Reach, Seen};
use super::settings::{CannotStart, TailSettings};

/// As in shells: a leading dot must be written.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
/// Folders in folders that `**` goes down.
const DEEPEST: usize = 64;
/// How often a folder is listed anew because its files were renamed meanwhile.
const TRIES: usize = 5;
/// So many complaints are remembered, so that each is made once.
const MOST_COMPLAINTS: usize = 1000;

/// A file with a name that was looked for.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) inode: Inode,
    pub(super) born: Option<u64>,
    /// When it was written last, by a clock that may have been set since.
    pub(super) modified: Option<SystemTime>,
    pub(super) size: u64,
    pub(super) origin: Origin,
}

impl Found {
    pub(super) fn new(path: PathBuf, metadata: &fs::Metadata, origin: Origin) -> Self {
        let modified = metadata.modified().ok();
        Self {
            path,
            inode: Inode::of(metadata),
            born: born(metadata),
            modified,
            size: metadata.len(),
            origin,
        }
    }

    /// Whether a pattern names it. If not, rotation may have given it this name.
    pub(super) fn is_named(&self) -> bool {
        self.origin == Origin::Named
    }
}

/// A file with a name that no pattern names and that looks like that of a rotated file.
#[derive(Debug)]
pub(super) struct Rotated {
    pub(super) found: Found,
    /// Where it would have been before.
    pub(super) before: PathBuf,
}

/// What there is.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Files that patterns name, by their paths.
    pub(super) files: Vec<Found>,
    /// Files with names that no pattern names and that look like those of rotated files, by their paths.
    pub(super) rotated: Vec<Rotated>,
    /// How many folders and files could not be looked at, though this process may: there may be more than is known.
    pub(super) failed: u64,
    /// How many links were found to lead where none may, for the first time.
    pub(super) refused: u64,
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
    pub(super) reach: Arc<Reach>,
    patterns: Vec<(PathBuf, Vec<Step>)>,
    exclude: Vec<(bool, Pattern)>,
    complaints: HashSet<PathBuf>,
    /// How many complaints it makes.
    most_complaints: usize,
    own: Vec<PathBuf>,
}

/// Whether patterns are patterns for files, and others patterns for what to leave.
/// # Errors
/// What is wrong with the first that is none.
pub fn check(paths: &[String], exclude: &[String]) -> Result<(), CannotStart> {
    paths.iter().try_for_each(|path| steps(path).map(drop))?;
    exclude.iter().try_for_each(|path| pattern(path, path).map(drop))
}

impl TailSettings {
    /// The pattern that names a file, or names it when it is rotated. None too if the patterns are none.
    pub fn names(&self, path: &Path) -> Option<&str> {
        let lister = Lister::new(self).ok()?;
        let path = normal(path);
        let name = path.file_name()?.to_string_lossy().into_owned();
        if is_excluded(&lister.exclude, &path, &name) {
            return None;
        }
        let before = rotated_from(&name).map(|(before, _)| path.with_file_name(before));
        let names = |path: &Path, i: usize| {
            let names: Vec<_> = path.iter().skip(1).map(|name| name.to_string_lossy()).collect();
            let (root, steps) = &lister.patterns[i];
            let root = normal(root);
            let own: Vec<Step> = root.iter().skip(1).map(|name| Step::Name(name.to_owned())).collect();
            is_named(&own.iter().chain(steps).collect::<Vec<_>>(), &names)
        };
        let is_ours = |i: &usize| names(&path, *i) || before.as_ref().is_some_and(|before| names(before, *i));
        (0..lister.patterns.len()).find(is_ours).map(|i| &*self.paths[i])
    }
}

/// A whole path, without `.` and `..`, and without links above the file where it is there.
fn normal(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut whole = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(whole.pop()),
            _ => whole.push(part),
        }
    }
    whole
}

/// Whether steps lead to these names.
fn is_named(steps: &[&Step], names: &[Cow<'_, str>]) -> bool {
    match (steps.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((Step::Folders, rest)), name) => {
            is_named(rest, names) || name.is_some_and(|(_, names)| is_named(steps, names))
        }
        (Some((Step::Name(own), rest)), Some((name, names))) => {
            own.to_string_lossy() == *name && is_named(rest, names)
        }
        (Some((Step::Like(pattern), rest)), Some((name, names))) => {
            pattern.matches_with(name, OPTIONS) && is_named(rest, names)
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

fn is_excluded(exclude: &[(bool, Pattern)], path: &Path, name: &str) -> bool {
    exclude.iter().any(|(is_path, pattern)| {
        if *is_path { pattern.matches(&path.to_string_lossy()) } else { pattern.matches(name) }
    })
}

impl Lister {
    pub(super) fn new(settings: &TailSettings) -> Result<Self, CannotStart> {
        if settings.paths.is_empty() {
            return Err(CannotStart::NoPaths);
        }
        let patterns: Vec<(PathBuf, Vec<Step>)> =
            settings.paths.iter().map(|path| steps(path)).collect::<Result<_, _>>()?;
        let roots = patterns.iter().map(|(root, steps)| literal(root, steps)).collect();
        let exclude = settings.exclude.iter().map(|path| Ok((path.contains('/'), pattern(path, path)?)));
        Ok(Self {
            reach: Arc::new(Reach::new(roots, settings)),
            patterns,
            exclude: exclude.collect::<Result<_, CannotStart>>()?,
            complaints: HashSet::new(),
            most_complaints: MOST_COMPLAINTS,
            own: settings.own.clone(),
        })
    }

    /// One that says nothing.
    pub(super) fn silent(settings: &TailSettings) -> Result<Self, CannotStart> {
        Ok(Self { most_complaints: 0, ..Self::new(settings)? })
    }

    /// All files there are now. Learns which folders were looked at, before they are.
    pub(super) fn list(&mut self, watch: &mut dyn FnMut(&Path)) -> Listing {
        let own = self.own.iter().filter_map(|path| fs::metadata(path).ok());
        let mut walk = Walk {
            own: own.map(|metadata| Inode::of(&metadata)).collect(),
            reach: &self.reach,
            exclude: &self.exclude,
            complaints: &mut self.complaints,
            most_complaints: self.most_complaints,
            watch,
            listing: Listing::default(),
        };
        for (root, steps) in &self.patterns {
            walk.go(root, steps, Depth::Literal);
        }
        walk.listing.files.sort_by(|a, b| a.path.cmp(&b.path));
        walk.listing.files.dedup_by(|a, b| a.path == b.path);
        walk.behind_links();
        let mut listing = walk.listing;
        listing.rotated.sort_by(|a, b| (&a.found.path, &a.before).cmp(&(&b.found.path, &b.before)));
        listing.rotated.dedup_by(|a, b| (&a.found.path, &a.before) == (&b.found.path, &b.before));
        let names: HashSet<&Path> = listing.files.iter().map(|found| found.path.as_path()).collect();
        listing.rotated.retain(|rotated| !names.contains(rotated.found.path.as_path()));
        listing
    }
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

/// The folder that a pattern names before anything that stands for more than one name.
fn literal(root: &Path, steps: &[Step]) -> PathBuf {
    let folders = &steps[..steps.len() - 1];
    let names = folders.iter().map_while(|step| match step {
        Step::Name(name) => Some(name),
        Step::Like(_) | Step::Folders => None,
    });
    names.fold(root.to_owned(), |folder, name| folder.join(name))
}

/// A name in a folder, and what it is the name of.
struct Name {
    name: OsString,
    /// The number of its inode.
    number: u64,
    is_link: bool,
}

/// Where a walk is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// In what the pattern names literally.
    Literal,
    /// So many folders below where `**` began, if it did.
    Below(usize),
}

struct Walk<'w> {
    reach: &'w Reach,
    exclude: &'w [(bool, Pattern)],
    own: HashSet<Inode>,
    complaints: &'w mut HashSet<PathBuf>,
    most_complaints: usize,
    watch: &'w mut dyn FnMut(&Path),
    listing: Listing,
}

impl Walk<'_> {
    fn go(&mut self, folder: &Path, steps: &[Step], depth: Depth) {
        let Some((step, rest)) = steps.split_first() else { return };
        let below = match depth {
            Depth::Literal => 0,
            Depth::Below(below) => below,
        };
        match step {
            Step::Folders => {
                self.go(folder, rest, Depth::Below(below));
                for Name { name, is_link, .. } in self.names(folder) {
                    let path = folder.join(name);
                    if below < DEEPEST && !is_link && self.is_folder(&path) {
                        self.go(&path, steps, Depth::Below(below + 1));
                    }
                }
            }
            Step::Name(name) if !rest.is_empty() => {
                let path = join(folder, name);
                if if depth == Depth::Literal { path.is_dir() } else { self.is_folder(&path) } {
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
                for Name { name, .. } in self.names(folder) {
                    let path = join(folder, &name);
                    if pattern.matches_with(&name.to_string_lossy(), OPTIONS) && self.is_folder(&path) {
                        self.go(&path, rest, Depth::Below(below));
                    }
                }
            }
        }
    }

    /// Whether a folder is at a path, or a link to one that may be followed.
    fn is_folder(&mut self, path: &Path) -> bool {
        match self.reach.look(path) {
            Ok(Seen::Folder) => true,
            Ok(Seen::File(_) | Seen::Other) => false,
            Ok(Seen::Refused) => {
                if path.is_dir() {
                    self.refuse(path.to_owned());
                }
                false
            }
            Err(error) => {
                self.failed(path.to_owned(), &error);
                false
            }
        }
    }

    /// The files of a folder that a pattern names, and the rotated ones beside them: as they were at one moment, so that no
    /// file is met before one that had its name earlier.
    fn files(&mut self, folder: &Path, is_named: &dyn Fn(&str) -> bool) {
        let mut before = Vec::new();
        for _ in 0..TRIES {
            let (files, rotated) = (self.listing.files.len(), self.listing.rotated.len());
            let moved = self.files_once(folder, is_named);
            // Some file systems tell numbers with names that are not those of the files.
            if moved.is_empty() || moved == before {
                return;
            }
            self.listing.files.truncate(files);
            self.listing.rotated.truncate(rotated);
            before = moved;
        }
        self.files_once(folder, is_named);
    }

    /// Gives the names that were another file's when the file was looked at, or nobody's: the number of the one and the other.
    fn files_once(&mut self, folder: &Path, is_named: &dyn Fn(&str) -> bool) -> Vec<(OsString, [u64; 2])> {
        let mut moved = Vec::new();
        for Name { name, number, is_link } in self.names(folder) {
            let text = name.to_string_lossy();
            let path = join(folder, &name);
            if is_excluded(self.exclude, &path, &text) {
                continue;
            }
            let now = if is_named(&text) {
                self.file(path)
            } else if let Some((before, origin)) = rotated_from(&text).filter(|(name, _)| is_named(name)) {
                let before = join(folder, before.as_ref());
                self.rotated(path, before, origin)
            } else {
                continue;
            };
            if !is_link && now.is_some_and(|now| now != number) {
                moved.push((name, [number, now.unwrap_or_default()]));
            }
        }
        moved
    }

    /// A file that a pattern names. Its number; 0: there is none.
    fn file(&mut self, path: PathBuf) -> Option<u64> {
        match self.reach.look(&path) {
            Ok(Seen::File(metadata)) => {
                let inode = Inode::of(&metadata);
                if self.own.contains(&inode) {
                    self.complain(path, "this process writes it itself; it is not read");
                } else {
                    self.listing.files.push(Found::new(path, &metadata, Origin::Named));
                }
                return Some(inode.number);
            }
            Ok(Seen::Folder) => {}
            Ok(Seen::Other) => {
                self.complain(path, "not a regular file; it is not read");
            }
            Ok(Seen::Refused) => self.refuse(path),
            Err(error) if error.kind() == ErrorKind::NotFound => return Some(0),
            Err(error) => self.failed(path, &error),
        }
        None
    }

    /// A file with the name of a rotated one. Its number; 0: there is none.
    fn rotated(&mut self, path: PathBuf, before: PathBuf, origin: Origin) -> Option<u64> {
        match self.reach.look(&path) {
            Ok(Seen::File(metadata)) => {
                let found = Found::new(path, &metadata, origin);
                let number = found.inode.number;
                self.listing.rotated.push(Rotated { found, before });
                Some(number)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Some(0),
            Ok(_) | Err(_) => None,
        }
    }

    /// Files that links lead to are rotated where they are.
    fn behind_links(&mut self) {
        let links: Vec<PathBuf> = self.listing.files.iter().map(|found| found.path.clone()).collect();
        for link in links.into_iter().filter(|path| path.is_symlink()) {
            let Ok(real) = link.canonicalize() else { continue };
            let (Some(folder), Some(own)) = (real.parent(), real.file_name()) else { continue };
            if link.parent().and_then(|beside| beside.canonicalize().ok()).as_deref() == Some(folder) {
                continue;
            }
            for Name { name, is_link, .. } in self.names(folder) {
                let (text, path) = (name.to_string_lossy(), folder.join(&name));
                let origin = rotated_from(&text).filter(|(before, _)| **before == *own.to_string_lossy());
                if let Some((_, origin)) = origin
                    && !is_link
                    && !is_excluded(self.exclude, &path, &text)
                {
                    self.rotated(path, link.clone(), origin);
                }
            }
        }
    }

    /// The names in a folder, in order.
    fn names(&mut self, folder: &Path) -> Vec<Name> {
        (self.watch)(folder);
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.failed(folder.to_owned(), &error);
                return Vec::new();
            }
        };
        let name = |entry: fs::DirEntry| Name {
            name: entry.file_name(),
            number: entry.ino(),
            is_link: entry.file_type().is_ok_and(|kind| kind.is_symlink()),
        };
        let mut names: Vec<Name> = entries.flatten().map(name).collect();
        names.sort_by(|a, b| a.name.cmp(&b.name));
        names
    }

    /// Something could not be looked at.
    fn failed(&mut self, path: PathBuf, error: &std::io::Error) {
        // A link that leads nowhere yet, or what was there a moment ago.
        if error.kind() == ErrorKind::NotFound {
            return;
        }
        // What others have made so stays so; what the system has not given it may give the next time.
        let is_lasting = matches!(
            error.kind(),
            ErrorKind::PermissionDenied | ErrorKind::NotADirectory | ErrorKind::InvalidFilename
        ) || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
        self.listing.failed += u64::from(!is_lasting);
        self.complain(path, &error.to_string());
    }

    fn refuse(&mut self, path: PathBuf) {
        let is_new = self.complain(
            path,
            "a link, and it is not read: whoever can write here could have any file read; name the folder that it \
             leads to in follow_links, if that is meant",
        );
        self.listing.refused += u64::from(is_new);
    }

    /// Says it once. Whether it was said now.
    fn complain(&mut self, path: PathBuf, why: &str) -> bool {
        let is_new = self.complaints.len() < self.most_complaints && !self.complaints.contains(&path);
        if is_new {
            tracing::warn!(path = %path.display(), %why, "cannot be looked at; tried again");
            self.complaints.insert(path);
        }
        is_new
    }
}

/// `./name` is written as `name`.
fn join(folder: &Path, name: &std::ffi::OsStr) -> PathBuf {
    if folder == Path::new(".") { PathBuf::from(name) } else { folder.join(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            (files, listing.rotated.iter().map(|rotated| name(&rotated.found.path)).collect::<Vec<_>>())
        };
        assert_eq!(list("a/*.log"), (vec!["a/x.log".into()], vec!["a/x.log.1".into()]));
        assert_eq!(list("a/x.log").0, ["a/x.log"]);
        assert_eq!(list("a/x.log*").0, ["a/x.log", "a/x.log.1"]);
        assert_eq!(list("**/*.log").0, ["a/b/c/z.log", "a/b/y.log", "a/x.log"]);
        assert_eq!(list("a/*/[yz].log").0, ["a/b/y.log"]);
        assert_eq!(list("none/*.log").0, [""; 0]);
    }

    #[test]
    fn what_is_listed_was_there_at_one_moment() {
        let folder = tempfile::tempdir().expect("a folder");
        let is_over = std::sync::atomic::AtomicBool::new(false);
        let path = folder.path().join("app.log");
        let settings = TailSettings::new(vec![path.display().to_string()], Default::default(), "c".into());
        let mut lister = Lister::new(&settings).expect("a pattern");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // The size of a file tells which one it is.
                for number in 1..=400 {
                    fs::write(&path, vec![b'x'; number]).expect("written");
                    fs::rename(&path, folder.path().join(format!("app.log.{number}"))).expect("renamed");
                    if number % 4 == 0 {
                        std::thread::sleep(std::time::Duration::from_millis(1));
                    }
                }
                is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            });
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                let listing = lister.list(&mut |_| {});
                let mut sizes: Vec<u64> = listing.rotated.iter().map(|rotated| rotated.found.size).collect();
                sizes.extend(listing.files.iter().map(|found| found.size).filter(|&size| size > 0));
                sizes.sort_unstable();
                let missing = (1..).zip(&sizes).find(|(number, size)| number != *size);
                assert_eq!(missing, None, "of {}", sizes.len());
            }
        });
    }

    #[test]
    fn patterns_of_folders_are_refused() {
        for path in ["/", "/var/log/", "/var/**", "/var/[", ""] {
            let settings = TailSettings::new(vec![path.to_owned()], Default::default(), "c".into());
            assert!(Lister::new(&settings).is_err(), "{path}");
        }
    }
}
