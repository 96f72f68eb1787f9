//! Tar, both ways, entry by entry. The `tar` crate knows its headers; what is read between them is bounded here.
//!
//! A header is written anew: what stands in the old one beside the fields that are known does not go on. Long names go
//! on as GNU writes them. Sparse files become whole ones.

use std::io::{self, ErrorKind, Read, Write};

use tar::{EntryType, GnuExtSparseHeader, GnuSparseHeader, Header};

/// The most bytes of a long name or of extended headers.
const MOST_EXTENDED: u64 = 1 << 20;
/// The most parts of a sparse file.
const MOST_PARTS: usize = 1 << 16;
const BLOCK: usize = 512;
/// An end is so much of zeros; archives are filled up to whole records of 20 blocks.
const RECORD: u64 = 20 * BLOCK as u64;

/// The sum of a header's bytes, as it stands in the header.
pub(super) fn sum(block: &[u8]) -> u64 {
    let all: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    let own: u64 = block[148..156].iter().map(|&byte| u64::from(byte)).sum();
    all - own + 8 * u64::from(b' ')
}

/// An octal number with blanks or zero bytes around it.
pub(super) fn number(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches(|c| c == ' ' || c == '\0'), 8).ok()
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    Symlink,
    HardLink,
    /// A FIFO or a device.
    Special,
    /// Headers for all entries.
    Global,
    /// A sparse file of a form that is not read, or something unknown.
    Unknown,
}

/// What an archive says of an entry.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) kind: Kind,
    pub(super) name: Vec<u8>,
    /// Where a link leads.
    pub(super) target: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) user: Vec<u8>,
    pub(super) group: Vec<u8>,
    pub(super) mtime: u64,
}

/// Reads an archive.
pub(super) struct Reader<R> {
    inner: R,
    /// What is left of the entry's data in the archive, and of its last block.
    data: u64,
    padding: u64,
    /// Parts of a sparse file that are not read yet: zeros, then data.
    parts: Vec<(u64, u64)>,
}

fn invalid<T>() -> io::Result<T> {
    Err(ErrorKind::InvalidData.into())
}

/// What is said ahead of an entry's own header.
#[derive(Default)]
struct Ahead {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    extended: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Ahead {
    fn value(&self, key: &str) -> Option<&[u8]> {
        self.extended.iter().rev().find(|(k, _)| k == key.as_bytes()).map(|(_, value)| &**value)
    }

    fn number(&self, key: &str) -> Option<u64> {
        // Times have fractions.
        std::str::from_utf8(self.value(key)?).ok()?.split('.').next()?.parse().ok()
    }
}

/// Lines of the form `length key=value`.
fn extended(mut text: &[u8]) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut pairs = Vec::new();
    while text.iter().any(|&byte| byte != 0) {
        let blank = memchr::memchr(b' ', text).ok_or(ErrorKind::InvalidData)?;
        let len = std::str::from_utf8(&text[..blank]).ok().and_then(|digits| digits.parse::<usize>().ok());
        let len = len.filter(|&len| len > blank + 1 && len <= text.len()).ok_or(ErrorKind::InvalidData)?;
        let (line, rest) = text.split_at(len);
        let line = line[blank + 1..].strip_suffix(b"\n").ok_or(ErrorKind::InvalidData)?;
        let equals = memchr::memchr(b'=', line).ok_or(ErrorKind::InvalidData)?;
        pairs.push((line[..equals].to_vec(), line[equals + 1..].to_vec()));
        text = rest;
    }
    Ok(pairs)
}

