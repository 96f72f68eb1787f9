//! Support bundles: files, folders and archives, scrubbed as a whole.
//!
//! Not here: arguments, terminal, signals (that is `cmd`'s), and what a secret is (the engine's).
//!
//! Invariants:
//! - A bundle holds scrubbed text, and what `keep_binary` lets through; nothing else. What cannot be scrubbed is left out
//!   and told.
//! - A bundle is whole or not there. If something is left out that should not have been, it is not there, unless
//!   `skip_bad` says that it may be less.
//! - Nothing unscrubbed is written to disk on the way.
//! - What comes out depends on inputs and rules, not on threads and time.
//! - Memory does not grow with files. It grows with names, and with zip archives inside others, up to a limit.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "files and folders are read and written here"
)]

mod account;
mod blocks;
mod cleaner;
mod counts;
mod crew;
mod desk;
mod fault;
mod form;
mod layout;
mod limits;
mod mixture;
mod names;
mod packed;
mod place;
mod spool;
mod tarball;
mod text;
mod utf16;
mod walk;
mod zipped;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

pub use account::Account;
pub use fault::{Fault, Why};

use crate::sanitize::Sanitizer;
use blocks::{BlockWriter, Press};
use desk::{Desk, Place, Shop};
use fault::Stop;
use form::Form;
use place::{Folder, Packer, Shape};
use spool::Spool;
use walk::{Found, Item, Kind};

/// From this size on a file is scrubbed by all threads at once.
const BIG: u64 = 64 << 20;
/// How many items of an archive are made ahead of the one that is written next: so many for each thread, within bounds.
/// Each that waits takes up to a MiB of memory or, if it is larger, an open file beside the output.
const AHEAD: usize = 8;
/// More than these are made ahead only where two for each thread are more.
const MOST_AHEAD: usize = 64;

/// How a bundle is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many threads scrub.
    pub threads: usize,
    /// Copy what is no text as it is.
    pub keep_binary: bool,
    /// Make a bundle without what could not be scrubbed.
    pub skip_bad: bool,
    /// Replace a file that is where the bundle goes.
    pub force: bool,
    /// Write nothing.
    pub dry_run: bool,
    /// The most bytes that may come out of one input file.
    pub most_bytes: u64,
    /// The most that a layer may be of what it is unpacked from, in times.
    pub most_ratio: u64,
    /// The most archives in one another.
    pub most_depth: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: 1,
            keep_binary: false,
            skip_bad: false,
            force: false,
            dry_run: false,
            most_bytes: 16 << 30,
            most_ratio: 200,
            most_depth: 4,
        }
    }
}

/// Who watches a bundle being made. Called by many threads.
pub trait Watch: Sync {
    /// So many bytes are to be read.
    fn total(&self, bytes: u64);

    /// So many more have been read.
    fn read(&self, bytes: u64);

    /// Whether to stop.
    fn is_stopped(&self) -> bool;

    /// All is scrubbed, and is about to be put where it goes.
    /// # Errors
    /// It must not be; why.
    fn made(&self, account: &Account) -> Result<(), String> {
        let _ = account;
        Ok(())
    }
}

/// Scrubs `inputs` to `out`. What was left out is in the account: if some of that is bad, there is a bundle only with
/// [`Options::skip_bad`].
/// # Errors
/// The output is there, is an input or lies in one; an input is not there; the output cannot be written; it was stopped.
/// Then there is no bundle.
pub fn make(
    sanitizer: &Sanitizer,
    inputs: &[PathBuf],
    out: &Path,
    options: &Options,
    watch: &dyn Watch,
) -> Result<Account, Fault> {
    let (beside, shape) = target(inputs, out, options)?;
    let Found { items, mut account, roots, .. } = walk::walk(inputs, shape, sanitizer)?;
    if walk::is_within(&beside, &roots) {
        return Err(Fault::Refused(format!("{} is inside an input; name a place outside", out.display())));
    }
    if let Ok(about) = fs::metadata(out)
        && items.iter().any(|item| (item.about.dev(), item.about.ino()) == (about.dev(), about.ino()))
    {
        return Err(Fault::Refused(format!("{} is an input; it would be lost", out.display())));
    }
    watch.total(items.iter().filter(|item| item.kind == Kind::File).map(|item| item.about.len()).sum());
    let folder = (!options.dry_run).then_some(&*beside);
    let shop = Shop { sanitizer, options, watch, folder };
    let work = Bundle { shop, items: &items, out, beside: &beside };
    account.written = match shape {
        Shape::Folder => work.folder(&mut account),
        Shape::File => work.file(None, &mut account),
        Shape::Compressed(press) => work.file(Some(press), &mut account),
        Shape::Pack(pack) => work.pack(pack, &mut account),
    }?;
    Ok(account)
}

