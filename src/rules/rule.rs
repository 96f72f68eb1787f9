//! One rule, as the scanner uses it.

use std::sync::Arc;

use super::action::Action;
use super::allow::Allowlist;
use super::anchor::Anchor;
use super::example::Examples;
use super::pattern::Pattern;
use super::profile::Profile;
use super::validate::Validator;
use crate::finding::Link;

/// A rule: how to find one kind of secret.
#[derive(Debug)]
pub struct Rule {
    /// Names the rule everywhere; never changes once released.
    pub id: Box<str>,
    /// What it finds, in one sentence.
    pub description: Box<str>,
    /// Why finding it matters.
    pub why: Box<str>,
    /// The public description of the format.
    pub reference: Box<str>,
    /// Free words to address rules by.
    pub tags: Vec<Box<str>>,
    /// The smallest profile that has the rule.
    pub profile: Profile,
    /// Who names a finding where two overlap.
    pub precedence: Precedence,
    /// What becomes of a finding, unless the configuration says otherwise.
    pub action: Option<Action>,
    /// How it detects.
    pub detect: Detect,
    /// Lower-case words one of which must be in the line; empty: no such condition.
    pub keywords: Vec<Box<[u8]>>,
    /// Least Shannon entropy of the secret, in bits per byte.
    pub entropy: Option<f64>,
    /// Named checks, all of which the secret must pass.
    pub validate: Vec<&'static Validator>,
    /// What it leaves.
    pub allow: Vec<Allowlist>,
    /// What all rules of its file leave.
    pub file_allow: Arc<Vec<Allowlist>>,
    /// `text → want`, placeholders not yet filled in.
    pub examples: Examples,
    /// Where it was written.
    pub origin: Origin,
}

impl Rule {
    /// The id of [`learned`](Self::learned).
    pub const LEARNED: &str = "learned-secret";

    /// The rule that learned secrets are found by.
    pub fn learned() -> Self {
        Self {
            id: Self::LEARNED.into(),
            description: "A secret whose exact value was learned from a variable or a file.".into(),
            why: "It is in use here, whatever it looks like.".into(),
            reference: "".into(),
            tags: vec!["learned".into()],
            profile: Profile::Secrets,
            precedence: Precedence::Exact,
            action: None,
            detect: Detect::Learned,
            keywords: Vec::new(),
            entropy: None,
            validate: Vec::new(),
            allow: Vec::new(),
            file_allow: Arc::default(),
            examples: Examples::default(),
            origin: Origin { file: "learned".into(), line: 0 },
        }
    }
}

/// How a rule detects.
#[derive(Debug)]
pub enum Detect {
    /// By a regex, wherever one of the anchors stands. No anchors: in every line.
    Regex {
        /// The regex.
        pattern: Pattern,
        /// One of these is in every match, or (keywords) in the line of every match.
        anchors: Vec<Anchor>,
        /// The anchors are keywords: the match may be anywhere in their line.
        by_keyword: bool,
    },
    /// By the name of the key that a value belongs to.
    Keys(Keyed),
    /// A private key over lines: its first line, then all that belongs to it.
    Lines {
        /// Matches the first line.
        pattern: Pattern,
        /// How the key reads.
        block: Block,
    },
    /// By its value, which was learned when the program started.
    Learned,
}

/// How a private key over lines reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// PEM (RFC 7468): between two labels.
    Pem,
    /// PuTTY's key file: behind a line that says how many lines it has. The secret of the pattern is that number.
    Ppk,
}

impl Block {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Pem, Self::Ppk];

    /// The name users write.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pem => "pem",
            Self::Ppk => "ppk",
        }
    }

    /// What the match of a first line starts with.
    pub const fn start(self) -> &'static [u8] {
        match self {
            Self::Pem => b"-----BEGIN ",
            Self::Ppk => b"Private-Lines:",
        }
    }

    /// What ends the key.
    pub const fn end(self) -> &'static [u8] {
        match self {
            Self::Pem => b"-----END",
            Self::Ppk => b"Private-MAC",
        }
    }
}

/// The part of a rule that finds values by their key.
#[derive(Debug)]
pub struct Keyed {
    /// The names.
    pub names: Vec<KeyName>,
    /// Ways of tying a value to its key that count.
    pub carriers: Links,
    /// How the value reads.
    pub values: Values,
    /// The part of the value that is the secret; `None`: what `values` says.
    pub pattern: Option<Pattern>,
}

impl Keyed {
    /// The least bytes of a value that without quotes goes on for as long as bytes are no blanks; 0: not known.
    pub fn least(&self) -> usize {
        let least = match self.values {
            Values::Secret => 0,
            Values::Token => Values::LEAST_TOKEN,
            Values::Number => Values::LEAST_NUMBER,
            Values::Line | Values::Words | Values::Authorization | Values::Cookies => return 0,
        };
        least.max(self.pattern.as_ref().map_or(0, Pattern::min_len))
    }
}

/// A sensitive key name, as lower-case words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyName {
    /// The words: `api`, `key`.
    pub words: Vec<Box<str>>,
    /// The words must be the whole key, not only its end.
    pub whole: bool,
}

/// A set of [`Link`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Links(u8);

impl Links {
    /// Every way.
    pub const ALL: Self = Self(u8::MAX);
    /// No way.
    pub const NONE: Self = Self(0);

    /// This set and `link`.
    pub const fn with(self, link: Link) -> Self {
        Self(self.0 | 1 << link as u8)
    }

    /// Whether `link` is in the set.
    pub const fn has(self, link: Link) -> bool {
        self.0 >> (link as u8) & 1 == 1
    }
}

/// How the value of a key reads, and which part of it is the secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Values {
    /// All of it, unless it is a placeholder.
    #[default]
    Secret,
    /// As `Secret`, but neither short, nor a small number, nor (outside quotes) a plain word.
    Token,
    /// 3 to 19 digits.
    Number,
    /// To the end of the line or string.
    Line,
    /// As `Secret`, with spaces inside.
    Words,
    /// The credentials behind an HTTP authentication scheme.
    Authorization,
    /// Each cookie's value.
    Cookies,
}

impl Values {
    /// The least bytes of a token.
    pub const LEAST_TOKEN: usize = 6;
    /// The least digits of a number.
    pub const LEAST_NUMBER: usize = 3;
    /// All grammars.
    pub const ALL: [Self; 7] = [
        Self::Secret,
        Self::Token,
        Self::Number,
        Self::Line,
        Self::Words,
        Self::Authorization,
        Self::Cookies,
    ];

    /// The name users write.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Token => "token",
            Self::Number => "number",
            Self::Line => "line",
            Self::Words => "words",
            Self::Authorization => "authorization",
            Self::Cookies => "cookies",
        }
    }
}

/// Who names the finding where findings overlap: the more specific.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precedence {
    /// Anything that looks random.
    Catchall,
    /// Known by its key.
    Generic,
    /// Known by its own shape.
    Specific,
    /// Known byte by byte.
    Exact,
}

impl Precedence {
    /// Those that a rule file may name, weakest first.
    pub const ALL: [Self; 3] = [Self::Catchall, Self::Generic, Self::Specific];

    /// The name users write.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Catchall => "catchall",
            Self::Generic => "generic",
            Self::Specific => "specific",
            Self::Exact => "exact",
        }
    }
}

/// Where a rule was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, as it was named when loaded.
    pub file: Arc<str>,
    /// The line its table starts on, from 1.
    pub line: u32,
}