impl<R: Read> Reader<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, data: 0, padding: 0, parts: Vec::new() }
    }

    /// What comes next; what is left of the entry before is passed over.
    pub(super) fn next(&mut self) -> io::Result<Option<About>> {
        let mut ahead = Ahead::default();
        loop {
            self.pass_over()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let size = ahead
                .number("size")
                .filter(|_| !is_ahead(&header))
                .map_or_else(|| header.entry_size(), Ok)?;
            (self.data, self.padding) = (size, size.wrapping_neg() % BLOCK as u64);
            let no_zero = |mut text: Vec<u8>| {
                text.truncate(memchr::memchr(0, &text).unwrap_or(text.len()));
                text
            };
            match header.entry_type() {
                EntryType::GNULongName => ahead.name = Some(no_zero(self.read_ahead()?)),
                EntryType::GNULongLink => ahead.target = Some(no_zero(self.read_ahead()?)),
                EntryType::XHeader => ahead.extended = extended(&self.read_ahead()?)?,
                _ => return self.about(&header, &ahead).map(Some),
            }
        }
    }

    /// Whether the entry that came last has holes: more comes out of it than is in the archive.
    pub(super) fn is_sparse(&self) -> bool {
        !self.parts.is_empty()
    }

    fn about(&mut self, header: &Header, ahead: &Ahead) -> io::Result<About> {
        let is_sparse = ahead.extended.iter().any(|(key, _)| key.starts_with(b"GNU.sparse."));
        let kind = match header.entry_type() {
            EntryType::Regular | EntryType::Continuous if is_sparse => Kind::Unknown,
            EntryType::Regular | EntryType::Continuous if header.path_bytes().ends_with(b"/") => Kind::Folder,
            EntryType::Regular | EntryType::Continuous => Kind::File,
            EntryType::GNUSparse => self.sparse(header)?,
            EntryType::Directory => Kind::Folder,
            EntryType::Symlink => Kind::Symlink,
            EntryType::Link => Kind::HardLink,
            EntryType::Fifo | EntryType::Char | EntryType::Block => Kind::Special,
            EntryType::XGlobalHeader => Kind::Global,
            _ => Kind::Unknown,
        };
        let text = |long: &Option<Vec<u8>>, key: &str, short: &[u8]| {
            long.clone().or_else(|| ahead.value(key).map(<[u8]>::to_vec)).unwrap_or_else(|| short.to_vec())
        };
        let owner = |key: &str, short: Option<&[u8]>| text(&None, key, short.unwrap_or_default());
        Ok(About {
            kind,
            name: text(&ahead.name, "path", &header.path_bytes()),
            target: text(&ahead.target, "linkpath", &header.link_name_bytes().unwrap_or_default()),
            mode: header.mode()?,
            uid: ahead.number("uid").map_or_else(|| header.uid(), Ok)?,
            gid: ahead.number("gid").map_or_else(|| header.gid(), Ok)?,
            user: owner("uname", header.username_bytes()),
            group: owner("gname", header.groupname_bytes()),
            mtime: ahead.number("mtime").map_or_else(|| header.mtime(), Ok)?,
        })
    }

    /// The next header; `None` at the end, be it said or not.
    fn header(&mut self) -> io::Result<Option<Header>> {
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        let mut len = 0;
        while len < BLOCK {
            match self.inner.read(&mut block[len..])? {
                0 if len == 0 => return Ok(None),
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                read => len += read,
            }
        }
        if block.iter().all(|&byte| byte == 0) {
            return self.end().map(|()| None);
        }
        if number(&block[148..156]) != Some(sum(&block[..])) {
            return invalid();
        }
        Ok(Some(header))
    }

    /// Behind a block of zeros there are only zeros: anything else would be lost, or unpacked by others.
    fn end(&mut self) -> io::Result<()> {
        let mut some = [0; 8 << 10];
        loop {
            match self.inner.read(&mut some)? {
                0 => return Ok(()),
                len if some[..len].iter().any(|&byte| byte != 0) => return invalid(),
                _ => {}
            }
        }
    }

    fn read_ahead(&mut self) -> io::Result<Vec<u8>> {
        if self.data > MOST_EXTENDED {
            return invalid();
        }
        let mut text = Vec::new();
        self.read_to_end(&mut text)?;
        Ok(text)
    }

    /// The parts of a sparse file as GNU's old form has them: some in the header, more in blocks behind it.
    fn sparse(&mut self, header: &Header) -> io::Result<Kind> {
        let Some(gnu) = header.as_gnu() else { return Ok(Kind::Unknown) };
        let mut parts = Vec::new();
        let mut at = 0u64;
        let mut left = self.data;
        let mut add = |part: &GnuSparseHeader| -> io::Result<()> {
            if part.is_empty() {
                return Ok(());
            }
            let (offset, len) = (part.offset()?, part.length()?);
            let hole = offset.checked_sub(at).ok_or(ErrorKind::InvalidData)?;
            left = left.checked_sub(len).ok_or(ErrorKind::InvalidData)?;
            at = offset.checked_add(len).ok_or(ErrorKind::InvalidData)?;
            parts.push((hole, len));
            if parts.len() > MOST_PARTS { invalid() } else { Ok(()) }
        };
        gnu.sparse.iter().try_for_each(&mut add)?;
        let mut goes_on = gnu.is_extended();
        while goes_on {
            let mut block = GnuExtSparseHeader::new();
            self.inner.read_exact(block.as_mut_bytes())?;
            block.sparse().iter().try_for_each(&mut add)?;
            goes_on = block.is_extended();
        }
        if left != 0 || gnu.real_size()? < at {
            return invalid();
        }
        parts.push((gnu.real_size()? - at, 0));
        parts.reverse();
        self.parts = parts;
        Ok(Kind::File)
    }

    fn pass_over(&mut self) -> io::Result<()> {
        self.parts.clear();
        let left = self.data + self.padding;
        (self.data, self.padding) = (0, 0);
        if io::copy(&mut self.inner.by_ref().take(left), &mut io::sink())? != left {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn read_data(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.data).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        match self.inner.read(&mut buffer[..most])? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            len => {
                self.data -= len as u64;
                Ok(len)
            }
        }
    }
}

