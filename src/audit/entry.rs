//! What a line of an audit trail says, written and read. `deploy/audit.schema.json` describes the same for others.
//!
//! There is no place in it for a value: a rule's id, a label of a source, a count, and the pseudonym of a finding that got
//! one in the output, too.

use serde::Deserialize;

use super::chain::{self, Hash, Key};
use super::time::Time;

/// How lines are written; a reader of another form must refuse them.
pub(super) const FORM: u64 = 1;
/// The most bytes of a line that is read: of what is written, none is near it.
pub const MOST_LINE: usize = 16 << 10;
/// The most bytes of a label or a rule's id that are written.
const MOST_TEXT: usize = 512;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A trail begins.
    Start {
        /// The program that writes it.
        version: String,
        /// Which trail it is.
        trail: Id,
    },
    /// It goes on behind a [`Close`](Self::Close).
    Open {
        /// Which trail it is.
        trail: Id,
    },
    /// It goes on where it was not closed: the program was killed, or what stood behind was cut off.
    Resume {
        /// Which trail it is.
        trail: Id,
        /// Bytes of a line that was not whole; they were removed.
        torn: u64,
        /// Entries before this one that no HMAC covered until now.
        unkeyed: u64,
    },
    /// Findings of one rule in one source since the last write.
    Found {
        /// The source's label.
        source: String,
        /// The rule's id.
        rule: String,
        /// [`Ruleset::digest`](crate::Ruleset::digest): which rules were in use.
        rules: Hash,
        /// How many.
        count: u64,
        /// What stands in place of all of them.
        name: Name,
    },
    /// Nothing could be written for a while; what was found meanwhile is counted in the entries behind this one.
    Gap {
        /// Since when.
        since: Time,
        /// What the system said.
        why: String,
    },
    /// An HMAC over all that came before.
    Checkpoint,
    /// The file is full; the trail goes on in another.
    Rotate,
    /// The first entry of a file that goes on from another.
    Continue {
        /// Which trail it is.
        trail: Id,
        /// The hash of the last entry there.
        head: Hash,
        /// The number of the first entry of the oldest file that was kept.
        oldest: u64,
        /// The first and the last entry that were in files which were kept and have been removed by someone else.
        lost: Option<(u64, u64)>,
    },
    /// The trail ends, for now.
    Close,
}

/// Tells a trail from all others, also from those under the same key: random, made when it begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Id(pub(super) [u8; 16]);

impl Id {
    /// Reads 32 hex digits, in lower case.
    pub fn parse(text: &str) -> Option<Self> {
        chain::unhex(text).map(Self)
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        chain::hex(&self.0, f)
    }
}

/// What stands in place of findings.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// No pseudonym.
    #[default]
    None,
    /// This one.
    Pseudonym(String),
    /// Pseudonyms beyond those that have entries of their own.
    More,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number: one more than that of the line before.
    pub seq: u64,
    /// When it was written. Clocks may go back; numbers do not.
    pub time: Time,
    /// What happened.
    pub kind: Kind,
    /// The id of the key of its HMAC.
    pub key: Option<String>,
}