/// The folder that `out` is in, and what it is to be.
fn target(inputs: &[PathBuf], out: &Path, options: &Options) -> Result<(PathBuf, Shape), Fault> {
    let shown = out.display();
    let Some(name) = out.file_name() else {
        return Err(Fault::Refused(format!("{shown} is no name for a bundle")));
    };
    let beside = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = fs::canonicalize(beside).map_err(|error| Fault::Io("write in", beside.to_owned(), error))?;
    let wants_folder = out.as_os_str().as_encoded_bytes().ends_with(b"/");
    let is_one_file = matches!(inputs, [input] if input.is_file()) && !wants_folder;
    let pack = place::pack_by_name(out).filter(|_| !wants_folder);
    let shape = match pack {
        // An archive that stays what it is.
        Some(pack) if is_one_file && place::pack_by_name(&inputs[0]) == Some(pack) => Shape::File,
        Some(pack) => Shape::Pack(pack),
        None if is_one_file => match place::press_by_name(out).map(|asked| (asked, press_of(&inputs[0]))) {
            Some((asked, None)) => Shape::Compressed(asked),
            Some((asked, Some(is))) if is != asked => {
                return Err(Fault::Refused(format!(
                    "{shown} asks for another compression than that of the input, which stays as it is; name it like that"
                )));
            }
            _ => Shape::File,
        },
        None => Shape::Folder,
    };
    match fs::symlink_metadata(beside.join(name)) {
        Err(_) => {}
        Ok(about) if about.is_file() && options.force && shape != Shape::Folder => {}
        Ok(about) if about.is_file() && shape != Shape::Folder => {
            return Err(Fault::Refused(format!(
                "{shown} exists; name another file, or replace it with --force"
            )));
        }
        Ok(_) => return Err(Fault::Refused(format!("{shown} exists; name a place where nothing is"))),
    }
    Ok((beside, shape))
}

/// How a file is compressed, by its first bytes.
fn press_of(path: &Path) -> Option<Press> {
    let mut head = Vec::new();
    // One that cannot be read is told when it is to be scrubbed.
    File::open(path).ok()?.take(form::HEAD as u64).read_to_end(&mut head).ok()?;
    match form::of(&head, path.as_os_str().as_encoded_bytes()) {
        Form::Gzip => Some(Press::Gzip),
        Form::Zstd => Some(Press::Zstd),
        _ => None,
    }
}

/// What takes the pieces of a bundle, in order.
type Take<'t, T> = dyn FnMut(&Item, Result<T, Stop>) -> Result<(), Fault> + 't;
/// How far a file came.
type Made = Result<Account, Stop>;

/// A bundle being made.
struct Bundle<'b> {
    shop: Shop<'b>,
    items: &'b [Item],
    out: &'b Path,
    beside: &'b Path,
}

