//! The relay under measurement: this same program, started once more and held on one core.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use kasm_scrub::Sanitizer;
use kasm_scrub::otlp::{Policy, Signal};
use kasm_scrub::relay::{
    self, Address, Limits, PerSignal, Rules, Scrubbing, Settings, Upstream, UpstreamProtocol,
};

const VARIABLE: &str = "KASM_SCRUB_BENCH_RELAY";

/// What the process of a relay is told.
pub(crate) struct Told {
    protocol: UpstreamProtocol,
    port: u16,
    upstream: u16,
    scrubs: bool,
}

impl Told {
    pub(crate) fn of_environment() -> Option<Self> {
        let text = std::env::var(VARIABLE).ok()?;
        let words: Vec<&str> = text.split(' ').collect();
        let number = |word: &str| word.parse().expect("a port");
        Some(Self {
            protocol: if words[0] == "grpc" { UpstreamProtocol::Grpc } else { UpstreamProtocol::Http },
            port: number(words[1]),
            upstream: number(words[2]),
            scrubs: words[3] == "on",
        })
    }
}

struct Builtin;

impl Rules for Builtin {
    fn load(&self) -> Result<Arc<Sanitizer>, String> {
        Ok(Arc::new(Sanitizer::builtin()))
    }

    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// Is a relay until it is killed.
pub(crate) fn child(told: Told) {
    pin(&[1]);
    let Told { protocol, port, upstream, scrubs } = told;
    let url = format!("http://127.0.0.1:{upstream}").parse().expect("a URL");
    let here = vec![Address::Tcp(format!("127.0.0.1:{port}"))];
    let (grpc, http) = if protocol == UpstreamProtocol::Grpc { (here, vec![]) } else { (vec![], here) };
    let settings = Settings {
        grpc,
        http,
        admin: None,
        socket_mode: kasm_scrub::relay::SOCKET_MODE,
        tls: None,
        tokens: None,
        upstreams: Some(
            PerSignal::try_new(|signal: Signal| Ok::<_, ()>(Upstream::at(&url, signal, protocol)))
                .expect("upstreams"),
        ),
        limits: Limits::default(),
        policy: Policy::default(),
        canary: None,
        drain: Duration::from_secs(1),
        threads: 1,
        audit: None,
        scrubbing: if scrubs { Scrubbing::On } else { Scrubbing::OffForMeasuring },
    };
    relay::run(settings, Builtin, None).expect("a relay");
}

/// Holds this process on these processors, where there are more than one.
pub(crate) fn pin(processors: &[usize]) {
    if std::thread::available_parallelism().is_ok_and(|count| count.get() > 1) {
        let mut set = rustix::thread::CpuSet::new();
        processors.iter().for_each(|&processor| set.set(processor));
        // The second processor may be another one; then nothing is held.
        let _ = rustix::thread::sched_setaffinity(None, &set);
    }
}

/// The process of a relay; it ends with this.
pub(crate) struct Relay {
    process: Child,
    pub(crate) port: u16,
}

impl Relay {
    pub(crate) fn start(protocol: UpstreamProtocol, upstream: u16, scrubs: bool) -> Self {
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let name = if protocol == UpstreamProtocol::Grpc { "grpc" } else { "http" };
        let told = format!("{name} {port} {upstream} {}", if scrubs { "on" } else { "off" });
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        // From the processor of the load the child could not leave.
        let process = command.env(VARIABLE, told).spawn().expect("a child");
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, port }
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).unwrap_or_default()
    }

    /// What it has had of processors.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = self.read("stat");
        let behind = stat.rsplit(')').next().unwrap_or_default();
        let ticks: u64 =
            behind.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
        // A tick is 10 ms everywhere Linux shows it.
        Duration::from_millis(10 * ticks)
    }

    fn status(&self, name: &str) -> f64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().nth(0)?.parse::<f64>().ok());
        kib.unwrap_or(f64::NAN) / 1024.0
    }

    /// Its memory now, MiB.
    pub(crate) fn memory(&self) -> f64 {
        self.status("VmRSS:")
    }

    /// The most it has had.
    pub(crate) fn most_memory(&self) -> f64 {
        self.status("VmHWM:")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