impl Kind {
    /// Its name in the line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Open { .. } => "open",
            Self::Resume { .. } => "resume",
            Self::Found { .. } => "found",
            Self::Gap { .. } => "gap",
            Self::Checkpoint => "checkpoint",
            Self::Rotate => "rotate",
            Self::Continue { .. } => "continue",
            Self::Close => "close",
        }
    }

    /// Which trail it is, where it says so.
    pub fn trail(&self) -> Option<Id> {
        match self {
            Self::Start { trail, .. }
            | Self::Open { trail }
            | Self::Resume { trail, .. }
            | Self::Continue { trail, .. } => Some(*trail),
            Self::Found { .. } | Self::Gap { .. } | Self::Checkpoint | Self::Rotate | Self::Close => None,
        }
    }

    /// Whether its line has an HMAC. Findings are covered by the checkpoint behind them.
    pub fn is_keyed(&self) -> bool {
        !matches!(self, Self::Found { .. })
    }

    /// Writes a line behind one with the hash `before`. The line's hash.
    pub(super) fn write(&self, seq: u64, time: Time, before: &Hash, key: &Key, lines: &mut Vec<u8>) -> Hash {
        let from = lines.len();
        let mut put = |text: &str| lines.extend_from_slice(text.as_bytes());
        put(&format!("{{\"seq\":{seq},\"time\":\"{time}\",\"kind\":\"{}\"", self.name()));
        match self {
            Self::Start { version, trail } => {
                put(&format!(",\"form\":{FORM},\"version\":{},\"trail\":\"{trail}\"", quoted(version)))
            }
            Self::Open { trail } => put(&format!(",\"trail\":\"{trail}\"")),
            Self::Resume { trail, torn, unkeyed } => {
                put(&format!(",\"trail\":\"{trail}\",\"torn\":{torn},\"unkeyed\":{unkeyed}"));
            }
            Self::Found { source, rule, rules, count, name } => {
                put(&format!(
                    ",\"source\":{},\"rule\":{},\"rules\":\"{rules}\",\"count\":{count}",
                    quoted(source),
                    quoted(rule)
                ));
                match name {
                    Name::None => {}
                    Name::Pseudonym(pseudonym) => put(&format!(",\"pseudonym\":{}", quoted(pseudonym))),
                    Name::More => put(",\"more\":true"),
                }
            }
            Self::Gap { since, why } => put(&format!(",\"since\":\"{since}\",\"why\":{}", quoted(why))),
            Self::Continue { trail, head, oldest, lost } => {
                put(&format!(",\"trail\":\"{trail}\",\"head\":\"{head}\",\"oldest\":{oldest}"));
                if let Some((from, to)) = lost {
                    put(&format!(",\"lost_from\":{from},\"lost_to\":{to}"));
                }
            }
            Self::Checkpoint | Self::Rotate | Self::Close => {}
        }
        let key = self.is_keyed().then_some(key);
        if let Some(key) = key {
            put(&format!(",\"key\":\"{}\"", key.id()));
        }
        chain::seal(lines, from, before, key)
    }
}

/// A string of JSON, cut to what fits a line.
fn quoted(text: &str) -> String {
    let cut = (0..=MOST_TEXT.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default();
    // Writing a string cannot fail.
    serde_json::to_string(&text[..cut]).unwrap_or_default()
}

/// All fields of all kinds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    seq: u64,
    time: String,
    kind: String,
    form: Option<u64>,
    version: Option<String>,
    trail: Option<String>,
    torn: Option<u64>,
    unkeyed: Option<u64>,
    source: Option<String>,
    rule: Option<String>,
    rules: Option<String>,
    count: Option<u64>,
    pseudonym: Option<String>,
    more: Option<bool>,
    since: Option<String>,
    why: Option<String>,
    head: Option<String>,
    oldest: Option<u64>,
    lost_from: Option<u64>,
    lost_to: Option<u64>,
    key: Option<String>,
    mac: Option<String>,
    hash: String,
}

/// Why a line is no entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is none.
    NotAnEntry,
    /// It is of a form that came later.
    OtherForm,
}

impl Entry {
    /// Reads a line, without its newline.
    pub(super) fn read(line: &[u8]) -> Result<Self, Unread> {
        let fields = serde_json::from_slice::<Fields>(line).map_err(|_| Unread::NotAnEntry)?;
        if fields.form.is_some_and(|form| form != FORM) {
            return Err(Unread::OtherForm);
        }
        Self::of(fields).ok_or(Unread::NotAnEntry)
    }

