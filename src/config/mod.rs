//! The configuration file (YAML) → a [`Config`], and a [`Config`] with rules → the parts of a sanitizer.
//!
//! Not here: reading files; the caller does that. Strict like rule files: every mistake is named with its line, an
//! unknown key or rule id is one, and one is enough to refuse. Faults never quote the file: what it allows may be a
//! value that must not be shown. The published schema is `deploy/config.schema.json`; a test compares the two.

mod actions;
mod allow;
mod date;
pub mod inputs;
mod learn;
pub mod output;
mod reader;

use std::collections::HashSet;
use std::sync::Arc;

use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};

use crate::finding::RuleIndex;
use crate::rules::allow::Allowlist;
use crate::rules::{Action, Fault, Faults, Profile, Rule, Ruleset, nearest};
use crate::sanitize::Parts;
use crate::scan::Format;

pub use date::Date;
pub use inputs::Input;
pub use learn::{KEEP_TIMES, Learn, keep_time};
pub use output::Output;
use reader::{Node, Reader};

/// The keys of the file.
pub const KEYS: [&str; 11] = [
    "profile", "rules", "builtin", "disable", "actions", "allow", "hash", "learn", "format", "inputs",
    "output",
];
/// The keys of `actions`.
pub const ACTION_KEYS: [&str; 4] = ["default", "profiles", "tags", "rules"];
/// The keys of an entry of `allow`.
pub const ALLOW_KEYS: [&str; 7] = ["value", "regex", "stopwords", "target", "rules", "reason", "expires"];
/// The keys of `hash`.
pub const HASH_KEYS: [&str; 2] = ["key_file", "key_id"];
/// The keys of `learn`.
pub const LEARN_KEYS: [&str; 5] = ["env", "files", "min_length", "keep", "required"];
/// How many bytes `mask` keeps at most, and when nothing is said.
pub const MAX_KEEP: u8 = 4;

/// What a configuration file says. Default: nothing.
#[derive(Debug, Default)]
pub struct Config {
    /// How much is looked for.
    pub profile: Option<Profile>,
    /// Rule files, as written: relative to the configuration file.
    pub rules: Vec<String>,
    /// Whether the built-in rules are used.
    pub builtin: Option<bool>,
    /// What records are taken to be.
    pub format: Option<Format>,
    /// The file with the key of pseudonyms, as written: relative to the configuration file.
    pub key_file: Option<String>,
    /// The id of that key.
    pub key_id: Option<String>,
    /// Where records come from.
    pub inputs: Vec<Input>,
    /// Where they go.
    pub output: Option<Output>,
    /// Which values are learned.
    pub learn: Learn,
    disable: Vec<Named>,
    default_action: Option<Action>,
    by_profile: Vec<(Profile, Action)>,
    by_tag: Vec<(Named, Action)>,
    by_rule: Vec<(Named, Action)>,
    allow: Vec<(Vec<Named>, Allowlist)>,
    /// The last days of entries of `allow`, and the lines they are written on.
    expires: Vec<(Date, u32)>,
    file: Option<Arc<str>>,
}

/// What the command line says; it beats the file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice {
    /// How much is looked for.
    pub profile: Option<Profile>,
    /// What becomes of every finding.
    pub action: Option<Action>,
    /// What records are taken to be.
    pub format: Option<Format>,
}

/// A rule id or tag, and where it was written.
#[derive(Debug)]
struct Named {
    name: String,
    line: u32,
    item: &'static str,
}

impl Config {
    /// Reads a configuration. `file` is what faults call it.
    /// # Errors
    /// Every mistake in it.
    pub fn read(file: &str, text: &str) -> Result<Self, Faults> {
        let mut reader = Reader { file: file.into(), faults: Vec::new() };
        let mut config = Self { file: Some(reader.file.clone()), ..Self::default() };
        match MarkedYaml::load_from_str(text) {
            Ok(documents) => match &documents[..] {
                [] => {}
                [document] => reader.top(document, &mut config),
                [_, second, ..] => reader.fault(second, "", "is a second document; a configuration has one"),
            },
            Err(error) => {
                let line = error.marker().line();
                reader.fault_at(line, "", format!("is not valid YAML: {}", error.info()));
            }
        }
        if reader.faults.is_empty() { Ok(config) } else { Err(Faults(reader.faults)) }
    }

