//! Whether the entries that a zip archive's directory lists, and the directory, are all that is in its file. What is not
//! listed is not scrubbed: it would vanish, or some program would find it.

use std::io::{Read, Result, Seek, SeekFrom};

/// The lengths of fixed parts: of an entry's own header, of what the directory says of one, of the end, of what stands
/// in front of that in a large archive, and of what points there.
const LOCAL: usize = 30;
const LISTED: usize = 46;
const END: usize = 22;
const LARGE_END: usize = 56;
const POINTER: usize = 20;
/// In place of a number that is written elsewhere.
const ELSEWHERE: u64 = u32::MAX as u64;

/// A number whose bytes stand there, lowest first.
fn number(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + len)?;
    Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

fn read_at<const LEN: usize>(input: &mut (impl Read + Seek), at: u64) -> Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    input.seek(SeekFrom::Start(at))?;
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Whether nothing else is in `input`, whose comment has so many bytes. A failed read says no.
pub(super) fn is_all(input: &mut (impl Read + Seek), comment: usize, most_entries: usize) -> bool {
    covers(input, comment, most_entries).ok().flatten().is_some()
}

/// `None`: something else is there.
fn covers(input: &mut (impl Read + Seek), comment: usize, most_entries: usize) -> Result<Option<()>> {
    let len = input.seek(SeekFrom::End(0))?;
    let Some(end) = len.checked_sub((END + comment) as u64) else { return Ok(None) };
    let Some((start, directory_end)) = directory(input, end)? else { return Ok(None) };
    input.seek(SeekFrom::Start(start))?;
    let mut listed = Vec::new();
    let mut at = start;
    // Read in one go: a directory is small beside what it lists.
    let mut buffered = std::io::BufReader::with_capacity(64 << 10, &mut *input);
    while at < directory_end {
        let Some((entry, len)) = entry(&mut buffered)? else { return Ok(None) };
        at += len;
        listed.push(entry);
        if listed.len() > most_entries {
            return Ok(None);
        }
    }
    if at != directory_end {
        return Ok(None);
    }
    listed.sort_by_key(|entry| entry.start);
    let mut at = 0;
    let starts = listed.iter().skip(1).map(|entry| entry.start).chain([start]);
    for (entry, next) in listed.iter().zip(starts) {
        if entry.start != at {
            return Ok(None);
        }
        let header: [u8; LOCAL] = read_at(input, at)?;
        if !header.starts_with(b"PK\x03\x04") {
            return Ok(None);
        }
        let lens = number(&header, 26, 2).zip(number(&header, 28, 2)).map_or(0, |(name, extra)| name + extra);
        let end = at.checked_add(LOCAL as u64 + lens).and_then(|at| at.checked_add(entry.packed));
        let rest = end.and_then(|end| next.checked_sub(end));
        // Sizes may be said behind the data.
        let is_whole = match rest {
            Some(0) => true,
            Some(12 | 16 | 20 | 24) => entry.has_descriptor,
            _ => false,
        };
        if !is_whole {
            return Ok(None);
        }
        at = next;
    }
    Ok((at == start).then_some(()))
}

/// Where the directory begins and ends.
fn directory(input: &mut (impl Read + Seek), end: u64) -> Result<Option<(u64, u64)>> {
    let tail: [u8; END] = read_at(input, end)?;
    if !tail.starts_with(b"PK\x05\x06") {
        return Ok(None);
    }
    let said = number(&tail, 16, 4).zip(number(&tail, 12, 4));
    let (start, size, directory_end) = match end.checked_sub((POINTER + LARGE_END) as u64) {
        Some(at) if read_at::<4>(input, end - POINTER as u64)? == *b"PK\x06\x07" => {
            let large: [u8; LARGE_END] = read_at(input, at)?;
            let is_end = large.starts_with(b"PK\x06\x06") && number(&large, 4, 8) == Some(44);
            let Some((start, size)) = number(&large, 48, 8).zip(number(&large, 40, 8)).filter(|_| is_end)
            else {
                return Ok(None);
            };
            (start, size, at)
        }
        _ => {
            let Some((start, size)) = said else { return Ok(None) };
            (start, size, end)
        }
    };
    Ok((start.checked_add(size) == Some(directory_end)).then_some((start, directory_end)))
}