fn is_ahead(header: &Header) -> bool {
    use EntryType as E;
    matches!(header.entry_type(), E::GNULongName | E::GNULongLink | E::XHeader | E::XGlobalHeader)
}

/// Reads the data of the entry that came last.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some((hole, len)) = self.parts.last_mut() else { return self.read_data(buffer) };
            if *hole > 0 {
                let zeros = buffer.len().min(usize::try_from(*hole).unwrap_or(usize::MAX));
                buffer[..zeros].fill(0);
                *hole -= zeros as u64;
                return Ok(zeros);
            }
            if *len > 0 {
                let most = buffer.len().min(usize::try_from(*len).unwrap_or(usize::MAX));
                let read = self.read_data(&mut buffer[..most])?;
                if let Some((_, len)) = self.parts.last_mut() {
                    *len -= read as u64;
                }
                return Ok(read);
            }
            self.parts.pop();
            if self.parts.is_empty() {
                return Ok(0);
            }
        }
    }
}

/// Writes an archive.
pub(super) struct Writer<W> {
    out: W,
    written: u64,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, written: 0 }
    }

    /// Writes an entry; `data` writes so many bytes.
    pub(super) fn entry(
        &mut self,
        about: &About,
        size: u64,
        data: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let kind = match about.kind {
            Kind::Folder => EntryType::Directory,
            Kind::Symlink => EntryType::Symlink,
            Kind::HardLink => EntryType::Link,
            _ => EntryType::Regular,
        };
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(about.mode & 0o7777);
        header.set_uid(about.uid);
        header.set_gid(about.gid);
        header.set_mtime(about.mtime);
        header.set_size(size);
        let long = |text: &[u8]| text.len() > 100;
        if long(&about.name) {
            self.long(EntryType::GNULongName, &about.name)?;
        }
        if long(&about.target) {
            self.long(EntryType::GNULongLink, &about.target)?;
        }
        fill(&mut header.as_old_mut().name, &about.name);
        fill(&mut header.as_old_mut().linkname, &about.target);
        if let Some(gnu) = header.as_gnu_mut() {
            // A name that fills its field would have no end.
            fill(&mut gnu.uname[..31], &about.user);
            fill(&mut gnu.gname[..31], &about.group);
        }
        self.put(&mut header)?;
        data(&mut self.out)?;
        self.pad(size)
    }

    /// Ends the archive.
    pub(super) fn finish(mut self) -> io::Result<W> {
        let end = 2 * BLOCK as u64;
        let fill = (self.written + end).next_multiple_of(RECORD) - (self.written + end);
        let zeros = [0; BLOCK];
        for _ in 0..(end + fill) / BLOCK as u64 {
            self.out.write_all(&zeros)?;
        }
        Ok(self.out)
    }

    /// A name too long for a header, in an entry of its own in front of it.
    fn long(&mut self, kind: EntryType, text: &[u8]) -> io::Result<()> {
        let mut header = Header::new_gnu();
        fill(&mut header.as_old_mut().name, b"././@LongLink");
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        let size = text.len() as u64 + 1;
        header.set_size(size);
        self.put(&mut header)?;
        self.out.write_all(text)?;
        self.out.write_all(&[0])?;
        self.pad(size)
    }

    fn put(&mut self, header: &mut Header) -> io::Result<()> {
        header.set_cksum();
        self.written += BLOCK as u64;
        self.out.write_all(header.as_bytes())
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let padding = size.wrapping_neg() % BLOCK as u64;
        self.written += size + padding;
        self.out.write_all(&[0; BLOCK][..padding as usize])
    }
}

