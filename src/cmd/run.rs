//! `run`: the parent of a program, whose stdout and stderr come out scrubbed.

use std::ffi::OsString;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit};

use super::auditing::AuditOptions;
use super::setup::{SanitizerOptions, duration, formats};
use super::source::{Loaded, Source};
use super::{Exit, Refusal, panic_text, say, say_scrubbed_by, scrubbed};
use crate::Sanitizer;
use crate::audit::{Found, Listener, Trail};
use crate::pod::run::{Ended, Failed, Name, Parent, Program, Pty, Rules, Signals, Voice, Watch};
use crate::relay::{Reloaded, watch_files};
use crate::rules::Ruleset;
use crate::scan::Format;
use crate::{Pseudonym, RuleIndex};

const EXAMPLES: &str = "\
Examples:
  kasm-scrub run -- /usr/bin/app --port 8080
  kasm-scrub run --profile strict --config /etc/scrub/scrub.yaml -- /docker-entrypoint.sh postgres
  kasm-scrub run --pty --linger 10s --summary -- python3 job.py

In a container: copy the program there in an init container (kasm-scrub install /opt/scrub) and put
\"/opt/scrub/kasm-scrub\", \"run\", \"--\" in front of the app's own command.

Stdout and stderr are scrubbed each by itself and in order; stdin, the environment and all other
descriptors are the program's as they were. Signals are forwarded, children reaped. It ends when
the program has and both streams are written, whatever signals come; only output that cannot be
written is given up after --drain. If kasm-scrub is killed, the program's next write fails; nothing
is written past it. Files that values are learned from are read again when they change.

Exit codes: the program's own; 128 and the number of the signal that ended it; 127 not found,
126 found but not started; 2 if kasm-scrub cannot start, and then neither does the program, or if
output was lost of a program that ended with 0.";

/// Run a program and scrub what it writes to stdout and stderr
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    sanitizer: SanitizerOptions,
    /// What records are taken to be [default: auto, or what --config says]
    #[arg(short, long, value_name = "FORMAT", value_parser = formats())]
    format: Option<Format>,
    /// How long processes that the program leaves behind may keep a stream open; then it is closed
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5s")]
    linger: Duration,
    /// How long output that cannot be written is tried again once the program has ended; then it is lost, and told. SIGTERM
    /// ends that at once
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "30s")]
    drain: Duration,
    /// Give the program a terminal as its stdout, or as both streams, if it holds back what it writes to pipes
    #[arg(long, value_name = "STREAMS", value_parser = ["stdout", "both"], num_args = 0..=1, require_equals = true,
        default_missing_value = "stdout")]
    pty: Option<String>,
    /// Start the program in a process group of its own, and signal all of that
    #[arg(short, long)]
    group: bool,
    /// When it has ended, say on stderr what was found, by rule (no values)
    #[arg(long)]
    summary: bool,
    #[command(flatten)]
    audit: AuditOptions,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

pub(super) fn run(args: Args) -> Result<Exit, Refusal> {
    // First of all: from here on no signal is lost.
    let signals = Signals::catch().map_err(|error| Refusal(format!("cannot catch signals: {error}")))?;
    // Before values are learned: this process has no core dumps then.
    let core = getrlimit(Resource::Core);
    let source = Arc::new(Source::new(args.sanitizer.clone(), args.format));
    // Before anything is read: what changes from now on is read again.
    let (changes, changed) = mpsc::channel();
    let Loaded { sanitizer, notes } = source.load()?;
    say_scrubbed_by(sanitizer.clone());
    let rules = Arc::new(Rules::new(sanitizer.clone()));
    let told: Arc<OnceLock<Voice>> = Arc::default();
    let trail = args.audit.open(listener(told.clone()))?;
    let counts = Arc::new(Counts::new(&sanitizer, trail.clone()));
    let watch: Arc<dyn Watch> = counts.clone();
    let program = program(&args, core)?;
    let parent = Parent::new(program, signals, &rules, &watch).map_err(|failed| refused(&args, &failed))?;
    let voice = parent.voice();
    follow(Relearn { source, rules, voice: voice.clone(), changes }, notes, changed)?;
    say_panics_by(voice.clone());
    // It is set once.
    let _ = told.set(voice.clone());
    let ended = parent.run();
    if let Some(trail) = trail {
        // What fails is said; the exit code is the program's.
        let _ = trail.close();
    }
    match ended {
        Ok(Ended { status, lost }) => {
            if args.summary {
                voice.say(&counts.summary(sanitizer.rules()));
            }
            if lost > 0 {
                voice.say(&format!("{lost} bytes of the program's output could not be written and are lost"));
            }
            voice.end();
            // Who sees that the program has done its work must see that what it said is not all there.
            Ok(Exit::Program(if lost > 0 && status == 0 { 2 } else { status }))
        }
        Err(failed) => {
            let Refusal(message) = refused(&args, &failed);
            say(&message);
            Ok(Exit::Program(failed.status()))
        }
    }
}

fn program(args: &Args, core: Rlimit) -> Result<Program, Refusal> {
    let (name, arguments) =
        args.command.split_first().ok_or_else(|| Refusal("no program is named; write -- CMD".to_owned()))?;
    Ok(Program {
        name: name.clone(),
        arguments: arguments.to_vec(),
        pty: match args.pty.as_deref() {
            None => Pty::None,
            Some("both") => Pty::Both,
            Some(_) => Pty::Stdout,
        },
        group: args.group,
        linger: args.linger,
        drain: args.drain,
        core,
    })
}

