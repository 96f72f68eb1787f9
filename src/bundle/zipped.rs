//! Zip archives, entry by entry, as their directory at the end lists them.
//!
//! What is in extra fields does not go on. An archive that different programs would unpack differently (entries that
//! overlap, two of one name, something between entries, in front of them or behind) is refused.

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use zip::read::ZipFile;
use zip::write::{ExtendedFileOptions, FileOptions};
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::Watch;
use super::blocks::DEFLATE;
use super::desk::{Desk, MOST_ENTRIES, Named, Place};
use super::fault::{Stop, Why};
use super::layout;
use super::limits::Metered;
use super::names::{self, Names};
use super::spool::Spool;
use super::tarball::Kind;

/// The longest target of a symlink.
const MOST_TARGET: u64 = 4096;
/// The longest name and comment: all that the directory says of an entry has 64 KiB.
const MOST_NAME: usize = 65_000;
/// From this size on an entry needs fields of 64 bits.
const LARGE: u64 = u32::MAX as u64;

type EntryOptions = FileOptions<'static, 'static, ExtendedFileOptions>;

/// How an entry is written that is packed so.
pub(super) fn options_for(method: CompressionMethod) -> EntryOptions {
    let level = (method == CompressionMethod::Deflated).then(|| DEFLATE.level().into());
    EntryOptions::default().compression_method(method).compression_level(level)
}

/// Writes an archive.
pub(super) struct Writer<W: Write + Seek>(pub(super) ZipWriter<W>);

/// Errors of a writer are those of what it writes to, or the entry cannot be written as it is.
pub(super) fn unwritten(error: zip::result::ZipError) -> Stop {
    match error {
        zip::result::ZipError::Io(error) => Stop::Write(error),
        _ => Stop::Left(Why::Damaged),
    }
}

impl<W: Write + Seek> Writer<W> {
    pub(super) fn new(out: W) -> Self {
        Self(ZipWriter::new(out))
    }

    /// Writes an entry from a spool.
    pub(super) fn entry(
        &mut self,
        kind: Kind,
        name: &str,
        target: &str,
        options: EntryOptions,
        spool: &mut Spool,
    ) -> Result<(), Stop> {
        if name.len() > MOST_NAME {
            return Err(Stop::Left(Why::Name));
        }
        match kind {
            Kind::Folder => self.0.add_directory(name, options).map_err(unwritten),
            Kind::Symlink => self.0.add_symlink(name, target, options).map_err(unwritten),
            _ => {
                let size = spool.rewind_all().map_err(Stop::Write)?;
                self.0.start_file(name, options.large_file(size >= LARGE)).map_err(unwritten)?;
                spool.write_to(&mut self.0).map_err(Stop::Write)
            }
        }
    }
}

/// With as much of a comment as there is room for beside the name.
fn commented_with(options: EntryOptions, comment: &[u8], name: usize) -> EntryOptions {
    if comment.is_empty() {
        return options;
    }
    let mut text = String::from_utf8_lossy(comment).into_owned().into_bytes();
    names::cap(&mut text, MOST_NAME.saturating_sub(name));
    options.with_file_comment(String::from_utf8_lossy(&text).into_owned())
}

fn buffered<R: Read>(input: R) -> BufReader<R> {
    BufReader::with_capacity(64 << 10, input)
}

/// Fails to read when all is to stop.
struct Stoppable<'w, R> {
    inner: R,
    watch: &'w dyn Watch,
}

impl<R: Read> Read for Stoppable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.watch.is_stopped() {
            return Err(io::Error::other("stopped"));
        }
        self.inner.read(buffer)
    }
}

impl<R: Seek> Seek for Stoppable<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// What the directory says of an entry.
struct Listed {
    kind: Kind,
    options: EntryOptions,
    comment: Vec<u8>,
}

