//! The section `learn`: where exact values are read that are then found wherever they stand.

use std::time::Duration;

use saphyr::{Scalar, YamlData};

use super::reader::{Node, Reader, line};
use super::{Config, LEARN_KEYS};
use crate::learned::LEAST_LEAST;

/// Where values are learned from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Learn {
    /// Names of environment variables.
    pub env: Vec<String>,
    /// Paths of files, as written: relative to the configuration file. The last part may hold `*` and `?`.
    pub files: Vec<String>,
    /// The least bytes of a value.
    pub min_length: Option<usize>,
    /// How long a value is still found after another has taken its place.
    pub keep: Option<Duration>,
    /// Whether each value must be learned.
    pub required: Option<bool>,
}

/// Reads how long a replaced value is kept: `24h`, `30m`, `7d`; `0s` for not at all.
pub fn keep_time(text: &str) -> Option<Duration> {
    let at = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let time = number.parse::<u64>().ok()?.checked_mul(seconds).filter(|&time| time <= MOST_KEEP)?;
    Some(Duration::from_secs(time))
}

/// The longest that a replaced value is kept, in seconds: 30 days.
const MOST_KEEP: u64 = 30 * 86_400;
/// What such a time is, for who wrote another.
pub const KEEP_TIMES: &str = "a number and s, m, h or d, at most 30d: 24h";

impl Reader {
    pub(super) fn learn(&mut self, node: &Node<'_>, config: &mut Config) {
        for (key, value) in self.known_entries(node, "learn", &LEARN_KEYS) {
            match key {
                "env" => {
                    for named in self.names(value, "learn.env") {
                        if named.name.contains(['=', '\0']) {
                            let at = named.line as usize;
                            self.fault_at(at, "learn.env", "is a list of names of variables, not of values");
                        } else {
                            config.learn.env.push(named.name);
                        }
                    }
                }
                "files" => {
                    config.learn.files =
                        self.names(value, "learn.files").into_iter().map(|n| n.name).collect();
                }
                "keep" => {
                    let keep = self.string(value, "learn.keep");
                    config.learn.keep = keep.as_deref().and_then(keep_time);
                    if keep.is_some() && config.learn.keep.is_none() {
                        self.fault_at(line(value) as usize, "learn.keep", format!("is {KEEP_TIMES}"));
                    }
                }
                "required" => match value.data {
                    YamlData::Value(Scalar::Boolean(required)) => config.learn.required = Some(required),
                    _ => self.fault_at(line(value) as usize, "learn.required", "is true or false"),
                },
                _ => config.learn.min_length = self.least(value),
            }
        }
    }

    fn least(&mut self, node: &Node<'_>) -> Option<usize> {
        let least = match node.data {
            YamlData::Value(Scalar::Integer(least)) => usize::try_from(least).ok(),
            _ => None,
        };
        let least = least.filter(|&least| (LEAST_LEAST..=MOST_LEAST).contains(&least));
        if least.is_none() {
            let what = format!("is a whole number from {LEAST_LEAST} to {MOST_LEAST}");
            self.fault_at(line(node) as usize, "learn.min_length", what);
        }
        least
    }
}

/// The most that may be asked of a value.
const MOST_LEAST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_learned_is_named() {
        let text = "learn:\n  env: [KASM_DB_PASSWORD]\n  files: ['secrets/*', key]\n  min_length: 6\n  keep: 2h\n  \
                    required: true\n";
        let want = Learn {
            env: vec!["KASM_DB_PASSWORD".to_owned()],
            files: vec!["secrets/*".to_owned(), "key".to_owned()],
            min_length: Some(6),
            keep: Some(Duration::from_secs(7200)),
            required: Some(true),
        };
        assert_eq!(Config::read("c.yaml", text).expect("a configuration").learn, want);
    }

    #[test]
    fn mistakes_are_named_and_never_quoted() {
        let text =
            "learn:\n  env: ['X=DeadBeef1']\n  file: [x]\n  min_length: 5\n  keep: 31d\n  required: 1\n";
        let faults = Config::read("c.yaml", text).err().map(|faults| faults.to_string()).unwrap_or_default();
        for want in [
            "c.yaml:2: learn.env: is a list of names of variables, not of values",
            "c.yaml:3: learn: `file` is no key; did you mean `files`?",
            "c.yaml:4: learn.min_length: is a whole number from 6 to 1024",
            "c.yaml:5: learn.keep: is a number and s, m, h or d",
            "c.yaml:6: learn.required: is true or false",
        ] {
            assert!(faults.contains(want), "{faults}");
        }
        assert!(!faults.contains("DeadBeef"), "{faults}");
    }
}
