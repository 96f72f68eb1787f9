//! A sidecar that is killed again and again while lines are written and files rotated.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::stage::append;

fn start(folder: &Path) -> Child {
    let log = |name: &str| folder.join("logs").join(name).display().to_string();
    Command::new(env!("CARGO_BIN_EXE_kasm-scrub"))
        .args([
            "sidecar",
            "--admin",
            "none",
            "--output",
            "stdout-raw",
            "--tail",
            &log("app.log"),
            "--tail",
            &log("copied.log*"),
        ])
        .arg("--state")
        .arg(folder.join("state"))
        // Only a killed machine loses what was written; this is a killed process.
        .stdout(append(&folder.join("ledger")))
        .stderr(append(&folder.join("errors")))
        .spawn()
        .unwrap()
}

/// A writer of numbered lines: how many lines it has written.
fn writer(
    folder: PathBuf,
    name: &'static str,
    is_over: Arc<AtomicBool>,
    rotate: fn(&Path),
) -> thread::JoinHandle<usize> {
    thread::spawn(move || {
        let path = folder.join("logs").join(name);
        let mut file = append(&path);
        let mut count = 0;
        let start = Instant::now();
        while !is_over.load(Ordering::SeqCst) {
            // 20,000 lines a second, all writers together.
            let due = (start.elapsed().as_secs_f64() * 10_000.0) as usize;
            let mut text = String::new();
            while count < due {
                text.push_str(&format!("{name} {count} password=DeadBeef{count:07} ok\n"));
                count += 1;
                if count.is_multiple_of(7_000) {
                    file.write_all(text.as_bytes()).unwrap();
                    text.clear();
                    rotate(&path);
                    file = append(&path);
                }
            }
            file.write_all(text.as_bytes()).unwrap();
            thread::sleep(Duration::from_millis(2));
        }
        count
    })
}

fn numbered(path: &Path, number: usize) -> PathBuf {
    PathBuf::from(format!("{}.{number}", path.display()))
}

fn rename(path: &Path) {
    for number in (1..30).rev() {
        let _ = fs::rename(numbered(path, number), numbered(path, number + 1));
    }
    fs::rename(path, numbered(path, 1)).unwrap();
}

fn copy_and_empty(path: &Path) {
    for number in (1..30).rev() {
        let _ = fs::rename(numbered(path, number), numbered(path, number + 1));
    }
    fs::copy(path, numbered(path, 1)).unwrap();
    File::options().write(true).open(path).unwrap().set_len(0).unwrap();
}

#[test]
fn kills_lose_nothing_and_let_nothing_through() {
    let seconds: u64 = std::env::var("KASM_SCRUB_TEST_SECONDS").map_or(5, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let is_over = Arc::new(AtomicBool::new(false));
    let renamed = writer(path.to_owned(), "app.log", is_over.clone(), rename);
    let copied = writer(path.to_owned(), "copied.log", is_over.clone(), copy_and_empty);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut kills = 0;
    while Instant::now() < end {
        let mut child = start(path);
        thread::sleep(Duration::from_millis(1000));
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    is_over.store(true, Ordering::SeqCst);
    let counts = [("app.log", renamed.join().unwrap()), ("copied.log", copied.join().unwrap())];
    let mut last = start(path);
    thread::sleep(Duration::from_secs(1));
    let process = rustix::process::Pid::from_child(&last);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    assert!(last.wait().unwrap().success(), "{}", fs::read_to_string(path.join("errors")).unwrap());
    let ledger = fs::read_to_string(path.join("ledger")).unwrap();
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for line in ledger.lines() {
        assert!(!line.contains("DeadBeef"), "{line}");
        if let Some(line) = line.strip_suffix(" password=[REDACTED:password] ok") {
            *seen.entry(line).or_default() += 1;
        }
    }
    let events = fs::read_to_string(path.join("errors")).unwrap();
    let events: Vec<&str> =
        events.lines().filter(|line| line.contains("copy") || line.contains("deleted")).collect();
    for (name, count) in counts {
        let lost: Vec<usize> =
            (0..count).filter(|n| !seen.contains_key(format!("{name} {n}").as_str())).collect();
        let (few, many) = (&lost[..lost.len().min(10)], lost.len());
        assert!(lost.is_empty(), "{many} of {count} lines of {name} are lost: {few:?} {events:?}");
        assert!(count > 5_000 * seconds as usize, "{count}");
    }
    let total = ledger.lines().count();
    println!("{kills} kills, {} lines, {} of them twice or more", seen.len(), total - seen.len());
}
