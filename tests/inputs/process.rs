//! The program under test, with inputs: started, read, told to end. It is killed when it is dropped.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::relay::stage::is_leak;

/// How long anything may take that is expected to come at all: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "did not happen: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A sidecar that runs.
pub(crate) struct Process {
    child: Child,
    log: Arc<Mutex<Vec<u8>>>,
    out: Arc<Mutex<Vec<u8>>>,
    /// A folder of its own.
    folder: Arc<tempfile::TempDir>,
}

/// How one is started.
#[derive(Default)]
pub(crate) struct Start {
    options: Vec<String>,
    variables: Vec<(String, String)>,
    folder: Option<Arc<tempfile::TempDir>>,
    stdout: Option<Stdio>,
    /// The most bytes of a file that it writes.
    most_file: Option<u64>,
}

impl Start {
    /// With these options; `@` in front of a name stands for the folder of its own.
    pub(crate) fn with(options: &[&str]) -> Self {
        Self { options: options.iter().map(|&option| option.to_owned()).collect(), ..Self::default() }
    }

    /// In the folder of another.
    pub(crate) fn like(self, other: &Process) -> Self {
        self.in_folder(other.folder.clone())
    }

    pub(crate) fn in_folder(self, folder: Arc<tempfile::TempDir>) -> Self {
        Self { folder: Some(folder), ..self }
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes to this in place of a pipe of the test's.
    pub(crate) fn stdout(self, stdout: impl Into<Stdio>) -> Self {
        Self { stdout: Some(stdout.into()), ..self }
    }

    pub(crate) fn most_file(self, bytes: u64) -> Self {
        Self { most_file: Some(bytes), ..self }
    }

    fn command(&self, folder: &Path) -> Command {
        let program = env!("CARGO_BIN_EXE_kasm-scrub");
        let mut command = match self.most_file {
            Some(bytes) => {
                let mut command = Command::new("sh");
                // In blocks of 512 bytes.
                command.args(["-c", &format!("ulimit -S -f {}; exec \"$0\" \"$@\"", bytes / 512), program]);
                command
            }
            None => Command::new(program),
        };
        command.args(["sidecar", "--log-format", "json", "--log-level", "debug", "--admin", "127.0.0.1:0"]);
        let own = format!("{}/", folder.display());
        command.args(self.options.iter().map(|option| option.replace('@', &own)));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OTEL_")) {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// One that does not start: its exit code, and what it says.
    pub(crate) fn refused(self) -> (Option<i32>, String) {
        let folder = self.folder.clone().unwrap_or_else(|| Arc::new(tempfile::tempdir().expect("a folder")));
        let output = self.command(folder.path()).output().expect("the program starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    pub(crate) fn start(mut self) -> Process {
        let folder = self.folder.take().unwrap_or_else(|| Arc::new(tempfile::tempdir().expect("a folder")));
        let mut command = self.command(folder.path());
        command.stdout(self.stdout.take().unwrap_or_else(Stdio::piped));
        let mut child = command.spawn().expect("the program starts");
        drop(command);
        let log = collected(child.stderr.take().expect("stderr"));
        let out = child.stdout.take().map(collected).unwrap_or_default();
        let mut started = Process { child, log, out, folder };
        until("it listens", || {
            let ended = started.child.try_wait().expect("status");
            assert!(ended.is_none(), "it ended: {}", started.log());
            started.address("admin").is_some()
        });
        started.until_ready();
        started
    }
}

/// Reads to the end, on a thread.
fn collected(mut from: impl Read + Send + 'static) -> Arc<Mutex<Vec<u8>>> {
    let all = Arc::<Mutex<Vec<u8>>>::default();
    let own = all.clone();
    std::thread::spawn(move || {
        let mut chunk = vec![0; 64 << 10];
        while let Ok(len @ 1..) = from.read(&mut chunk) {
            own.lock().unwrap().extend_from_slice(&chunk[..len]);
        }
    });
    all
}

impl Process {
    /// A path in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to stderr until now.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned()
    }

    /// What it has written to stdout until now.
    pub(crate) fn out(&self) -> Vec<u8> {
        self.out.lock().unwrap().clone()
    }

    /// What it has written to stdout, as objects of JSON: the lines that are whole by now.
    pub(crate) fn records(&self) -> Vec<serde_json::Value> {
        let out = self.out();
        let whole = memchr::memrchr(b'\n', &out).map_or(0, |newline| newline + 1);
        records(&out[..whole])
    }

    pub(crate) fn says(&self, text: &str) {
        until(&format!("the log says {text}"), || self.log().contains(text));
    }

    /// Where a listener says that it is.
    pub(crate) fn address(&self, listener: &str) -> Option<String> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let mut said = lines.filter(|line| line["message"] == "listening" && line["listener"] == listener);
        said.next().and_then(|line| line["address"].as_str().map(str::to_owned))
    }

    /// What the admin port answers, head included.
    pub(crate) fn admin(&self, path: &str) -> String {
        let address: SocketAddr = self.address("admin").expect("a port").parse().expect("an address");
        let mut stream = TcpStream::connect(address).expect("a connection");
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        std::io::Write::write_all(&mut stream, request.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    fn until_ready(&self) {
        until("it is ready", || self.admin("/readyz").contains(" 200 "));
    }

    /// The count of a line of its metrics, which may have labels; 0: there is none.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let metrics = self.admin("/metrics");
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |count| count.parse::<f64>().expect("a number") as u64)
    }

    pub(crate) fn counts(&self, name: &str, least: u64) {
        until(&format!("{name} is {least}"), || self.count(name) >= least);
    }

    /// Lets it write files as large as it likes.
    pub(crate) fn unlimit_files(&self) {
        use rustix::process::{Resource, Rlimit, prlimit};
        let pid = Some(Pid::from_child(&self.child));
        prlimit(pid, Resource::Fsize, Rlimit { current: None, maximum: None }).expect("it is there");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is there");
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is there");
        self.child.wait().expect("it ends");
    }

    /// Waits until it has ended, and until all that it said was read.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let mut status = None;
        until("it ends", || {
            status = self.child.try_wait().expect("status");
            status.is_some()
        });
        until("its pipes are read", || {
            Arc::strong_count(&self.log) == 1 && Arc::strong_count(&self.out) == 1
        });
        status.and_then(|status| status.code())
    }

    /// Ends it, and checks how: its exit code, and that nothing planted came out.
    pub(crate) fn end(&mut self, code: i32) {
        self.signal(Signal::TERM);
        assert_eq!(self.ended(), Some(code), "{}", self.log());
        self.has_no_leak();
    }

    pub(crate) fn has_no_leak(&self) {
        let log = self.log();
        assert!(!is_leak(log.as_bytes()), "in the log: {log}");
        assert!(!log.contains("panicked at"), "{log}");
        assert!(!is_leak(&self.out()), "in stdout");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("what the sidecar said:\n{}", self.log());
        }
    }
}

/// Lines of JSON.
pub(crate) fn records(text: &[u8]) -> Vec<serde_json::Value> {
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).expect("a line of JSON")).collect()
}