    /// Checks that nothing in it has expired: what may pass is allowed up to the end of its last day, in UTC.
    /// # Errors
    /// Every entry whose last day is over.
    pub fn check_dates(&self, today: Date) -> Result<(), Faults> {
        let expired = self.expires.iter().filter(|(last, _)| *last < today);
        let faults: Vec<Fault> = expired
            .map(|&(last, line)| Fault {
                file: self.file.clone().unwrap_or_default(),
                line,
                item: "allow.expires".to_owned(),
                what: format!(
                    "this entry was good until {last}; take it out, or give it a later date if its reason still holds"
                ),
                source: String::new(),
            })
            .collect();
        if faults.is_empty() { Ok(()) } else { Err(Faults(faults)) }
    }

    /// The parts of a sanitizer, but for the key of pseudonyms: `rules` cut down to the profile and to what is not
    /// disabled, with the actions and allowlists of this configuration.
    /// # Errors
    /// Rule ids and tags that no rule of `rules` has, whatever its profile.
    pub fn into_parts(self, rules: Ruleset, choice: Choice) -> Result<Parts, Faults> {
        self.check_names(&rules)?;
        let profile = choice.profile.or(self.profile).unwrap_or_default();
        let format = choice.format.or(self.format).unwrap_or_default();
        let disabled: HashSet<&str> = self.disable.iter().map(|named| &*named.name).collect();
        let rules = rules.into_profile(profile, |rule| !disabled.contains(&*rule.id));
        let actions =
            rules.rules().iter().map(|rule| choice.action.or_else(|| self.action_of(rule))).collect();
        let allow = self
            .allow
            .into_iter()
            .filter_map(|(named, list)| {
                let indices = indices(&rules, &named);
                // No index means "all rules": a list for rules that are not in the profile must not become that.
                (named.is_empty() || !indices.is_empty()).then_some((indices, list))
            })
            .collect();
        Ok(Parts { rules, allow, format, actions, key: None, learned: None })
    }

    /// The most particular action: of the rule, then of its tags, of its profile, and of all.
    fn action_of(&self, rule: &Rule) -> Option<Action> {
        let by_rule =
            self.by_rule.iter().find(|(named, _)| named.name == *rule.id).map(|(_, action)| *action);
        let by_tag = || {
            let has = |named: &Named| rule.tags.iter().any(|tag| **tag == *named.name);
            self.by_tag.iter().find(|(named, _)| has(named)).map(|(_, action)| *action)
        };
        let by_profile =
            || self.by_profile.iter().find(|(p, _)| *p == rule.profile).map(|(_, action)| *action);
        by_rule.or_else(by_tag).or_else(by_profile).or(self.default_action)
    }

    fn check_names(&self, rules: &Ruleset) -> Result<(), Faults> {
        let ids: Vec<&str> = rules.rules().iter().map(|rule| &*rule.id).collect();
        let tags: Vec<&str> =
            rules.rules().iter().flat_map(|rule| rule.tags.iter().map(|tag| &**tag)).collect();
        let of_rules = self.disable.iter().chain(self.by_rule.iter().map(|(named, _)| named));
        let of_rules = of_rules.chain(self.allow.iter().flat_map(|(named, _)| named));
        let of_tags = self.by_tag.iter().map(|(named, _)| (named, "tag", &tags));
        let mut faults: Vec<Fault> = of_rules
            .map(|named| (named, "rule", &ids))
            .chain(of_tags)
            .filter(|(named, _, known)| !known.contains(&&*named.name))
            .map(|(named, what, known)| {
                let hint = match nearest(&named.name, known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "`kasm-scrub rules list` shows all".to_owned(),
                };
                let what = format!(
                    "no rule has the {} `{}`; {hint}",
                    if what == "tag" { what } else { "id" },
                    named.name
                );
                let file = self.file.clone().unwrap_or_default();
                Fault { file, line: named.line, item: named.item.to_owned(), what, source: String::new() }
            })
            .collect();
        faults.sort();
        if faults.is_empty() { Ok(()) } else { Err(Faults(faults)) }
    }
}

