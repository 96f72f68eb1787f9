//! Rules: from files to a [`Ruleset`]. Loading is strict and names every mistake; nothing here looks at logs.

pub mod action;
pub mod allow;
pub mod anchor;
pub mod anchors;
pub mod builtin;
pub mod byte_set;
mod derive;
pub mod derived;
mod document;
pub mod entropy;
pub mod example;
pub mod fault;
mod first_bytes;
pub mod frequency;
pub mod gate;
mod load;
mod needs;
pub mod pattern;
mod plain;
pub mod profile;
pub(crate) mod re2;
pub mod rule;
pub mod validate;
pub mod way;

use std::collections::HashMap;

use sha2::{Digest, Sha256};

pub use action::Action;
pub use fault::{Fault, Faults};
pub use profile::Profile;
pub use rule::{Block, Detect, KeyName, Keyed, Links, Precedence, Rule, Values};

use crate::finding::RuleIndex;

/// A rule file: what to call it, and what it holds.
#[derive(Clone, Copy, Debug)]
pub struct RuleFile<'a> {
    /// The name that faults give.
    pub name: &'a str,
    /// The TOML text.
    pub text: &'a str,
}

/// All rules that were loaded, in the order of their files.
#[derive(Debug, Default)]
pub struct Ruleset {
    rules: Vec<Rule>,
    skipped: Vec<Fault>,
    has_builtin: bool,
    /// SHA-256 of each file's text, the built-in ones left out.
    files: Vec<[u8; 32]>,
}

impl Ruleset {
    /// The built-in rules.
    ///
    /// # Panics
    /// Never in a released build: the tests load them.
    pub fn builtin() -> Self {
        Self::load(true, &[]).unwrap_or_default()
    }

    /// The built-in rules (if `builtin`) and those of `files`.
    ///
    /// A rule of a file may have the id of a built-in rule: it then works beside it.
    /// # Errors
    /// Every mistake in every file.
    pub fn load(builtin: bool, files: &[RuleFile<'_>]) -> Result<Self, Faults> {
        let mut set = Self::default();
        let mut faults = Vec::new();
        if builtin {
            let builtin = builtin::BUILTIN.iter().map(|&(name, text)| load::read_builtin(name, text));
            set.add(&mut faults, builtin);
            set.has_builtin = true;
        }
        set.add(&mut faults, files.iter().map(|file| load::read(file.name, file.text)));
        set.files = files.iter().map(|file| Sha256::digest(file.text).into()).collect();
        if faults.is_empty() { Ok(set) } else { Err(Faults(faults)) }
    }

    fn add(&mut self, faults: &mut Vec<Fault>, files: impl Iterator<Item = load::File>) {
        let mut seen: HashMap<Box<str>, rule::Origin> = HashMap::new();
        for read in files {
            faults.extend(read.faults);
            self.skipped.extend(read.skipped);
            let shared = std::sync::Arc::new(read.allow);
            self.rules.reserve(read.rules.len());
            for mut rule in read.rules {
                if let Some(first) = seen.insert(rule.id.clone(), rule.origin.clone()) {
                    faults.push(Fault {
                        file: rule.origin.file.clone(),
                        line: rule.origin.line,
                        item: rule.id.to_string(),
                        what: format!("duplicate id; it is already used at {}:{}", first.file, first.line),
                        source: String::new(),
                    });
                }
                rule.file_allow = shared.clone();
                self.rules.push(rule);
            }
        }
    }

    /// Adds the rule that learned secrets are found by.
    pub fn add_learned(&mut self) {
        self.rules.push(Rule::learned());
    }

    /// All rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What was read but has no meaning for a log scrubber.
    pub fn skipped(&self) -> &[Fault] {
        &self.skipped
    }

    /// Tells this set of rules from others. SHA-256 over, first, the SHA-256 (32 bytes) of each rule file's text, in the
    /// order they were loaded in, the built-in files before all others; and then, for each rule that is in the set, its
    /// id and a zero byte. Names of files and the configuration do not count.
    pub fn digest(&self) -> [u8; 32] {
        let mut all = Sha256::new();
        for (_, text) in builtin::BUILTIN.iter().filter(|_| self.has_builtin) {
            all.update(Sha256::digest(text));
        }
        for file in &self.files {
            all.update(file);
        }
        for rule in &self.rules {
            all.update(rule.id.as_bytes());
            all.update([0]);
        }
        all.finalize().into()
    }

    /// The rules of that id: none, one, or a built-in rule and one that a file put beside it.
    pub fn by_id<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Rule> {
        self.rules.iter().filter(move |rule| *rule.id == *id)
    }

    /// The rules of a profile that `keep` keeps, as a set of their own.
    pub fn into_profile(mut self, profile: Profile, mut keep: impl FnMut(&Rule) -> bool) -> Self {
        self.rules.retain(|rule| rule.profile <= profile && keep(rule));
        self
    }
}

impl std::ops::Index<RuleIndex> for Ruleset {
    type Output = Rule;

