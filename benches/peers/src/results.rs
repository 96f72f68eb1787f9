//! What was measured, by row and text, and the figures made of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::measure::Sample;
use crate::peers::{How, Peer};

/// All that is known of one row.
#[derive(Debug)]
pub struct Row {
    pub peer: Peer,
    /// Why it was not measured.
    pub missing: Option<String>,
    /// Runs on one line.
    pub starts: Vec<Sample>,
    /// Runs on each text, and how long the text is.
    pub texts: BTreeMap<&'static str, (u64, Vec<Sample>)>,
    /// What it left of planted secrets and of the corpus.
    pub left: Option<(Value, Value)>,
}

/// The best and the middle of several runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    pub best: f64,
    pub median: f64,
}

impl Figure {
    /// Of values of which the highest is best.
    pub fn highest(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        Some(Self { best: *values.last()?, median: values[values.len() / 2] })
    }

    /// Of values of which the lowest is best.
    pub fn lowest(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        Some(Self { best: *values.first()?, median: values[values.len() / 2] })
    }

    /// How many times `other` this is.
    pub fn over(self, other: Self) -> Self {
        Self { best: self.best / other.best, median: self.median / other.median }
    }

    fn to_json(self) -> Value {
        json!({"best": self.best, "median": self.median})
    }
}

impl Row {
    pub fn new(peer: Peer, missing: Option<String>) -> Self {
        Self { peer, missing, starts: Vec::new(), texts: BTreeMap::new(), left: None }
    }

    /// From the start of the process to its end, on one line; in milliseconds.
    pub fn start_ms(&self) -> Option<Figure> {
        Figure::lowest(self.starts.iter().map(|run| run.wall.as_secs_f64() * 1e3).collect())
    }

    /// MB per second: of a library, of the time it looked at the text; of a program, of the time beyond its best start.
    pub fn speed(&self, text: &str) -> Option<Figure> {
        let (bytes, runs) = self.texts.get(text)?;
        let start = self.start_ms()?.best / 1e3;
        let seconds = |run: &Sample| match self.peer.how {
            How::Worker(_) => worker(run, "seconds"),
            _ => beyond(run.wall, start),
        };
        Figure::highest(
            runs.iter().map(|run| Some(*bytes as f64 / 1e6 / seconds(run)?)).collect::<Option<_>>()?,
        )
    }

    /// Seconds of processor time per GB, beyond what starting takes.
    pub fn cpu(&self, text: &str) -> Option<Figure> {
        let (bytes, runs) = self.texts.get(text)?;
        let start = Figure::lowest(self.starts.iter().map(|run| run.cpu.as_secs_f64()).collect())?.best;
        let per_gb = |run: &Sample| Some(beyond(run.cpu, start)? / (*bytes as f64 / 1e9));
        Figure::lowest(runs.iter().map(per_gb).collect::<Option<_>>()?)
    }

    /// The most memory of any run, in MiB.
    pub fn rss_mib(&self) -> Option<f64> {
        let runs = self.starts.iter().chain(self.texts.values().flat_map(|(_, runs)| runs));
        runs.map(|run| run.rss_kib).max().map(|kib| kib as f64 / 1024.0)
    }

    /// How many patterns a library was given.
    fn patterns(&self) -> Option<f64> {
        worker(self.starts.first()?, "patterns")
    }

    /// What was found in a text by a library; what it counts as one is its own affair.
    fn matches(&self, text: &str) -> Option<f64> {
        worker(self.texts.get(text)?.1.first()?, "matches")
    }

    pub fn to_json(&self) -> Value {
        let figure = |figure: Option<Figure>| figure.map(Figure::to_json);
        let texts: serde_json::Map<String, Value> = self
            .texts
            .iter()
            .map(|(&name, (bytes, runs))| {
                let all: Vec<f64> = runs.iter().map(|run| run.wall.as_secs_f64()).collect();
                let text = json!({
                    "bytes": bytes,
                    "mb_per_s": figure(self.speed(name)),
                    "cpu_s_per_gb": figure(self.cpu(name)),
                    "wall_s": all,
                    "matches": self.matches(name),
                });
                (name.to_owned(), text)
            })
            .collect();
        json!({
            "id": self.peer.id,
            "what": self.peer.what,
            "rewrites": self.peer.rewrites,
            "missing": self.missing,
            "patterns": self.patterns(),
            "start_ms": figure(self.start_ms()),
            "peak_rss_mib": self.rss_mib(),
            "planted": self.left.as_ref().map(|(planted, _)| planted),
            "corpus": self.left.as_ref().map(|(_, corpus)| corpus),
            "texts": texts,
        })
    }
}

/// A number that a worker has printed.
fn worker(run: &Sample, name: &str) -> Option<f64> {
    serde_json::from_slice::<Value>(&run.kept).ok()?.get(name)?.as_f64()
}

/// A time without what starting takes. `None`: it is so short that the start decides it.
fn beyond(time: Duration, start: f64) -> Option<f64> {
    let beyond = time.as_secs_f64() - start;
    (beyond > start / 4.0).then_some(beyond)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn sample(wall: f64, kept: &str) -> Sample {
        let cpu = Duration::from_secs_f64(wall / 2.0);
        Sample { wall: Duration::from_secs_f64(wall), cpu, rss_kib: 2048, kept: kept.into() }
    }

    /// A program that takes 10 ms to start and reads `mb_per_s` after that.
    pub fn row(id: &str, mb_per_s: f64) -> Row {
        let mut row = Row::new(Peer::by_id(id).expect("row"), None);
        row.starts = vec![sample(0.01, ""), sample(0.01, ""), sample(0.02, "")];
        for text in ["log", "json", "hundredth", "every"] {
            let bytes = 100_000_000;
            let run = |wall: f64| match row.peer.how {
                How::Worker(_) => sample(wall, &format!("{{\"seconds\":{}}}", wall - 0.01)),
                _ => sample(wall, ""),
            };
            let wall = 100.0 / mb_per_s + 0.01;
            row.texts.insert(text, (bytes, vec![run(wall), run(2.0 * wall), run(2.0 * wall)]));
        }
        row
    }

    #[test]
    fn starting_is_taken_off() {
        for id in ["kasm-scrub", "vectorscan-lines"] {
            let speed = row(id, 1000.0).speed("log").expect("speed");
            assert!((speed.best - 1000.0).abs() < 1.0, "{id}: {speed:?}");
            assert!(speed.median < 500.0, "{id}: {speed:?}");
        }
        let cpu = row("kasm-scrub", 1000.0).cpu("log").expect("cpu");
        assert!((cpu.best - 0.5).abs() < 0.01, "{cpu:?}");
    }

    #[test]
    fn a_run_that_is_all_start_has_no_speed() {
        let row = row("kasm-scrub", 100_000.0);
        assert!(row.speed("log").is_none() && row.cpu("log").is_none());
    }

    #[test]
    fn figures_know_what_is_best() {
        let values = vec![3.0, 1.0, 2.0];
        assert_eq!(Figure::highest(values.clone()), Some(Figure { best: 3.0, median: 2.0 }));
        assert_eq!(Figure::lowest(values), Some(Figure { best: 1.0, median: 2.0 }));
        assert_eq!(Figure::lowest(Vec::new()), None);
    }
}
