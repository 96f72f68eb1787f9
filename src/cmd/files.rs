//! `files`: files, folders and archives → a bundle, scrubbed.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};

use super::auditing::AuditOptions;
use super::bundle_report::BundleReport;
use super::setup::{SanitizerOptions, formats};
use super::{Exit, Refusal, print, say};
use crate::audit::{Told, Trail, WhenFull};
use crate::bundle::{self, Account, Options, Watch};
use crate::sanitize::Sanitizer;
use crate::scan::Format;

const EXAMPLES: &str = "\
Examples:
  kasm-scrub files /var/log/kasm -o kasm-logs.tar.gz
  kasm-scrub files support.zip -o support-clean.zip
  kasm-scrub files agent.log manager.log.gz -o clean/
  kasm-scrub files bundle.tar.zst -o clean.tar.zst --skip-bad --report report.json
  kasm-scrub files /var/log/kasm -o clean --dry-run
  kasm-scrub files support.zip -o clean.zip --audit audit.jsonl --audit-key /run/secrets/audit

OUT is a folder; one archive of all if its name ends in .tar, .tar.gz, .tgz, .tar.zst or .zip; or a
file if the one PATH is a file, compressed if its name ends in .gz or .zst. Archives (.gz, .zst, .tar,
.zip, one in the other) are told by their first bytes and stay what they are. Names are scrubbed, too.
What is no text is left out and told.

OUT is whole or not there: what cannot be scrubbed is told, nothing is written, and the exit code is
2. With --skip-bad the bundle is made without it.";

/// Scrub files, folders and archives to a bundle
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Files, folders and archives; links in folders are not followed
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Where the bundle goes; must not exist
    #[arg(short, long, value_name = "OUT")]
    out: PathBuf,
    #[command(flatten)]
    sanitizer: SanitizerOptions,
    #[command(flatten)]
    audit: AuditOptions,
    /// What records are taken to be [default: auto, or what --config says]
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    records: Option<Format>,
    /// Scrub with so many threads [default: one for each processor]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: Option<u16>,
    /// Copy what is no text as it is, NOT SCRUBBED, in place of leaving it out
    #[arg(long)]
    keep_binary: bool,
    /// Make the bundle without what could not be scrubbed (damaged, encrypted, unreadable, bombs, names that lead out)
    #[arg(long)]
    skip_bad: bool,
    /// Replace OUT if it is a file, and no input
    #[arg(long)]
    force: bool,
    /// Say what would be done and found; write nothing
    #[arg(long, conflicts_with = "audit")]
    dry_run: bool,
    /// The most that may come out of one input file, in bytes or with K, M, G or T
    #[arg(long, value_name = "SIZE", default_value = "16G", value_parser = size)]
    max_size: u64,
    /// The most that an archive's content may be, in times of its size; asked beyond 64 MiB
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    max_ratio: u64,
    /// How many archives may be in one another; a .tar.gz is one
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(0..=16))]
    max_depth: u32,
    /// How the summary is written
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json"], default_value = "text")]
    format: String,
    /// Write the summary (no values) to this file as JSON, too
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// No progress bar, on a terminal either
    #[arg(long)]
    no_progress: bool,
    /// Exit with 1 if there was a finding
    #[arg(long)]
    fail_on_finding: bool,
}

/// A size as it is written on the command line.
fn size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        Some(b'T' | b't') => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(1 << shift))
        .filter(|&size| size > 0)
        .ok_or_else(|| "write a number of bytes, or one with K, M, G or T: 16G".to_owned())
}

