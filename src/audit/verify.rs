//! Reads a trail again: whether it is what was written. Bytes in, a summary or the first fault out; no files.
//!
//! What is found: a line edited, cut out, doubled, moved or put in anywhere before the last line; with the key also where
//! who did it made all hashes anew. What is not: that the end was cut off behind a `close`, or where a crash was gone on
//! from; only a number or hash noted elsewhere ([`Wanted`]) tells. And who has the key can write what they like.

use std::fmt;

use super::chain::{Hash, Key, Sealed};
use super::entry::{Entry, Id, Kind, MOST_LINE, Unread};
use super::time::Time;

/// What else must be so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The trail is being written: it need not be closed, and its last line may not be whole.
    pub live: bool,
    /// Files that were kept may be missing at the start.
    pub part: bool,
    /// It has at least an entry of this number.
    pub seq: Option<u64>,
    /// It has an entry with this hash.
    pub head: Option<Hash>,
    /// It is this trail.
    pub trail: Option<Id>,
    /// It was never gone on with after a crash: what such a crash leaves, who cuts the end off can make.
    pub strict: bool,
}

/// What a trail tells as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Which trail it is.
    pub trail: Option<Id>,
    /// Files read.
    pub files: u64,
    /// Entries.
    pub entries: u64,
    /// Entries with an HMAC.
    pub checkpoints: u64,
    /// Findings, all counts together.
    pub findings: u64,
    /// Number and time of the first entry. 0: the trail begins here.
    pub first: Option<(u64, Time)>,
    /// Number, time and hash of the last entry.
    pub last: Option<(u64, Time, Hash)>,
    /// Whether it ends with a `close`.
    pub is_closed: bool,
    /// How often it was gone on with after a crash.
    pub resumed: u64,
    /// Entries that no HMAC covered when the program was killed; the one behind them does.
    pub loose: u64,
    /// How often nothing could be written.
    pub gaps: u64,
    /// How often the clock went back.
    pub clock_back: u64,
    /// Entries at the end that no HMAC covers.
    pub unkeyed: u64,
    /// Bytes at the end that are no whole line.
    pub torn: u64,
}

/// What is wrong with a trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; 0: none in particular.
    pub line: u64,
    /// What.
    pub fault: Fault,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is no entry.
    NotAnEntry,
    /// It is of a form that came later than this program.
    OtherForm,
    /// It, or the line before it, is not what was written.
    Edited,
    /// These are missing before it.
    Missing {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// Its number belongs before the line before it.
    Moved {
        /// The number.
        seq: u64,
    },
    /// It stands where such an entry does not.
    Misplaced(&'static str),
    /// Its HMAC was not made with the key.
    Forged,
    /// Its key was not given.
    UnknownKey(String),
    /// It is not whole.
    Torn,
    /// The end is missing: there is no `close`.
    Open,
    /// The file has no entry.
    Empty,
    /// Files with these entries were kept and are missing.
    Removed {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// Files with entries among these were kept, and were gone when the file was begun.
    Lost {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// It is of another trail than what is before it, or than the one that was asked for.
    OtherTrail(Id),
    /// It was gone on with after a crash.
    Resumed {
        /// How often.
        times: u64,
        /// How many entries no HMAC covered then.
        loose: u64,
    },
    /// It ends before the entry that it must have.
    TooShort {
        /// The number of its last entry.
        last: u64,
    },
    /// It does not have the entry that it must have.
    NoHead,
}

impl Fault {
    /// One word for machines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotAnEntry => "not_an_entry",
            Self::OtherForm => "other_form",
            Self::Edited => "edited",
            Self::Missing { .. } => "cut",
            Self::Moved { .. } => "moved",
            Self::Misplaced(_) => "misplaced",
            Self::Forged => "forged",
            Self::UnknownKey(_) => "unknown_key",
            Self::Torn => "torn",
            Self::Open => "not_closed",
            Self::Empty => "empty",
            Self::Removed { .. } => "file_missing",
            Self::Lost { .. } => "file_lost",
            Self::OtherTrail(_) => "other_trail",
            Self::Resumed { .. } => "resumed",
            Self::TooShort { .. } => "too_short",
            Self::NoHead => "no_head",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnEntry => f.write_str("this is no entry of an audit trail, or an edited one"),
            Self::OtherForm => f.write_str("the trail was written by a newer version; verify it with that"),
            Self::Edited => f.write_str("edited: this entry, or the one before it, is not what was written"),
            Self::Missing { from, to } => write!(f, "cut: entries {from} to {to} are missing before this line"),
            Self::Moved { seq } => {
                write!(f, "moved or doubled: entry {seq} belongs further up, or stands there already")
            }
            Self::Misplaced(kind) => write!(f, "misplaced: a {kind} entry does not stand here"),
            Self::Forged => f.write_str("forged: the checkpoint was not made with the key, or the key is not the one"),
            Self::UnknownKey(id) => write!(f, "the checkpoint is under key {id}; add --key {id}=FILE"),
            Self::Torn => f.write_str("torn: the last line is not whole"),
            Self::Open => f.write_str(
                "not closed: the end was cut off, the program was killed, or it is still writing (then use --live)",
            ),
            Self::Empty => f.write_str("the file has no entry"),
            Self::Removed { from, to } => write!(
                f,
                "a file is missing: entries {from} to {to} were kept; name all files, or use --part"
            ),
            Self::Lost { from, to } => write!(
                f,
                "files were removed by someone else: of entries {from} to {to}, which were kept, some or all were gone when \
                 this file was begun"
            ),
            Self::OtherTrail(id) => write!(f, "another trail: this is of {id}"),
            Self::Resumed { times, loose } => write!(
                f,
                "gone on after a crash {times} times, with {loose} entries that no checkpoint covered; what was behind may \
                 have been cut off"
            ),
            Self::TooShort { last } => write!(f, "the end is missing: the last entry is {last}"),
            Self::NoHead => f.write_str("no entry has the hash that was asked for: the end is missing, or it is another trail"),
        }
    }
}

/// Reads the files of a trail, oldest first, line by line.
#[derive(Debug)]
pub struct Verifier<'k> {
    keys: &'k [Key],
    /// Keys are for all names, since only one was given and without a name.
    any_name: bool,
    wanted: Wanted,
    summary: Summary,
    file: String,
    line: u64,
    before: Option<Before>,
    oldest: u64,
    has_head: bool,
    /// The first file that was begun with others missing.
    lost: Option<Broken>,
}

