//! Thousands of files, with few descriptors and little memory. A process of its own, since limits are those of a process.

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use kasm_scrub::Sanitizer;
use kasm_scrub::pod::tail::{Format, Tail, TailSettings};
use kasm_scrub::pod::{Batch, Counts, House, Output, Stopped, Stopping};

const VARIABLE: &str = "KASM_SCRUB_TEST_MANY";
const FILES: usize = 10_000;
const ROUNDS: usize = 3;

/// Counts lines by their ends; keeps none.
#[derive(Default)]
struct Counting(std::sync::atomic::AtomicUsize);

struct Shared(Arc<Counting>);

impl Output for Shared {
    fn deliver(&self, batch: &Batch, _: &Stopping) -> Result<(), Stopped> {
        self.0.0.fetch_add(batch.count(), std::sync::atomic::Ordering::SeqCst);
        assert!(batch.records().all(|(_, text)| text.ends_with(b"password=[REDACTED:password]")));
        Ok(())
    }
}

impl Counts for Shared {
    fn delivered(&self, _: &Batch) {}
    fn event(&self, what: &'static str) {
        panic!("{what}");
    }
}

/// The process: tails a folder, and says how much memory it took.
#[test]
fn many_files_process() {
    let Ok(folder) = std::env::var(VARIABLE) else { return };
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Nofile, Rlimit { current: Some(128), maximum: Some(128) }).unwrap();
    let mut settings = TailSettings::new(
        vec![format!("{folder}/logs/*.log")],
        Format::Lines,
        format!("{folder}/checkpoint").into(),
    );
    settings.descriptors = 64;
    let counting = Arc::new(Counting::default());
    let shared = || Box::new(Shared(counting.clone()));
    let house = Arc::new(House::new(Arc::new(Sanitizer::builtin()), shared(), shared()));
    let own = house.clone();
    let thread = std::thread::spawn(move || Tail::open(settings, own).map(Tail::run));
    for round in 0..ROUNDS {
        while counting.0.load(std::sync::atomic::Ordering::SeqCst) < FILES * (round + 1) {
            assert!(!thread.is_finished());
            std::thread::sleep(Duration::from_millis(20));
        }
        if round + 1 < ROUNDS {
            write(&folder);
        }
    }
    house.stopping.start(Duration::from_secs(60));
    thread.join().unwrap().unwrap();
    assert_eq!(counting.0.load(std::sync::atomic::Ordering::SeqCst), FILES * ROUNDS);
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    println!("memory: {}", most.unwrap_or("unknown kB").trim());
}

fn write(folder: &str) {
    for number in 0..FILES {
        let path = std::path::PathBuf::from(format!("{folder}/logs/{number}.log"));
        std::io::Write::write_all(
            &mut super::stage::append(&path),
            format!("{number} password=DeadBeef42!\n").as_bytes(),
        )
        .unwrap();
    }
}

#[test]
fn many_small_files_take_few_descriptors_and_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    write(&path);
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tail::many::many_files_process", "--nocapture"])
        .env(VARIABLE, &path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let memory = text.lines().find_map(|line| line.split_once("memory: ")).expect("it says so").1;
    println!("{memory}");
    if let Ok(kilobytes) = memory.trim_end_matches(" kB").parse::<usize>() {
        assert!(kilobytes < 64 << 10, "{memory}");
    }
}