/// Why the program did not start. Its arguments are not told: they may be secrets.
fn refused(args: &Args, failed: &Failed) -> Refusal {
    let name = args.command.first().map(|name| name.to_string_lossy()).unwrap_or_default();
    Refusal(match failed {
        Failed::Unready(error) => {
            format!("cannot scrub what {name} would write, so it was not started: {error}")
        }
        // What the system says of it is no value of its name: `passwd: Permission denied`.
        Failed::Unstarted(error) => format!("cannot start {name} ({error})"),
    })
}

/// Changes come in bursts: a file is emptied, written, closed.
const BURST: Duration = Duration::from_millis(300);

/// Learns values again when their files change.
struct Relearn {
    source: Arc<Source>,
    rules: Arc<Rules>,
    voice: Voice,
    changes: Sender<()>,
}

/// Starts a thread for that, if values are learned from files. It ends with the process.
fn follow(relearn: Relearn, told: Vec<String>, changed: Receiver<()>) -> Result<(), Refusal> {
    if relearn.source.learned_files().is_empty() {
        return Ok(());
    }
    let thread = thread::Builder::new().name("learn".to_owned()).spawn(move || relearn.run(told, &changed));
    thread.map(drop).map_err(|error| Refusal(format!("cannot watch files to learn from: {error}")))
}

impl Relearn {
    /// Files and folders come and go: what is watched is looked up each time, before anything is read, so that no change
    /// falls between the two. So all is read once more at the start; what was told then is not told again.
    fn run(&self, mut told: Vec<String>, changed: &Receiver<()>) {
        loop {
            let changes = self.changes.clone();
            // Nobody may be left to be told.
            let watch = watch_files(self.source.learned_files(), move || {
                let _ = changes.send(());
            });
            if let Err(why) = &watch {
                self.voice.say(&scrubbed(&format!("files to learn from cannot be watched: {why}")));
            }
            let notes = self.read();
            let due = self.source.due().unwrap_or(Duration::from_secs(u64::from(u32::MAX)));
            // What is half written now is read again, and told then. There is always somebody who may send.
            let mut change = changed.recv_timeout(BURST).ok();
            if change.is_none() {
                notes
                    .iter()
                    .filter(|note| !told.contains(note))
                    .for_each(|note| self.voice.say(&scrubbed(note)));
                told = notes;
                change = changed.recv_timeout(due).ok();
            }
            if change.is_some() {
                // A program may write a new value at once.
                self.source.learn_more().into_iter().for_each(|sanitizer| self.go_by(sanitizer));
                thread::sleep(BURST);
            }
            changed.try_iter().for_each(drop);
        }
    }

    fn go_by(&self, sanitizer: Arc<Sanitizer>) {
        say_scrubbed_by(sanitizer.clone());
        self.rules.replace(sanitizer);
    }

    /// Reads the values; what is to be told of them.
    fn read(&self) -> Vec<String> {
        let Reloaded { sanitizer, wrong, notes, is_behind: _ } = self.source.relearn();
        sanitizer.into_iter().for_each(|sanitizer| self.go_by(sanitizer));
        let wrong = wrong
            .iter()
            .map(|why| format!("not all values can be learned again; those before are still found: {why}"));
        wrong.chain(notes).collect()
    }
}

/// What stdout and stderr are now is scrubbed by the very threads that may panic.
fn say_panics_by(voice: Voice) {
    std::panic::set_hook(Box::new(move |panic| voice.say(&panic_text(panic.location()))));
}

/// Says what becomes of the audit trail, never within a line of the program.
fn listener(voice: Arc<OnceLock<Voice>>) -> Listener {
    Box::new(move |told| {
        let message = told.to_string();
        match voice.get() {
            Some(voice) => voice.say(&scrubbed(&message)),
            None => say(&message),
        }
    })
}

/// Findings of both streams, by rule, and the trail that they are noted in.
#[derive(Debug)]
struct Counts {
    by_rule: Mutex<[Vec<u64>; 2]>,
    audit: Option<(Arc<Trail>, Arc<Sanitizer>)>,
}

impl Counts {
    fn new(sanitizer: &Arc<Sanitizer>, trail: Option<Arc<Trail>>) -> Self {
        let none = vec![0; sanitizer.rules().rules().len()];
        let audit = trail.map(|trail| (trail, sanitizer.clone()));
        Self { by_rule: Mutex::new([none.clone(), none]), audit }
    }

    /// One line: `found 3: password 2, email 1`.
    fn summary(&self, rules: &Ruleset) -> String {
        let [out, err] = &*self.by_rule.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = out.iter().zip(err).map(|(out, err)| out + err);
        let mut by_rule: Vec<(u64, &str)> =
            counts.zip(rules.rules()).map(|(count, rule)| (count, &*rule.id)).filter(|by| by.0 > 0).collect();
        by_rule.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(other.1)));
        let all: u64 = by_rule.iter().map(|by| by.0).sum();
        let by_rule: Vec<String> = by_rule.iter().map(|(count, rule)| format!("{rule} {count}")).collect();
        match all {
            0 => "found nothing".to_owned(),
            _ => format!("found {all}: {}", by_rule.join(", ")),
        }
    }
}

impl Watch for Counts {
    fn may_pass(&self) -> bool {
        self.audit.as_ref().is_none_or(|(trail, _)| trail.pass().is_ok())
    }

    fn found(&self, stream: Name, rules: &[RuleIndex], named: &[(RuleIndex, Pseudonym)]) {
        if let Some((trail, sanitizer)) = &self.audit {
            trail.take(&format!("run:{}", stream.as_str()), sanitizer, &mut Found::of(rules, named));
        }
        let mut counts = self.by_rule.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = &mut counts[usize::from(stream == Name::Stderr)];
        for rule in rules {
            if let Some(count) = counts.get_mut(rule.0 as usize) {
                *count += 1;
            }
        }
    }
}