fn indices(rules: &Ruleset, named: &[Named]) -> Vec<RuleIndex> {
    let is_named = |rule: &Rule| named.iter().any(|n| n.name == *rule.id);
    (0u32..).zip(rules.rules()).filter(|(_, rule)| is_named(rule)).map(|(i, _)| RuleIndex(i)).collect()
}

impl Reader {
    fn top(&mut self, document: &Node<'_>, config: &mut Config) {
        if matches!(document.data, YamlData::Value(Scalar::Null)) {
            return;
        }
        for (key, value) in self.known_entries(document, "", &KEYS) {
            match key {
                "profile" => config.profile = self.choice(value, "profile", &Profile::ALL, Profile::name),
                "format" => config.format = self.choice(value, "format", &Format::ALL, Format::name),
                "rules" => config.rules = self.names(value, "rules").into_iter().map(|n| n.name).collect(),
                "builtin" => match value.data {
                    YamlData::Value(Scalar::Boolean(on)) => config.builtin = Some(on),
                    _ => self.fault(value, "builtin", "is true or false"),
                },
                "disable" => config.disable = self.names(value, "disable"),
                "actions" => self.actions(value, config),
                "allow" => self.allow(value, config),
                "inputs" => config.inputs = self.inputs(value),
                "output" => config.output = self.output(value),
                "learn" => self.learn(value, config),
                _ => self.hash(value, config),
            }
        }
    }

