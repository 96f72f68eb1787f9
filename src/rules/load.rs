//! Rule files (TOML) → rules. Strict: every mistake of a file is named, and one is enough to refuse it.
//!
//! The format is described in `patterns/README.md`; the part shared with gitleaks is read as gitleaks reads it.

use std::cell::Cell;
use std::sync::Arc;

use toml::de::DeTable;

use super::action::Action;
use super::allow::{Allowlist, Target};
use super::anchor::Anchor;
use super::document::{Content, Field, Table, Value};
use super::example::Examples;
use super::fault::Fault;
use super::pattern::Pattern;
use super::profile::Profile;
use super::rule::{Block, Detect, KeyName, Keyed, Links, Origin, Precedence, Rule, Values};
use super::{known, plain, re2, unknown, validate};
use crate::finding::Link;

/// What one file held.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) rules: Vec<Rule>,
    /// Allowlists for all rules of the file.
    pub(super) allow: Vec<Allowlist>,
    /// What was read but has no meaning for a log scrubber.
    pub(super) skipped: Vec<Fault>,
    pub(super) faults: Vec<Fault>,
}

/// Reads one file. `name` is what faults call it.
pub(super) fn read(name: &str, text: &str) -> File {
    Reader::new(name, text, false).toml()
}

/// Reads a built-in file: its regexes are known to compile.
pub(super) fn read_builtin(name: &str, text: &'static str) -> File {
    let reader = Reader::new(name, text, true);
    match plain::read(text) {
        Some(table) => reader.all(&table),
        None => reader.toml(),
    }
}

struct Reader<'t> {
    name: Arc<str>,
    text: &'t str,
    file: File,
    /// The rule being read, for faults.
    item: String,
    is_tested: bool,
    /// A place that was asked for, and the line it is on.
    known_line: Cell<(usize, u32)>,
}

impl<'t> Reader<'t> {
    fn new(name: &str, text: &'t str, is_tested: bool) -> Self {
        let (file, item, known_line) = (File::default(), String::new(), Cell::new((0, 1)));
        Self { name: name.into(), text, file, item, is_tested, known_line }
    }

