//! Names of files and entries: which are safe, what is left of them when they are scrubbed, and where links lead.
//!
//! Names are bytes with `/` between their parts. A file name is text that someone chose, so it is scrubbed as text is:
//! each part by itself, so that folders stay folders, then the whole. A backslash parts names, too, where safety is
//! asked for: some unpack on Windows.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::sanitize::{Key, Sanitizer};
use crate::scan::Work;

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

/// A name, scrubbed; whether it changed. An end in `/` stays.
pub(super) fn scrubbed(sanitizer: &Sanitizer, name: &[u8], work: &mut Work) -> (Vec<u8>, bool) {
    let mut clean = Vec::with_capacity(name.len());
    for (i, part) in name.split(|&byte| byte == b'/').enumerate() {
        if i > 0 {
            clean.push(b'/');
        }
        let is_fixed = matches!(part, b"" | b"." | b"..");
        let scrubbed = if is_fixed { part.into() } else { sanitizer.clean(Key::None, part, work) };
        let is_name = is_fixed || !matches!(&*scrubbed, b"" | b"." | b"..");
        let from = clean.len();
        clean.extend_from_slice(if is_name { &scrubbed } else { b"_" });
        if *scrubbed != *part {
            // What is written in place of a secret must not part the name.
            clean[from..]
                .iter_mut()
                .filter(|byte| matches!(byte, b'/' | b'\\' | 0))
                .for_each(|byte| *byte = b'_');
        }
    }
    let whole = sanitizer.clean(Key::None, &clean, work).into_owned();
    let is_changed = whole != name;
    (whole, is_changed)
}

/// A name as messages and reports show it: it is clean already.
pub(super) fn label(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// The names of one folder or archive.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Hashes of them: where two are alike by chance, one has a number it would not need.
    used: HashSet<u64>,
    symlinks: HashSet<Vec<u8>>,
    left: HashSet<Vec<u8>>,
    renamed: HashMap<Vec<u8>, Vec<u8>>,
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

    /// The name under which the entry `name` goes on. One that was scrubbed may be another's, and has a number then.
    pub(super) fn take(&mut self, name: &[u8], clean: Vec<u8>) -> Vec<u8> {
        if clean == name {
            self.used.insert(hash(&plain(name)));
            return clean;
        }
        let mut free = clean.clone();
        let mut number = 2;
        while !self.used.insert(hash(&plain(&free))) {
            let at = clean.len() - usize::from(clean.ends_with(b"/"));
            free = [&clean[..at], format!("-{number}").as_bytes(), &clean[at..]].concat();
            number += 1;
        }
        self.renamed.insert(plain(name), free.clone());
        free
    }

    /// The name under which an entry of before went on, if it is another.
    pub(super) fn renamed(&self, name: &[u8]) -> Option<&Vec<u8>> {
        self.renamed.get(&plain(name))
    }

    /// Remembers a symlink.
    pub(super) fn add_symlink(&mut self, name: &[u8]) {
        self.symlinks.insert(plain(name));
    }

    /// Whether a name goes through a symlink: where it leads then cannot be told from it.
    pub(super) fn passes_symlink(&self, name: &[u8]) -> bool {
        if self.symlinks.is_empty() {
            return false;
        }
        let name = plain(name);
        memchr::memchr_iter(b'/', &name).any(|at| self.symlinks.contains(&name[..at]))
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

    #[test]
    fn names_are_scrubbed_part_by_part() {
        let sanitizer = Sanitizer::builtin();
        let check = |name: &str, want: &str| {
            let (clean, is_changed) = scrubbed(&sanitizer, name.as_bytes(), &mut Work::default());
            assert_eq!((&*String::from_utf8_lossy(&clean), is_changed), (want, name != want));
        };
        check("./var/log/app.log", "./var/log/app.log");
        check("a/password=hunter2/b.log", "a/password=[REDACTED:password]/b.log");
        check("dir/", "dir/");
    }

    #[test]
    fn scrubbed_names_stay_apart() {
        let mut names = Names::default();
        let take = |names: &mut Names, name: &str| names.take(name.as_bytes(), b"x/".to_vec());
        assert_eq!(take(&mut names, "secret/"), b"x/");
        assert_eq!(take(&mut names, "other/"), b"x-2/");
        assert_eq!(take(&mut names, "x/"), b"x/");
        assert_eq!(names.renamed(b"./other"), Some(&b"x-2/".to_vec()));
    }
}