impl Bundle<'_> {
    /// Whether what was made becomes the bundle.
    fn is_wanted(&self, account: &Account) -> bool {
        !self.shop.options.dry_run && (self.shop.options.skip_bad || account.bad() == 0)
    }

    /// Says that it does, before it does.
    fn announce(&self, account: &Account) -> Result<(), Fault> {
        self.shop.watch.made(account).map_err(Fault::Refused)
    }

    fn files(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|item| item.kind == Kind::File)
    }

    fn stopped(&self, stop: Stop) -> Fault {
        match stop {
            Stop::Write(error) => Fault::Io("write", self.out.to_owned(), error),
            Stop::Left(_) | Stop::Stopped => Fault::Stopped,
        }
    }

    /// Adds what became of a file; where that is the end of all, why.
    fn settle(&self, item: &Item, made: Made, account: &mut Account) -> Result<bool, Fault> {
        if self.shop.watch.is_stopped() {
            return Err(Fault::Stopped);
        }
        match made {
            Ok(made) => account.add(made),
            Err(Stop::Left(why)) => {
                account.left.push((item.label.clone(), why));
                return Ok(false);
            }
            Err(stop) => return Err(self.stopped(stop)),
        }
        Ok(true)
    }

    /// Makes a folder of all; whether it is there. The others do the same.
    fn folder(&self, account: &mut Account) -> Result<bool, Fault> {
        let folder = if self.shop.options.dry_run { None } else { Some(Folder::new(self.out, self.beside)?) };
        if let Some(folder) = &folder {
            for item in self.items {
                match folder.make(item) {
                    // What is in it has names that are longer yet.
                    Err(error) if error.kind() == ErrorKind::InvalidFilename => {
                        account.left.push((item.label.clone(), Why::Name));
                    }
                    made => made.map_err(|error| self.stopped(Stop::Write(error)))?,
                }
            }
        }
        let mut files: Vec<&Item> = self.files().collect();
        // The largest first: no thread is left alone with one at the end.
        files.sort_by_key(|item| std::cmp::Reverse(item.about.len()));
        let make = |item: &Item, threads| match &folder {
            None => self.scrub(item, threads, &mut io::sink()),
            Some(folder) => {
                let mut file = folder.create(item).map_err(|error| match error.kind() {
                    ErrorKind::InvalidFilename => Stop::Left(Why::Name),
                    _ => Stop::Write(error),
                })?;
                let made = self.scrub(item, threads, &mut file);
                match &made {
                    Ok(_) => place::dress(&file, item).map_err(Stop::Write)?,
                    Err(_) => fs::remove_file(folder.path(item)).map_err(Stop::Write)?,
                }
                made
            }
        };
        let mut accounts = Vec::new();
        self.each(&files, usize::MAX, &make, &mut |item, made| {
            let mut own = Account::default();
            self.settle(item, made, &mut own)?;
            accounts.push((item.name.clone(), own));
            Ok(())
        })?;
        accounts.sort_by(|(one, _), (other, _)| one.cmp(other));
        accounts.into_iter().for_each(|(_, own)| account.add(own));
        match folder {
            Some(folder) if self.is_wanted(account) => {
                self.announce(account)?;
                folder.finish(self.out, self.items).map(|()| true)
            }
            _ => Ok(false),
        }
    }

    /// Makes one file of one, compressed if that is wanted.
    fn file(&self, press: Option<Press>, account: &mut Account) -> Result<bool, Fault> {
        let Some(item) = self.files().next() else {
            return Ok(false);
        };
        let threads = self.shop.options.threads;
        if self.shop.options.dry_run {
            return self.settle(item, self.scrub(item, threads, &mut io::sink()), account).map(|_| false);
        }
        let mut file = place::new_file(self.out, self.beside)?;
        let made = match press {
            None => self.scrub(item, threads, file.as_file_mut()),
            Some(press) => {
                let mut packed = BlockWriter::new(file.as_file_mut(), press, threads);
                let made = self.scrub(item, threads, &mut packed);
                made.and_then(|made| packed.finish().map(|_| made).map_err(Stop::Write))
            }
        };
        let is_made = self.settle(item, made, account)?;
        if !self.is_wanted(account) {
            return Ok(false);
        }
        if let Some((label, why)) = account.left.last().filter(|_| !is_made) {
            return Err(Fault::Refused(format!("{label}: {why}; nothing is left to be written")));
        }
        self.announce(account)?;
        place::dress(file.as_file(), item).map_err(|error| self.stopped(Stop::Write(error)))?;
        place::finish_file(file, self.out, self.shop.options.force).map(|()| true)
    }

    fn pack(&self, pack: place::Pack, account: &mut Account) -> Result<bool, Fault> {
        if self.shop.options.dry_run {
            return self.pack_to(pack, Spool::new(None), account).map(|_| false);
        }
        let file = place::new_file(self.out, self.beside)?;
        self.pack_to(pack, file.as_file(), account)?;
        if !self.is_wanted(account) {
            return Ok(false);
        }
        self.announce(account)?;
        let mode = place::pack_mode(self.beside, self.items, !account.raw.is_empty());
        let set = mode.and_then(|mode| file.as_file().set_permissions(mode));
        set.map_err(|error| self.stopped(Stop::Write(error)))?;
        place::finish_file(file, self.out, self.shop.options.force).map(|()| true)
    }

    fn pack_to<W: Write + Seek>(&self, pack: place::Pack, out: W, account: &mut Account) -> Result<W, Fault> {
        let mut packer = Packer::new(pack, out, self.shop.options.threads);
        let items: Vec<&Item> = self.items.iter().collect();
        let make = |item: &Item, threads| {
            let mut spool = Spool::new(self.shop.folder);
            match item.kind {
                Kind::File => self.scrub(item, threads, &mut spool).map(|account| (account, spool)),
                Kind::Folder | Kind::Link(_) => Ok((Account::default(), spool)),
            }
        };
        // What is made ahead is in spools. While a larger one is made, the other threads make many small ones.
        let threads = self.shop.options.threads;
        let window = (AHEAD * threads).min(MOST_AHEAD).max(2 * threads);
        self.each(&items, window, &make, &mut |item, made| {
            let (made, spool) = match made {
                Ok((account, spool)) => (Ok(account), Some(spool)),
                Err(stop) => (Err(stop), None),
            };
            let mark = account.mark();
            let is_made = self.settle(item, made, account)?;
            match spool.map(|mut spool| packer.add(item, &mut spool)) {
                Some(Err(Stop::Left(_))) if is_made => {
                    account.go_back(mark);
                    account.left.push((item.label.clone(), Why::Name));
                    Ok(())
                }
                Some(added) if is_made => added.map_err(|stop| self.stopped(stop)),
                _ => Ok(()),
            }
        })?;
        packer.finish().map_err(|error| self.stopped(Stop::Write(error)))
    }

    /// Has all items made, small ones by one thread each, a big one by all, and takes what was made in order.
    fn each<T: Send>(
        &self,
        items: &[&Item],
        window: usize,
        make: &(dyn Fn(&Item, usize) -> Result<T, Stop> + Sync),
        take: &mut Take<'_, T>,
    ) -> Result<(), Fault> {
        let threads = self.shop.options.threads;
        let is_big = |item: &&Item| item.kind == Kind::File && item.about.len() >= BIG && threads > 1;
        let mut result = Ok(());
        for run in items.chunk_by(|one, next| !is_big(one) && !is_big(next)) {
            let each = if is_big(&run[0]) { threads } else { 1 };
            crew::in_order(
                run.len(),
                threads,
                window,
                &|index| make(run[index], each),
                &mut |index, made| {
                    result = take(run[index], made);
                    result.is_ok()
                },
            );
            if result.is_err() {
                break;
            }
        }
        result
    }

    /// Scrubs one file.
    fn scrub(&self, item: &Item, threads: usize, out: &mut (dyn Write + Send)) -> Made {
        let work = || {
            let mut desk = Desk::new(self.shop, threads);
            let name = item.name.as_slice();
            let place = Place { label: &item.label, name, depth: 0, is_unpacked: false };
            scrub_file(&mut desk, item, place, out)?;
            Ok(desk.account)
        };
        // A panic's text is not told; what was being made is dropped.
        catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Stop::Left(Why::Failed)))
    }
}

