//! Where a file is worked on: what it is, what is in it, layer by layer, and what goes on of it.
//!
//! Invariants:
//! - What comes out of one reader goes to one writer, scrubbed, or the whole of it is left out; what was written of it
//!   then is the caller's to drop.
//! - Every layer is read to its end: damage at the end is damage.
//! - A layer deeper than allowed is not opened.

use std::fs::File;
use std::io::{self, Cursor, Read, Write};
use std::path::Path;
use std::sync::Arc;

use flate2::{Compression, GzBuilder};

use super::account::Account;
use super::fault::{Stop, Why};
use super::form::{self, Form, HEAD};
use super::limits::{Counted, Limits, Metered};
use super::names::{self, Names};
use super::packed::{FrameWriter, Frames, Members};
use super::spool::Spool;
use super::tarball::{self, About, Kind};
use super::utf16::{Decoded, Encoded};
use super::{Options, Watch, text};
use crate::sanitize::{Key, Sanitizer};
use crate::scan::Work;

/// The most entries of one archive: each has a name that is remembered.
pub(super) const MOST_ENTRIES: usize = 1 << 20;
/// The most bytes of archives that must be in memory to be read, one in the other.
const MOST_HELD: u64 = 256 << 20;
/// How hard gzip tries: logs become a tenth larger than with 6, in half the time.
pub(super) const GZIP: Compression = Compression::new(3);

/// What all desks are given.
#[derive(Clone, Copy)]
pub(super) struct Shop<'r> {
    pub(super) sanitizer: &'r Sanitizer,
    pub(super) options: &'r Options,
    pub(super) watch: &'r dyn Watch,
    /// Where spools are; `None`: nothing is written.
    pub(super) folder: Option<&'r Path>,
}

/// Where one input file is worked on.
pub(super) struct Desk<'r> {
    pub(super) shop: Shop<'r>,
    pub(super) threads: usize,
    pub(super) limits: Arc<Limits>,
    pub(super) work: Work,
    pub(super) account: Account,
    /// Bytes of archives in memory.
    held: u64,
}

/// Where something is: its clean name for people, its own name, and how deep it is in archives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'p> {
    pub(super) label: &'p str,
    pub(super) name: &'p [u8],
    pub(super) depth: u32,
    /// It comes out of a compression: a tar here is on the same level.
    pub(super) is_unpacked: bool,
}

/// What has been read of something, and the rest.
pub(super) struct Opened<'i> {
    head: Cursor<Vec<u8>>,
    rest: &'i mut (dyn Read + Send),
}

impl Read for Opened<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.head.read(buffer)? {
            0 => self.rest.read(buffer),
            len => Ok(len),
        }
    }
}

impl<'r> Desk<'r> {
    pub(super) fn new(shop: Shop<'r>, threads: usize) -> Self {
        let limits = Arc::new(Limits::new(shop.options.most_bytes, shop.options.most_ratio));
        Self { shop, threads, limits, work: Work::default(), account: Account::default(), held: 0 }
    }