impl Desk<'_> {
    /// Scrubs an archive entry by entry. `place` is inside of it.
    pub(super) fn zip<R: Read + Seek + Send>(
        &mut self,
        place: Place<'_>,
        input: R,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Stop> {
        let damaged = |_| Stop::Left(Why::Damaged);
        let mut input = Stoppable { inner: input, watch: self.shop.watch };
        let mut archive = ZipArchive::new(buffered(&mut input)).map_err(damaged)?;
        if archive.len() > MOST_ENTRIES || archive.has_overlapping_entries().map_err(damaged)? {
            return Err(Stop::Left(Why::Bomb));
        }
        let comment = archive.comment().len();
        if archive.has_duplicate_names() || !layout::is_all(&mut input, comment, MOST_ENTRIES) {
            return Err(Stop::Left(Why::Damaged));
        }
        let mut archive = ZipArchive::new(buffered(&mut input)).map_err(damaged)?;
        let mut writer = Writer::new(Spool::new(self.shop.folder));
        let comment = self.clean(archive.comment());
        self.account.note(place.label, "comment", self.cleaner.take_found());
        writer.0.set_raw_comment(comment.into_boxed_slice()).map_err(unwritten)?;
        let mut names = Names::default();
        for index in 0..archive.len() {
            if self.shop.watch.is_stopped() {
                return Err(Stop::Stopped);
            }
            self.zip_entry(place, &mut archive, index, &mut names, &mut writer)?;
        }
        let mut whole = writer.0.finish().map_err(unwritten)?;
        whole.rewind_all().map_err(Stop::Write)?;
        whole.write_to(out).map_err(Stop::Write)
    }

    fn zip_entry<R: Read + Seek + Send>(
        &mut self,
        place: Place<'_>,
        archive: &mut ZipArchive<R>,
        index: usize,
        names: &mut Names,
        writer: &mut Writer<Spool>,
    ) -> Result<(), Stop> {
        let raw = archive.by_index_raw(index).map_err(|_| Stop::Left(Why::Damaged))?;
        let listed = self.listed(&raw);
        let packed = raw.compressed_size();
        let name = raw.name().unwrap_or_else(|_| String::from_utf8_lossy(raw.name_raw())).into_owned();
        drop(raw);
        let commented = self.cleaner.take_found();
        let named = self.name(place, name.as_bytes(), names);
        let label = named.label.clone();
        let mut spool = Spool::new(self.shop.folder);
        let at = Place { label: &label, name: name.as_bytes(), is_unpacked: false, ..place };
        let mark = self.account.mark();
        let result = match &listed {
            Err(why) => Err(Stop::Left(*why)),
            Ok(_) if !named.is_safe => Err(Stop::Left(Why::Traversal)),
            Ok(listed) if listed.kind == Kind::Folder => Ok(String::new()),
            Ok(listed) => match archive.by_index(index) {
                Err(_) => Err(Stop::Left(Why::Damaged)),
                Ok(file) => {
                    let limits = self.limits.clone();
                    let mut metered = Metered::new(file, limits, Arc::new(AtomicU64::new(packed)));
                    self.zip_content(at, listed.kind, &named, names, &mut metered, &mut spool)
                }
            },
        };
        let written = match (result, listed) {
            (Ok(target), Ok(Listed { kind, options, comment })) => {
                self.account.note(&label, "comment", commented);
                let name = self.tell_name(named, at.name);
                let name = String::from_utf8_lossy(&name);
                let options = commented_with(options, &comment, name.len());
                writer.entry(kind, &name, &target, options, &mut spool)
            }
            (Err(stop), _) => Err(stop),
            (Ok(_), Err(why)) => Err(Stop::Left(why)),
        };
        match written {
            Err(Stop::Left(why)) if !self.limits.is_used_up() => {
                self.account.go_back(mark);
                self.account.left.push((label, why));
                Ok(())
            }
            other => other,
        }
    }

    fn zip_content(
        &mut self,
        at: Place<'_>,
        kind: Kind,
        named: &Named,
        names: &mut Names,
        input: &mut (dyn Read + Send),
        spool: &mut Spool,
    ) -> Result<String, Stop> {
        if kind != Kind::Symlink {
            return self.content(at, input, None, spool).map(|()| String::new());
        }
        let mut target = Vec::new();
        input.take(MOST_TARGET + 1).read_to_end(&mut target).map_err(|_| self.unread(at))?;
        if target.len() as u64 > MOST_TARGET {
            return Err(Stop::Left(Why::Traversal));
        }
        let target = self.symlink(at, named, &target, names)?;
        String::from_utf8(target).map_err(|_| Stop::Left(Why::Unsupported))
    }

    /// What is said of an entry, as far as it goes on.
    fn listed<R: Read>(&mut self, file: &ZipFile<'_, R>) -> Result<Listed, Why> {
        if file.encrypted() {
            return Err(Why::Encrypted);
        }
        let method = file.compression();
        if !matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(Why::Unsupported);
        }
        let kind = match file.unix_mode().map(|mode| mode & 0o170_000) {
            _ if file.is_dir() => Kind::Folder,
            Some(0o120_000) => Kind::Symlink,
            None | Some(0 | 0o100_000) => Kind::File,
            Some(_) => return Err(Why::Special),
        };
        if file.name().is_err() {
            return Err(Why::Unsupported);
        }
        let mut options =
            options_for(method).last_modified_time(file.last_modified().unwrap_or(DateTime::DEFAULT));
        if let Some(mode) = file.unix_mode() {
            options = options.unix_permissions(mode);
        }
        Ok(Listed { kind, options, comment: self.clean(file.comment_raw()) })
    }
}