/// The line before.
#[derive(Debug)]
struct Before {
    seq: u64,
    time: Time,
    hash: Hash,
    /// It ends its file.
    is_full: bool,
    /// The trail was closed and not opened again; `None`: what was before is not known.
    is_closed: Option<bool>,
}

impl<'k> Verifier<'k> {
    /// A verifier with these keys; without any, HMACs are not looked at. `any_name`: the first is taken whatever name a line
    /// gives its key.
    pub fn new(keys: &'k [Key], any_name: bool, wanted: Wanted) -> Self {
        Self {
            keys,
            any_name,
            wanted,
            summary: Summary::default(),
            file: String::new(),
            line: 0,
            before: None,
            oldest: 0,
            has_head: false,
            lost: None,
        }
    }

    /// A file begins.
    pub fn file(&mut self, name: &str) {
        self.file = name.to_owned();
        self.line = 0;
        self.summary.files += 1;
    }

    /// The next line of the file, with its newline; the last may have none.
    /// # Errors
    /// What is wrong with it.
    pub fn line(&mut self, line: &[u8]) -> Result<Entry, Broken> {
        self.line += 1;
        self.read(line).map_err(|fault| Broken { file: self.file.clone(), line: self.line, fault })
    }

    fn read(&mut self, line: &[u8]) -> Result<Entry, Fault> {
        let line = line.strip_suffix(b"\n").filter(|_| self.summary.torn == 0).ok_or(Fault::Torn)?;
        if line.len() > MOST_LINE {
            return Err(Fault::NotAnEntry);
        }
        let entry = Entry::read(line).map_err(|unread| match unread {
            Unread::NotAnEntry => Fault::NotAnEntry,
            Unread::OtherForm => Fault::OtherForm,
        })?;
        let sealed = Sealed::of(line).ok_or(Fault::NotAnEntry)?;
        let before = self.place(&entry)?;
        if !sealed.follows(&before) {
            return Err(Fault::Edited);
        }
        // What the line says has a key has an HMAC where one stands.
        if sealed.is_keyed() != entry.kind.is_keyed() {
            return Err(Fault::NotAnEntry);
        }
        if let Some(id) = &entry.key
            && !self.keys.is_empty()
        {
            let key =
                if self.any_name { self.keys.first() } else { self.keys.iter().find(|key| key.id() == id) };
            let key = key.ok_or_else(|| Fault::UnknownKey(id.clone()))?;
            if !sealed.is_by(key, &before) {
                return Err(Fault::Forged);
            }
        }
        if let Some(id) = entry.kind.trail()
            && (id != *self.summary.trail.get_or_insert(id)
                || self.wanted.trail.is_some_and(|trail| trail != id))
        {
            return Err(Fault::OtherTrail(id));
        }
        if let Kind::Continue { lost: Some((from, to)), .. } = entry.kind {
            let (file, line) = (self.file.clone(), self.line);
            self.lost.get_or_insert(Broken { file, line, fault: Fault::Lost { from, to } });
        }
        self.note(&entry, sealed.hash);
        Ok(entry)
    }

