//! `filter`: stdin → stdout, scrubbed.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::auditing::AuditOptions;
use super::ending::Ending;
use super::pipe::{self, Input, Sink, Stop};
use super::setup::{SanitizerOptions, formats};
use super::{Exit, Refusal, say, say_scrubbed_by};
use crate::audit::{Stream, Told, Trail, WhenFull};
use crate::parallel;
use crate::report::Report;
use crate::scan::Format;

const EXAMPLES: &str = "\
Examples:
  app 2>&1 | kasm-scrub filter
  kasm-scrub filter --profile strict < app.log > clean.log
  kasm-scrub filter --rules gitleaks.toml --config scrub.yaml < app.log
  kasm-scrub filter --action hash --hash-key /run/secrets/key --hash-key-id 2026-01 < app.log
  kasm-scrub filter --fail-on-finding --report counts.json < app.log > /dev/null
  kasm-scrub filter --threads 4 < archive.log > clean.log
  kasm-scrub filter --audit audit.jsonl --audit-key /run/secrets/audit < app.log > clean.log

A line is written as soon as its newline is in. Bytes outside findings pass unchanged.";

/// Scrub stdin to stdout
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    sanitizer: SanitizerOptions,
    /// What records are taken to be [default: auto, or what --config says]
    #[arg(short, long, value_name = "FORMAT", value_parser = formats())]
    format: Option<Format>,
    /// Clean with so many threads, for big files: the same output in the same order; each takes 1 to 3 MiB more
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
    /// Write counts (no values) to this file as JSON when done
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Exit with 1 if there was a finding
    #[arg(long)]
    fail_on_finding: bool,
    #[command(flatten)]
    audit: AuditOptions,
}

pub(super) fn run(args: Args) -> Result<Exit, Refusal> {
    let (sanitizer, profile) = args.sanitizer.sanitizer(args.format)?;
    let sanitizer = Arc::new(sanitizer);
    say_scrubbed_by(sanitizer.clone());
    // Before anything is read: a report that cannot be written is not found out about at the end.
    let report = args.report.as_deref().map(|path| open_report(path).map(|file| (path, file))).transpose()?;
    let trail = args.audit.open(Box::new(tell))?;
    let cannot_read = |e: io::Error| Refusal(format!("cannot read stdin: {e}"));
    let input = pipe::duplicate(io::stdin()).map_err(cannot_read)?;
    let input = Input::new(input, report.is_some());
    let output =
        pipe::duplicate(io::stdout()).map_err(|e| Refusal(format!("cannot write to stdout: {e}")))?;
    let stream = trail.clone().map(|trail| Stream::new(trail, "stdin", sanitizer.clone()));
    let mut sink = Sink::new(output, sanitizer.rules().rules().len()).with_audit(stream);
    let (mut input, stop) = match args.threads {
        1 if trail.is_none() => (input, None),
        _ => input.stoppable().map(|(input, stop)| (input, Some(Arc::new(stop)))).map_err(cannot_read)?,
    };
    let ending = trail.clone().zip(stop.clone()).map(|(trail, stop)| end_by_signals(trail, stop));
    let ending = ending.transpose()?;
    // What was read before an error is written all the same.
    let stop = || stop.iter().for_each(|stop| stop.stop());
    parallel::scrub(&sanitizer, usize::from(args.threads), &mut input, &mut sink, &stop);
    (sink.tally.bytes_in, sink.tally.lines) = (input.bytes, input.lines());
    let mut exit = verdict(input.error, &sink, args.fail_on_finding);
    if let Some((path, file)) = report
        && let Err(error) = write_report(file, &sink.tally.report(profile, sanitizer.rules()))
    {
        say(&format!("cannot write the report {}: {error}", path.display()));
        exit = Exit::Unable;
    }
    if let Some(trail) = &trail
        && trail.close().is_err()
        && args.audit.when_full() == WhenFull::Stop
    {
        exit = Exit::Unable;
    }
    drop(sink);
    if let Some(ending) = ending {
        ending.end();
    }
    Ok(exit)
}

/// A trail must be closed, whatever ends the filter: otherwise it would look like one whose end was cut off.
fn end_by_signals(trail: Arc<Trail>, stop: Arc<Stop>) -> Result<Ending, Refusal> {
    let finish = move || {
        // What fails is said.
        let _ = trail.close();
    };
    Ending::catch(move || stop.stop(), finish)
        .map_err(|error| Refusal(format!("cannot catch signals: {error}")))
}

/// Says what becomes of the audit trail.
fn tell(told: Told<'_>) {
    say(&told.to_string());
}

fn verdict(read: Option<io::Error>, sink: &Sink, fail_on_finding: bool) -> Exit {
    if sink.is_held {
        say(&format!(
            "stopped: the audit trail cannot be written; {} bytes were written to stdout",
            sink.tally.bytes_out
        ));
        return Exit::Unable;
    }
    match (sink.error(), read) {
        // The reader has gone: as with any filter, there is nothing left to do.
        (Some(error), _) if error.kind() == ErrorKind::BrokenPipe => Exit::Done,
        (Some(error), _) => {
            say(&format!("cannot write to stdout: {error}; {} bytes were written", sink.tally.bytes_out));
            Exit::Unable
        }
        (None, Some(error)) => {
            say(&format!("cannot read stdin: {error}; what came before was scrubbed and written"));
            Exit::Unable
        }
        (None, None) if fail_on_finding && sink.tally.findings() > 0 => Exit::Found,
        (None, None) => Exit::Done,
    }
}

fn open_report(path: &Path) -> Result<File, Refusal> {
    File::create(path)
        .map_err(|error| Refusal(format!("cannot write the report {}: {error}", path.display())))
}

fn write_report(mut file: File, report: &Report<'_>) -> io::Result<()> {
    file.write_all(report.to_json().as_bytes())?;
    // A full disk may only show when the bytes are on their way; a pipe or device has no such step.
    if file.metadata()?.is_file() { file.sync_all() } else { Ok(()) }
}
