//! Names of files and entries: which are safe, what is left of them when they are scrubbed, and where links lead.
//!
//! Names are bytes with `/` between their parts. A file name is text that someone chose, so it is scrubbed as text is:
//! each part by itself, so that folders stay folders, then the whole. A backslash parts names, too, where safety is
//! asked for: some unpack on Windows.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::cleaner::Cleaner;

/// The longest part of a name that was changed: file systems take 255 bytes, of which some are left for a number.
const MOST_PART: usize = 240;
/// Names are followed part by part up to so many parts and bytes; nobody unpacks longer ones.
const MOST_PARTS: usize = 128;
const MOST_BY_PART: usize = 8 << 10;

/// Whether a name stays where it is unpacked.
pub(super) fn is_safe(name: &[u8]) -> bool {
    let is_part = |byte: &u8| matches!(byte, b'/' | b'\\');
    let has_drive = name.get(1) == Some(&b':') && name[0].is_ascii_alphabetic();
    !name.is_empty()
        && !is_part(&name[0])
        && !has_drive
        && !name.contains(&0)
        && name.split(is_part).all(|part| part != b"..")
}

/// Whether a symlink, itself at `from`, may lead out. Parents may only be climbed at the start of the target: behind a
/// name, which may be a link, it cannot be told where that leads.
pub(super) fn leads_out(from: &[u8], target: &[u8]) -> bool {
    let is_part = |byte: &u8| matches!(byte, b'/' | b'\\');
    let is_absolute = target.first().is_none_or(is_part) || target.get(1) == Some(&b':');
    if is_absolute || target.contains(&0) {
        return true;
    }
    let mut depth = parts(from).count().saturating_sub(1);
    let mut descends = false;
    for part in target.split(is_part) {
        match part {
            b"" | b"." => {}
            b".." if descends || depth == 0 => return true,
            b".." => depth -= 1,
            _ => descends = true,
        }
    }
    false
}

/// The parts of a name, without those that mean nothing.
fn parts(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    name.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".")
}

/// A name without what means nothing in it.
pub(super) fn plain(name: &[u8]) -> Vec<u8> {
    parts(name).collect::<Vec<_>>().join(&b'/')
}

/// One part of a name, scrubbed.
fn part(cleaner: &mut Cleaner<'_>, part: &[u8]) -> Vec<u8> {
    if matches!(part, b"" | b"." | b"..") {
        return part.to_vec();
    }
    let mut clean = cleaner.clean(part);
    if clean != part {
        // What is written in place of a secret must not part the name, and not make it too long.
        clean.iter_mut().filter(|byte| matches!(byte, b'/' | b'\\' | 0)).for_each(|byte| *byte = b'_');
        cap(&mut clean, MOST_PART);
    }
    if cleaner.names_are_text {
        clean = as_text(clean);
    }
    if matches!(&*clean, b"" | b"." | b"..") { b"_".to_vec() } else { clean }
}

/// Cuts a text at so many bytes, not within a character.
pub(super) fn cap(text: &mut Vec<u8>, most: usize) {
    if text.len() > most {
        let end = (most.saturating_sub(3)..=most).rev().find(|&at| text[at] & 0xC0 != 0x80);
        text.truncate(end.unwrap_or(most));
    }
}

/// A name with what is no text in it written as `%FF`.
fn as_text(name: Vec<u8>) -> Vec<u8> {
    let name = match String::from_utf8(name) {
        Ok(text) => return text.into_bytes(),
        Err(error) => error.into_bytes(),
    };
    let mut text = String::new();
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("%{byte:02X}")));
    }
    let mut text = text.into_bytes();
    cap(&mut text, MOST_PART);
    text
}

/// A name, scrubbed, for who only wants to show it. An end in `/` stays.
pub(super) fn scrubbed(cleaner: &mut Cleaner<'_>, name: &[u8]) -> Vec<u8> {
    let parts: Vec<_> = name.split(|&byte| byte == b'/').map(|own| part(cleaner, own)).collect();
    cleaner.clean(&parts.join(&b'/'))
}

