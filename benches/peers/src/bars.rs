//! What kasm-scrub is held to: each figure, its bar, and whether it is met.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::results::{Figure, Row};

/// One thing it is held to.
#[derive(Debug)]
pub struct Bar {
    pub what: String,
    pub unit: &'static str,
    /// What must be reached, or not be passed.
    pub bar: f64,
    pub at_least: bool,
    /// `None`: what it needs was not measured.
    pub figure: Option<Figure>,
    /// The same by processor time, which others on the machine disturb less. Where processes wait for one another, or
    /// time is not what it is about, there is none.
    pub by_cpu: Option<f64>,
}

impl Bar {
    /// Whether the best figure meets it.
    pub fn is_met(&self) -> Option<bool> {
        self.figure.map(|figure| match self.at_least {
            true => figure.best >= self.bar,
            false => figure.best <= self.bar,
        })
    }

    pub fn to_json(&self) -> Value {
        json!({
            "what": self.what,
            "unit": self.unit,
            "at_least": self.at_least,
            "bar": self.bar,
            "best": self.figure.map(|figure| figure.best),
            "median": self.figure.map(|figure| figure.median),
            "by_cpu": self.by_cpu,
            "met": self.is_met(),
        })
    }
}

/// All bars; `ours` and `cat` are what pacing said of them.
pub fn bars(rows: &[Row], ours: Option<&Value>, cat: Option<&Value>) -> Vec<Bar> {
    let row = |id: &str| rows.iter().find(|row| row.peer.id == id);
    let speed = |id: &str, text: &str| row(id)?.speed(text);
    let ratio = |id: &str, other: &str, text: &str| Some(speed(id, text)?.over(speed(other, text)?));
    // MB per second of processor time.
    let cpu_speed = |id: &str, text: &str| Some(1e3 / row(id)?.cpu(text)?.best);
    let cpu_ratio = |id: &str, other: &str, text: &str| Some(cpu_speed(id, text)? / cpu_speed(other, text)?);
    let slower = |ratio: f64| 100.0 * (1.0 - ratio);
    let bar =
        |what: String, unit, bar, at_least, figure, by_cpu| Bar { what, unit, bar, at_least, figure, by_cpu };
    let mut bars = Vec::new();
    for (text, name) in [("log", "clean text"), ("json", "clean JSON")] {
        bars.push(bar(
            format!("{name}: file to /dev/null"),
            "MB/s",
            2000.0,
            true,
            speed("kasm-scrub", text),
            cpu_speed("kasm-scrub", text),
        ));
        for (id, other, what, least) in [
            ("kasm-scrub", "vectorscan-lines", "times Vectorscan on our regexes, line by line", 5.0),
            ("kasm-scrub", "vectorscan-literals", "times Vectorscan on our literals", 1.0),
            ("kasm-scrub-gitleaks", "vectorscan-gitleaks", "gitleaks' rules, times Vectorscan on them", 3.0),
        ] {
            let (figure, by_cpu) = (ratio(id, other, text), cpu_ratio(id, other, text));
            bars.push(bar(format!("{name}: {what}"), "x", least, true, figure, by_cpu));
        }
        let piped = ratio("kasm-scrub-pipe", "cat-cat", text);
        bars.push(bar(format!("{name}: cat | kasm-scrub, times cat | cat"), "x", 0.8, true, piped, None));
        let with = ratio("kasm-scrub-1000", "kasm-scrub", text);
        let with = with.map(|with| Figure { best: slower(with.best), median: slower(with.median) });
        let by_cpu = cpu_ratio("kasm-scrub-1000", "kasm-scrub", text).map(slower);
        bars.push(bar(format!("{name}: slower with 1,000 user rules"), "%", 30.0, false, with, by_cpu));
    }
    let cpu_planted = cpu_speed("kasm-scrub", "hundredth").zip(cpu_speed("kasm-scrub", "log"));
    let planted = speed("kasm-scrub", "hundredth").zip(speed("kasm-scrub", "log"));
    bars.push(bar(
        "a secret in 1 of 100 lines, times clean text".to_owned(),
        "x",
        0.7,
        true,
        planted.map(|(planted, clean)| planted.over(clean)),
        cpu_planted.map(|(planted, clean)| planted / clean),
    ));
    bars.push(bar(
        "a secret in every line".to_owned(),
        "MB/s",
        300.0,
        true,
        speed("kasm-scrub", "every"),
        cpu_speed("kasm-scrub", "every"),
    ));
    let same = |value: f64| Figure { best: value, median: value };
    let rss = row("kasm-scrub").and_then(Row::rss_mib).map(same);
    bars.push(bar("peak RSS".to_owned(), "MiB", 20.0, false, rss, None));
    let told = |told: Option<&Value>, name: &str| told?.get(name)?.as_f64();
    let first = told(ours, "first_line_best_ms").zip(told(ours, "first_line_median_ms"));
    let first = first.map(|(best, median)| Figure { best, median });
    bars.push(bar("start to the first byte".to_owned(), "ms", 15.0, false, first, None));
    let through_cat = told(cat, "p999_us").map_or(String::new(), |us| format!(" (cat: {:.3})", us / 1e3));
    bars.push(bar(
        format!("p99.9 of a line's wait at 50,000 lines/s{through_cat}"),
        "ms",
        1.0,
        false,
        told(ours, "p999_us").map(|us| same(us / 1e3)),
        None,
    ));
    bars
}

