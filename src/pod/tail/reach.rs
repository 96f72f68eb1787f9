//! Where files may be: who may write to a folder that is shared must not get files of others read by links in it.
//!
//! What a pattern names literally is the operator's, links included. Below that, links are followed only to where they may
//! lead. Between a look at a name and the opening of it anything may have changed, so a file is asked where it is once it is
//! open.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use super::listing::Found;
use super::naming::Origin;
use super::settings::{Format, TailSettings};

/// Where container runtimes keep logs, in links from one to the next.
const OF_RUNTIMES: [&str; 3] = ["/var/log/pods", "/var/log/containers", "/var/lib/docker/containers"];

/// Where files may be.
#[derive(Debug)]
pub(super) struct Reach {
    /// The folders that patterns name literally.
    roots: Vec<PathBuf>,
    /// The folders into which links may lead.
    links: Vec<PathBuf>,
}

/// What is at a path.
#[derive(Debug)]
pub(super) enum Seen {
    File(Metadata),
    Folder,
    /// A link, which leads where none may.
    Refused,
    /// A socket, a device, …
    Other,
}

impl Reach {
    /// Of patterns that begin with these folders.
    pub(super) fn new(roots: Vec<PathBuf>, settings: &TailSettings) -> Self {
        let mut links = settings.follow_links.clone();
        if settings.format == Format::Cri {
            links.extend(OF_RUNTIMES.map(PathBuf::from));
            links.extend(roots.iter().cloned());
        }
        Self { roots, links }
    }

    /// Looks at what is at a path.
    pub(super) fn look(&self, path: &Path) -> io::Result<Seen> {
        let mut metadata = fs::symlink_metadata(path)?;
        if metadata.is_symlink() {
            if self.links.is_empty() {
                return Ok(Seen::Refused);
            }
            let real = path.canonicalize()?;
            if !is_below(&real, &self.links) {
                return Ok(Seen::Refused);
            }
            metadata = fs::symlink_metadata(real)?;
        }
        Ok(match metadata.file_type() {
            kind if kind.is_file() => Seen::File(metadata),
            kind if kind.is_dir() => Seen::Folder,
            _ => Seen::Other,
        })
    }

    /// Looks at one file. `None`: it is not there, or none to read.
    pub(super) fn find(&self, path: &Path, origin: Origin) -> Option<Found> {
        match self.look(path) {
            Ok(Seen::File(metadata)) => Some(Found::new(path.to_owned(), &metadata, origin)),
            _ => None,
        }
    }

    /// Opens a file to read it, without waiting for whoever is at its other end. `None`: there is none, or none that may be
    /// read.
    pub(super) fn open(&self, path: &Path) -> io::Result<Option<File>> {
        use rustix::fs::{Mode, OFlags};
        // Opening what is no file may do something already.
        match self.look(path) {
            Ok(Seen::File(_)) => {}
            Ok(Seen::Folder | Seen::Refused | Seen::Other) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        if self.links.is_empty() {
            flags |= OFlags::NOFOLLOW;
        }
        let file = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(rustix::io::Errno::LOOP) if self.links.is_empty() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let is_file = file.metadata()?.is_file();
        Ok((is_file && self.is_within(&file, path)?).then_some(file))
    }

    /// Whether an open file is where files may be.
    fn is_within(&self, file: &File, path: &Path) -> io::Result<bool> {
        let real = match fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())) {
            Ok(real) => real,
            // No /proc: where the path leads, if it still leads to this file.
            Err(_) => match path.canonicalize() {
                Ok(real) if is_same(&fs::symlink_metadata(&real)?, &file.metadata()?) => real,
                Ok(_) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            },
        };
        Ok(is_below(&real, &self.roots) || is_below(&real, &self.links))
    }
}

fn is_same(one: &Metadata, two: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (two.dev(), two.ino())
}

/// Whether a path without links is below one of these folders, wherever they are.
fn is_below(real: &Path, folders: &[PathBuf]) -> bool {
    folders.iter().any(|folder| folder.canonicalize().is_ok_and(|folder| real.starts_with(folder)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_where_they_may() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["own", "else", "own/deep"] {
            fs::create_dir(path(name)).expect("made");
        }
        fs::write(path("own/a.log"), "a").expect("written");
        fs::write(path("else/key"), "key").expect("written");
        symlink(path("else/key"), path("own/key.log")).expect("a link");
        symlink(path("own/a.log"), path("own/same.log")).expect("a link");
        symlink(path("else"), path("own/else")).expect("a link");
        let check = |format: Format, follow: &[&str], name: &str, want: bool| {
            let mut settings = TailSettings::new(Vec::new(), format, "c".into());
            settings.follow_links = follow.iter().map(|name| path(name)).collect();
            let reach = Reach::new(vec![path("own")], &settings);
            let opened = reach.open(&path("own").join(name)).expect("looked at");
            assert_eq!(opened.is_some(), want, "{format:?} {follow:?} {name}");
        };
        for format in [Format::Lines, Format::Cri] {
            check(format, &[], "a.log", true);
            check(format, &[], "key.log", false);
            // Nobody lists it; a name that was a folder may be a link when it is opened.
            check(format, &[], "else/key", false);
            check(format, &["else"], "key.log", true);
            check(format, &["else"], "else/key", true);
            check(format, &["else"], "deep", false);
            check(format, &[], "none", false);
        }
        check(Format::Lines, &[], "same.log", false);
        check(Format::Cri, &[], "same.log", true);
    }
}