    fn index(&self, index: RuleIndex) -> &Rule {
        &self.rules[index.0 as usize]
    }
}

/// The known word closest to `got`, if one is close enough to be meant.
pub fn nearest<'k>(got: &str, known: &[&'k str]) -> Option<&'k str> {
    let limit = (got.len() / 3).max(1);
    known
        .iter()
        .map(|&word| (edits(got.as_bytes(), word.as_bytes()), word))
        .filter(|&(edits, _)| edits <= limit)
        .min_by_key(|&(edits, _)| edits)
        .map(|(_, word)| word)
}

/// What a fault says of a word that is not known: the word that may be meant, or all there are.
pub(crate) fn unknown(got: &str, what: &str, known: &[&str]) -> String {
    match nearest(got, known) {
        Some(near) => format!("`{got}` is no {what}; did you mean `{near}`?"),
        None => format!("`{got}` is no {what}; known: {}", known.join(", ")),
    }
}

/// The one of `all` that is called `got`. The error is what a fault says.
pub(crate) fn known<T: Copy>(
    got: &str,
    what: &str,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<T, String> {
    all.iter().copied().find(|&one| name(one) == got).ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|&one| name(one)).collect();
        unknown(got, what, &names)
    })
}

/// How many letters are wrong, missing, too many or swapped with their neighbour (optimal string alignment).
fn edits(a: &[u8], b: &[u8]) -> usize {
    // The last three rows of the table.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *y && *x == b[j - 1] {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_tell_sets_apart() {
        let load = |texts: &[&str]| {
            let files: Vec<_> = texts.iter().map(|text| RuleFile { name: "f", text }).collect();
            Ruleset::load(false, &files).expect("rules")
        };
        let one = "[[rules]]\nid = 'one'\nregex = 'one1'\n";
        let two = "[[rules]]\nid = 'two'\nregex = 'two2'\n";
        let other = "[[rules]]\nid = 'one'\nregex = 'one2'\n";
        let both = load(&[one, two]).digest();
        assert_eq!(both, load(&[one, two]).digest());
        assert_ne!(both, load(&[two, one]).digest());
        assert_ne!(both, load(&[other, two]).digest());
        assert_ne!(
            both,
            load(&[one, two]).into_profile(Profile::Secrets, |rule| &*rule.id == "two").digest()
        );
        let builtin = |profile| Ruleset::builtin().into_profile(profile, |_| true).digest();
        assert_ne!(builtin(Profile::Secrets), builtin(Profile::Default));
    }

    #[test]
    fn the_digest_is_what_it_says() {
        let text = "[[rules]]\nid = 'one'\nregex = 'one1'\n";
        let set = Ruleset::load(false, &[RuleFile { name: "f", text }]).expect("rules");
        let mut want = Sha256::digest(text).to_vec();
        want.extend(b"one\0");
        assert_eq!(set.digest(), <[u8; 32]>::from(Sha256::digest(&want)));
    }

    #[test]
    fn edits_are_counted() {
        for (a, b, want) in [
            ("", "", 0),
            ("", "abc", 3),
            ("email", "email", 0),
            ("emial", "email", 1),
            ("emai", "email", 1),
            ("e-mail", "email", 1),
            ("eamil", "email", 1),
            ("ca", "abc", 3),
            ("profiel", "profile", 1),
        ] {
            assert_eq!(edits(a.as_bytes(), b.as_bytes()), want, "{a} {b}");
        }
    }

    #[test]
    fn the_nearest_word_is_the_one_meant() {
        assert_eq!(nearest("jtw", &["jws", "jwt"]), Some("jwt"));
        assert_eq!(nearest("nothing", &["email", "jwt"]), None);
    }
}
