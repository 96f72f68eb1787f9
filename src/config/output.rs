//! The section `output` of a configuration: where the records of inputs go.

use std::time::Duration;

use saphyr::{Scalar, YamlData};

use super::inputs::Address;
use super::reader::{Node, Reader, text};
use crate::rules::unknown;

/// The kinds of outputs.
pub const OUTPUT_KEYS: [&str; 3] = ["stdout", "file", "otlp"];
/// The keys of `stdout`.
pub const STDOUT_KEYS: [&str; 1] = ["format"];
/// The keys of `file`.
pub const FILE_KEYS: [&str; 5] = ["path", "max_size", "keep", "format", "sync"];
/// The keys of `otlp` in `output`.
pub const OTLP_OUTPUT_KEYS: [&str; 3] = ["url", "dead_letter", "give_up_after"];

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFormat {
    /// As JSON.
    Json,
    /// Their bare text.
    Raw,
}

impl LineFormat {
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

/// Where records go. What is `None` is not said.
#[derive(Clone, Debug)]
pub enum Output {
    /// Standard output.
    Stdout {
        /// How they are written.
        format: Option<LineFormat>,
    },
    /// A file.
    File {
        /// Where it is.
        path: String,
        /// How many bytes it may have before it is rotated.
        max_size: Option<u64>,
        /// How many older files are kept.
        keep: Option<u32>,
        /// How they are written.
        format: Option<LineFormat>,
        /// Whether they are delivered only when the disk has them.
        sync: Option<bool>,
    },
    /// OTLP upstream.
    Otlp {
        /// Where that is.
        url: Option<Address>,
        /// A file for what it refuses for good.
        dead_letter: Option<String>,
        /// How long a request is tried of which it does not say what is wrong.
        give_up_after: Option<Duration>,
    },
}

impl Reader {
    pub(super) fn output(&mut self, node: &Node<'_>) -> Option<Output> {
        let entries = match text(node) {
            // `output: stdout` says as much as `output: {stdout: }`.
            Some("stdout") => return Some(Output::Stdout { format: None }),
            Some("otlp") => return Some(Output::Otlp { url: None, dead_letter: None, give_up_after: None }),
            _ if matches!(node.data, YamlData::Mapping(_)) => self.entries(node, "output"),
            _ => {
                self.fault(
                    node,
                    "output",
                    "is `stdout` or `otlp`, or one of `stdout`, `otlp` and `file` with its keys",
                );
                return None;
            }
        };
        let [(at, kind, value)] = entries[..] else {
            if !entries.is_empty() {
                self.fault(node, "output", "has more than one kind; there is one output");
            }
            return None;
        };
        match kind {
            "stdout" => {
                let mut format = None;
                for (_, value) in self.section(value, "output.stdout", &STDOUT_KEYS) {
                    format = self.line_format(value, "output.stdout.format");
                }
                Some(Output::Stdout { format })
            }
            "file" => self.file(value),
            "otlp" => {
                let (mut url, mut dead_letter, mut give_up_after) = (None, None, None);
                for (key, value) in self.section(value, "output.otlp", &OTLP_OUTPUT_KEYS) {
                    match key {
                        "url" => url = self.address(value, "output.otlp.url"),
                        "dead_letter" => dead_letter = self.path(value, "output.otlp.dead_letter"),
                        _ => give_up_after = self.duration(value, "output.otlp.give_up_after"),
                    }
                }
                Some(Output::Otlp { url, dead_letter, give_up_after })
            }
            _ => {
                self.fault(at, "output", unknown(kind, "output", &OUTPUT_KEYS));
                None
            }
        }
    }

    fn file(&mut self, node: &Node<'_>) -> Option<Output> {
        let (mut path, mut has_path) = (None, false);
        let (mut max_size, mut keep, mut format, mut sync) = (None, None, None, None);
        for (key, value) in self.section(node, "output.file", &FILE_KEYS) {
            match key {
                "path" => (path, has_path) = (self.path(value, "output.file.path"), true),
                "max_size" => max_size = self.size(value, "output.file.max_size"),
                "keep" => keep = self.count(value, "output.file.keep"),
                "format" => format = self.line_format(value, "output.file.format"),
                _ => sync = self.boolean(value, "output.file.sync"),
            }
        }
        if !has_path {
            self.fault(node, "output.file", "needs a path");
        }
        Some(Output::File { path: path?, max_size, keep, format, sync })
    }

    fn line_format(&mut self, node: &Node<'_>, item: &str) -> Option<LineFormat> {
        self.choice(node, item, &LineFormat::ALL, LineFormat::name)
    }

    /// Bytes: a number, or a number and `KiB`, `MiB` or `GiB`.
    fn size(&mut self, node: &Node<'_>, item: &str) -> Option<u64> {
        let size = match &node.data {
            YamlData::Value(Scalar::Integer(bytes)) => u64::try_from(*bytes).ok(),
            YamlData::Value(Scalar::String(text)) => {
                let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
                units.into_iter().find_map(|(unit, shift)| {
                    let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
                    number.checked_mul(1 << shift)
                })
            }
            _ => None,
        };
        let size = size.filter(|&bytes| bytes >= 1 << 10);
        if size.is_none() {
            self.fault(
                node,
                item,
                "is a number of bytes, or of KiB, MiB or GiB (as 100MiB), and at least 1KiB",
            );
        }
        size
    }

    /// A time: a number and `s`, `m` or `h`.
    fn duration(&mut self, node: &Node<'_>, item: &str) -> Option<Duration> {
        let units = [("s", 1), ("m", 60), ("h", 3600)];
        let seconds = text(node).and_then(|text| {
            units.into_iter().find_map(|(unit, seconds)| {
                let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
                number.checked_mul(seconds)
            })
        });
        if seconds.is_none() {
            self.fault(node, item, "is a time, as 30s, 5m or 1h");
        }
        seconds.map(Duration::from_secs)
    }

    fn count(&mut self, node: &Node<'_>, item: &str) -> Option<u32> {
        match node.data {
            YamlData::Value(Scalar::Integer(count @ 1..=1000)) => Some(count as u32),
            _ => {
                self.fault(node, item, "is a whole number from 1 to 1000");
                None
            }
        }
    }
}
