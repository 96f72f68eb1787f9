//! All inputs of this process and their output, beside the relay: opened, each run in a thread of its own, told to end, and
//! waited for.
//!
//! An input that fails, or panics, ends the process: the others drain, and whoever started it starts it anew. It never goes on
//! without one.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::fifo::{Fifo, FifoSettings};
use super::house::{House, Stopped};
use super::metrics::Metrics;
use super::output;
use super::syslog::{Syslog, SyslogSettings};
use super::tail::{self, Tail, TailSettings};
use crate::audit::Trail;
use crate::relay::{Companion, Ended, Ending, Host};
use crate::sanitize::Sanitizer;

/// An input, as it is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// Files that grow.
    Tail(TailSettings),
    /// A FIFO.
    Fifo(FifoSettings),
    /// A socket for syslog.
    Syslog(SyslogSettings),
}

/// What inputs and their output are told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The inputs, at least one.
    pub inputs: Vec<Input>,
    /// Where their records go.
    pub output: output::Settings,
    /// How long draining may take once an input has failed.
    pub drain: Duration,
    /// Where what was found is noted; none: nowhere.
    pub audit: Option<Arc<Trail>>,
}

/// Why an input has ended before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// The time to drain was over.
    Stopped,
    /// It cannot go on. Holds nothing that was scanned.
    Failed(String),
}

impl From<Stopped> for Unfinished {
    fn from(_: Stopped) -> Self {
        Self::Stopped
    }
}

/// An input that is open: runs until it is told to end and everything is delivered.
type Work = Box<dyn FnOnce(&Arc<House>) -> Result<(), Unfinished> + Send>;

/// All inputs of a process.
pub struct Inputs {
    settings: Mutex<Option<Settings>>,
    metrics: Metrics,
    house: OnceLock<Arc<House>>,
    /// A file that may not become larger is an error of a write, not the end of the process.
    too_large: Mutex<Option<Signal>>,
}

impl fmt::Debug for Inputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inputs").finish_non_exhaustive()
    }
}

impl Inputs {
    /// To be given to the relay.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings: Mutex::new(Some(settings)),
            metrics: Metrics::default(),
            house: OnceLock::new(),
            too_large: Mutex::default(),
        }
    }
}

impl Companion for Inputs {
    fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }

    fn start(&self, host: Host) -> Result<(), String> {
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Settings { inputs, output, drain, audit } = settings.ok_or("the inputs were started before")?;
        let kind = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
        *self.too_large.lock().unwrap_or_else(PoisonError::into_inner) = signal(kind).ok();
        let ended = host.ended();
        let output = output.open(host.upstream, &self.metrics)?;
        let house = House::new(host.sanitizer, output, Box::new(self.metrics.clone())).with_audit(audit);
        let house = Arc::new(house);
        let house = self.house.get_or_init(|| house).clone();
        // All are open before one of them takes anything.
        let inputs: Vec<(&'static str, Work)> =
            inputs.into_iter().map(|input| open(input, &house)).collect::<Result<_, _>>()?;
        let (say, said) = channel();
        let count = inputs.len();
        for (name, work) in inputs {
            let (house, say) = (house.clone(), say.clone());
            let run = move || run(name, work, &house, drain, &say);
            thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|error| error.to_string())?;
        }
        let wait = move || wait(count, &said, &house, &ended);
        thread::Builder::new().name("inputs".to_owned()).spawn(wait).map_err(|error| error.to_string())?;
        Ok(())
    }

    fn replace(&self, sanitizer: Arc<Sanitizer>) {
        if let Some(house) = self.house.get() {
            house.replace(sanitizer);
        }
    }

    fn drain(&self, most: Duration) {
        if let Some(house) = self.house.get() {
            house.stopping.start(most);
        }
    }
}

fn open(input: Input, house: &Arc<House>) -> Result<(&'static str, Work), String> {
    Ok(match input {
        Input::Tail(settings) => {
            let name = if settings.format == tail::Format::Cri { "cri" } else { "tail" };
            let tail = Tail::open(settings, house.clone()).map_err(|error| error.to_string())?;
            let run = move |_: &Arc<House>| {
                tail.run();
                Ok(())
            };
            (name, Box::new(run))
        }
        Input::Fifo(settings) => {
            let fifo = Fifo::open(settings)?;
            ("fifo", Box::new(move |house: &Arc<House>| fifo.run(house)))
        }
        Input::Syslog(settings) => {
            let syslog = Syslog::open(settings)?;
            ("syslog", Box::new(move |house: &Arc<House>| syslog.run(house)))
        }
    })
}