/// The bars, for people.
pub fn shown(bars: &[Bar]) -> String {
    let width = bars.iter().map(|bar| bar.what.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    let _ = writeln!(out, "{:width$}  best (median)      by CPU        bar", "");
    for bar in bars {
        let Bar { what, unit, bar: limit, at_least, figure, by_cpu } = bar;
        let sign = if *at_least { "≥" } else { "≤" };
        let digits = if figure.is_some_and(|figure| figure.best.abs() >= 100.0) { 0 } else { 2 };
        let figures = figure
            .map_or("-".to_owned(), |Figure { best, median }| format!("{best:.digits$} ({median:.digits$})"));
        let by_cpu = by_cpu.map_or("-".to_owned(), |by_cpu| format!("{by_cpu:.digits$}"));
        let verdict = match bar.is_met() {
            Some(true) => "met",
            Some(false) => "NOT met",
            None => "not measured",
        };
        // Writing to a string does not fail.
        let _ =
            writeln!(out, "{what:width$}  {figures:<17} {by_cpu:>7} {unit:<4}  {sign} {limit:<5} {verdict}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::row;

    #[test]
    fn bars_are_met_or_not() {
        let rows = [
            row("kasm-scrub", 3000.0),
            row("vectorscan-lines", 500.0),
            row("vectorscan-literals", 4000.0),
            row("kasm-scrub-1000", 1000.0),
        ];
        let ours = json!({"first_line_best_ms": 7.0, "first_line_median_ms": 8.0, "p999_us": 1500.0});
        let bars = bars(&rows, Some(&ours), Some(&json!({"p999_us": 90.0})));
        let met = |start: &str| bars.iter().find(|bar| bar.what.starts_with(start)).expect("bar").is_met();
        assert_eq!(met("clean text: file"), Some(true));
        assert_eq!(met("clean JSON: times Vectorscan on our regexes"), Some(true));
        assert_eq!(met("clean JSON: times Vectorscan on our literals"), Some(false));
        assert_eq!(met("clean text: cat | kasm-scrub"), None);
        assert_eq!(met("clean text: slower"), Some(false));
        assert_eq!(met("a secret in 1 of"), Some(true));
        assert_eq!(met("peak RSS"), Some(true));
        assert_eq!(met("start to"), Some(true));
        assert_eq!(met("p99.9"), Some(false));
        let by_cpu = bars[1].by_cpu.expect("processor time");
        assert!((by_cpu - 6.0).abs() < 0.1, "{by_cpu}");
        let text = shown(&bars);
        assert_eq!(text.lines().count(), bars.len() + 1);
        assert!(text.contains("(cat: 0.090)") && text.contains("NOT met") && text.contains("not measured"));
    }
}
