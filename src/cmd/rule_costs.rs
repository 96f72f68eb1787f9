//! `rules list --cost`: what each rule costs on a log of the user's.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anstyle::Style;
use serde::Serialize;

use super::explain::Shown;
use super::setup::RuleOptions;
use super::{Exit, Refusal, print};
use crate::scan::{Cost, Format, Scanner, Work};
use crate::stream::MAX_HELD;

/// How much is scanned at once, about: as `filter` does.
const BLOCK: u64 = 256 << 10;

/// What a rule cost.
#[derive(Debug, Serialize)]
struct Entry<'r> {
    id: &'r str,
    /// Anchors of its own, or keys of its names, that stand in the log.
    hits: u64,
    /// Tries at those places.
    confirms: u64,
    findings: u64,
    /// What the tries took.
    seconds: f64,
}

/// What the whole log cost.
#[derive(Debug, Default, Serialize)]
struct Total {
    bytes: u64,
    lines: u64,
    /// Lines that did not leave after the prefilter.
    lines_looked_at: u64,
    seconds: f64,
    /// Of these, what the first pass took, for all rules together.
    prefilter_seconds: f64,
}

#[derive(Debug, Serialize)]
struct Costs<'r> {
    total: Total,
    rules: Vec<Entry<'r>>,
}

pub(super) fn list(options: &RuleOptions, log: &Path, shown: Shown) -> Result<Exit, Refusal> {
    let rules = options.load()?.into_profile(options.profile.unwrap_or_default(), |_| true);
    let scanner = Scanner::new(rules, Vec::new(), Format::Auto);
    let cannot_read = |error: io::Error| Refusal(format!("cannot read {}: {error}", log.display()));
    let costs = if log == Path::new("-") {
        costs(&scanner, io::stdin().lock())
    } else {
        costs(&scanner, BufReader::new(File::open(log).map_err(cannot_read)?))
    };
    let costs = costs.map_err(cannot_read)?;
    print(|out| match shown {
        Shown::Text => write_table(&costs, out),
        Shown::Json => {
            serde_json::to_writer_pretty(&mut *out, &costs)?;
            writeln!(out)
        }
    })?;
    Ok(Exit::Done)
}

/// The time since the first time it was asked.
fn clock() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

fn costs(scanner: &Scanner, mut log: impl BufRead) -> io::Result<Costs<'_>> {
    let rules = scanner.rules().rules();
    let mut findings = vec![0; rules.len()];
    let mut work = Work::counting(rules.len(), clock);
    let mut total = Total::default();
    let mut block = Vec::new();
    // Once by the way, so that no rule is charged for being compiled.
    let mut warm = Work::default();
    let mut took = Duration::ZERO;
    loop {
        block.clear();
        log.by_ref().take(BLOCK).read_to_end(&mut block)?;
        if !block.ends_with(b"\n") {
            // The rest of the line; what is longer is scanned in pieces.
            log.by_ref().take(MAX_HELD as u64).read_until(b'\n', &mut block)?;
        }
        if block.is_empty() {
            break;
        }
        scanner.scan_block(&block, &mut warm);
        let start = clock();
        for finding in scanner.scan_block(&block, &mut work) {
            findings[finding.rule.0 as usize] += 1;
        }
        took += clock() - start;
        total.bytes += block.len() as u64;
        total.lines += memchr::memchr_iter(b'\n', &block).count() as u64 + u64::from(!block.ends_with(b"\n"));
    }
    total.seconds = took.as_secs_f64();
    let counted = work.costs();
    total.lines_looked_at = counted.map_or(0, |costs| costs.lines());
    total.prefilter_seconds = counted.map_or(0.0, |costs| costs.prefilter().as_secs_f64());
    let by_rule = counted.map_or(&[][..], |costs| costs.rules());
    let mut entries: Vec<Entry<'_>> = rules
        .iter()
        .zip(by_rule)
        .zip(findings)
        .map(|((rule, &Cost { hits, confirms, time }), findings)| Entry {
            id: &rule.id,
            hits,
            confirms,
            findings,
            seconds: time.as_secs_f64(),
        })
        .filter(|entry| entry.hits + entry.confirms + entry.findings > 0)
        .collect();
    entries.sort_by(|a, b| b.seconds.total_cmp(&a.seconds).then_with(|| a.id.cmp(b.id)));
    Ok(Costs { total, rules: entries })
}

fn write_table(costs: &Costs<'_>, out: &mut dyn Write) -> io::Result<()> {
    let Costs { total, rules } = costs;
    let bold = Style::new().bold();
    let width =
        rules.iter().map(|entry| entry.id.len()).max().unwrap_or(0).max("(keys, escapes, structure)".len());
    let share = |seconds: f64| if total.seconds > 0.0 { 100.0 * seconds / total.seconds } else { 0.0 };
    writeln!(
        out,
        "{bold}{:width$}  {:>9}  {:>9}  {:>9}  {:>9}  {:>6}{bold:#}",
        "rule", "hits", "confirms", "findings", "ms", "share"
    )?;
    for Entry { id, hits, confirms, findings, seconds } in rules {
        let (ms, share) = (seconds * 1e3, share(*seconds));
        writeln!(out, "{id:width$}  {hits:9}  {confirms:9}  {findings:9}  {ms:9.3}  {share:5.1}%")?;
    }
    let Total { bytes, lines, lines_looked_at, seconds, prefilter_seconds } = total;
    let rest = seconds - prefilter_seconds - rules.iter().map(|entry| entry.seconds).sum::<f64>();
    for (what, seconds) in [("(prefilter)", *prefilter_seconds), ("(keys, escapes, structure)", rest)] {
        let (ms, share) = (seconds * 1e3, share(seconds));
        writeln!(out, "{what:width$}  {:9}  {:9}  {:9}  {ms:9.3}  {share:5.1}%", "", "", "")?;
    }
    let looked_at = if *lines > 0 { 100.0 * *lines_looked_at as f64 / *lines as f64 } else { 0.0 };
    writeln!(
        out,
        "{bytes} bytes in {:.1} ms; {lines_looked_at} of {lines} lines ({looked_at:.1}%) were looked at after the prefilter",
        seconds * 1e3
    )
}