/// Runs an input to its end, and says how that was.
fn run(name: &'static str, work: Work, house: &Arc<House>, drain: Duration, say: &Sender<Ending>) {
    let ending = match catch_unwind(AssertUnwindSafe(|| work(house))) {
        Ok(Ok(())) if house.has_left() => Ending::Undelivered,
        Ok(Ok(())) if house.stopping.is_draining() => Ending::Drained,
        Ok(Err(Unfinished::Stopped)) => Ending::Undelivered,
        Ok(Ok(())) => failed(name, "it has ended by itself", house, drain),
        Ok(Err(Unfinished::Failed(why))) => failed(name, &why, house, drain),
        Err(_) => failed(name, "internal error", house, drain),
    };
    // Nobody waits any more where the time is over.
    let _ = say.send(ending);
}

fn failed(input: &'static str, why: &str, house: &House, drain: Duration) -> Ending {
    house.event("input_failed");
    tracing::error!(input, why, "an input has failed; draining the others, and ending");
    house.stopping.start(drain);
    Ending::Failed
}

/// How often it is looked whether the time is over.
const LOOK: Duration = Duration::from_millis(100);
/// How many looks after that what is still going on is left alone: it may hang in the system.
const LOOKS_AFTER: u32 = 5;

/// Waits for all inputs, and says how they ended: the worst of it.
fn wait(count: usize, said: &Receiver<Ending>, house: &House, ended: &Ended) {
    let (mut left, mut looks) = (count, 0);
    let mut worst = Ending::Drained;
    while left > 0 {
        match said.recv_timeout(LOOK) {
            Ok(ending) => {
                left -= 1;
                worst = match (worst, ending) {
                    (Ending::Failed, _) | (_, Ending::Failed) => Ending::Failed,
                    (Ending::Undelivered, _) | (_, Ending::Undelivered) => Ending::Undelivered,
                    _ => Ending::Drained,
                };
            }
            Err(RecvTimeoutError::Timeout) if house.stopping.is_over() => {
                looks += 1;
                if looks == LOOKS_AFTER {
                    worst = if worst == Ending::Drained { Ending::Undelivered } else { worst };
                    break;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    ended.say(worst);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::batch::{Batch, Origin};
    use crate::pod::house::{Counts, Output, Stopping};

    /// Takes nothing, counts nothing.
    struct Nothing;

    impl Output for Nothing {
        fn deliver(&self, _: &Batch, _: &Stopping) -> Result<(), Stopped> {
            Err(Stopped)
        }
    }

    impl Counts for Nothing {
        fn delivered(&self, _: &Batch) {}
        fn event(&self, _: &'static str) {}
    }

    fn check(work: Work, is_told: bool, want: Ending) {
        let house =
            Arc::new(House::new(Arc::new(Sanitizer::builtin()), Box::new(Nothing), Box::new(Nothing)));
        if is_told {
            house.stopping.start(Duration::from_secs(60));
        }
        let (say, said) = channel();
        run("fifo", work, &house, Duration::from_secs(60), &say);
        assert_eq!(said.recv(), Ok(want));
        assert!(house.stopping.is_draining(), "one that ends ends all");
    }

    #[test]
    fn an_input_ends_well_or_ends_the_process() {
        check(Box::new(|_| Ok(())), true, Ending::Drained);
        check(Box::new(|_| Ok(())), false, Ending::Failed);
        check(Box::new(|_| Err(Unfinished::Stopped)), true, Ending::Undelivered);
        check(Box::new(|_| Err(Unfinished::Failed("as told".to_owned()))), true, Ending::Failed);
        check(Box::new(|_| panic!("as told")), false, Ending::Failed);
        // An input that says nothing of what it could not deliver.
        let work = |house: &Arc<House>| {
            let origin = Arc::new(Origin { input: "fifo", labels: Vec::new() });
            let mut batch = Batch::new(origin, house.sanitizer());
            batch.push_record(b"a record", &[], &[], Default::default());
            assert!(house.deliver(&mut batch).is_err());
            Ok(())
        };
        check(Box::new(work), true, Ending::Undelivered);
    }
}
