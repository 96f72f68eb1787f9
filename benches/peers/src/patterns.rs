//! What others can be given of our rules: their regexes, and the literal words in them.

use std::collections::BTreeSet;

use kasm_scrub::rules::Detect;
use kasm_scrub::rules::anchor::Anchor;
use kasm_scrub::rules::byte_set::ByteSet;
use kasm_scrub::{Profile, RuleFile, Ruleset};

/// Literals shorter than this stand everywhere; nobody would look for them.
pub const SHORTEST: usize = 3;

/// The built-in rules of the default profile.
pub fn builtin() -> Ruleset {
    Ruleset::builtin().into_profile(Profile::Default, |_| true)
}

/// The rules of one file alone.
pub fn of_file(name: &str, text: &str) -> Result<Ruleset, String> {
    Ruleset::load(false, &[RuleFile { name, text }]).map_err(|faults| faults.to_string())
}

/// Every regex of the rules, and how many rules have none (they look for keys).
pub fn regexes(rules: &Ruleset) -> (Vec<&str>, usize) {
    let regex = |detect| match detect {
        &Detect::Regex { ref pattern, .. } | &Detect::Lines { ref pattern, .. } => Some(pattern.source()),
        // Such a regex is looked for in the value of a key only; by itself it would match nearly anything.
        Detect::Keys(_) | Detect::Learned => None,
    };
    let regexes: Vec<&str> = rules.rules().iter().filter_map(|rule| regex(&rule.detect)).collect();
    let without = rules.rules().len() - regexes.len();
    (regexes, without)
}

/// The literals of all rules.
pub struct Literals {
    /// Lower case, each once.
    pub words: BTreeSet<String>,
    /// How many anchors have none that is long enough.
    pub without: usize,
}

/// Of each anchor the longest literal in it; of each sensitive key its name, in the spellings `a_b`, `a-b` and `ab`.
pub fn literals(rules: &Ruleset) -> Literals {
    let mut literals = Literals { words: BTreeSet::new(), without: 0 };
    for rule in rules.rules() {
        match &rule.detect {
            Detect::Regex { anchors, .. } => anchors.iter().for_each(|anchor| literals.add(anchor)),
            // Values that are learned are in no file of rules.
            Detect::Learned => {}
            Detect::Lines { block, .. } => literals.add(&Anchor::caseless(block.start())),
            Detect::Keys(keyed) => {
                for name in &keyed.names {
                    let spelled = ["_", "-", ""].map(|between| name.words.join(between));
                    literals.words.extend(spelled.into_iter().filter(|word| word.len() >= SHORTEST));
                }
            }
        }
    }
    literals
}

impl Literals {
    fn add(&mut self, anchor: &Anchor) {
        match literal(&anchor.sets) {
            Some(word) => drop(self.words.insert(word)),
            None => self.without += 1,
        }
    }
}

/// The longest run of sets that are one letter each, whatever its case. Of two the first.
fn literal(sets: &[ByteSet]) -> Option<String> {
    let letter = |set: &ByteSet| {
        let lower = set.iter().map(|byte| byte.to_ascii_lowercase()).collect::<BTreeSet<_>>();
        lower.first().copied().filter(|byte| lower.len() == 1 && byte.is_ascii() && *byte != 0)
    };
    let letters: Vec<Option<u8>> = sets.iter().map(letter).collect();
    let runs = letters.split(Option::is_none).map(|run| run.iter().flatten().copied().map(char::from));
    runs.rev().map(String::from_iter).max_by_key(String::len).filter(|word| word.len() >= SHORTEST)
}

/// Rules as a user might add them: the tokens of `count` made-up vendors.
pub fn user_rules(count: usize) -> String {
    const SYLLABLES: [&str; 16] = [
        "ac", "bel", "cor", "dax", "fen", "gol", "hex", "jun", "kip", "lum", "mor", "nex", "pyr", "qua",
        "tor", "vel",
    ];
    const BODIES: [&str; 6] = [
        "_[A-Za-z0-9]{36}",
        "_(?:live|test)_[a-z0-9]{24,32}",
        "-[0-9a-f]{40}",
        "_pat_[A-Za-z0-9_-]{22,64}",
        r"\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}",
        "sk-[A-Za-z0-9]{32}",
    ];
    let rule = |n: usize| {
        // Three syllables, so that 4096 names differ.
        let name: String = [n, n / 16, n / 256].map(|i| SYLLABLES[(i * 7 + 3) % 16]).concat();
        let body = BODIES[n % BODIES.len()];
        format!(
            "[[rules]]\nid = 'vendor-{n}'\ndescription = 'Token of vendor {n}'\nregex = '''\\b{name}{body}\\b'''\n"
        )
    };
    (0..count).map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_literal_is_taken() {
        let literal_of = |text: &str, any_at: &[usize]| {
            let mut sets = Anchor::caseless(text.as_bytes()).sets.to_vec();
            any_at.iter().for_each(|&i| sets[i] = ByteSet::ANY);
            literal(&sets)
        };
        assert_eq!(literal_of("Token?abc", &[5]).as_deref(), Some("token"));
        assert_eq!(literal_of("ab?abcd", &[2]).as_deref(), Some("abcd"));
        assert_eq!(literal_of("abc?def", &[3]).as_deref(), Some("abc"));
        assert_eq!(literal_of("ab?", &[2]), None);
    }

    #[test]
    fn built_in_rules_have_regexes_and_literals() {
        let rules = builtin();
        let (regexes, without) = regexes(&rules);
        assert!(regexes.len() > 100 && without > 0 && regexes.len() + without == rules.rules().len());
        let Literals { words, .. } = literals(&rules);
        assert!(["ghp_", "password", "api_key", "apikey"].iter().all(|&word| words.contains(word)));
    }

    #[test]
    fn user_rules_load_and_differ() {
        let rules = of_file("user.toml", &user_rules(1000)).expect("rules");
        let (regexes, _) = regexes(&rules);
        assert_eq!(regexes.iter().collect::<BTreeSet<_>>().len(), 1000);
    }
}