pub(super) fn run(args: Args) -> Result<Exit, Refusal> {
    let (sanitizer, _) = args.sanitizer.sanitizer(args.records)?;
    let threads = args.threads.map_or_else(|| available_parallelism().map_or(1, usize::from), usize::from);
    let options = Options {
        threads: threads.min(64),
        keep_binary: args.keep_binary,
        skip_bad: args.skip_bad,
        force: args.force,
        dry_run: args.dry_run,
        most_bytes: args.max_size,
        most_ratio: args.max_ratio,
        most_depth: args.max_depth,
    };
    let begin = |path: &PathBuf| BundleReport::begin(path, &args.paths, &args.out);
    let report = args.report.as_ref().map(begin).transpose()?;
    let tell = |told: Told<'_>| say(&told.to_string());
    let trail = args.audit.open(Box::new(tell))?;
    let progress = Progress::new(!args.no_progress, &sanitizer, trail.as_deref())?;
    let made = bundle::make(&sanitizer, &args.paths, &args.out, &options, &progress);
    progress.bar.finish_and_clear();
    let account = made?;
    let is_kept = trail.as_ref().is_none_or(|trail| trail.close().is_ok());
    let rules = sanitizer.rules();
    // The one is told whether or not the other could be.
    let reported = report.map_or(Ok(()), |report| report.finish(&account.to_json(rules)));
    let summary = if args.format == "json" { account.to_json(rules) } else { account.to_text(rules) };
    let printed = print(|out| out.write_all(summary.as_bytes()));
    let verdict = verdict(&account, &args);
    let verdict =
        if is_kept || args.audit.when_full() == WhenFull::Continue { verdict } else { Exit::Unable };
    reported.and(printed).map(|()| verdict).map_err(|Refusal(why)| {
        let there = if account.written { "is there" } else { "was not written" };
        Refusal(format!("{why}; {} {there}", args.out.display()))
    })
}

fn verdict(account: &Account, args: &Args) -> Exit {
    let bad = account.bad();
    if bad > 0 && !args.skip_bad {
        say(&format!(
            "{bad} of what was left out could not be scrubbed, so {} was not written; \
             look at the list, then leave them out with --skip-bad",
            args.out.display()
        ));
        Exit::Unable
    } else if args.fail_on_finding && account.has_findings() {
        Exit::Found
    } else {
        Exit::Done
    }
}

/// The bar on a terminal, the word to stop, and the audit trail.
struct Progress<'p> {
    bar: ProgressBar,
    stopped: Arc<AtomicBool>,
    sanitizer: &'p Sanitizer,
    trail: Option<&'p Trail>,
}

impl<'p> Progress<'p> {
    fn new(is_wanted: bool, sanitizer: &'p Sanitizer, trail: Option<&'p Trail>) -> Result<Self, Refusal> {
        let stopped = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // The second one does not wait.
            signal_hook::flag::register_conditional_default(signal, stopped.clone())?;
            signal_hook::flag::register(signal, stopped.clone())?;
        }
        // A file that may not grow further is an error to be told, not an end.
        signal_hook::flag::register(SIGXFSZ, Arc::default())?;
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if is_wanted && std::io::stderr().is_terminal() {
            let style = "{bar:30} {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left";
            bar.set_style(ProgressStyle::with_template(style)?);
            bar.set_draw_target(ProgressDrawTarget::stderr());
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Ok(Self { bar, stopped, sanitizer, trail })
    }
}

impl Watch for Progress<'_> {
    fn total(&self, bytes: u64) {
        self.bar.set_length(bytes);
    }

    fn read(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// What was found is in the trail before the bundle is there, or there is none.
    fn made(&self, account: &Account) -> Result<(), String> {
        let Some(trail) = self.trail else { return Ok(()) };
        let noted = account.note_in(trail, self.sanitizer);
        if noted.is_err() && trail.pass().is_err() {
            return Err(trail.fault().unwrap_or_else(|| "the audit trail cannot be written".to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        for (text, want) in
            [("1", Some(1)), ("16G", Some(16 << 30)), ("2k", Some(2048)), ("", None), ("0", None)]
        {
            assert_eq!(size(text).ok(), want, "{text}");
        }
        assert!(size("99999999999T").is_err() && size("-1").is_err() && size("ü").is_err());
    }
}
