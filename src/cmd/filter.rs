//! `filter`: stdin → stdout, scrubbed.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::pipe::{self, Sink};
use super::setup::{SanitizerOptions, formats};
use super::{Exit, Refusal, say};
use crate::report::{Report, Tally};
use crate::scan::Format;
use crate::stream::Scrubber;

const EXAMPLES: &str = "\
Examples:
  app 2>&1 | kasm-scrub filter
  kasm-scrub filter --profile strict < app.log > clean.log
  kasm-scrub filter --rules gitleaks.toml --config scrub.yaml < app.log
  kasm-scrub filter --action hash --hash-key /run/secrets/key --hash-key-id 2026-01 < app.log
  kasm-scrub filter --fail-on-finding --report counts.json < app.log > /dev/null

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
    /// Write counts (no values) to this file as JSON when done
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Exit with 1 if there was a finding
    #[arg(long)]
    fail_on_finding: bool,
}

pub(super) fn run(args: Args) -> Result<Exit, Refusal> {
    let (sanitizer, profile) = args.sanitizer.sanitizer(args.format)?;
    // Before anything is read: a report that cannot be written is not found out about at the end.
    let report = args.report.as_deref().map(|path| open_report(path).map(|file| (path, file))).transpose()?;
    let mut input = pipe::duplicate(io::stdin()).map_err(|e| Refusal(format!("cannot read stdin: {e}")))?;
    let output =
        pipe::duplicate(io::stdout()).map_err(|e| Refusal(format!("cannot write to stdout: {e}")))?;
    let mut sink = Sink::new(output, sanitizer.rules().rules().len());
    let read = scrub(&mut input, Scrubber::new(&sanitizer), &mut sink);
    let mut exit = verdict(read, &sink, args.fail_on_finding);
    if let Some((path, file)) = report
        && let Err(error) = write_report(file, &sink.tally.report(profile, sanitizer.rules()))
    {
        say(&format!("cannot write the report {}: {error}", path.display()));
        exit = Exit::Unable;
    }
    Ok(exit)
}

/// Pushes all input through; what was read before an error is written all the same.
fn scrub(input: &mut File, mut scrubber: Scrubber<'_>, sink: &mut Sink) -> io::Result<()> {
    let mut buffer = vec![0; pipe::READ];
    let mut last = b'\n';
    let result = loop {
        let chunk = match pipe::read(input, &mut buffer) {
            Ok(0) => break Ok(()),
            Ok(len) => &buffer[..len],
            Err(error) => break Err(error),
        };
        let Tally { bytes_in, lines, .. } = &mut sink.tally;
        *bytes_in += chunk.len() as u64;
        *lines += memchr::memchr_iter(b'\n', chunk).count() as u64;
        last = chunk[chunk.len() - 1];
        scrubber.push(chunk, sink);
        sink.flush();
        if sink.error().is_some() {
            return Ok(());
        }
    };
    sink.tally.lines += u64::from(last != b'\n');
    scrubber.finish(sink);
    sink.flush();
    result
}

fn verdict(read: io::Result<()>, sink: &Sink, fail_on_finding: bool) -> Exit {
    if let Err(error) = read {
        say(&format!("cannot read stdin: {error}; what came before was scrubbed and written"));
        return Exit::Unable;
    }
    match sink.error() {
        // The reader has gone: as with any filter, there is nothing left to do.
        Some(error) if error.kind() == ErrorKind::BrokenPipe => Exit::Done,
        Some(error) => {
            say(&format!("cannot write to stdout: {error}; {} bytes were written", sink.tally.bytes_out));
            Exit::Unable
        }
        None if fail_on_finding && sink.tally.findings() > 0 => Exit::Found,
        None => Exit::Done,
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