fn scrub_file(
    desk: &mut Desk<'_>,
    item: &Item,
    place: Place<'_>,
    out: &mut (dyn Write + Send),
) -> Result<(), Stop> {
    let unread = |_| Stop::Left(Why::Unreadable);
    // What has become a link or a FIFO since it was looked at is not followed and not waited for.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let flags = i32::try_from(flags).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(&item.path).map_err(unread)?;
    let about = file.metadata().map_err(unread)?;
    if !about.is_file() {
        return Err(Stop::Left(Why::Changed));
    }
    let mut input = Watched { file: &file, watch: desk.shop.watch, read: 0 };
    desk.content(place, &mut input, Some(&file), out)?;
    let watch = desk.shop.watch;
    watch.read(about.len().saturating_sub(input.read));
    let now = file.metadata().map_err(unread)?;
    // Longer is fine: what was there is in the bundle.
    if now.len() < about.len() { Err(Stop::Left(Why::Changed)) } else { Ok(()) }
}

/// A file, read under the eyes of who watches.
struct Watched<'w> {
    file: &'w File,
    watch: &'w dyn Watch,
    read: u64,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.watch.is_stopped() {
            return Err(io::Error::other("stopped"));
        }
        let len = self.file.read(buffer)?;
        self.read += len as u64;
        self.watch.read(len as u64);
        Ok(len)
    }
}
