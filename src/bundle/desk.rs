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

use flate2::GzBuilder;

use super::account::Account;
use super::blocks::{BlockWriter, Press};
use super::cleaner::Cleaner;
use super::counts::Counts;
use super::fault::{Stop, Why};
use super::form::{self, Form, HEAD};
use super::limits::{Counted, Limits, Metered};
use super::mixture::Verdict;
use super::names::{self, Names};
use super::packed::{Frames, Members};
use super::spool::Spool;
use super::tarball::{self, About, Kind};
use super::utf16::{Decoded, Encoded};
use super::{Options, Watch, text};
use crate::sanitize::Sanitizer;

/// The most entries of one archive: each has a name that is remembered.
pub(super) const MOST_ENTRIES: usize = 1 << 20;
/// The most bytes of archives that must be in memory to be read, one in the other.
const MOST_HELD: u64 = 256 << 20;
/// The longest comment of an archive.
const MOST_COMMENT: usize = u16::MAX as usize;

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
    pub(super) cleaner: Cleaner<'r>,
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

/// What is read of something, written as it is.
struct Copied<'c, 'i> {
    input: &'c mut Opened<'i>,
    out: &'c mut (dyn Write + Send),
    unwritten: Option<io::Error>,
}

impl Read for Copied<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.input.read(buffer)?;
        if let Err(error) = self.out.write_all(&buffer[..len]) {
            self.unwritten = Some(error);
            return Ok(0);
        }
        Ok(len)
    }
}

/// An entry's name as it is written.
pub(super) struct Named {
    pub(super) name: Vec<u8>,
    pub(super) label: String,
    /// Neither it nor what it was leads out.
    pub(super) is_safe: bool,
    /// What was found in it.
    found: Counts,
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
        let cleaner = Cleaner::new(shop.sanitizer, false);
        Self { shop, threads, limits, cleaner, account: Account::default(), held: 0 }
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
            Form::Utf16 { high_first, has_mark } => {
                self.utf16(place, &mut opened, (high_first, has_mark), out)
            }
            Form::Gzip => self.gzip(place, &mut opened, out),
            Form::Zstd => self.zstd(place, &mut opened, out),
            Form::Tar => self.tar(place, &mut opened, out),
            Form::Zip => self.zip_of(place, &mut opened, file, out),
            // What text there is in it is scrubbed.
            Form::Other(Why::Mixed) if self.shop.options.keep_binary => self.text(place, &mut opened, out),
            Form::Other(why) if self.shop.options.keep_binary && !why.is_bad() => {
                self.raw(place, &mut opened, out)
            }
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
        match scrubbed.verdict {
            Verdict::Text => {}
            // What there is of text in it is scrubbed, the rest is not.
            Verdict::Noise if self.shop.options.keep_binary => {
                self.account.raw.push((place.label.to_owned(), 0));
            }
            Verdict::Zeros | Verdict::Noise => return Err(Stop::Left(Why::Mixed)),
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
        (high_first, has_mark): (bool, bool),
        out: &mut (dyn Write + Send),
    ) -> Result<(), Stop> {
        if has_mark {
            let mut mark = [0; 2];
            input.read_exact(&mut mark).map_err(|_| self.unread(place))?;
            out.write_all(&mark).map_err(Stop::Write)?;
        }
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
        // What would be found in it is told, whether or not its bytes mean that.
        let mut copied = Copied { input, out, unwritten: None };
        let Shop { sanitizer, .. } = self.shop;
        let text::Scrubbed { counts, unread, .. } =
            text::scrub(sanitizer, self.threads, &mut copied, &mut io::sink(), true);
        if let Some(error) = copied.unwritten {
            return Err(Stop::Write(error));
        }
        if unread.is_some() {
            return Err(self.unread(place));
        }
        self.account.raw.push((place.label.to_owned(), counts.sum()));
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
        self.account.note(place.label, "header", self.cleaner.take_found());
        let mut packed = BlockWriter::new(out, Press::Gzip, self.threads).with_header(builder);
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
        let mut packed = BlockWriter::new(out, Press::Zstd, self.threads);
        self.content(inside, &mut metered, None, &mut packed)?;
        packed.finish().map(|_| ()).map_err(Stop::Write)
    }

