//! Learned secrets: read from variables and files, when asked to. The memory that they are in is kept out of core dumps.

use std::ffi::OsStr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{DumpableBehavior, Resource, Rlimit};
use zeroize::Zeroizing;

use super::Refusal;
use super::setup::{read, read_from};
use crate::config::{KEEP_TIMES, Learn, keep_time};
use crate::learned::{LEAST, LEAST_LEAST, MOST, Named};

/// Which values are learned.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct LearnOptions {
    /// Find the value of this environment variable wherever it stands; may be given more than once
    #[arg(long, value_name = "NAME")]
    learn_env: Vec<String>,
    /// Find what this file holds wherever it stands, each line by itself; the last part may hold * and ?; may be given more
    /// than once
    #[arg(long, value_name = "PATH")]
    learn_file: Vec<PathBuf>,
    /// The least bytes of a value that is learned [default: 8, or what --config says]
    #[arg(long, value_name = "BYTES", value_parser = least)]
    learn_min_length: Option<usize>,
    /// How long a value is still found after another has taken its place in its file [default: 24h, or what --config says]
    #[arg(long, value_name = "TIME", value_parser = keep)]
    learn_keep: Option<Duration>,
    /// Refuse to start if a value is not learned because it would be found all over
    #[arg(long)]
    learn_required: bool,
}

fn keep(text: &str) -> Result<Duration, String> {
    keep_time(text).ok_or_else(|| format!("write {KEEP_TIMES}"))
}

/// How long a replaced value is found, if nothing is said: programs read theirs when they start, and files lag behind.
#[cfg(feature = "pod")]
const KEEP: Duration = Duration::from_secs(24 * 3600);

fn least(text: &str) -> Result<usize, String> {
    let least = text.parse().ok().filter(|least| (LEAST_LEAST..=1024).contains(least));
    least.ok_or_else(|| format!("write a number from {LEAST_LEAST} to 1024"))
}

impl LearnOptions {
    /// The files that values are read from, as far as they can be told now.
    #[cfg(feature = "pod")]
    pub(super) fn files(&self, config: &Learn, base: &Path) -> Vec<PathBuf> {
        let paths = config.files.iter().map(|file| base.join(file)).chain(self.learn_file.iter().cloned());
        // Where none is there yet, its folder is to be watched.
        paths
            .flat_map(|path| expand(&path).ok().filter(|files| !files.is_empty()).unwrap_or(vec![path]))
            .collect()
    }

    /// Whether options or a configuration name something to learn.
    pub(super) fn is_asked(&self, config: &Learn) -> bool {
        !(config.env.is_empty()
            && config.files.is_empty()
            && self.learn_env.is_empty()
            && self.learn_file.is_empty())
    }

    /// How long values are found that were replaced.
    #[cfg(feature = "pod")]
    pub(super) fn keep(&self, config: &Learn) -> Duration {
        self.learn_keep.or(config.keep).unwrap_or(KEEP)
    }

    /// The least bytes of a value.
    pub(super) fn least(&self, config: &Learn) -> usize {
        self.learn_min_length.or(config.min_length).unwrap_or(LEAST)
    }

    /// Whether values may be refused, if some were.
    pub(super) fn require(&self, config: &Learn, refused: &[String]) -> Result<(), String> {
        let is_required = self.learn_required || config.required.unwrap_or(false);
        if !is_required || refused.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{}; all values are required, so change it, or leave it out of what is learned",
            refused.join("\n")
        ))
    }

    /// Reads the values that options and a configuration name, whose paths are relative to `base`; and why some cannot be read.
    /// # Errors
    /// None may be read.
    pub(super) fn read(&self, config: &Learn, base: &Path) -> Result<(Vec<Named>, Vec<String>), Refusal> {
        if !self.is_asked(config) {
            return Ok((Vec::new(), Vec::new()));
        }
        keep_out_of_dumps()?;
        let names: Vec<&String> = config.env.iter().chain(&self.learn_env).collect();
        let paths: Vec<PathBuf> =
            config.files.iter().map(|file| base.join(file)).chain(self.learn_file.iter().cloned()).collect();
        let (mut named, mut wrong) = (Vec::new(), Vec::new());
        for name in names {
            match variable(name) {
                Ok(value) => named.push(value),
                Err(why) => wrong.push(why),
            }
        }
        for path in paths {
            match expand(&path) {
                Ok(files) if files.is_empty() => {
                    wrong.push(format!("no file to learn from is named {}", path.display()));
                }
                Ok(files) => files.into_iter().for_each(|file| match read_file(&file) {
                    Ok(value) => named.push(Named { name: format!("file {}", file.display()), value }),
                    Err(Refusal(why)) => wrong.push(why),
                }),
                Err(why) => wrong.push(why),
            }
        }
        Ok((named, wrong))
    }

    /// The same where all of them must be read.
    /// # Errors
    /// Why some cannot be.
    pub(super) fn read_all(&self, config: &Learn, base: &Path) -> Result<Vec<Named>, Refusal> {
        let (named, wrong) = self.read(config, base)?;
        if wrong.is_empty() { Ok(named) } else { Err(Refusal(wrong.join("\n"))) }
    }
}

