//! Where a bundle goes: a folder, one file, or an archive of all. It is made beside its place and moved there when it is
//! whole; what was made of one that does not become whole is removed.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tempfile::{NamedTempFile, TempDir};
use zip::{CompressionMethod, DateTime};

use super::blocks::{BlockWriter, Press};
use super::fault::{Fault, Stop};
use super::spool::Spool;
use super::walk::{Item, Kind};
use super::{tarball, zipped};

/// How all goes into one archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pack {
    Tar,
    TarGzip,
    TarZstd,
    Zip,
}

/// What a bundle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Folder,
    /// The one input, which is a file.
    File,
    /// The one input, compressed.
    Compressed(Press),
    Pack(Pack),
}

/// What the name of an output asks for.
pub(super) fn pack_by_name(path: &Path) -> Option<Pack> {
    let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default().to_ascii_lowercase();
    let ends = |end: &str| name.len() > end.len() && name.ends_with(end.as_bytes());
    [
        (".tar", Pack::Tar),
        (".tar.gz", Pack::TarGzip),
        (".tgz", Pack::TarGzip),
        (".tar.zst", Pack::TarZstd),
        (".zip", Pack::Zip),
    ]
    .into_iter()
    .find_map(|(end, pack)| ends(end).then_some(pack))
}

/// What the name of a file says of its compression.
pub(super) fn press_by_name(path: &Path) -> Option<Press> {
    let extension = path.extension()?.as_bytes().to_ascii_lowercase();
    match &extension[..] {
        b"gz" | b"tgz" => Some(Press::Gzip),
        b"zst" => Some(Press::Zstd),
        _ => None,
    }
}

/// The name that one begins with until it is whole.
fn prefix(out: &Path) -> String {
    format!(".{}.", out.file_name().unwrap_or_default().to_string_lossy())
}

/// A folder that becomes the bundle.
pub(super) struct Folder {
    dir: TempDir,
}

impl Folder {
    pub(super) fn new(out: &Path, beside: &Path) -> Result<Self, Fault> {
        let dir = tempfile::Builder::new().prefix(&prefix(out)).suffix(".partial").tempdir_in(beside);
        Ok(Self { dir: dir.map_err(|error| Fault::Io("write in", beside.to_owned(), error))? })
    }

    /// Where an item is in it.
    pub(super) fn path(&self, item: &Item) -> PathBuf {
        self.dir.path().join(OsStr::from_bytes(&item.name))
    }

    /// Makes a folder or a link.
    pub(super) fn make(&self, item: &Item) -> io::Result<()> {
        let path = self.path(item);
        match &item.kind {
            Kind::Folder if item.name.is_empty() => Ok(()),
            Kind::Folder => fs::DirBuilder::new().create(&path),
            Kind::Link(target) => symlink(OsStr::from_bytes(target), path),
            Kind::File => Ok(()),
        }
    }

    /// A new file, for nobody else yet.
    pub(super) fn create(&self, item: &Item) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path(item))
    }

    /// Gives folders their modes and times, the deepest first, and moves all of it to its place.
    pub(super) fn finish(self, out: &Path, items: &[Item]) -> Result<(), Fault> {
        let cannot = |error| Fault::Io("write", out.to_owned(), error);
        let folders: Vec<_> = items.iter().filter(|item| item.kind == Kind::Folder).collect();
        for item in folders.iter().rev() {
            let path = self.path(item);
            if let Ok(modified) = item.about.modified() {
                File::open(&path).and_then(|folder| folder.set_modified(modified)).map_err(cannot)?;
            }
            // What cannot be entered cannot be moved by everyone: the folder itself gets its mode at the end.
            if !item.name.is_empty() {
                fs::set_permissions(&path, Permissions::from_mode(item.mode())).map_err(cannot)?;
            }
        }
        if let Err(error) = move_to(self.dir.path(), out) {
            // Folders that may not be written to cannot be emptied.
            for item in folders {
                let _ = fs::set_permissions(self.path(item), Permissions::from_mode(0o700));
            }
            return Err(cannot(error));
        }
        // It is no longer there to be removed.
        let _ = self.dir.keep();
        let mode = folders.iter().find(|item| item.name.is_empty()).map_or(0o755, |item| item.mode());
        fs::set_permissions(out, Permissions::from_mode(mode)).map_err(cannot)
    }
}

