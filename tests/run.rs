//! `run`, `install` and `probe` as a user meets them: the real binary, with small scripts as its programs.

#[path = "run/ends.rs"]
mod ends;
#[path = "run/faults.rs"]
mod faults;
#[path = "run/install.rs"]
mod install;
#[path = "run/probe.rs"]
mod probe;
#[path = "run/signals.rs"]
mod signals;
#[path = "run/streams.rs"]
mod streams;
#[path = "run/terminal.rs"]
mod terminal;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Stands where a secret would; must never be seen in any output.
const CANARY: &str = "DeadCanary7Xq9ZBeef42";

/// The rules of one team's file: quickly loaded, and next to nothing is found.
const ONE_RULE: &[&str] = &["--no-builtin", "--rules", "tests/data/team.toml"];

/// What a run gave.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// `run` with these options and this program.
fn command(options: &[&str], program: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kasm-scrub"));
    command.arg("run").args(options).arg("--").args(program).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a script to its end.
fn sh(options: &[&str], script: &str) -> Ran {
    command(options, &["sh", "-c", script]).output().expect("start").into()
}

/// A script under `run`, while it goes on. Both are killed when it is dropped.
struct Running {
    child: Child,
    out: Option<BufReader<ChildStdout>>,
    err: Option<BufReader<ChildStderr>>,
    /// What was read of stderr.
    heard: String,
}

impl Running {
    fn start(options: &[&str], script: &str) -> Self {
        Self::of(command(options, &["sh", "-c", script]))
    }

    fn of(mut command: Command) -> Self {
        let mut child = command.spawn().expect("start");
        let out = child.stdout.take().map(BufReader::new);
        let err = child.stderr.take().map(BufReader::new);
        Self { child, out, err, heard: String::new() }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.as_mut().expect("stdout").read_line(&mut line).expect("text");
        line
    }

    /// Waits until this is said on stderr.
    fn hear(&mut self, what: &str) {
        let mut from = self.heard.len();
        while !self.heard[from..].contains(what) {
            from = self.heard.len();
            let read = self.err.as_mut().expect("stderr").read_line(&mut self.heard).expect("text");
            assert!(read > 0, "it ended without saying {what}: {}", self.heard);
        }
    }

    /// Sends a signal by its number or name.
    fn kill(&self, signal: &str) {
        let killed = Command::new("sh").args(["-c", &format!("kill -{signal} {}", self.pid())]).status();
        assert!(killed.expect("kill").success(), "kill -{signal}");
    }

    /// What comes until the end.
    fn end(mut self) -> Ran {
        let (mut out, mut err) = (Vec::new(), std::mem::take(&mut self.heard).into_bytes());
        let stderr = self.err.take();
        thread::scope(|scope| {
            scope.spawn(|| stderr.map(|mut stderr| stderr.read_to_end(&mut err)));
            self.out.take().map(|mut stdout| stdout.read_to_end(&mut out));
        });
        let status = self.child.wait().expect("end");
        Output { status, stdout: out, stderr: err }.into()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Its program may not write any more, and would not be told.
        if let Ok(None) = self.child.try_wait() {
            for child in children_of(self.pid()) {
                let _ =
                    Command::new("kill").args(["-KILL", &child.to_string()]).stderr(Stdio::null()).status();
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is so; it is a failure if that takes too long.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let from = Instant::now();
    while !is_so() {
        assert!(from.elapsed() < Duration::from_secs(60), "not in time: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("directory")
}

/// The field of a process' status, if there is such a process.
fn status_of(pid: u32, field: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::trim));
    line.map(str::to_owned)
}

/// The processes whose parent this one is.
fn children_of(pid: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").expect("/proc");
    let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|&child| status_of(child, "PPid").is_some_and(|parent| parent == pid.to_string())).collect()
}