/// Reads a file without waiting for whoever may write one day: a FIFO in a folder would hold up all others. What a shell has
/// put in place of a file is read as ever.
fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    const WHAT: &str = "file to learn from";
    if path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd") {
        return read(WHAT, path, MOST_FILE);
    }
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = file.and_then(|file| match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(std::io::Error::other("is not a file")),
    });
    read_from(WHAT, path, file, MOST_FILE)
}

/// The largest file that is read: what is larger than a value may be is refused by its name, as it is where it is no file.
const MOST_FILE: u64 = 16 * MOST as u64;

fn variable(name: &str) -> Result<Named, String> {
    // Somebody may have written the value in place of the name.
    let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let is_plain = !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(is_name);
    let cannot = |why: &str| match is_plain {
        true => format!("variable {name:?}, which is to be learned, {why}"),
        false => {
            format!("a variable that is to be learned {why}; its name is not told, as it may be a value")
        }
    };
    if name.is_empty() || name.contains(['=', '\0']) {
        // Somebody may have written the value behind the name.
        return Err("--learn-env takes the name of a variable, not its value".to_owned());
    }
    let value = std::env::var_os(name).ok_or_else(|| cannot("is not set"))?;
    Ok(Named { name: format!("variable {name}"), value: Zeroizing::new(value.into_encoded_bytes()) })
}

/// The files that a path names, whose last part may hold `*` and `?`. They match no dot at the start of a name, and no folder.
fn expand(path: &Path) -> Result<Vec<PathBuf>, String> {
    let cannot =
        |why: &dyn std::fmt::Display| format!("cannot list files to learn from, {}: {why}", path.display());
    let is_pattern = |name: &&OsStr| name.as_encoded_bytes().iter().any(|byte| matches!(byte, b'*' | b'?'));
    let Some(pattern) = path.file_name().filter(is_pattern) else {
        if path.is_dir() {
            return Err(cannot(&"is a folder; write FOLDER/* for the files in it"));
        }
        return Ok(vec![path.to_owned()]);
    };
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|why| cannot(&why))? {
        let file = entry.map_err(|why| cannot(&why))?;
        let name = file.file_name();
        let is_hidden = name.as_encoded_bytes().starts_with(b".");
        if !is_hidden && matches(pattern.as_encoded_bytes(), name.as_encoded_bytes()) && !file.path().is_dir()
        {
            files.push(folder.join(name));
        }
    }
    files.sort();
    Ok(files)
}

/// Whether `name` is as `pattern` says: `*` stands for any bytes, `?` for one.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // Up to where the last star has taken the name.
    let (mut at, mut next, mut star) = (0, 0, None);
    while next < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, next));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[next] => (at, next) = (at + 1, next + 1),
            _ => {
                let Some((behind, taken)) = star else { return false };
                star = Some((behind, taken + 1));
                (at, next) = (behind, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// Sees to it that no memory of this process is written to a file when it fails, nor read by others of the same user.
fn keep_out_of_dumps() -> Result<(), Refusal> {
    let cannot = |error| Refusal(format!("cannot keep learned secrets out of core dumps: {error}"));
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(cannot)?;
    // The limit that could be raised again stays: a program that is started from here may want its own.
    let limit = rustix::process::getrlimit(Resource::Core);
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), ..limit }).map_err(cannot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_names() {
        for (pattern, name, want) in [
            ("*", "", true),
            ("*", "db-password", true),
            ("db-*", "db-password", true),
            ("db-*", "api-token", false),
            ("*-pass*d", "db-password", true),
            ("*-pass*d", "db-passwords", false),
            ("k?y", "key", true),
            ("k?y", "ky", false),
            ("**a*", "bab", true),
            ("a*b*c", "a-b-b-c-c", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), want, "{pattern} {name}");
        }
    }

    #[test]
    fn files_of_a_mounted_secret() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("..data");
        std::fs::create_dir(&data).expect("a folder");
        for name in ["a", "b"] {
            std::fs::write(data.join(name), "x").expect("a file");
            std::os::unix::fs::symlink(Path::new("..data").join(name), folder.path().join(name))
                .expect("a link");
        }
        let want = [folder.path().join("a"), folder.path().join("b")];
        assert_eq!(expand(&folder.path().join("*")), Ok(want.to_vec()));
        assert_eq!(expand(&folder.path().join("c*")), Ok(Vec::new()));
        assert!(expand(folder.path()).is_err());
    }
}