    fn hash(&mut self, node: &Node<'_>, config: &mut Config) {
        for (key, value) in self.known_entries(node, "hash", &HASH_KEYS) {
            let text = self.string(value, if key == "key_file" { "hash.key_file" } else { "hash.key_id" });
            if key == "key_file" {
                config.key_file = text;
            } else {
                config.key_id = text;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let parts =
            Config::read("c.yaml", text).and_then(|c| c.into_parts(Ruleset::builtin(), Choice::default()));
        parts.err().map_or(Vec::new(), |faults| faults.0.iter().map(Fault::to_string).collect())
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        let got = faults(
            "profil: strict\nformat: xml\nbuiltin: maybe\nallow:\n  - value: abc\n  - regex: '('\n    reason: r\n",
        );
        let want = [
            "c.yaml:1: `profil` is no key; did you mean `profile`?",
            "c.yaml:2: format: `xml` is no choice here; known: auto, text, json",
            "c.yaml:3: builtin: is true or false",
            "c.yaml:5: allow: needs a reason: say why this may pass",
            "c.yaml:6: allow.regex: the regex cannot be used: unclosed group",
        ];
        assert_eq!(got, want);
    }

    #[test]
    fn unknown_rules_and_tags_are_refused() {
        let got = faults("disable: [emai]\nactions:\n  rules: {nothing-like-it: hash}\n  tags: {pi: hash}\n");
        assert_eq!(got.len(), 3, "{got:?}");
        assert!(got[0].starts_with("c.yaml:1: disable: no rule has the id `emai`; did you mean"), "{got:?}");
    }

    #[test]
    fn duplicates_and_bad_yaml_are_refused() {
        assert!(
            faults("profile: strict\nprofile: secrets\n")[0]
                .starts_with("c.yaml:2: is not valid YAML: duplicated")
        );
        assert_eq!(faults("a: [").len(), 1);
        assert_eq!(faults(""), [""; 0]);
    }

    #[test]
    fn the_most_particular_action_wins() {
        let text = "profile: strict\nactions:\n  default: replace\n  profiles: {default: remove}\n  tags: {pii: {mask: {keep: 2}}}\n  rules: {email: mask}\n";
        let config = Config::read("c", text).expect("config");
        let parts = config.into_parts(Ruleset::builtin(), Choice::default()).expect("parts");
        let of = |id: &str| {
            let at = parts.rules.rules().iter().position(|rule| *rule.id == *id).expect("rule");
            parts.actions[at]
        };
        assert_eq!(of("email"), Some(Action::Mask { keep: 4 }));
        assert_eq!(of("password"), Some(Action::Replace));
    }

    #[test]
    fn a_list_for_rules_outside_the_profile_does_not_become_one_for_all() {
        let config =
            Config::read("c", "profile: secrets\nallow: [{value: hunter2, rules: [email], reason: r}]\n");
        let parts = config.expect("config").into_parts(Ruleset::builtin(), Choice::default()).expect("parts");
        assert!(parts.allow.is_empty());
    }

    #[test]
    fn an_entry_is_good_until_the_end_of_its_day() {
        let text = "allow:\n  - {value: hunter2, reason: r}\n  - value: hunter3\n    reason: r\n    expires: 2026-02-28\n  - {value: hunter4, reason: r, expires: '2027-01-01'}\n";
        let config = Config::read("c.yaml", text).expect("config");
        let check = |today: &str, want: &[u32]| {
            let faults = config.check_dates(Date::parse(today).expect("date"));
            let lines: Vec<u32> = faults.err().map_or(Vec::new(), |f| f.0.iter().map(|f| f.line).collect());
            assert_eq!(lines, want, "{today}");
        };
        check("2026-02-28", &[]);
        check("2026-03-01", &[5]);
        check("2027-01-02", &[5, 6]);
        assert_eq!(
            faults("allow: [{value: a, reason: r, expires: soon}]\n"),
            ["c.yaml:1: allow.expires: is a day of the calendar, as 2026-12-31"]
        );
    }

    #[test]
    fn the_schema_has_the_same_keys() {
        let schema: serde_json::Value =
            serde_json::from_str(include_str!("../../deploy/config.schema.json")).expect("schema");
        let check = |pointer: &str, known: &[&str]| {
            let table = schema.pointer(pointer).and_then(|v| v.as_object()).expect("properties");
            let mut got: Vec<&str> = table.keys().map(String::as_str).collect();
            let mut want = known.to_vec();
            got.sort_unstable();
            want.sort_unstable();
            assert_eq!(got, want, "{pointer}");
        };
        check("/properties", &KEYS);
        check("/properties/actions/properties", &ACTION_KEYS);
        check("/properties/allow/items/properties", &ALLOW_KEYS);
        check("/properties/hash/properties", &HASH_KEYS);
        let of_input = |kind: &str| format!("/properties/inputs/items/properties{kind}");
        check(&of_input(""), &inputs::INPUT_KEYS);
        check("/$defs/tail/properties", &inputs::TAIL_KEYS);
        check(&of_input("/fifo/properties"), &inputs::FIFO_KEYS);
        check(&of_input("/syslog/properties"), &inputs::SYSLOG_KEYS);
        check(&of_input("/otlp/properties"), &inputs::OTLP_INPUT_KEYS);
        let of_output = |kind: &str| format!("/properties/output/oneOf/1/properties{kind}");
        check(&of_output(""), &output::OUTPUT_KEYS);
        check(&of_output("/stdout/properties"), &output::STDOUT_KEYS);
        check(&of_output("/file/properties"), &output::FILE_KEYS);
        check(&of_output("/otlp/properties"), &output::OTLP_OUTPUT_KEYS);
        check("/properties/learn/properties", &LEARN_KEYS);
    }
}