/// Moves a folder to a place where nothing is.
fn move_to(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems cannot promise it.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if fs::symlink_metadata(to).is_err() => {
            fs::rename(from, to)
        }
        other => other.map_err(io::Error::from),
    }
}

/// Gives a scrubbed file the mode and time of what it was made of.
pub(super) fn dress(file: &File, item: &Item) -> io::Result<()> {
    if let Ok(modified) = item.about.modified() {
        file.set_modified(modified)?;
    }
    file.set_permissions(Permissions::from_mode(item.mode() & 0o777))
}

/// A file that becomes the bundle.
pub(super) fn new_file(out: &Path, beside: &Path) -> Result<NamedTempFile, Fault> {
    let file = tempfile::Builder::new().prefix(&prefix(out)).suffix(".partial").tempfile_in(beside);
    file.map_err(|error| Fault::Io("write in", beside.to_owned(), error))
}

/// The most that others may do with a bundle in one file: no more than the process gives new files, and no more than
/// with what is in it. Nothing if something in it is `raw`.
pub(super) fn pack_mode(beside: &Path, items: &[Item], is_raw: bool) -> io::Result<Permissions> {
    // Only a file that is made tells what is given.
    let new = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(beside)?;
    let given = new.as_file().metadata()?.mode();
    let inputs = items.iter().filter(|item| !matches!(item.kind, Kind::Link(_)));
    let most = if is_raw { 0 } else { inputs.fold(given, |mode, item| mode & item.mode()) };
    Ok(Permissions::from_mode(0o600 | most & 0o066))
}

/// Moves a file to its place. It is on the disk before.
pub(super) fn finish_file(file: NamedTempFile, out: &Path, force: bool) -> Result<(), Fault> {
    let cannot = |error| Fault::Io("write", out.to_owned(), error);
    file.as_file().sync_all().map_err(cannot)?;
    let moved = if force { file.persist(out) } else { file.persist_noclobber(out) };
    moved.map(|_| ()).map_err(|error| cannot(error.error))
}

/// An archive of all. Nothing is written of it if it goes to nowhere.
pub(super) enum Packer<W: Write + io::Seek> {
    Tar(tarball::Writer<BufWriter<W>>),
    TarPacked(tarball::Writer<BlockWriter<BufWriter<W>>>),
    Zip(Box<zipped::Writer<W>>),
}

impl<W: Write + io::Seek> Packer<W> {
    /// An archive; what is compressed is so by this many threads.
    pub(super) fn new(pack: Pack, out: W, threads: usize) -> Self {
        let buffered = |out| BufWriter::with_capacity(256 << 10, out);
        let packed = |press, out| {
            Self::TarPacked(tarball::Writer::new(BlockWriter::new(buffered(out), press, threads)))
        };
        match pack {
            Pack::Tar => Self::Tar(tarball::Writer::new(buffered(out))),
            Pack::TarGzip => packed(Press::Gzip, out),
            Pack::TarZstd => packed(Press::Zstd, out),
            Pack::Zip => Self::Zip(Box::new(zipped::Writer::new(out))),
        }
    }

    /// Writes an item; what is in a file is in the spool.
    pub(super) fn add(&mut self, item: &Item, spool: &mut Spool) -> Result<(), Stop> {
        match self {
            Self::Tar(writer) => to_tar(writer, item, spool).map_err(Stop::Write),
            Self::TarPacked(writer) => to_tar(writer, item, spool).map_err(Stop::Write),
            Self::Zip(writer) => to_zip(writer, item, spool),
        }
    }