/// Where an entry begins, and how much it is.
struct Entry {
    start: u64,
    packed: u64,
    has_descriptor: bool,
}

/// The next entry of a directory, and how long what is said of it is.
fn entry(directory: &mut impl Read) -> Result<Option<(Entry, u64)>> {
    let mut fixed = [0; LISTED];
    directory.read_exact(&mut fixed)?;
    let field = |at, len| number(&fixed, at, len).unwrap_or_default();
    let (name, extra, comment) = (field(28, 2), field(30, 2), field(32, 2));
    let mut rest = Vec::new();
    directory.take(name + extra + comment).read_to_end(&mut rest)?;
    if !fixed.starts_with(b"PK\x01\x02") || rest.len() as u64 != name + extra + comment {
        return Ok(None);
    }
    let (mut packed, mut start) = (field(20, 4), field(42, 4));
    let mut extra = &rest[name as usize..(name + extra) as usize];
    while let Some((id, len)) = number(extra, 0, 2).zip(number(extra, 2, 2)) {
        let Some(data) = extra.get(4..4 + len as usize) else { return Ok(None) };
        if id == 1 {
            // Those that are elsewhere, in this order: the size, the packed size, the start.
            let mut at = if field(24, 4) == ELSEWHERE { 8 } else { 0 };
            for value in [&mut packed, &mut start] {
                if *value == ELSEWHERE {
                    let Some(large) = number(data, at, 8) else { return Ok(None) };
                    *value = large;
                    at += 8;
                }
            }
        }
        extra = &extra[4 + len as usize..];
    }
    let has_descriptor = field(8, 2) & 1 << 3 != 0;
    Ok(Some((Entry { start, packed, has_descriptor }, (LISTED + rest.len()) as u64)))
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use super::*;

    fn archive(is_large: bool, entries: usize) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for i in 0..entries {
            let options = zip::write::SimpleFileOptions::default().large_file(is_large);
            writer.start_file(format!("{i}.log"), options).expect("zip");
            writer.write_all(b"a line\n").expect("zip");
        }
        writer.finish().expect("zip").into_inner()
    }

    fn check(parts: &[&[u8]], want: bool) {
        assert_eq!(is_all(&mut Cursor::new(parts.concat()), 0, 1 << 20), want);
    }

    #[test]
    fn nothing_else_may_be_there() {
        let whole = archive(false, 3);
        check(&[&whole], true);
        check(&[&archive(true, 2)], true);
        check(&[&archive(false, 0)], true);
        check(&[&archive(false, 70_000)], true);
        check(&[&whole, &whole], false);
        check(&[b"#!/bin/sh\n", &whole], false);
        check(&[&whole, b"more"], false);
        check(&[&whole[..whole.len() - 1]], false);
        check(&[b"PK"], false);
        // An entry that is no longer listed.
        let mut fewer = whole.clone();
        let at = memchr::memmem::find(&whole, b"PK\x01\x02").expect("directory");
        let next = at + 1 + memchr::memmem::find(&whole[at + 1..], b"PK\x01\x02").expect("another");
        fewer.drain(at..next);
        let end = fewer.len() - END;
        fewer[end + 8] -= 1;
        fewer[end + 10] -= 1;
        fewer[end + 12] -= u8::try_from(next - at).expect("small");
        check(&[&fewer], false);
    }

    #[test]
    fn sizes_may_stand_behind_the_data() {
        let mut writer = zip::ZipWriter::new_stream(Vec::new());
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file("a.log", options).expect("zip");
        writer.write_all(b"a line\n").expect("zip");
        check(&[&writer.finish().expect("zip").into_inner()], true);
    }
}
