//! Mistakes in rule files, each with its place.

use std::sync::Arc;

/// One mistake in a rule file or a configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file, as it was named when loaded.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The rule or setting it is about; empty where the file as a whole is meant.
    pub item: String,
    /// What is wrong and what to do, in lower case.
    pub what: String,
    /// The line of the file itself, for showing; never taken from scanned text.
    pub source: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.item.is_empty() {
            write!(f, "{}: ", self.item)?;
        }
        f.write_str(&self.what)
    }
}

/// All mistakes of a load, in the order of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
            let source = fault.source.trim();
            if !source.is_empty() {
                write!(f, "\n    | {source}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