    pub(super) fn finish(self) -> io::Result<W> {
        let unbuffered = |out: BufWriter<W>| out.into_inner().map_err(io::IntoInnerError::into_error);
        match self {
            Self::Tar(writer) => writer.finish().and_then(unbuffered),
            Self::TarPacked(writer) => writer.finish().and_then(BlockWriter::finish).and_then(unbuffered),
            Self::Zip(writer) => writer.0.finish().map_err(io::Error::from),
        }
    }
}

fn to_tar<W: Write>(writer: &mut tarball::Writer<W>, item: &Item, spool: &mut Spool) -> io::Result<()> {
    let (kind, mut name, target) = match &item.kind {
        Kind::Folder => (tarball::Kind::Folder, item.name.clone(), Vec::new()),
        Kind::File => (tarball::Kind::File, item.name.clone(), Vec::new()),
        Kind::Link(target) => (tarball::Kind::Symlink, item.name.clone(), target.clone()),
    };
    if kind == tarball::Kind::Folder {
        name.push(b'/');
    }
    let about = tarball::About {
        kind,
        name,
        target,
        mode: item.mode(),
        uid: item.about.uid().into(),
        gid: item.about.gid().into(),
        user: Vec::new(),
        group: Vec::new(),
        mtime: item.about.mtime().max(0).unsigned_abs(),
    };
    let size = spool.rewind_all()?;
    writer.entry(&about, size, |out| spool.write_to(out))
}

fn to_zip<W: Write + io::Seek>(
    writer: &mut zipped::Writer<W>,
    item: &Item,
    spool: &mut Spool,
) -> Result<(), Stop> {
    let (kind, target) = match &item.kind {
        Kind::Folder => (tarball::Kind::Folder, &[][..]),
        Kind::File => (tarball::Kind::File, &[][..]),
        Kind::Link(target) => (tarball::Kind::Symlink, &target[..]),
    };
    let options = zipped::options_for(CompressionMethod::Deflated)
        .last_modified_time(item.about.modified().map_or(DateTime::DEFAULT, dos_time))
        .unix_permissions(item.mode());
    // Names in zip archives are text: these are when they get here.
    let (name, target) = (String::from_utf8_lossy(&item.name), String::from_utf8_lossy(target));
    writer.entry(kind, &name, &target, options, spool)
}

/// A time as zip has it, in UTC: in steps of two seconds, from 1980 on.
fn dos_time(time: SystemTime) -> DateTime {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let date = crate::config::Date::at(seconds).to_string();
    let part = |range: std::ops::Range<usize>| date.get(range).and_then(|digits| digits.parse::<u16>().ok());
    let (year, month, day) = (part(0..4), part(5..7), part(8..10));
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let date = year.zip(month).zip(day).map(|((year, month), day)| (year, month as u8, day as u8));
    date.and_then(|(year, month, day)| {
        DateTime::from_date_and_time(year, month, day, hour as u8, minute as u8, second as u8).ok()
    })
    .unwrap_or(DateTime::DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_asked_for_by_name() {
        for (name, want) in [
            ("a.tar", Some(Pack::Tar)),
            ("b/A.TGZ", Some(Pack::TarGzip)),
            ("a.tar.gz", Some(Pack::TarGzip)),
            ("a.tar.zst", Some(Pack::TarZstd)),
            ("a.zip", Some(Pack::Zip)),
            ("a.gz", None),
            (".zip", None),
            ("folder", None),
        ] {
            assert_eq!(pack_by_name(Path::new(name)), want, "{name}");
        }
    }

    #[test]
    fn times_are_told_in_utc() {
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_767_323_045);
        assert_eq!(dos_time(time).to_string(), "2026-01-02 03:04:04");
        assert_eq!(dos_time(SystemTime::UNIX_EPOCH), DateTime::DEFAULT);
    }
}
