//! The one way in which processes are measured: from fork to the end, with what the kernel says of them.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What is run, and with what.
#[derive(Clone, Debug)]
pub struct Job {
    pub program: PathBuf,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    pub input: Input,
    pub output: Output,
    /// Exit codes that are no failure.
    pub fine: &'static [i32],
}

/// Where a process reads from.
#[derive(Clone, Debug)]
pub enum Input {
    /// It opens its files itself.
    None,
    File(PathBuf),
    /// From a pipe that `cat` fills from this file.
    Cat(PathBuf),
}

/// Where a process writes to.
#[derive(Clone, Debug)]
pub enum Output {
    Null,
    File(PathBuf),
    /// Into memory: for a few lines.
    Kept,
}

/// What a run took.
#[derive(Clone, Debug)]
pub struct Sample {
    pub wall: Duration,
    /// User and system time of the process itself, not of the `cat` in front of it.
    pub cpu: Duration,
    pub rss_kib: u64,
    pub kept: Vec<u8>,
}

/// Runs a job once.
pub fn run(job: &Job) -> Result<Sample, String> {
    measured(job).map_err(|error| format!("{} {}: {error}", job.program.display(), job.args.join(" ")))
}

fn measured(job: &Job) -> io::Result<Sample> {
    let stdout = match &job.output {
        Output::Null => Stdio::null(),
        Output::File(path) => Stdio::from(File::create(path)?),
        Output::Kept => Stdio::piped(),
    };
    let envs = job.env.iter().map(|(name, value)| (name, value));
    let mut command = Command::new(&job.program);
    command.args(&job.args).envs(envs).stdout(stdout).stderr(Stdio::piped());
    let file = match &job.input {
        Input::File(path) => Some(File::open(path)?),
        _ => None,
    };
    let start = Instant::now();
    let mut cat = None;
    match (&job.input, file) {
        (Input::Cat(path), _) => {
            let mut child = Command::new("cat").arg(path).stdout(Stdio::piped()).spawn()?;
            command.stdin(child.stdout.take().map_or_else(Stdio::null, Stdio::from));
            cat = Some(child);
        }
        (_, Some(file)) => drop(command.stdin(file)),
        _ => drop(command.stdin(Stdio::null())),
    }
    let mut child = command.spawn()?;
    // The pipe from `cat` must be the child's alone.
    drop(command);
    // What it says is little: it fits a pipe and can be read one after the other.
    let mut kept = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_end(&mut kept)?;
    }
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut said)?;
    }
    let (code, usage) = wait(&child)?;
    let wall = start.elapsed();
    if let Some(mut cat) = cat {
        cat.wait()?;
    }
    if !code.is_some_and(|code| job.fine.contains(&code)) {
        let last = said.lines().last().unwrap_or_default();
        return Err(io::Error::other(format!("failed ({code:?}): {last}")));
    }
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    let cpu = time(usage.ru_utime) + time(usage.ru_stime);
    Ok(Sample { wall, cpu, rss_kib: usage.ru_maxrss as u64, kept })
}

/// Waits for the end of `child`: its exit code, if it ended by itself, and what it used.
fn wait(child: &Child) -> io::Result<(Option<i32>, libc::rusage)> {
    let mut status = 0;
    loop {
        // SAFETY: `rusage` is plain numbers, for which zero is a value; the kernel writes to two locals. The child is
        // waited for only here, so its id is still its own.
        let (pid, usage) = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            (libc::wait4(child.id() as i32, &raw mut status, 0, &raw mut usage), usage)
        };
        if pid >= 0 {
            return Ok((libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)), usage));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Lets this thread wake when it is due, and not up to 50 µs later.
pub fn sharp_timers() {
    // SAFETY: sets a number of the calling thread; nothing is pointed to.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64) };
}

/// The most memory this process has had, in KiB: no process that it starts can be seen with less.
pub fn own_rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Job {
        Job {
            program: "sh".into(),
            args: vec!["-c".to_owned(), script.to_owned()],
            env: Vec::new(),
            input: Input::None,
            output: Output::Kept,
            fine: &[0],
        }
    }

    #[test]
    fn output_time_and_memory_are_seen() {
        let sample = run(&shell("echo out; echo err >&2; sleep 0.05")).expect("sh");
        assert_eq!(sample.kept, b"out\n");
        assert!(sample.wall >= Duration::from_millis(50) && sample.rss_kib > 0);
    }

    #[test]
    fn failures_are_told() {
        let error = run(&shell("echo why >&2; exit 3")).expect_err("a failure");
        assert!(error.contains("why") && error.contains('3'), "{error}");
        assert!(run(&Job { fine: &[3], ..shell("exit 3") }).is_ok());
        assert!(run(&shell("kill -9 $$")).is_err());
    }

    #[test]
    fn cat_fills_the_pipe() {
        let path = std::env::temp_dir().join(format!("peers-cat-{}", std::process::id()));
        std::fs::write(&path, "one\ntwo\n").expect("file");
        let sample = run(&Job { input: Input::Cat(path.clone()), ..shell("cat") });
        std::fs::remove_file(path).expect("file");
        assert_eq!(sample.expect("cat").kept, b"one\ntwo\n");
    }
}