    /// A short text of an archive's own.
    pub(super) fn clean(&mut self, text: &[u8]) -> Vec<u8> {
        let mut clean = self.cleaner.clean(text);
        clean.retain(|&byte| byte != 0);
        names::cap(&mut clean, MOST_COMMENT);
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
            let named = self.name(place, &about.name, &mut names);
            let at = Place { label: &named.label, name: &about.name, is_unpacked: false, ..place };
            let mut spool = Spool::new(self.shop.folder);
            let mark = self.account.mark();
            let result = self.tar_entry(
                at,
                &about,
                &named,
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
                    let owner = |desk: &mut Self, text: &[u8]| {
                        let clean = desk.clean(text);
                        if clean == text { clean } else { Vec::new() }
                    };
                    let (user, group) = (owner(self, &about.user), owner(self, &about.group));
                    self.account.note(&named.label, "owner", self.cleaner.take_found());
                    let size = spool.rewind_all().map_err(Stop::Write)?;
                    let name = self.tell_name(named, &about.name);
                    let about = About { name, target, user, group, ..about };
                    writer.entry(&about, size, |out| spool.write_to(out)).map_err(Stop::Write)?;
                }
                Err(Stop::Left(why)) => {
                    if self.limits.is_used_up() {
                        return Err(Stop::Left(why));
                    }
                    self.account.go_back(mark);
                    names.leave(&about.name);
                    self.account.left.push((named.label, why));
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
        named: &Named,
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
        if !named.is_safe {
            return Err(Stop::Left(Why::Traversal));
        }
        match about.kind {
            Kind::File => content(self, spool).map(|()| Vec::new()),
            Kind::Symlink => self.symlink(at, named, &about.target, names),
            Kind::HardLink => self.hard_link(at, &about.target, names),
            _ => Ok(Vec::new()),
        }
    }

    fn hard_link(&mut self, at: Place<'_>, target: &[u8], names: &mut Names) -> Result<Vec<u8>, Stop> {
        if !names::is_safe(target) {
            return Err(Stop::Left(Why::Traversal));
        }
        if names.is_left(target) {
            return Err(Stop::Left(Why::LinkToNothing));
        }
        let written = names.hard_target(target, &mut self.cleaner);
        self.account.note(at.label, "link", self.cleaner.take_found());
        // Of a symlink elsewhere, too: it would lead somewhere else from here.
        let leads = |name: &[u8]| names.passes_symlink(name) || names.is_symlink(name);
        let passes = leads(target) || leads(&written);
        if passes || !names::is_safe(&written) { Err(Stop::Left(Why::Traversal)) } else { Ok(written) }
    }

    /// A symlink of an archive: its target, scrubbed. What is asked of links is asked of it as it was and as it is
    /// written.
    pub(super) fn symlink(
        &mut self,
        at: Place<'_>,
        named: &Named,
        target: &[u8],
        names: &mut Names,
    ) -> Result<Vec<u8>, Stop> {
        if names::leads_out(at.name, target) {
            return Err(Stop::Left(Why::Traversal));
        }
        let written = names.target(at.name, target, &mut self.cleaner);
        self.account.note(at.label, "link", self.cleaner.take_found());
        if names::leads_out(&named.name, &written) {
            return Err(Stop::Left(Why::Traversal));
        }
        names.add_symlink(at.name, &named.name);
        Ok(written)
    }

    /// The name of an entry, scrubbed. What is asked of names is asked of it as it was and as it is written.
    pub(super) fn name(&mut self, place: Place<'_>, own: &[u8], names: &mut Names) -> Named {
        let is_safe = names::is_safe(own);
        let name = if is_safe {
            names.place(own, &mut self.cleaner)
        } else {
            names::scrubbed(&mut self.cleaner, own)
        };
        let passes = names.passes_symlink(own) || names.passes_symlink(&name);
        let label = format!("{}!{}", place.label, names::label(&name));
        let found = self.cleaner.take_found();
        Named { is_safe: is_safe && !passes && names::is_safe(&name), name, label, found }
    }

    /// The name of an entry that goes on; if it was changed, that is told.
    pub(super) fn tell_name(&mut self, named: Named, own: &[u8]) -> Vec<u8> {
        self.account.note(&named.label, "name", named.found);
        if named.name != own {
            self.account.renamed.push(named.label);
        }
        named.name
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