/// `name` with these parts in place of its own, in the same spelling.
fn respelled<'p>(name: &[u8], mut with: impl Iterator<Item = &'p [u8]>) -> Vec<u8> {
    let mut spelled = Vec::with_capacity(name.len());
    for (i, own) in name.split(|&byte| byte == b'/').enumerate() {
        if i > 0 {
            spelled.push(b'/');
        }
        let is_part = !matches!(own, b"" | b".");
        spelled.extend_from_slice(if is_part { with.next().unwrap_or(own) } else { own });
    }
    spelled
}

/// A name as messages and reports show it: it is clean already.
pub(super) fn label(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// The names of one folder or archive: as they were, and as they are written.
///
/// Each folder goes on under one name of its own, whether or not it has an entry: what was apart stays apart, so links
/// lead where they led.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Hashes of names as written, with those of what they were. Where two are alike by chance, one has a number it
    /// would not need.
    used: HashMap<u64, u64>,
    /// The number that one who finds this name taken gets next.
    next: HashMap<u64, u64>,
    /// Both as they were and as written.
    symlinks: HashSet<Vec<u8>>,
    left: HashSet<Vec<u8>>,
    renamed: HashMap<Vec<u8>, Vec<u8>>,
    /// Hashes of renamed names whose findings were counted.
    counted: HashSet<u64>,
}

