//! Starts the program, forwards signals, reaps children, and waits for the end of both streams.

use std::io::{self, ErrorKind, PipeWriter};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, Resource, Signal, WaitOptions, WaitStatus, getpgrp, getpid, getrlimit, kill_process,
    kill_process_group, prlimit, set_child_subreaper, wait,
};
use rustix::termios::{isatty, tcgetpgrp, tcsetpgrp};

use super::patience::{Patience, Waiting};
use super::signals::{Caught, Signals};
use super::stdio::Stdio;
use super::stream::{Inlet, Stream};
use super::{Name, Program, Rules, Voice, Watch};

/// The stack of a stream's thread: as much as a program's first thread commonly has.
const STACK: usize = 8 << 20;

/// How the program ended: what its exit status was, 128 and the number of the signal if one ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// That status.
    pub status: u8,
    /// How many bytes that it had written could not be, and are lost.
    pub lost: u64,
}

/// Why there is no program.
#[derive(Debug)]
pub enum Failed {
    /// This process could not get ready.
    Unready(io::Error),
    /// The program could not be started.
    Unstarted(io::Error),
}

impl Failed {
    /// The exit status that says so, as shells have it.
    pub fn status(&self) -> u8 {
        match self {
            Self::Unready(_) => 2,
            Self::Unstarted(error) if error.kind() == ErrorKind::NotFound => 127,
            Self::Unstarted(_) => 126,
        }
    }
}

/// The parent of a program that has not started yet.
#[derive(Debug)]
pub struct Parent {
    program: Program,
    signals: Signals,
    stdio: Stdio,
    streams: Vec<JoinHandle<()>>,
    /// Ended when both streams have.
    done: OwnedFd,
    /// Ends the streams.
    stop: Option<PipeWriter>,
    patience: Arc<Patience>,
}

/// How often it is looked whether streams are held up, once the program has ended.
const LOOK: Duration = Duration::from_millis(200);

impl Parent {
    /// Puts our stdout and stderr behind pipes, and starts to scrub what comes out of these.
    /// # Errors
    /// There are not enough descriptors or threads; then all is as it was.
    pub fn new(
        program: Program,
        signals: Signals,
        rules: &Arc<Rules>,
        watch: &Arc<dyn Watch>,
    ) -> Result<Self, Failed> {
        let ready = || {
            let (stopped, stop) = io::pipe()?;
            let (done, doing) = io::pipe()?;
            let (stdio, inlets) = Stdio::redirect(program.pty, &Arc::new(OwnedFd::from(stopped)))?;
            Ok((stdio, inlets, stop, done, doing))
        };
        let (stdio, inlets, stop, done, doing) = ready().map_err(Failed::Unready)?;
        let mut parent = Self {
            program,
            signals,
            stdio,
            streams: Vec::new(),
            done: done.into(),
            stop: Some(stop),
            patience: Arc::default(),
        };
        match parent.scrub(inlets, &doing, rules, watch) {
            Ok(()) => Ok(parent),
            Err(error) => {
                drop(doing);
                parent.give_up();
                Err(Failed::Unready(error))
            }
        }
    }

    /// Where things are said from now on.
    pub fn voice(&self) -> Voice {
        Voice(self.stdio.outlets[1].clone())
    }

    /// Starts the program and waits until it and its streams have ended.
    /// # Errors
    /// It cannot be started; then all is as it was before.
    pub fn run(mut self) -> Result<Ended, Failed> {
        if getpid() != Pid::INIT {
            // Those that the program leaves behind are ours then. Old systems do not have it; they go to their init.
            let _ = set_child_subreaper(Some(getpid()));
        }
        let mut command = Command::new(&self.program.name);
        command.args(&self.program.arguments);
        if self.program.group {
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
        }
        let child = match command.spawn() {
            Ok(child) => Pid::from_child(&child),
            Err(error) => {
                self.give_up();
                return Err(Failed::Unstarted(error));
            }
        };
        if getrlimit(Resource::Core) != self.program.core {
            // It may have ended already.
            let _ = prlimit(Some(child), Resource::Core, self.program.core);
        }
        // What cannot be caught now stays ignored, as the program has it.
        let _ = self.signals.started();
        let target = Target { child, is_group: self.program.group };
        if self.program.group {
            target.take_terminal();
        }
        Ok(self.wait(target))
    }

    /// Starts the threads of the streams. Each has a copy of `doing` until it ends.
    fn scrub(
        &mut self,
        inlets: [Inlet; 2],
        doing: &PipeWriter,
        rules: &Arc<Rules>,
        watch: &Arc<dyn Watch>,
    ) -> io::Result<()> {
        for ((name, inlet), outlet) in
            [Name::Stdout, Name::Stderr].into_iter().zip(inlets).zip(&self.stdio.outlets)
        {
            let doing = doing.try_clone()?;
            let stream = Stream {
                name,
                inlet,
                outlet: outlet.clone(),
                voice: self.stdio.outlets[1].clone(),
                rules: rules.clone(),
                watch: watch.clone(),
                patience: self.patience.clone(),
            };
            let thread = thread::Builder::new().name(name.as_str().to_owned()).stack_size(STACK);
            self.streams.push(thread.spawn(move || {
                let _doing = doing;
                stream.run();
            })?);
        }
        Ok(())
    }

