//! The command line: one file per subcommand. Everything that touches files, pipes and the terminal starts here.
//!
//! Exit codes: 0 done, 1 findings (where that was asked for) or failed rule examples, 2 could not do it. Messages name
//! the thing that is wrong and never hold a byte of what was scanned; that goes for panics too.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "files, pipes and the terminal are dealt with here"
)]

mod audit;
mod auditing;
#[cfg(feature = "files")]
mod bundle_report;
mod completions;
mod ending;
mod explain;
#[cfg(feature = "files")]
mod files;
mod filter;
#[cfg(feature = "pod")]
mod inputs;
#[cfg(unix)]
mod install;
mod learn;
#[cfg(feature = "pod")]
mod logs;
#[cfg(feature = "pod")]
mod otel;
mod pipe;
#[cfg(feature = "otlp")]
mod probe;
mod rule_costs;
mod rules;
#[cfg(all(feature = "pod", target_os = "linux"))]
mod run;
mod setup;
#[cfg(feature = "pod")]
mod sidecar;
#[cfg(feature = "pod")]
mod source;

use std::borrow::Cow;
use std::io::Write;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::process::ExitCode;
use std::sync::{Arc, PoisonError, RwLock};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};

use crate::Sanitizer;
use crate::sanitize::Key;
use crate::scan::Work;

const ABOUT: &str = "Takes secrets and PII out of logs and traces before they are forwarded";
const EXAMPLES: &str = "\
Examples:
  app 2>&1 | kasm-scrub filter
  kasm-scrub run -- app --port 8080
  kasm-scrub sidecar --upstream http://otel-collector:4317
  kasm-scrub filter --profile strict --report counts.json < app.log > clean.log
  kasm-scrub files /var/log/kasm -o kasm-logs.tar.gz
  kasm-scrub explain < app.log
  kasm-scrub rules list --profile secrets

Exit codes: 0 done; 1 findings (with --fail-on-finding), failed examples or a
broken audit trail; 2 could not do it. Those of `run` are its program's.";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "kasm-scrub", version, about = ABOUT, after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Filter(filter::Args),
    #[cfg(all(feature = "pod", target_os = "linux"))]
    Run(run::Args),
    #[cfg(feature = "pod")]
    Sidecar(Box<sidecar::Args>),
    #[cfg(feature = "files")]
    Files(Box<files::Args>),
    #[cfg(feature = "otlp")]
    Probe(probe::Args),
    #[cfg(unix)]
    Install(install::Args),
    Explain(explain::Args),
    Rules(rules::Args),
    Audit(audit::Args),
    Completions(completions::Args),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// Done, and there is something that was asked to be told.
    Found,
    /// It could not be done; a message says why.
    Unable,
    /// What a program under our care has ended with.
    #[cfg(all(feature = "pod", target_os = "linux"))]
    Program(u8),
}

impl Exit {
    /// The exit code of the process.
    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Found => 1,
            Self::Unable => 2,
            #[cfg(all(feature = "pod", target_os = "linux"))]
            Self::Program(code) => code,
        }
    }
}

/// Why a command could not do its work: what to tell the user.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) String);

impl<E: std::error::Error> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Parses the process' arguments, runs the command, and says how it went.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| say_why_it_ends(&panic_text(panic.location()))));
    let run = || {
        let Cli { command } = Cli::try_parse().unwrap_or_else(|error| without_arguments(error).exit());
        match command {
            Command::Filter(args) => filter::run(args),
            #[cfg(all(feature = "pod", target_os = "linux"))]
            Command::Run(args) => run::run(args),
            #[cfg(feature = "pod")]
            Command::Sidecar(args) => sidecar::run(*args),
            #[cfg(feature = "files")]
            Command::Files(args) => files::run(*args),
            #[cfg(feature = "otlp")]
            Command::Probe(args) => probe::run(args),
            #[cfg(unix)]
            Command::Install(args) => install::run(args),
            Command::Explain(args) => explain::run(args),
            Command::Rules(args) => rules::run(args),
            Command::Audit(args) => audit::run(args),
            Command::Completions(args) => completions::run(args),
        }
    };
    let exit = match std::panic::catch_unwind(run) {
        Ok(Ok(exit)) => exit,
        Ok(Err(Refusal(message))) => {
            say_why_it_ends(&message);
            Exit::Unable
        }
        // The hook has said so.
        Err(_) => Exit::Unable,
    };
    ExitCode::from(exit.code())
}