fn fill(field: &mut [u8], text: &[u8]) {
    let len = text.len().min(field.len());
    field[..len].copy_from_slice(&text[..len]);
    field[len..].fill(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_and_large_ids_come_back() {
        let about = About {
            kind: Kind::File,
            name: b"./a/".repeat(40),
            target: Vec::new(),
            mode: 0o640,
            uid: 5_000_000,
            gid: 7,
            user: b"kasm".to_vec(),
            group: Vec::new(),
            mtime: 1_700_000_000,
        };
        let about = About { name: [&about.name[..], b"x.log"].concat(), ..about };
        let mut writer = Writer::new(Vec::new());
        writer.entry(&about, 5, |out| out.write_all(b"line\n")).expect("written");
        let archive = writer.finish().expect("written");
        assert_eq!(archive.len() % RECORD as usize, 0);
        let mut reader = Reader::new(&archive[..]);
        let back = reader.next().expect("read").expect("an entry");
        let mut data = Vec::new();
        reader.read_to_end(&mut data).expect("read");
        assert_eq!(
            (back.name, back.uid, back.user, &data[..]),
            (about.name, about.uid, about.user, &b"line\n"[..])
        );
        assert!(reader.next().expect("read").is_none());
    }

    #[test]
    fn what_is_cut_off_or_hidden_is_damage() {
        let mut writer = Writer::new(Vec::new());
        let about = About {
            kind: Kind::File,
            name: b"a".to_vec(),
            target: Vec::new(),
            mode: 0,
            uid: 0,
            gid: 0,
            user: Vec::new(),
            group: Vec::new(),
            mtime: 0,
        };
        writer.entry(&about, 3, |out| out.write_all(b"abc")).expect("written");
        let archive = writer.finish().expect("written");
        let read = |bytes: &[u8]| {
            let mut reader = Reader::new(bytes);
            while reader.next()?.is_some() {}
            io::Result::Ok(())
        };
        assert!(read(&archive).is_ok());
        assert!(read(&archive[..1024]).is_ok(), "an end need not be said");
        assert!(read(&archive[..600]).is_err());
        assert!(read(&[&archive[..], b"more"].concat()).is_err());
        assert!(extended(b"9 a=b=c\n").is_err());
        assert_eq!(extended(b"8 a=b=c\n").expect("read"), [(b"a".to_vec(), b"b=c".to_vec())]);
    }
}