    /// Ends the streams of a program that has not started, and takes stdout and stderr back.
    fn give_up(&mut self) {
        self.stdio.release();
        self.stop = None;
        self.streams.drain(..).for_each(|stream| drop(stream.join()));
        self.stdio.restore();
    }

    /// Waits for the program, then for its streams; all the while signals are forwarded and children reaped.
    fn wait(&mut self, target: Target) -> Ended {
        let mut ended = None;
        let mut deadline = None;
        let mut is_done = false;
        let mut waiting = Waiting::new(self.program.drain);
        loop {
            if ended.is_none() {
                ended = reap(target.child);
                if ended.is_some() {
                    self.stdio.release();
                    deadline = Some(Instant::now() + self.program.linger);
                }
            } else {
                reap(target.child);
            }
            if let Some(status) = ended
                && (is_done || waiting.is_over(&self.patience))
            {
                return Ended { status, lost: self.patience.lost() };
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                (self.stop, deadline) = (None, None);
            }
            // How a stream is held up nobody tells.
            let look = ended.map(|_| Instant::now() + LOOK);
            is_done |= self.wait_once(deadline.into_iter().chain(look).min(), is_done);
            for caught in self.signals.take() {
                if ended.is_some() && caught.signal == Signal::TERM {
                    waiting.give_up(&self.patience);
                }
                let to = if ended.is_none() || target.is_group { Some(target) } else { None };
                self.stdio.forward(caught, to);
            }
        }
    }

    /// Waits for a signal or the end of the streams; whether that has come.
    fn wait_once(&self, deadline: Option<Instant>, is_done: bool) -> bool {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let signals = self.signals.as_fd();
        let mut ends = [PollFd::new(&signals, PollFlags::IN), PollFd::new(&self.done, PollFlags::IN)];
        // What has ended would be ready for ever.
        let count = if is_done { 1 } else { 2 };
        poll(&mut ends[..count], left.as_ref()).is_ok() && !ends[1].revents().is_empty()
    }
}

/// Whom signals are for.
#[derive(Clone, Copy, Debug)]
struct Target {
    child: Pid,
    is_group: bool,
}

impl Target {
    /// Sends a signal. Who has gone meanwhile needs none.
    fn send(self, signal: Signal) {
        let _ = match self.is_group {
            true => kill_process_group(self.child, signal),
            false => kill_process(self.child, signal),
        };
    }

    /// Makes the program's group the one that has the terminal, if ours has it. It may have been stopped for having read
    /// before that.
    fn take_terminal(self) {
        let stdin = io::stdin();
        if isatty(&stdin)
            && tcgetpgrp(&stdin).is_ok_and(|group| group == getpgrp())
            && tcsetpgrp(&stdin, self.child).is_ok()
        {
            self.send(Signal::CONT);
        }
    }
}

impl Stdio {
    /// Does with a signal what is to be done with it.
    fn forward(&self, caught: Caught, target: Option<Target>) {
        let Caught { signal, is_by_kernel } = caught;
        if signal == Signal::WINCH {
            self.resize();
        }
        // A terminal tells all of its group, the program as well, unless it has a group or a terminal of its own.
        let is_told = is_by_kernel && !target.is_some_and(|target| target.is_group);
        match signal {
            Signal::CHILD | Signal::XCPU | Signal::XFSZ => {}
            // We touched a terminal that is not ours now.
            Signal::TTIN | Signal::TTOU if is_by_kernel => stop(),
            Signal::INT | Signal::QUIT | Signal::TSTP if is_told => {}
            Signal::WINCH if is_told && !self.has_terminal() => {}
            _ => {
                let Some(target) = target else { return };
                if signal == Signal::CONT && target.is_group {
                    target.take_terminal();
                }
                target.send(signal);
            }
        }
    }
}

/// Takes all children that have ended; how the program did, if it is among them. When a terminal has stopped it, we stop as
/// well: whoever started us waits for that.
fn reap(child: Pid) -> Option<u8> {
    let mut ended = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
        if pid != child {
            continue;
        }
        let stopped = status.stopping_signal().and_then(Signal::from_named_raw);
        match stopped {
            Some(Signal::TSTP | Signal::TTIN | Signal::TTOU) => stop(),
            _ => ended = ended.or_else(|| how(status)),
        }
    }
    ended
}

fn how(status: WaitStatus) -> Option<u8> {
    let code = status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal))?;
    Some(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Stops this process until it is told to go on. The first process of a container cannot be stopped.
fn stop() {
    let _ = kill_process(getpid(), Signal::STOP);
}