    /// Whether an entry may stand here; the hash before it.
    fn place(&self, entry: &Entry) -> Result<Hash, Fault> {
        let misplaced = Err(Fault::Misplaced(entry.kind.name()));
        let is_first = self.line == 1;
        if let Some(before) = &self.before {
            let want = before.seq + 1;
            if entry.seq > want {
                return Err(Fault::Missing { from: want, to: entry.seq - 1 });
            }
            if entry.seq < want {
                return Err(Fault::Moved { seq: entry.seq });
            }
        }
        let Some(before) = &self.before else {
            return match entry.kind {
                Kind::Start { .. } if entry.seq == 0 => Ok(Hash::default()),
                Kind::Continue { head, .. } if entry.seq > 0 => Ok(head),
                _ => misplaced,
            };
        };
        let may_stand = match &entry.kind {
            Kind::Start { .. } => false,
            Kind::Continue { .. } => is_first && before.is_full,
            _ if is_first || before.is_full => false,
            Kind::Open { .. } => before.is_closed != Some(false),
            Kind::Resume { .. } | Kind::Rotate => true,
            _ => before.is_closed != Some(true),
        };
        match &entry.kind {
            _ if !may_stand => misplaced,
            // What it says of the line before is what that line says.
            Kind::Continue { head, .. } if *head != before.hash => Err(Fault::Edited),
            _ => Ok(before.hash),
        }
    }

    fn note(&mut self, entry: &Entry, hash: Hash) {
        let Self { summary, before, oldest, wanted, has_head, .. } = self;
        summary.entries += 1;
        summary.first.get_or_insert((entry.seq, entry.time));
        summary.last = Some((entry.seq, entry.time, hash));
        summary.clock_back += u64::from(before.as_ref().is_some_and(|before| entry.time < before.time));
        *has_head |= wanted.head == Some(hash);
        let loose = summary.unkeyed;
        if entry.kind.is_keyed() {
            summary.checkpoints += 1;
            summary.unkeyed = 0;
        } else {
            summary.unkeyed += 1;
        }
        let mut is_closed = match before {
            Some(before) => before.is_closed,
            None => matches!(entry.kind, Kind::Start { .. }).then_some(false),
        };
        match &entry.kind {
            Kind::Close => is_closed = Some(true),
            Kind::Rotate => {}
            // A trail that is opened again may have to go over to a new file first.
            Kind::Continue { head, oldest: kept, trail: _, lost: _ } => {
                *oldest = *kept;
                *has_head |= wanted.head == Some(*head);
            }
            Kind::Resume { .. } => {
                summary.resumed += 1;
                summary.loose += loose;
                is_closed = Some(false);
            }
            Kind::Found { count, .. } => summary.findings = summary.findings.saturating_add(*count),
            Kind::Gap { .. } => summary.gaps += 1,
            Kind::Open { .. } => is_closed = Some(false),
            Kind::Start { .. } | Kind::Checkpoint => {}
        }
        summary.is_closed = entry.kind == Kind::Close;
        let is_full = entry.kind == Kind::Rotate;
        *before = Some(Before { seq: entry.seq, time: entry.time, hash, is_full, is_closed });
    }

    /// The file ends. `torn`: bytes behind its last newline.
    /// # Errors
    /// It has no entry, or a last line that is not whole.
    pub fn file_end(&mut self, torn: u64) -> Result<(), Broken> {
        let fault = match torn {
            0 if self.line == 0 => Fault::Empty,
            0 => return Ok(()),
            _ if torn > MOST_LINE as u64 => Fault::NotAnEntry,
            _ if self.wanted.live => {
                self.summary.torn = torn;
                return Ok(());
            }
            _ => Fault::Torn,
        };
        let line = if torn > 0 { self.line + 1 } else { 0 };
        Err(Broken { file: self.file.clone(), line, fault })
    }

    /// All files have ended.
    /// # Errors
    /// Something is missing.
    pub fn finish(self) -> Result<Summary, Broken> {
        let Self { wanted, summary, file, line, oldest, has_head, lost, .. } = self;
        let broken = |line, fault| Err(Broken { file: file.clone(), line, fault });
        let (Some((first, _)), Some((last, ..))) = (summary.first, summary.last) else {
            return broken(0, Fault::Empty);
        };
        if !summary.is_closed && !wanted.live {
            return broken(line, Fault::Open);
        }
        if first > oldest && !wanted.part {
            return broken(0, Fault::Removed { from: oldest, to: first - 1 });
        }
        if wanted.seq.is_some_and(|seq| last < seq) {
            return broken(line, Fault::TooShort { last });
        }
        if wanted.head.is_some() && !has_head {
            return broken(line, Fault::NoHead);
        }
        if let Some(lost) = lost {
            return Err(lost);
        }
        if wanted.strict && (summary.resumed > 0 || summary.loose > 0) {
            return broken(0, Fault::Resumed { times: summary.resumed, loose: summary.loose });
        }
        Ok(summary)
    }
}
