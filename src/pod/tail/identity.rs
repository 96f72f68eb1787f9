//! Which file it is: names are given away and inodes are used again, so a file is known by what it holds as well.
//!
//! Of what it holds, hashes are kept: they go into the checkpoint.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

/// How much of the beginning of a file tells which it is.
pub(super) const HEAD: usize = 1 << 10;
/// How much of what stands before a place tells whether it is still that place.
pub(super) const NEAR: usize = 256;

/// Where a file is, whatever its name. Used again when a file is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Inode {
    pub(super) device: u64,
    pub(super) number: u64,
}

impl Inode {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), number: metadata.ino() }
    }
}

/// When a file was made, where its file system says so; only ever compared with itself.
pub(super) fn born(metadata: &Metadata) -> Option<u64> {
    let since = metadata.created().ok()?.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok().filter(|&nanos| nanos > 0)
}

/// A hash of bytes.
pub(super) type Hash = [u8; 32];

pub(super) fn hash(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// What a file begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// How many bytes are meant, at most [`HEAD`]. None: any file begins so.
    pub(super) len: u16,
    pub(super) hash: Hash,
}

impl Head {
    /// Of the first bytes of a file.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let bytes = &bytes[..bytes.len().min(HEAD)];
        Self { len: bytes.len() as u16, hash: hash(bytes) }
    }

    /// Whether a file begins so.
    pub(super) fn is_of(&self, file: &File) -> io::Result<bool> {
        if self.len == 0 {
            return Ok(true);
        }
        let mut bytes = [0; HEAD];
        let bytes = &mut bytes[..self.len as usize];
        Ok(read_at(file, 0, bytes)? == bytes.len() && hash(bytes) == self.hash)
    }

    /// Whether it is as long as it becomes.
    pub(super) fn is_whole(&self) -> bool {
        self.len as usize == HEAD
    }
}

/// A place in a file, and what stands before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    /// A hash of the bytes before it, as many as there are up to [`NEAR`]. `None`: not known.
    pub(super) near: Option<Hash>,
}

impl Place {
    /// How many bytes before it are hashed.
    pub(super) fn context(&self) -> usize {
        self.offset.min(NEAR as u64) as usize
    }

    /// The place behind `bytes`, which begin at `base` in their file. Not known if they are too few.
    pub(super) fn behind(base: u64, bytes: &[u8]) -> Self {
        let mut place = Self { offset: base + bytes.len() as u64, near: None };
        let context = place.context();
        place.near = bytes.len().checked_sub(context).map(|from| hash(&bytes[from..]));
        place
    }

    /// Whether a file has the same bytes before this place.
    pub(super) fn is_in(&self, file: &File) -> io::Result<bool> {
        let mut bytes = [0; NEAR];
        let bytes = &mut bytes[..self.context()];
        let there = read_at(file, self.offset - bytes.len() as u64, bytes)?;
        Ok(there == bytes.len() && self.near.is_none_or(|near| near == hash(bytes)))
    }
}

/// Reads until there is no more, or no more room.
pub(super) fn read_at(file: &File, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        file
    }

    /// Whether a file that held `first` is taken to be the same when it holds `then`.
    fn check(first: &[u8], then: &[u8], want: bool) {
        let (head, place) = (Head::of(first), Place::behind(0, first));
        let file = file(then);
        let got = head.is_of(&file).expect("read") && place.is_in(&file).expect("read");
        assert_eq!(got, want, "{} and {} bytes", first.len(), then.len());
    }

    #[test]
    fn a_file_is_known_by_what_it_holds() {
        check(b"", b"", true);
        check(b"", b"anything", true);
        check(b"short", b"short and more", true);
        check(b"short", b"shor", false);
        check(b"short", b"shirt and more", false);
        let long = b"0123456789abcdef".repeat(200);
        check(&long, &[&long[..], b"more"].concat(), true);
        check(&long, &long[..long.len() - 1], false);
        // The same beginning, something else later.
        check(&long, &[&long[..HEAD], &b"x".repeat(4000)].concat(), false);
    }
}