    /// Parses the text and reads it.
    fn toml(mut self) -> File {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start);
            self.fault(at, format!("is not valid TOML: {}", error.message()));
        }
        if errors.is_empty() { self.all(&Table::of(table.into_inner(), 0)) } else { self.file }
    }

    fn all(mut self, table: &Table<'t>) -> File {
        self.top(table);
        let File { rules, skipped, faults, .. } = &self.file;
        if rules.is_empty() && skipped.is_empty() && faults.is_empty() {
            self.skip(0, "has no rules");
        }
        self.file
    }

    fn place(&self, at: usize, what: String) -> Fault {
        let line = self.line(at);
        let source = self.text.lines().nth(line as usize - 1).unwrap_or_default();
        let source = source.chars().take(160).collect();
        Fault { file: self.name.clone(), line, item: self.item.clone(), what, source }
    }

    /// The line that `at` is on, from 1.
    fn line(&self, at: usize) -> u32 {
        let at = at.min(self.text.len());
        // Mostly they are asked for in order.
        let (from, line) = if self.known_line.get().0 <= at { self.known_line.get() } else { (0, 1) };
        let between = &self.text.as_bytes()[from..at];
        let line = line + memchr::memchr_iter(b'\n', between).count() as u32;
        self.known_line.set((at, line));
        line
    }

    fn fault(&mut self, at: usize, what: impl Into<String>) {
        let fault = self.place(at, what.into());
        self.file.faults.push(fault);
    }

    fn skip(&mut self, at: usize, what: impl Into<String>) {
        let note = self.place(at, what.into());
        self.file.skipped.push(note);
    }

    fn top(&mut self, table: &Table<'t>) {
        for &Field { at, ref key, ref value } in &table.0 {
            match key.as_ref() {
                "title" | "description" | "minVersion" => {}
                "rules" => {
                    let tables = self.tables(value, "rules");
                    self.file.rules.reserve(tables.len());
                    for (at, table) in tables {
                        self.rule(at, table);
                        self.item.clear();
                    }
                }
                "allowlist" | "allowlists" => {
                    let lists = self.allowlists(value);
                    self.file.allow.extend(lists);
                }
                "extend" => self.skip(at, "extend is not followed: give each rule file its own --rules"),
                other => self.fault(at, format!("unknown key `{other}`")),
            }
        }
    }

    fn rule(&mut self, at: usize, table: &Table<'t>) {
        let faults_before = self.file.faults.len();
        let id = table.get("id").and_then(|v| self.string(v, "id")).unwrap_or_default();
        self.item = if id.is_empty() { "rule without an id".to_owned() } else { id.clone() };
        if id.is_empty() {
            self.fault(at, "needs an id");
        } else if !id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
            || id.len() > 100
        {
            self.fault(at, "an id has letters, digits, `-`, `_` and `.` only, at most 100");
        }
        let mut draft = Draft::default();
        for Field { at, key, value } in &table.0 {
            self.field(&mut draft, key, *at, value);
        }
        let Some(detect) = self.detect(at, &mut draft, table) else { return };
        if self.file.faults.len() > faults_before {
            return;
        }
        let precedence = draft.precedence.unwrap_or(match &detect {
            Detect::Keys(_) => Precedence::Generic,
            Detect::Learned => Precedence::Exact,
            Detect::Regex { .. } | Detect::Lines { .. } => Precedence::Specific,
        });
        let origin = Origin { file: self.name.clone(), line: self.line(at) };
        self.file.rules.push(Rule {
            id: id.into(),
            description: draft.description.into(),
            why: draft.why.into(),
            reference: draft.reference.into(),
            tags: draft.tags,
            profile: draft.profile.unwrap_or(Profile::Secrets),
            precedence,
            action: draft.action,
            detect,
            keywords: draft
                .keywords
                .into_iter()
                .map(|k| k.to_ascii_lowercase().into_bytes().into())
                .collect(),
            entropy: draft.entropy,
            validate: draft.validate,
            allow: draft.allow,
            file_allow: Arc::default(),
            examples: draft.examples,
            origin,
        });
    }

    fn field(&mut self, draft: &mut Draft, key: &str, at: usize, value: &Value<'t>) {
        match key {
            "id" | "regex" | "path" => {}
            "description" => draft.description = self.string(value, key).unwrap_or_default(),
            "why" => draft.why = self.string(value, key).unwrap_or_default(),
            "reference" => draft.reference = self.string(value, key).unwrap_or_default(),
            "tags" => draft.tags = self.strings(value, key),
            "keywords" => draft.keywords = self.strings(value, key),
            "anchors" => draft.anchors = self.strings(value, key),
            "examples" => {
                draft.examples = match value.content {
                    Content::Later(written) => Examples::later(written),
                    _ => Examples::of(self.strings(value, key)),
                }
            }
            "secretGroup" => draft.group = self.integer(value, key).map(|n| n as usize).filter(|&n| n > 0),
            "entropy" => draft.entropy = self.float(value, key).filter(|&bits| bits > 0.0),
            "keys" => {
                for (at, name) in self.spanned_strings(value, key) {
                    match key_name(name) {
                        Some(name) => draft.keys.push(name),
                        None => self.fault(
                            at,
                            format!("`{name}` is no key name: write words of a-z and 0-9, joined by _"),
                        ),
                    }
                }
            }
            "carriers" => {
                let mut links = Links::NONE;
                for (at, name) in self.spanned_strings(value, key) {
                    match Link::ALL.into_iter().find(|l| l.name() == name) {
                        Some(link) => links = links.with(link),
                        None => self.fault(at, unknown(name, "carrier", &Link::ALL.map(Link::name))),
                    }
                }
                draft.carriers = Some(links);
            }
            "values" => draft.values = self.choice(value, key, &Values::ALL, Values::name),
            "profile" => draft.profile = self.choice(value, key, &Profile::ALL, Profile::name),
            "precedence" => draft.precedence = self.choice(value, key, &Precedence::ALL, Precedence::name),
            "action" => draft.action = self.action(value),
            "multiline" => {
                draft.multiline = self.choice(value, key, &Block::ALL, Block::name);
            }
            "validate" => {
                for (at, name) in self.spanned_strings(value, key) {
                    match validate::by_name(name) {
                        Some(validator) => draft.validate.push(validator),
                        None => {
                            let names: Vec<_> = validate::VALIDATORS.iter().map(|v| v.name).collect();
                            self.fault(at, unknown(name, "check", &names));
                        }
                    }
                }
            }
            "allowlist" | "allowlists" => draft.allow.extend(self.allowlists(value)),
            "required" => {
                self.skip(at, "required companions are not asked for: the rule finds its match without them")
            }
            "skipReport" => self.skip(at, "skipReport has no meaning here: the rule finds its matches"),
            other => self.fault(at, format!("unknown field `{other}`")),
        }
    }

    /// The detecting part of a rule. `None` where there is none, with the reason noted.
    fn detect(&mut self, at: usize, draft: &mut Draft, table: &Table<'t>) -> Option<Detect> {
        let pattern = match table.get("regex") {
            Some(value) => {
                let source = self.string(value, "regex")?;
                Some(self.pattern(value.at, &source, draft.group)?)
            }
            None => None,
        };
        let path = table.get("path");
        if let (Some(value), Some(_)) = (path, &pattern) {
            self.skip(value.at, "path is not looked at: logs have no file names");
        }
        match (pattern, draft.keys.is_empty()) {
            (None, true) if path.is_some() => {
                self.skip(at, "the whole rule is skipped: it has only a path, and logs have no file names");
                None
            }
            (None, true) => {
                self.fault(at, "needs a regex or keys");
                None
            }
            (Some((pattern, derived)), true) => {
                if let Some(block) = draft.multiline {
                    return Some(Detect::Lines { pattern, block });
                }
                if draft.carriers.is_some() || draft.values.is_some() {
                    self.fault(at, "carriers and values go with keys");
                }
                let literals =
                    |texts: &[Box<str>]| texts.iter().map(|t| Anchor::caseless(t.as_bytes())).collect();
                let by_keyword = draft.anchors.is_empty() && derived.is_none();
                let anchors: Vec<Anchor> = match derived {
                    _ if !draft.anchors.is_empty() => literals(&draft.anchors),
                    Some(derived) => derived,
                    None => literals(&draft.keywords),
                };
                if anchors.iter().any(|a| a.sets.is_empty()) {
                    self.fault(at, "an empty anchor or keyword tells nothing");
                }
                Some(Detect::Regex { pattern, anchors, by_keyword })
            }
            (pattern, false) => {
                if !draft.keywords.is_empty() || !draft.anchors.is_empty() {
                    self.fault(at, "keywords and anchors go with a regex alone, not with keys");
                }
                Some(Detect::Keys(Keyed {
                    names: std::mem::take(&mut draft.keys),
                    carriers: draft.carriers.unwrap_or(Links::ALL),
                    values: draft.values.unwrap_or_default(),
                    pattern: pattern.map(|(pattern, _)| pattern),
                }))
            }
        }
    }

    fn pattern(
        &mut self,
        at: usize,
        source: &str,
        group: Option<usize>,
    ) -> Option<(Pattern, Option<Vec<Anchor>>)> {
        match re2::read(source, group, self.is_tested) {
            Ok(read) => {
                if read.is_whole && group.is_none() {
                    self.skip(at, "has more groups than are told apart: the whole match is the secret");
                }
                Some((read.pattern, read.anchors))
            }
            Err(why) => {
                self.fault(at, why);
                None
            }
        }
    }

    fn action(&mut self, value: &Value<'t>) -> Option<Action> {
        match &value.content {
            Content::Text(name) => match name.as_ref() {
                "replace" => Some(Action::Replace),
                "hash" => Some(Action::Hash),
                "remove" => Some(Action::Remove),
                "mask" => Some(Action::Mask { keep: 4 }),
                other => {
                    self.fault(value.at, unknown(other, "action", &Action::NAMES));
                    None
                }
            },
            Content::Table(table) => match &table.0[..] {
                [Field { key, value: keep, .. }] if key == "mask" => {
                    let keep = self.integer(keep, "mask")?;
                    Some(Action::Mask { keep: u8::try_from(keep).unwrap_or(u8::MAX) })
                }
                _ => {
                    self.fault(value.at, "an action table reads { mask = <bytes to keep> }");
                    None
                }
            },
            _ => {
                self.fault(value.at, unknown("this", "action", &Action::NAMES));
                None
            }
        }
    }

    fn allowlists(&mut self, value: &Value<'t>) -> Vec<Allowlist> {
        let mut lists = Vec::new();
        for (_, table) in self.tables(value, "allowlists") {
            let mut list = Allowlist::default();
            let mut means_something = false;
            for &Field { at, ref key, ref value } in &table.0 {
                match key.as_ref() {
                    "description" | "id" => {}
                    "regexes" => {
                        means_something = true;
                        for (at, source) in self.spanned_strings(value, "regexes") {
                            list.regexes
                                .extend(self.pattern(at, source, Some(0)).map(|(pattern, _)| pattern));
                        }
                    }
                    "stopwords" => {
                        means_something = true;
                        let words = self.strings(value, "stopwords");
                        list.stopwords
                            .extend(words.iter().map(|w| w.to_ascii_lowercase().into_bytes().into()));
                    }
                    "regexTarget" => {
                        let named =
                            [("secret", Target::Secret), ("match", Target::Match), ("line", Target::Line)];
                        if let Some((_, target)) = self.choice(value, "regexTarget", &named, |(name, _)| name)
                        {
                            list.target = target;
                        }
                    }
                    "condition" => {
                        let named = ["OR", "AND", "or", "and", "||", "&&"];
                        let name = self.choice(value, "condition", &named, |name| name);
                        list.all = matches!(name, Some("AND" | "and" | "&&"));
                    }
                    "targetRules" => {
                        self.skip(
                            at,
                            "an allowlist for some rules only is skipped: put it into the configuration",
                        );
                        means_something = false;
                        list = Allowlist::default();
                        break;
                    }
                    "paths" => self.skip(at, "paths are not looked at: logs have no file names"),
                    "commits" => self.skip(at, "commits are not looked at: logs have none"),
                    other => self.fault(at, format!("unknown field `{other}` in an allowlist")),
                }
            }
            // With AND, a condition that cannot hold here keeps the list from ever applying.
            if list.all && (table.get("paths").is_some() || table.get("commits").is_some()) {
                continue;
            }
            if means_something {
                lists.push(list);
            }
        }
        lists
    }

    // Typed access, each with its fault.

    fn tables<'v>(&mut self, value: &'v Value<'t>, key: &str) -> Vec<(usize, &'v Table<'t>)> {
        match &value.content {
            Content::Array(values) => {
                let mut tables = Vec::with_capacity(values.len());
                for value in values {
                    match &value.content {
                        Content::Table(table) => tables.push((value.at, table)),
                        _ => self.fault(value.at, format!("`{key}` holds tables")),
                    }
                }
                tables
            }
            Content::Table(table) => vec![(value.at, table)],
            _ => {
                self.fault(value.at, format!("`{key}` is a table or an array of tables"));
                Vec::new()
            }
        }
    }

    fn string(&mut self, value: &Value<'t>, key: &str) -> Option<String> {
        match &value.content {
            Content::Text(text) => Some(text.to_string()),
            _ => {
                self.fault(value.at, format!("`{key}` is a string"));
                None
            }
        }
    }

    fn strings(&mut self, value: &Value<'t>, key: &str) -> Vec<Box<str>> {
        self.spanned_strings(value, key).into_iter().map(|(_, text)| text.into()).collect()
    }

    fn spanned_strings<'v>(&mut self, value: &'v Value<'t>, key: &str) -> Vec<(usize, &'v str)> {
        let Content::Array(values) = &value.content else {
            self.fault(value.at, format!("`{key}` is an array of strings"));
            return Vec::new();
        };
        let mut strings = Vec::with_capacity(values.len());
        for value in values {
            match &value.content {
                Content::Text(text) => strings.push((value.at, &**text)),
                _ => self.fault(value.at, format!("`{key}` holds strings")),
            }
        }
        strings
    }

    fn integer(&mut self, value: &Value<'t>, key: &str) -> Option<u32> {
        if let Content::Integer(number) = &value.content
            && let Ok(number) = u32::from_str_radix(number.as_str(), number.radix())
            && number <= 1000
        {
            return Some(number);
        }
        self.fault(value.at, format!("`{key}` is a whole number from 0 to 1000"));
        None
    }

    fn float(&mut self, value: &Value<'t>, key: &str) -> Option<f64> {
        let number = match &value.content {
            Content::Integer(number) => number.as_str().parse().ok(),
            Content::Float(number) => number.as_str().parse().ok(),
            _ => None,
        };
        if number.is_none_or(|n: f64| !(0.0..=8.0).contains(&n)) {
            self.fault(value.at, format!("`{key}` is a number from 0 to 8"));
            return None;
        }
        number
    }

    fn choice<T: Copy>(
        &mut self,
        value: &Value<'t>,
        key: &str,
        all: &[T],
        name: fn(T) -> &'static str,
    ) -> Option<T> {
        let text = self.string(value, key)?;
        known(&text, key, all, name).map_err(|why| self.fault(value.at, why)).ok()
    }
}

/// The fields of a rule as far as they stand alone.
#[derive(Default)]
struct Draft {
    description: String,
    why: String,
    reference: String,
    tags: Vec<Box<str>>,
    keywords: Vec<Box<str>>,
    anchors: Vec<Box<str>>,
    examples: Examples,
    group: Option<usize>,
    entropy: Option<f64>,
    keys: Vec<KeyName>,
    carriers: Option<Links>,
    values: Option<Values>,
    profile: Option<Profile>,
    precedence: Option<Precedence>,
    action: Option<Action>,
    multiline: Option<Block>,
    validate: Vec<&'static validate::Validator>,
    allow: Vec<Allowlist>,
}

fn key_name(written: &str) -> Option<KeyName> {
    let (whole, name) = match written.strip_prefix('=') {
        Some(rest) => (true, rest),
        None => (false, written),
    };
    let words: Vec<Box<str>> = name.split('_').map(Into::into).collect();
    let well_formed =
        |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (words.iter().all(|word| well_formed(word)) && name.len() <= 64).then_some(KeyName { words, whole })
}