    /// Reads all of `input` and writes to `out` what may go on. `file` is the same as `input` if that is a file.
    pub(super) fn content(
        &mut self,
        place: Place<'_>,
        input: &mut (dyn Read + Send),
        file: Option<&File>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Stop> {
        let mark = self.account.mark();
        let result = self.open(place, input, file, out);
        if result.is_err() {
            self.account.go_back(mark);
        }
        result
    }

    fn open(
        &mut self,
        place: Place<'_>,
        rest: &mut (dyn Read + Send),
        file: Option<&File>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Stop> {
        let mut head = Vec::with_capacity(HEAD);
        rest.take(HEAD as u64).read_to_end(&mut head).map_err(|_| self.unread(place))?;
        let form = form::of(&head, place.name);
        if form == Form::Text && head.len() < HEAD {
            return self.note(place, text::scrub_little(self.shop.sanitizer, &head, out));
        }
        let mut opened = Opened { head: Cursor::new(head), rest };
        match form {
            Form::Text => self.text(place, &mut opened, out),
            Form::Utf16 { high_first } => self.utf16(place, &mut opened, high_first, out),
            Form::Gzip => self.gzip(place, &mut opened, out),
            Form::Zstd => self.zstd(place, &mut opened, out),
            Form::Tar => self.tar(place, &mut opened, out),
            Form::Zip => self.zip_of(place, &mut opened, file, out),
            Form::Other(_) if self.shop.options.keep_binary => self.raw(place, &mut opened, out),
            Form::Other(why) => Err(Stop::Left(why)),
        }
    }

    /// What a failed read means.
    pub(super) fn unread(&self, place: Place<'_>) -> Stop {
        if self.shop.watch.is_stopped() {
            return Stop::Stopped;
        }
        match self.limits.why_and_go_on() {
            Why::Damaged if place.depth == 0 => Stop::Left(Why::Unreadable),
            why => Stop::Left(why),
        }
    }

    fn text(
        &mut self,
        place: Place<'_>,
        input: &mut (dyn Read + Send),
        out: &mut (dyn Write + Send),
    ) -> Result<(), Stop> {
        let Shop { sanitizer, options, .. } = self.shop;
        let scrubbed = text::scrub(sanitizer, self.threads, input, out, options.keep_binary);
        self.note(place, scrubbed)
    }

    fn note(&mut self, place: Place<'_>, scrubbed: text::Scrubbed) -> Result<(), Stop> {
        if let Some(error) = scrubbed.unwritten {
            return Err(Stop::Write(error));
        }
        if scrubbed.unread.is_some() {
            return Err(self.unread(place));
        }
        if scrubbed.is_noise {
            return Err(Stop::Left(Why::Binary));
        }
        self.account.scrubbed += 1;
        self.account.bytes += scrubbed.bytes;
        if !scrubbed.counts.is_empty() {
            self.account.changed.push((place.label.to_owned(), scrubbed.counts));
        }
        Ok(())
    }

    fn utf16(
        &mut self,
        place: Place<'_>,
        input: &mut Opened<'_>,
        high_first: bool,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Stop> {
        let mut mark = [0; 2];
        input.read_exact(&mut mark).map_err(|_| self.unread(place))?;
        out.write_all(&mark).map_err(Stop::Write)?;
        let mut decoded = Decoded::new(input, high_first);
        let mut encoded = Encoded::new(out, high_first);
        let result = self.text(place, &mut decoded, &mut encoded);
        let is_bad = decoded.is_bad || encoded.is_bad || (result.is_ok() && !encoded.is_whole());
        if is_bad { Err(Stop::Left(Why::BadUtf16)) } else { result }
    }

    fn raw(
        &mut self,
        place: Place<'_>,
        input: &mut Opened<'_>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Stop> {
        let mut some = vec![0; HEAD];
        loop {
            match input.read(&mut some).map_err(|_| self.unread(place))? {
                0 => break,
                len => out.write_all(&some[..len]).map_err(Stop::Write)?,
            }
        }
        self.account.raw.push(place.label.to_owned());
        Ok(())
    }

    /// The place of what is in a layer, if it may be opened.
    pub(super) fn inside<'p>(&self, place: Place<'p>, is_unpacked: bool) -> Result<Place<'p>, Stop> {
        let depth = place.depth + 1;
        if depth > self.shop.options.most_depth {
            return Err(Stop::Left(Why::TooDeep));
        }
        Ok(Place { depth, is_unpacked, ..place })
    }

    fn gzip(
        &mut self,
        place: Place<'_>,
        input: &mut Opened<'_>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Stop> {
        let inside = self.inside(place, true)?;
        let (counted, read) = Counted::new(input);
        let members = Members::new(counted);
        let mut builder = GzBuilder::new();
        if let Some(header) = members.header() {
            builder = builder.mtime(header.mtime()).operating_system(header.operating_system());
            if let Some(name) = header.filename() {
                builder = builder.filename(self.clean(name));
            }
            if let Some(comment) = header.comment() {
                builder = builder.comment(self.clean(comment));
            }
        }
        let mut packed = builder.write(out, GZIP);
        let mut metered = Metered::new(members, self.limits.clone(), read);
        self.content(inside, &mut metered, None, &mut packed)?;
        packed.finish().map(|_| ()).map_err(Stop::Write)
    }

    fn zstd(
        &mut self,
        place: Place<'_>,
        input: &mut Opened<'_>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Stop> {
        let inside = self.inside(place, true)?;
        let (counted, read) = Counted::new(input);
        let mut metered = Metered::new(Frames::new(counted), self.limits.clone(), read);
        let mut packed = FrameWriter::new(out);
        self.content(inside, &mut metered, None, &mut packed)?;
        packed.finish().map(|_| ()).map_err(Stop::Write)
    }

    /// A short text of an archive's own.
    pub(super) fn clean(&mut self, text: &[u8]) -> Vec<u8> {
        let mut clean = self.shop.sanitizer.clean(Key::None, text, &mut self.work).into_owned();
        clean.retain(|&byte| byte != 0);
        clean
    }

    fn tar(
        &mut self,
        place: Place<'_>,
        input: &mut Opened<'_>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Stop> {
        let place = if place.is_unpacked { place } else { self.inside(place, false)? };
        let (counted, read) = Counted::new(input);
        let mut reader = tarball::Reader::new(counted);
        let mut writer = tarball::Writer::new(out);
        let mut names = Names::default();
        while let Some(about) = reader.next().map_err(|_| self.unread(place))? {
            if names.count() > MOST_ENTRIES {
                return Err(Stop::Left(Why::Bomb));
            }
            let (clean, _) = names::scrubbed(self.shop.sanitizer, &about.name, &mut self.work);
            let label = format!("{}!{}", place.label, names::label(&clean));
            let at = Place { label: &label, name: &about.name, is_unpacked: false, ..place };
            let mut spool = Spool::new(self.shop.folder);
            let result = self.tar_entry(
                at,
                &about,
                &mut names,
                |desk, out| {
                    if reader.is_sparse() {
                        let mut metered = Metered::new(&mut reader, desk.limits.clone(), read.clone());
                        desk.content(at, &mut metered, None, out)
                    } else {
                        desk.content(at, &mut reader, None, out)
                    }
                },
                &mut spool,
            );
            match result {
                Ok(target) => {
                    let name = self.renamed(&label, &mut names, &about.name, clean);
                    let owner = |desk: &mut Self, text: &[u8]| {
                        let clean = desk.clean(text);
                        if clean == text { clean } else { Vec::new() }
                    };
                    let (user, group) = (owner(self, &about.user), owner(self, &about.group));
                    let size = spool.rewind_all().map_err(Stop::Write)?;
                    let about = About { name, target, user, group, ..about };
                    writer.entry(&about, size, |out| spool.write_to(out)).map_err(Stop::Write)?;
                }
                Err(Stop::Left(why)) => {
                    if self.limits.is_used_up() {
                        return Err(Stop::Left(why));
                    }
                    names.leave(&about.name);
                    self.account.left.push((label, why));
                }
                Err(stop) => return Err(stop),
            }
        }
        writer.finish().map(|_| ()).map_err(Stop::Write)
    }

    /// Decides about an entry; the target of a link, scrubbed.
    fn tar_entry(
        &mut self,
        at: Place<'_>,
        about: &About,
        names: &mut Names,
        content: impl FnOnce(&mut Self, &mut Spool) -> Result<(), Stop>,
        spool: &mut Spool,
    ) -> Result<Vec<u8>, Stop> {
        match about.kind {
            Kind::Special => return Err(Stop::Left(Why::Special)),
            Kind::Global => return Err(Stop::Left(Why::Extension)),
            Kind::Unknown => return Err(Stop::Left(Why::Unsupported)),
            Kind::File | Kind::Folder | Kind::Symlink | Kind::HardLink => {}
        }
        if !names::is_safe(at.name) || names.passes_symlink(at.name) {
            return Err(Stop::Left(Why::Traversal));
        }
        match about.kind {
            Kind::File => content(self, spool).map(|()| Vec::new()),
            Kind::Symlink => self.symlink(at.name, &about.target, names),
            Kind::HardLink if !names::is_safe(&about.target) || names.passes_symlink(&about.target) => {
                Err(Stop::Left(Why::Traversal))
            }
            Kind::HardLink if names.is_left(&about.target) => Err(Stop::Left(Why::LinkToNothing)),
            Kind::HardLink => Ok(match names.renamed(&about.target) {
                Some(name) => name.clone(),
                None => names::scrubbed(self.shop.sanitizer, &about.target, &mut self.work).0,
            }),
            _ => Ok(Vec::new()),
        }
    }

    /// A symlink of an archive: its target, scrubbed.
    pub(super) fn symlink(&mut self, name: &[u8], target: &[u8], names: &mut Names) -> Result<Vec<u8>, Stop> {
        if names::leads_out(name, target) {
            return Err(Stop::Left(Why::Traversal));
        }
        names.add_symlink(name);
        Ok(names::scrubbed(self.shop.sanitizer, target, &mut self.work).0)
    }

    /// The name of an entry that goes on; if it was scrubbed, that is told.
    pub(super) fn renamed(&mut self, label: &str, names: &mut Names, name: &[u8], clean: Vec<u8>) -> Vec<u8> {
        if clean != name {
            self.account.renamed.push(label.to_owned());
        }
        names.take(name, clean)
    }

    /// A zip archive is read from its end: one that is no file must be in memory.
    fn zip_of(
        &mut self,
        place: Place<'_>,
        input: &mut Opened<'_>,
        file: Option<&File>,
        out: &mut (dyn Write + Send),
    ) -> Result<(), Stop> {
        let inside = self.inside(place, false)?;
        if let Some(file) = file {
            let file = io::BufReader::with_capacity(64 << 10, file);
            return self.zip(inside, file, out);
        }
        let most = MOST_HELD - self.held;
        let mut bytes = Vec::new();
        input.take(most + 1).read_to_end(&mut bytes).map_err(|_| self.unread(place))?;
        let len = bytes.len() as u64;
        if len > most {
            return Err(Stop::Left(Why::TooLarge));
        }
        self.held += len;
        let result = self.zip(inside, Cursor::new(bytes), out);
        self.held -= len;
        result
    }
}
