//! The program whose parent we are: its stdout and stderr scrubbed, its signals forwarded, its end told.
//!
//! Invariants:
//! - Each stream is scrubbed by itself and in order. Nothing is dropped: what cannot be written waits, and so does the
//!   program. Only when that has ended is it given up: when SIGTERM comes, or after as long as was said. How much was lost
//!   is told.
//! - Nothing else ends before both streams do, whatever signals come; only who was left behind by the program, and still
//!   has a pipe, is waited for no longer than was said.
//! - If this process dies, the pipes break: the program's next write fails, and nothing goes past us.
//! - It holds no file but what it was given, and everything else the program inherits as it was.
//!
//! Three threads: this one waits for signals and children, and each stream has one.

mod outlet;
mod parent;
mod patience;
mod signals;
mod stdio;
mod stream;
mod terminal;

use std::ffi::OsString;
use std::fmt;
use std::io::ErrorKind;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustix::process::Rlimit;

use crate::finding::RuleIndex;
use crate::redact::Pseudonym;
use crate::sanitize::Sanitizer;

pub use parent::{Ended, Failed, Parent};
pub use signals::Signals;

/// What is to run, and how.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name and its arguments.
    pub name: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Which of its streams are terminals.
    pub pty: Pty,
    /// Whether it has a process group of its own, and signals are for all of that.
    pub group: bool,
    /// How long those it leaves behind may keep a stream open.
    pub linger: Duration,
    /// How long what cannot be written is tried again once it has ended.
    pub drain: Duration,
    /// The limit of its core dumps. This process may have lowered its own, which the program inherits; it gets this one
    /// as soon as it has started.
    pub core: Rlimit,
}

/// The rules that streams are scrubbed by, which may be replaced while the program goes on: a stream goes over to others
/// where it is settled.
#[derive(Debug)]
pub struct Rules(RwLock<Arc<Sanitizer>>);

impl Rules {
    /// These are in use.
    pub fn new(sanitizer: Arc<Sanitizer>) -> Self {
        Self(RwLock::new(sanitizer))
    }

    /// The rules in use.
    pub fn sanitizer(&self) -> Arc<Sanitizer> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Goes over to others.
    pub fn replace(&self, sanitizer: Arc<Sanitizer>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = sanitizer;
    }
}

/// Which streams of the program are terminals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pty {
    /// Neither: both are pipes.
    #[default]
    None,
    /// Stdout.
    Stdout,
    /// Stdout and stderr, each its own.
    Both,
}

/// One of the program's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Its stdout.
    Stdout,
    /// Its stderr.
    Stderr,
}

impl Name {
    /// `stdout` or `stderr`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Something that happened to a stream. What it says is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Scrubbing panicked; a marker stands for what could not be decided.
    Undecided(Name),
    /// It cannot be written now, and is tried again.
    Held(Name, ErrorKind),
    /// It was ended, though somebody has it open.
    LeftOpen(Name),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undecided(name) => write!(
                f,
                "what could not be decided in {} was replaced by a marker; please report it",
                name.as_str()
            ),
            Self::Held(name, kind) => {
                write!(f, "cannot write to {}: {kind}; trying again until it can be written", name.as_str())
            }
            Self::LeftOpen(name) => write!(
                f,
                "a process that the program left behind has {} open; it was closed after --linger",
                name.as_str()
            ),
        }
    }
}

/// Who is told what becomes of the streams, on their threads.
pub trait Watch: Send + Sync {
    /// These rules found something in a block that was written, once for each finding, in order; some of them got
    /// pseudonyms.
    fn found(&self, stream: Name, rules: &[RuleIndex], named: &[(RuleIndex, Pseudonym)]) {
        let _ = (stream, rules, named);
    }

    /// Whether anything may be written now. What may not waits, and so does the program.
    fn may_pass(&self) -> bool {
        true
    }

    /// Something happened.
    fn event(&self, event: Event) {
        let _ = event;
    }
}

/// Says things on stderr, never within a line of the program.
#[derive(Clone, Debug)]
pub struct Voice(Arc<outlet::Outlet>);

impl Voice {
    /// Says something now or at the end of the line. Does not wait.
    pub fn say(&self, message: &str) {
        self.0.say(message);
    }

    /// Says what is left to say, when the program and its streams have ended.
    pub fn end(&self) {
        self.0.say_last();
    }
}
