//! `explain`: stdin → what would be redacted and why, and what nearly was; never the value itself.

use std::io::{self, BufRead, Read, Write};
use std::sync::Arc;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde::Serialize;

use super::setup::SanitizerOptions;
use super::{Exit, Refusal, print, say_scrubbed_by};
use crate::finding::{Finding, Left, Reason, Via};
use crate::scan::Work;
use crate::{Sanitizer, stream};

const EXAMPLES: &str = "\
Examples:
  kasm-scrub explain < app.log
  kasm-scrub explain --profile strict --format json < app.log | jq .rule
  echo 'password=hunter2' | kasm-scrub explain

Each line reads LINE:FIRST-LAST RULE …, with columns in bytes from 1. No value is shown.";

/// Say what would be redacted and why, and what nearly was
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    sanitizer: SanitizerOptions,
    /// How to say it: for people, or one JSON object per line
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    format: Shown,
}

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Shown {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Something to tell: where, which rule, and why.
#[derive(Debug, Serialize)]
struct Entry<'r> {
    kind: &'static str,
    line: u64,
    /// First and last byte, from 1.
    first: u64,
    last: u64,
    rule: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    carrier: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    description: &'r str,
    why: &'r str,
}

pub(super) fn run(args: Args) -> Result<Exit, Refusal> {
    let (sanitizer, _) = args.sanitizer.sanitizer(None)?;
    let sanitizer = Arc::new(sanitizer);
    say_scrubbed_by(sanitizer.clone());
    let mut failed = None;
    print(|out| {
        failed = explain(&sanitizer, io::stdin().lock(), args.format, out)?;
        Ok(())
    })?;
    match failed {
        Some(error) => Err(Refusal(format!("cannot read stdin: {error}; what came before was explained"))),
        None => Ok(Exit::Done),
    }
}

/// Explains line by line. The outer error is one of writing, the inner one of reading.
fn explain(
    sanitizer: &Sanitizer,
    mut input: impl BufRead,
    shown: Shown,
    out: &mut dyn Write,
) -> io::Result<Option<io::Error>> {
    let mut work = Work::explaining();
    let mut piece = Vec::new();
    let (mut line, mut column) = (1, 0);
    let (mut findings, mut near) = (0, 0);
    let failed = loop {
        piece.clear();
        // A longer line is explained in pieces.
        match input.by_ref().take(stream::MAX_HELD as u64).read_until(b'\n', &mut piece) {
            Ok(0) => break None,
            Ok(_) => {}
            Err(error) => break Some(error),
        }
        sanitizer.scan_block(&piece, &mut work);
        for entry in entries(sanitizer, &work, line, column) {
            if entry.kind == "finding" {
                findings += 1;
            } else {
                near += 1;
            }
            write_entry(&entry, shown, out)?;
        }
        if piece.ends_with(b"\n") {
            (line, column) = (line + 1, 0);
        } else {
            column += piece.len() as u64;
        }
    };
    if shown == Shown::Text {
        let lines = if column > 0 { line } else { line - 1 };
        let count = |n: u64, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
        let (findings, near) =
            (count(findings, "finding", "findings"), count(near, "near miss", "near misses"));
        writeln!(out, "{findings}, {near} in {}", count(lines, "line", "lines"))?;
    }
    Ok(failed)
}

/// Findings and near misses of a piece of a line, by place. What another rule found is no near miss.
fn entries<'s>(sanitizer: &'s Sanitizer, work: &Work, line: u64, column: u64) -> Vec<Entry<'s>> {
    let findings = work.findings();
    let is_found =
        |left: &Left| findings.iter().any(|f| f.start < left.end.max(left.start + 1) && left.start < f.end);
    let mut left: Vec<Left> = work.left().iter().filter(|left| !is_found(left)).copied().collect();
    left.sort_by_key(|left| (left.start, left.end, left.rule));
    left.dedup();
    let blank = |rule, start: usize, end: usize| {
        let rule = &sanitizer.rules()[rule];
        Entry {
            kind: "finding",
            line,
            first: column + start as u64 + 1,
            last: column + end.max(start + 1) as u64,
            rule: &rule.id,
            via: None,
            carrier: None,
            reason: None,
            description: &rule.description,
            why: &rule.why,
        }
    };
    let of_finding = |finding: &Finding| {
        let (via, carrier) = match finding.via {
            Via::Shape => ("shape", None),
            Via::Key(link) => ("key", Some(link.name())),
            Via::Pem => ("pem", None),
            Via::Rest => ("rest", None),
            Via::Learned(_) => ("learned", None),
        };
        Entry { via: Some(via), carrier, ..blank(finding.rule, finding.start, finding.end) }
    };
    let of_left =
        |l: &Left| Entry { kind: "left", reason: Some(in_words(l.reason)), ..blank(l.rule, l.start, l.end) };
    let mut entries: Vec<Entry<'s>> =
        findings.iter().map(of_finding).chain(left.iter().map(of_left)).collect();
    entries.sort_by_key(|entry| (entry.first, entry.last));
    entries
}

fn in_words(reason: Reason) -> String {
    match reason {
        Reason::Failed(check) => format!("the check {check} said no"),
        Reason::LowEntropy => "less random than the rule asks for".to_owned(),
        Reason::Allowed => "an allowlist covers it".to_owned(),
        Reason::Placeholder => "a placeholder, a marker or nothing at all".to_owned(),
        Reason::Unlikely => "too short, a small number or a plain word".to_owned(),
        Reason::Carrier => "tied to its key in a way that this rule does not take".to_owned(),
        Reason::Shape => "the value does not have the shape that the rule asks for".to_owned(),
        Reason::Identifier => "its key says that it is a trace, a span or a time".to_owned(),
        Reason::NoKeyword => "none of the rule's keywords is in the line".to_owned(),
    }
}

fn write_entry(entry: &Entry<'_>, shown: Shown, out: &mut dyn Write) -> io::Result<()> {
    if shown == Shown::Json {
        serde_json::to_writer(&mut *out, entry)?;
        return out.write_all(b"\n");
    }
    let place = format!("{}:{}-{}", entry.line, entry.first, entry.last);
    let (found, left) = (AnsiColor::Red.on_default().bold(), Style::new().dimmed());
    match &entry.reason {
        None => {
            let via = entry.via.unwrap_or_default();
            let carrier = entry.carrier.map(|carrier| format!(", {carrier}")).unwrap_or_default();
            write!(out, "{place} {found}{}{found:#} (via {via}{carrier}) {}", entry.rule, entry.description)?;
            if !entry.why.is_empty() {
                write!(out, " — {}", entry.why)?;
            }
            writeln!(out)
        }
        Some(reason) => writeln!(out, "{place} {left}{} left: {reason}{left:#}", entry.rule),
    }
}
