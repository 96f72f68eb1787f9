//! A tail that is killed again and again while lines are written and files rotated. A process of its own, and a ledger that
//! it appends to.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kasm_scrub::Sanitizer;
use kasm_scrub::pod::tail::{self, Format, TailSettings};
use kasm_scrub::pod::{Batch, Counts, House, Output, Stopped, Stopping};

use super::stage::append;

const VARIABLE: &str = "KASM_SCRUB_TEST_KILL";

struct Ledger(Mutex<File>);

impl Output for Ledger {
    fn deliver(&self, batch: &Batch, _: &Stopping) -> Result<(), Stopped> {
        let mut text = Vec::new();
        for (_, record) in batch.records() {
            text.extend_from_slice(record);
            text.push(b'\n');
        }
        // Only a killed machine loses what was written; this is a killed process.
        self.0.lock().unwrap().write_all(&text).unwrap();
        Ok(())
    }
}

struct Events;

impl Counts for Events {
    fn delivered(&self, _: &Batch) {}
    fn event(&self, what: &'static str) {
        eprintln!("event: {what}");
    }
}

/// The process: tails a folder into a ledger until it is killed, or until a file says that it is to end.
#[test]
fn killed_process() {
    let Ok(folder) = std::env::var(VARIABLE) else { return };
    let ledger = append(Path::new(&format!("{folder}/ledger")));
    let settings = TailSettings::new(
        vec![format!("{folder}/logs/app.log"), format!("{folder}/logs/copied.log*")],
        Format::Lines,
        format!("{folder}/checkpoint").into(),
    );
    let sanitizer = Arc::new(Sanitizer::builtin());
    let house = Arc::new(House::new(sanitizer, Box::new(Ledger(Mutex::new(ledger))), Box::new(Events)));
    let own = house.clone();
    let thread = thread::spawn(move || tail::run(settings, own));
    while !Path::new(&format!("{folder}/end")).exists() {
        thread::sleep(Duration::from_millis(10));
        assert!(!thread.is_finished());
    }
    house.stopping.start(Duration::from_secs(60));
    thread.join().unwrap().unwrap();
}

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tail::kill::killed_process", "--nocapture"])
        .env(VARIABLE, folder)
        .stdout(Stdio::null())
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
    fs::write(path.join("end"), "").unwrap();
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
    let events: Vec<&str> = events.lines().filter(|line| line.starts_with("event:")).collect();
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
