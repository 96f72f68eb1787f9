//! Takes secrets and PII out of logs and traces.
//!
//! The engine is equal to four lines: for every rule, for every match of it, write the rule's marker instead.
//! All else is there to do that fast, in whatever way the text carries its values, and to be sure of it.
//!
//! ```
//! use kasm_scrub::{Sanitizer, Scrubber};
//!
//! let sanitizer = Sanitizer::builtin();
//! let mut scrubber = Scrubber::new(&sanitizer);
//! let mut out = Vec::new();
//! scrubber.push(b"login ok password=hun", &mut out);
//! scrubber.push(b"ter2 from 10.0.0.7\n", &mut out);
//! scrubber.finish(&mut out);
//! assert_eq!(out, b"login ok password=[REDACTED:password] from 10.0.0.7\n");
//! ```
//!
//! Modules, in reading order; each uses only those before it.

#[cfg(feature = "audit")]
pub mod audit;
#[cfg(feature = "files")]
pub mod bundle;
pub mod carrier;
#[cfg(feature = "cli")]
pub mod cmd;
#[cfg(feature = "cli")]
pub mod config;
pub mod finding;
pub mod learned;
pub mod otlp;
pub mod parallel;
#[cfg(feature = "pod")]
pub mod pod;
mod redact;
#[cfg(feature = "otlp")]
pub mod relay;
#[cfg(feature = "cli")]
pub mod report;
pub mod rules;
pub mod sanitize;
pub mod scan;
pub mod stream;
pub mod trial;

pub use finding::{Finding, RuleIndex};
pub use redact::{BadKey, HashKey, Pseudonym};
pub use rules::{Action, Profile, RuleFile, Ruleset};
pub use sanitize::{Key, Sanitizer};
pub use scan::{Format, Work};
pub use stream::{Out, Scrubber};
