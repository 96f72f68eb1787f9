//! The program under test: started, listened to, told to end. It is killed when it is dropped.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};

use super::client::{self, Answer};
use super::until;

/// Where something listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl At {
    fn parse(text: &str) -> Self {
        match text.strip_prefix("unix:") {
            Some(path) => Self::Unix(path.into()),
            None => Self::Tcp(text.parse().expect("an address")),
        }
    }
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A sidecar that runs.
pub(crate) struct Sidecar {
    child: Child,
    log: Arc<Mutex<String>>,
    pub(crate) grpc: At,
    pub(crate) http: At,
    pub(crate) admin: At,
}

const LISTENERS: [(&str, &str); 3] =
    [("--otlp-grpc", "otlp-grpc"), ("--otlp-http", "otlp-http"), ("--admin", "admin")];

impl Sidecar {
    /// Starts one; it listens where the system has room, unless the options say where.
    pub(crate) async fn start(options: &[&str]) -> Self {
        Self::start_with(options, &[]).await
    }

    /// Starts one with variables of the environment.
    pub(crate) async fn start_with(options: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kasm-scrub"));
        command.args(["sidecar", "--log-format", "json", "--log-level", "debug"]);
        for (option, _) in LISTENERS {
            if !options.contains(&option) {
                command.args([option, "127.0.0.1:0"]);
            }
        }
        command.args(options);
        // What is told to the tests is not told to it.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OTEL_")) {
            command.env_remove(name);
        }
        command.envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (told, stderr) = (log.clone(), child.stderr.take().expect("stderr"));
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stderr);
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
                told.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        let nowhere = At::Unix(PathBuf::new());
        let mut started = Self { child, log, grpc: nowhere.clone(), http: nowhere.clone(), admin: nowhere };
        until("the program listens", async || {
            assert!(started.child.try_wait().expect("status").is_none(), "it ended: {}", started.log());
            let [grpc, http, admin] = LISTENERS.map(|(_, name)| started.listens(name));
            let (Some(grpc), Some(http), Some(admin)) = (grpc, http, admin) else { return false };
            (started.grpc, started.http, started.admin) = (grpc, http, admin);
            true
        })
        .await;
        started
    }

    /// One that does not start: its exit code and what it says.
    pub(crate) fn refuses(options: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kasm-scrub"));
        let output = command.arg("sidecar").args(options).output().expect("the program starts");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    }

    /// Where a listener says that it is.
    fn listens(&self, listener: &str) -> Option<At> {
        let log = self.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let mut said = lines.filter(|line| line["message"] == "listening" && line["listener"] == listener);
        said.next().and_then(|line| line["address"].as_str().map(At::parse))
    }

    /// What it has written to stderr until now.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until its log holds a text so many times.
    pub(crate) async fn says(&self, text: &str, times: usize) {
        until(&format!("the log says {text}"), async || self.log().matches(text).count() >= times).await;
    }

    /// What the admin port answers.
    pub(crate) async fn admin(&self, path: &str) -> Answer {
        client::get(&self.admin, path).await
    }

    /// Its counts, as Prometheus reads them.
    pub(crate) async fn metrics(&self) -> String {
        String::from_utf8(self.admin("/metrics").await.body.to_vec()).expect("text")
    }

    /// The count of a line of its metrics, which may have labels; 0: there is none.
    pub(crate) async fn count(&self, name: &str) -> u64 {
        let metrics = self.metrics().await;
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |count| count.parse::<f64>().expect("a number") as u64)
    }

    /// Waits until a count is at least so much.
    pub(crate) async fn counts(&self, name: &str, least: u64) {
        until(&format!("{name} is {least}"), async || self.count(name).await >= least).await;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is there");
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let mut code = None;
        until("the program ends", async || {
            let status = self.child.try_wait().expect("status");
            code = status.and_then(|status| status.code());
            status.is_some()
        })
        .await;
        code
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is there");
        self.child.wait().expect("it ends");
    }

    /// KiB of memory that it holds now.
    pub(crate) fn resident(&self) -> u64 {
        self.memory("VmRSS:")
    }

    /// The most KiB of memory that it has held.
    pub(crate) fn peak(&self) -> u64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it is there");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.trim_end_matches("kB").trim().parse().expect("a number")
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it is there").count()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("what the sidecar said:\n{}", self.log());
        }
    }
}
