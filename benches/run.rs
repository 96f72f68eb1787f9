//! What `run` costs beside a bare pipe to `cat`: processor time at a given speed, time from a write to ours, memory.
//!
//! `cargo bench --bench run`. `KASM_SCRUB_BENCH_SECONDS` is how long each row is measured (5), `KASM_SCRUB_BENCH_SPEED` how
//! many MB the program writes a second (100), in pieces of 64 KiB. `KASM_SCRUB_BIN` is another binary to measure.
//!
//! The engine's own time is most of what `run` takes; the row with one rule shows what is left without it: reading, finding
//! lines, one rule's share of the prefilter, writing.
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::disallowed_types)]

#[allow(dead_code)]
mod measure;
#[allow(dead_code)]
mod texts;

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use measure::setting;

/// What tells this program to be the one that writes.
const VARIABLE: &str = "KASM_SCRUB_BENCH_WRITES";
const PIECE: usize = 64 << 10;
const BEATS: usize = 1000;
const FULL: &[&str] = &["run"];
const ONE_RULE: &[&str] = &["run", "--no-builtin", "--rules", "tests/data/team.toml"];
const BARE: &[&str] = &[];

fn main() {
    match std::env::var(VARIABLE).as_deref() {
        Ok("flow") => return flow(),
        Ok("beat") => return beat(),
        Ok("wait") => return thread::sleep(Duration::from_secs(60)),
        _ => {}
    }
    let speed = setting("KASM_SCRUB_BENCH_SPEED", 100);
    println!(
        "{:<22} {:>12} {:>12} {:>12}",
        format!("at {speed} MB/s"),
        "reader cpu %",
        "writer cpu %",
        "both / cat"
    );
    let rows = [("cat", BARE), ("run, one rule", ONE_RULE), ("run, built-in rules", FULL)];
    let mut cat = None;
    for (name, options) in rows {
        let (reader, writer) = load(options);
        let cat = *cat.get_or_insert(reader + writer);
        println!("{name:<22} {reader:>12.2} {writer:>12.2} {:>12.2}", (reader + writer) / cat);
    }
    println!("\n{:<22} {:>12} {:>12}", "write to ours", "p50 ms", "p99 ms");
    for (name, options) in rows {
        let [p50, p99] = delays(options);
        println!("{name:<22} {p50:>12.3} {p99:>12.3}");
    }
    println!("\n{:<22} {:>12} {:>12}", "memory, idle", "RSS MiB", "own MiB");
    for (name, options) in &rows[1..] {
        let [all, own] = memory(options);
        println!("{name:<22} {all:>12.1} {own:>12.1}");
    }
}

/// The program that is written for: this one, which writes.
fn writer(what: &str) -> Vec<String> {
    vec![
        "env".to_owned(),
        format!("{VARIABLE}={what}"),
        std::env::current_exe().expect("a path").display().to_string(),
    ]
}

/// Starts the writer, under `run` or with its stdout in a pipe to `cat`; the process that reads, that which writes.
fn start(options: &[&str], what: &str, to: Stdio) -> (Child, Option<Child>) {
    let words = writer(what);
    if options.is_empty() {
        let mut writer = Command::new(&words[0])
            .args(&words[1..])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the writer starts");
        let pipe = writer.stdout.take().expect("stdout");
        (Command::new("cat").stdin(pipe).stdout(to).spawn().expect("cat starts"), Some(writer))
    } else {
        let binary =
            std::env::var("KASM_SCRUB_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_kasm-scrub").to_owned());
        let mut run = Command::new(binary);
        run.args(options).arg("--").args(words).stdout(to);
        (run.spawn().expect("run starts"), None)
    }
}

fn end((mut reader, writer): (Child, Option<Child>)) {
    if let Some(mut writer) = writer {
        let _ = writer.kill();
        writer.wait().expect("an end");
    } else {
        let pid = rustix::process::Pid::from_child(&reader);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    reader.wait().expect("an end");
}

/// How much of a processor the reader and the writer take, in percent.
fn load(options: &[&str]) -> (f64, f64) {
    let seconds = setting("KASM_SCRUB_BENCH_SECONDS", 5) as u64;
    let nothing = fs::File::options().write(true).open("/dev/null").expect("/dev/null");
    let (reader, writer) = start(options, "flow", nothing.into());
    thread::sleep(Duration::from_millis(1500));
    let writing = writer.as_ref().map_or_else(|| child_of(reader.id()), Child::id);
    let (from, reading, written) = (Instant::now(), cpu(reader.id()), cpu(writing));
    thread::sleep(Duration::from_secs(seconds));
    let percent = 100.0 / from.elapsed().as_secs_f64();
    let used = ((cpu(reader.id()) - reading) * percent, (cpu(writing) - written) * percent);
    end((reader, writer));
    used
}

/// The only child of a process.
fn child_of(pid: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("children");
    children.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("a child")
}

/// Seconds on a processor, of all threads.
fn cpu(pid: u32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("threads");
    let nanos = tasks.filter_map(|task| {
        let stat = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<f64>().ok()
    });
    nanos.sum::<f64>() / 1e9
}

/// How long lines take from their write to what is read of ours: half of them, 99 of 100.
fn delays(options: &[&str]) -> [f64; 2] {
    let (mut reader, writer) = start(options, "beat", Stdio::piped());
    let pipe: ChildStdout = reader.stdout.take().expect("stdout");
    let mut took: Vec<f64> = BufReader::new(pipe)
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| Some((now() - line.rsplit(' ').next()?.parse::<u128>().ok()?) as f64 / 1e6))
        .collect();
    end((reader, writer));
    took.sort_by(f64::total_cmp);
    assert!(took.len() == BEATS, "{} lines", took.len());
    [took[BEATS / 2], took[BEATS * 99 / 100]]
}

/// MiB of memory of a process that waits: all, and what is not of files.
fn memory(options: &[&str]) -> [f64; 2] {
    let (reader, writer) = start(options, "wait", Stdio::piped());
    thread::sleep(Duration::from_secs(1));
    let status = fs::read_to_string(format!("/proc/{}/status", reader.id())).expect("status");
    let mib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("memory");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
    };
    let memory = [mib("VmRSS:"), mib("RssAnon:")];
    end((reader, writer));
    memory
}

fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

/// Writes log lines at the speed that was asked for, until it is ended.
fn flow() {
    let speed = setting("KASM_SCRUB_BENCH_SPEED", 100) as f64 * 1e6;
    let text = texts::text(16 << 20, texts::log_line, None);
    let mut out = bare_stdout();
    let start = Instant::now();
    for (piece, written) in text.chunks(PIECE).cycle().zip((0..).step_by(PIECE)) {
        let due = start + Duration::from_secs_f64(written as f64 / speed);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if out.write_all(piece).is_err() {
            return;
        }
    }
}

/// Writes lines with the time in them.
fn beat() {
    let mut out = bare_stdout();
    for i in 0..BEATS {
        thread::sleep(Duration::from_millis(3));
        let line = format!("2026-03-01 INFO [agent] heartbeat {i} at {}\n", now());
        out.write_all(line.as_bytes()).expect("a reader");
    }
}

/// Stdout, without the buffer that cuts at lines.
fn bare_stdout() -> fs::File {
    use std::os::fd::AsFd;
    fs::File::from(io::stdout().as_fd().try_clone_to_owned().expect("stdout"))
}