    fn of(fields: Fields) -> Option<Self> {
        let Fields {
            seq,
            time,
            kind,
            form,
            version,
            trail,
            torn,
            unkeyed,
            source,
            rule,
            rules,
            count,
            pseudonym,
            more,
            since,
            why,
            head,
            oldest,
            lost_from,
            lost_to,
            key,
            mac,
            hash,
        } = fields;
        Hash::parse(&hash)?;
        let trail = match trail {
            Some(id) => Some(Id::parse(&id)?),
            None => None,
        };
        let kind = match kind.as_str() {
            "start" => form.and(version).zip(trail).map(|(version, trail)| Kind::Start { version, trail }),
            "open" => trail.map(|trail| Kind::Open { trail }),
            "resume" => Some(Kind::Resume { trail: trail?, torn: torn?, unkeyed: unkeyed? }),
            "found" => {
                let name = match (pseudonym, more) {
                    (Some(pseudonym), None) => Name::Pseudonym(pseudonym),
                    (None, Some(true)) => Name::More,
                    (None, None) => Name::None,
                    _ => return None,
                };
                let rules = Hash::parse(&rules?)?;
                Some(Kind::Found { source: source?, rule: rule?, rules, count: count?, name })
            }
            "gap" => Some(Kind::Gap { since: Time::parse(&since?)?, why: why? }),
            "checkpoint" => Some(Kind::Checkpoint),
            "rotate" => Some(Kind::Rotate),
            "continue" => {
                let lost = lost_from.zip(lost_to).filter(|(from, to)| from <= to);
                if lost.is_none() && (lost_from.is_some() || lost_to.is_some()) {
                    return None;
                }
                Some(Kind::Continue { trail: trail?, head: Hash::parse(&head?)?, oldest: oldest?, lost })
            }
            "close" => Some(Kind::Close),
            _ => None,
        }?;
        // The same lines have a key, an HMAC, and a kind that has one.
        if key.is_some() != kind.is_keyed() || mac.is_some() != kind.is_keyed() {
            return None;
        }
        Some(Self { seq, time: Time::parse(&time)?, kind, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind) {
        let key = Key::new("a1", b"0123456789abcdef").expect("a key");
        let mut lines = Vec::new();
        kind.write(7, Time(951_782_400_001), &Hash::default(), &key, &mut lines);
        assert!(lines.len() < MOST_LINE, "{}", lines.len());
        let line = lines.strip_suffix(b"\n").expect("a newline");
        let want = Entry {
            seq: 7,
            time: Time(951_782_400_001),
            key: kind.is_keyed().then(|| "a1".to_owned()),
            kind,
        };
        assert_eq!(Entry::read(line), Ok(want), "{}", line.escape_ascii());
    }

    #[test]
    fn entries_are_read_as_they_are_written() {
        let found = |name| Kind::Found {
            source: "file:/var/log/\"a\"\n".to_owned(),
            rule: "password".to_owned(),
            rules: Hash([1; 32]),
            count: u64::MAX,
            name,
        };
        check(found(Name::None));
        check(found(Name::More));
        check(found(Name::Pseudonym("[password:k1:0123456789abcdef01234567]".to_owned())));
        let trail = Id([0xde; 16]);
        check(Kind::Start { version: "0.1.0".to_owned(), trail });
        check(Kind::Resume { trail, torn: 3, unkeyed: 4 });
        check(Kind::Gap { since: Time(1), why: "no space".to_owned() });
        for lost in [None, Some((1, 1)), Some((0, 7))] {
            check(Kind::Continue { trail, head: Hash([2; 32]), oldest: 1, lost });
        }
        [Kind::Open { trail }, Kind::Checkpoint, Kind::Rotate, Kind::Close].into_iter().for_each(check);
    }

    #[test]
    fn what_is_long_fits_a_line() {
        let key = Key::new("a1", b"0123456789abcdef").expect("a key");
        let long = "\u{1}é".repeat(10_000);
        let kind = Kind::Found {
            source: long.clone(),
            rule: long.clone(),
            rules: Hash::default(),
            count: 1,
            name: Name::Pseudonym(long),
        };
        let mut lines = Vec::new();
        kind.write(1, Time(0), &Hash::default(), &key, &mut lines);
        assert!(lines.len() < MOST_LINE, "{}", lines.len());
        assert!(Entry::read(lines.trim_ascii_end()).is_ok());
    }
}
