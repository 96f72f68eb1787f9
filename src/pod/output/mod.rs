//! Where clean records go: stdout, a file, or OTLP upstream. One of them, for all inputs.
//!
//! `deliver` returns when the records are where they are kept. What fails meanwhile is tried again for as long as there is
//! time, is counted, and is said once when it begins and once when it is over.

mod backoff;
mod file;
mod line;
mod otlp;
mod patient;
mod stdout;

use std::path::PathBuf;

pub use file::{File, FileSettings};
pub use otlp::{Otlp, OtlpSettings};
pub use stdout::Stdout;

use super::house;
use super::metrics::Metrics;
use crate::relay::LogsUpstream;

/// How a record is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// An object of JSON on a line: time, severity, message, labels. What is no UTF-8 becomes U+FFFD.
    #[default]
    Json,
    /// Its text and a newline, nothing else.
    Raw,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Json, Self::Raw];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Raw => "raw",
        }
    }
}

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settings {
    /// Standard output.
    Stdout(Format),
    /// A file.
    File(FileSettings),
    /// OTLP upstream.
    Otlp(OtlpSettings),
}

impl Settings {
    /// The files that it writes, older ones included.
    pub fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Stdout(_) => Vec::new(),
            Self::File(told) => told.files(),
            Self::Otlp(told) => told.dead_letter.clone().into_iter().collect(),
        }
    }

    /// Opens the output.
    /// # Errors
    /// What is wrong, and with what.
    pub fn open(
        self,
        upstream: Option<LogsUpstream>,
        metrics: &Metrics,
    ) -> Result<Box<dyn house::Output>, String> {
        let cannot = |path: PathBuf| {
            move |error: std::io::Error| format!("output file {}: cannot open it: {error}", path.display())
        };
        Ok(match self {
            Self::Stdout(format) => Box::new(Stdout::new(format, metrics.clone())),
            Self::File(settings) => {
                let path = settings.path.clone();
                Box::new(File::open(settings, metrics.clone()).map_err(cannot(path))?)
            }
            Self::Otlp(settings) => {
                let upstream = upstream.ok_or("the output otlp needs an upstream; add --upstream URL")?;
                let path = settings.dead_letter.clone().unwrap_or_default();
                Box::new(Otlp::new(settings, upstream, metrics.clone()).map_err(cannot(path))?)
            }
        })
    }
}