/// What is wrong with arguments, without quoting them: a secret may have been written in a place that is not its own. Names
/// of options stay.
fn without_arguments(mut error: clap::Error) -> clap::Error {
    let is_option = |text: &str| {
        let name = text.trim_start_matches('-');
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
        text.len() - name.len() == 2 && name.len() <= 24 && name.bytes().all(is_name)
    };
    for kind in [ContextKind::InvalidArg, ContextKind::InvalidValue, ContextKind::InvalidSubcommand] {
        let quoted = match error.get(kind) {
            Some(ContextValue::String(text)) => text.clone(),
            _ => continue,
        };
        // What clap knows is written with what stands for its value.
        let is_known = match kind {
            ContextKind::InvalidArg if error.kind() != ErrorKind::UnknownArgument => true,
            ContextKind::InvalidArg => is_option(&quoted),
            _ => false,
        };
        if !is_known {
            error.insert(kind, ContextValue::String(HIDDEN.to_owned()));
            error.remove(ContextKind::Suggested);
        }
    }
    error
}

/// Stands for an argument that is not told.
const HIDDEN: &str = "…";

/// The rules that what we say is scrubbed by. Before there are any, nothing was learned that could be in it.
static SCRUBBED: RwLock<Option<Arc<Sanitizer>>> = RwLock::new(None);

/// What is said from now on is scrubbed by these rules.
pub(crate) fn say_scrubbed_by(sanitizer: Arc<Sanitizer>) {
    *SCRUBBED.write().unwrap_or_else(PoisonError::into_inner) = Some(sanitizer);
}

/// A message of ours as it may be seen.
pub(crate) fn scrubbed(message: &str) -> Cow<'_, str> {
    let sanitizer = SCRUBBED.read().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(sanitizer) = sanitizer else { return Cow::Borrowed(message) };
    let clean = || sanitizer.clean(Key::None, message.as_bytes(), &mut Work::default()).into_owned();
    match catch_unwind(AssertUnwindSafe(clean)) {
        Ok(clean) => Cow::Owned(String::from_utf8_lossy(&clean).into_owned()),
        Err(_) => Cow::Borrowed("a message could not be scrubbed and is left out"),
    }
}

/// A panic's message may quote what was scanned, so only its place is told.
fn panic_text(location: Option<&Location<'_>>) -> String {
    match location {
        Some(at) => format!("internal error at {}:{}; please report it", at.file(), at.line()),
        None => "internal error; please report it".to_owned(),
    }
}

/// Tells the user something, on stderr or in our log, if there is one.
pub(crate) fn say(message: &str) {
    #[cfg(feature = "pod")]
    if logs::is_started() {
        return tracing::warn!("{message}");
    }
    say_on_stderr(message);
}

/// The same of what ends the process, or would if nobody held it: it is said at every level of our log.
fn say_why_it_ends(message: &str) {
    #[cfg(feature = "pod")]
    if logs::is_started() {
        return tracing::error!("{message}");
    }
    say_on_stderr(message);
}

/// A closed stderr is no reason to stop.
fn say_on_stderr(message: &str) {
    let message = scrubbed(message);
    let style = anstyle::Style::new().bold();
    let mut stderr = anstream::stderr().lock();
    let _ = writeln!(stderr, "{style}kasm-scrub:{style:#} {message}");
}

/// Writes to stdout through `write`. A reader that has gone away is no error: it has seen what it wanted.
pub(crate) fn print(write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<(), Refusal> {
    let mut out = std::io::BufWriter::new(anstream::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            // What is still in the buffer has no reader either.
            let _ = out.into_parts();
            Ok(())
        }
        Err(error) => Err(Refusal(format!("cannot write to stdout: {error}"))),
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_panic_tells_its_place_only() {
        let text = panic_text(Some(Location::caller()));
        assert!(text.starts_with("internal error at src/cmd/mod.rs:"), "{text}");
    }
}