fn hash(name: &[u8]) -> u64 {
    // Its keys are fixed: the same names give the same numbers.
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

impl Names {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.used.len()
    }

    /// The name under which `name` goes on, which must be [safe](is_safe). One that would be another's has a number.
    /// What is found in it counts, once for each folder.
    pub(super) fn place(&mut self, name: &[u8], cleaner: &mut Cleaner<'_>) -> Vec<u8> {
        let (mut at, original) = (0, plain(name));
        let written = self.follow(name, cleaner);
        cleaner.take_found();
        for own in parts(name) {
            at += own.len();
            if self.renamed.contains_key(&original[..at]) && self.counted.insert(hash(&original[..at])) {
                cleaner.clean(own);
            }
            at += 1;
        }
        written
    }

    /// The same for a name that is only led to, and does not count.
    fn follow(&mut self, name: &[u8], cleaner: &mut Cleaner<'_>) -> Vec<u8> {
        let original = plain(name);
        let count = parts(name).count();
        if count > MOST_PARTS || original.len() > MOST_BY_PART {
            let clean = scrubbed(cleaner, name);
            return self.apart(&original, clean);
        }
        let (mut at, mut written) = (0, Vec::new());
        for own in parts(name) {
            at += own.len();
            written = self.below(&original[..at], written, own, cleaner);
            at += 1;
        }
        // What is only found in the whole is gone with the last part; the folder stays what it is.
        let whole = cleaner.clean(&written);
        if whole != written {
            let above = memchr::memrchr(b'/', &written).map_or(0, |at| at + 1);
            let hidden = [&written[..above], b"_"].concat();
            written = if cleaner.clean(&hidden) == hidden { hidden } else { whole };
            written = self.apart(&original, written);
        }
        if written == original {
            return name.to_vec();
        }
        if parts(&written).count() == count {
            return respelled(name, parts(&written));
        }
        let end = if name.ends_with(b"/") { &b"/"[..] } else { b"" };
        [&written, end].concat()
    }

    /// The name of `original`, whose last part is `own`, in a folder that is `above` now.
    fn below(
        &mut self,
        original: &[u8],
        mut above: Vec<u8>,
        own: &[u8],
        cleaner: &mut Cleaner<'_>,
    ) -> Vec<u8> {
        if let Some(known) = self.renamed.get(original) {
            return known.clone();
        }
        if !above.is_empty() {
            above.push(b'/');
        }
        let as_it_was = [&above, own].concat();
        if as_it_was == original && self.used.get(&hash(original)) == Some(&hash(original)) {
            return as_it_was;
        }
        let clean = [above, part(cleaner, own)].concat();
        self.apart(original, clean)
    }

    /// `clean`, or the same with a number, for `original` alone.
    fn apart(&mut self, original: &[u8], clean: Vec<u8>) -> Vec<u8> {
        let own = hash(original);
        let clean = plain(&clean);
        let mut free = clean.clone();
        while *self.used.entry(hash(&free)).or_insert(own) != own {
            let number = self.next.entry(hash(&clean)).or_insert(2);
            free = [&clean, format!("-{number}").as_bytes()].concat();
            *number += 1;
        }
        if free != original {
            self.renamed.insert(original.to_vec(), free.clone());
        }
        free
    }

    /// Where a symlink at `from` leads now: `target` with the names that its parts have now. It must not [lead
    /// out](leads_out). What is found in it counts.
    pub(super) fn target(&mut self, from: &[u8], target: &[u8], cleaner: &mut Cleaner<'_>) -> Vec<u8> {
        let climbs = parts(target).take_while(|part| *part == b"..").count();
        let rest = parts(target).count() - climbs;
        if rest == 0 {
            return target.to_vec();
        }
        let kept = parts(from).count().saturating_sub(1 + climbs);
        let full: Vec<_> = parts(from).take(kept).chain(parts(target).skip(climbs)).collect();
        let followed = self.follow(&full.join(&b'/'), cleaner);
        let written = if parts(&followed).count() == full.len() {
            let climbing = std::iter::repeat_n(&b".."[..], climbs);
            cleaner.clean(&respelled(target, climbing.chain(parts(&followed).skip(kept))))
        } else {
            scrubbed(cleaner, target)
        };
        cleaner.take_found();
        cleaner.clean(target);
        written
    }

    /// Where a hard link leads now.
    pub(super) fn hard_target(&mut self, target: &[u8], cleaner: &mut Cleaner<'_>) -> Vec<u8> {
        let written = self.follow(target, cleaner);
        cleaner.take_found();
        cleaner.clean(target);
        written
    }

    /// Remembers a symlink, by its name and by that under which it goes on.
    pub(super) fn add_symlink(&mut self, name: &[u8], written: &[u8]) {
        self.symlinks.insert(plain(name));
        self.symlinks.insert(plain(written));
    }

    /// Whether a name goes through a symlink: where it leads then cannot be told from it.
    pub(super) fn passes_symlink(&self, name: &[u8]) -> bool {
        if self.symlinks.is_empty() {
            return false;
        }
        let name = plain(name);
        memchr::memchr_iter(b'/', &name).any(|at| self.symlinks.contains(&name[..at]))
    }

    /// Whether a name is that of a symlink.
    pub(super) fn is_symlink(&self, name: &[u8]) -> bool {
        self.symlinks.contains(&plain(name))
    }

    /// Remembers an entry that was left out.
    pub(super) fn leave(&mut self, name: &[u8]) {
        self.left.insert(plain(name));
    }

    /// Whether an entry was left out.
    pub(super) fn is_left(&self, name: &[u8]) -> bool {
        self.left.contains(&plain(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sanitize::Sanitizer;

    #[test]
    fn names_that_lead_out_are_told() {
        for safe in ["a", "./a/b", "a..b", "./", "a/", "...", "a/.../b"] {
            assert!(is_safe(safe.as_bytes()), "{safe}");
        }
        for unsafe_ in ["", "/a", "../a", "a/../b", "a/..", "..", "\\a", "a\\..\\b", "C:\\a", "c:a", "a\0b"] {
            assert!(!is_safe(unsafe_.as_bytes()), "{unsafe_:?}");
        }
    }

    #[test]
    fn links_that_may_lead_out_are_told() {
        for (from, target) in
            [("a/b", "c"), ("a/b", "../c"), ("./a/b", ".././c"), ("a/b", ".."), ("a", "b/c")]
        {
            assert!(!leads_out(from.as_bytes(), target.as_bytes()), "{from} -> {target}");
        }
        let out =
            [("a", ".."), ("a/b", "../../c"), ("a", "/c"), ("a/b", "c/../../d"), ("a", ""), ("./a", "../b")];
        for (from, target) in out {
            assert!(leads_out(from.as_bytes(), target.as_bytes()), "{from} -> {target}");
        }
    }

    fn place(names: &mut Names, name: &str) -> String {
        let sanitizer = Sanitizer::builtin();
        let written = names.place(name.as_bytes(), &mut Cleaner::new(&sanitizer, false));
        String::from_utf8_lossy(&written).into_owned()
    }

    #[test]
    fn names_are_scrubbed_part_by_part() {
        let check = |name: &str, want: &str| assert_eq!(place(&mut Names::default(), name), want);
        check("./var/log/app.log", "./var/log/app.log");
        check("./a//password=hunter2/./b.log", "./a//password=[REDACTED:password]/./b.log");
        check("dir/", "dir/");
        check("password=hunter2/", "password=[REDACTED:password]/");
        let long = format!("{}/{}", "password=hunter2/".repeat(200), "x".repeat(9000));
        assert!(!place(&mut Names::default(), &long).contains("hunter2"));
    }

    #[test]
    fn names_stay_apart_whichever_comes_first() {
        let clean = "password=[REDACTED:password]";
        for names in [["password=hunter2", clean], [clean, "password=hunter2"]] {
            let mut all = Names::default();
            assert_eq!(place(&mut all, names[0]), clean);
            assert_eq!(place(&mut all, names[1]), format!("{clean}-2"));
            assert_eq!(place(&mut all, "password=hunter3/x"), format!("{clean}-3/x"));
            assert_eq!(place(&mut all, &format!("./{}/", names[0])), format!("./{clean}/"), "again");
            assert_eq!(place(&mut all, &format!("{}/x", names[1])), format!("{clean}-2/x"));
        }
        let mut all = Names::default();
        (0..20_000).for_each(|i| {
            all.apart(format!("{i}").as_bytes(), b"same".to_vec());
        });
        assert_eq!(all.apart(b"last", b"same".to_vec()), b"same-20001");
    }

    #[test]
    fn links_lead_where_they_led() {
        let sanitizer = Sanitizer::builtin();
        let mut cleaner = Cleaner::new(&sanitizer, false);
        let mut names = Names::default();
        let one = names.place(b"a/password=hunter2/x", &mut cleaner);
        let other = names.place(b"a/password=hunter3/x", &mut cleaner);
        assert_ne!(one, other);
        for (from, target, want) in [
            ("a/link", "password=hunter3/x", "password=[REDACTED:password]-2/x"),
            ("a/b/link", ".././password=hunter2/x", ".././password=[REDACTED:password]/x"),
            ("a/b/link", "..", ".."),
            ("link", "a/b//c", "a/b//c"),
        ] {
            let written = names.target(from.as_bytes(), target.as_bytes(), &mut cleaner);
            assert_eq!(String::from_utf8_lossy(&written), want, "{from} -> {target}");
        }
    }

    #[test]
    fn names_that_are_no_text_are_written_as_it() {
        let sanitizer = Sanitizer::builtin();
        let mut cleaner = Cleaner::new(&sanitizer, true);
        let mut names = Names::default();
        assert_eq!(names.place(b"gr%FCn", &mut cleaner), b"gr%FCn");
        assert_eq!(names.place(b"gr\xFCn", &mut cleaner), b"gr%FCn-2");
        assert_eq!(names.place("gr\u{fc}n".as_bytes(), &mut cleaner), "gr\u{fc}n".as_bytes());
    }

    #[test]
    fn markers_do_not_make_names_too_long() {
        let name = format!("{} password=hunter2", "\u{fc}".repeat(118));
        let written = place(&mut Names::default(), &name);
        assert!(written.len() <= 255 && !written.contains('\u{fffd}') && !written.contains("hunter2"));
    }
}
