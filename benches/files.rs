//! How fast a tree of logs becomes a bundle, beside the engine alone on the same bytes in memory, with the same threads.
//!
//! `cargo bench --bench files`. `KASM_SCRUB_BENCH_MIB` is the size of the tree (256), `KASM_SCRUB_BENCH_RUNS` the number
//! of runs (5), `KASM_SCRUB_BENCH_THREADS` that of threads (one for each processor). The tree is made in the folder for
//! temporary files: whether that is on a disk decides what the row says. What becomes a bundle is compared in size with
//! what the engine gives.
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::disallowed_types)]

mod measure;
mod texts;

use std::hint::black_box;
use std::path::Path;
use std::thread::available_parallelism;

use kasm_scrub::bundle::{self, Options, Watch};
use kasm_scrub::parallel::{Source, Target, scrub};
use kasm_scrub::{Finding, Out, Sanitizer};
use measure::{runs, runs_and_clear, setting};
use texts::{json_line, log_line, secrets, text};

/// Sizes of the tree's files in KiB, over and over: most are small, most bytes are in large ones.
const SIZES: [usize; 12] = [4, 64, 16, 1024, 8, 256, 20_480, 32, 4096, 128, 2048, 512];

fn main() {
    let size = setting("KASM_SCRUB_BENCH_MIB", 256) << 20;
    let threads = setting("KASM_SCRUB_BENCH_THREADS", available_parallelism().map_or(1, usize::from));
    let times = setting("KASM_SCRUB_BENCH_RUNS", 5);
    let sanitizer = Sanitizer::builtin();
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let all = tree(&folder.path().join("in"), size);
    let (bytes, want) = (all.len(), secrets(&all));
    println!(
        "{:<34} {:>9} {:>9} {:>7}",
        format!("{} MiB, {threads} threads", bytes >> 20),
        "best MB/s",
        "middle",
        "engine"
    );
    let mut written = 0;
    let engine = runs(times, || {
        let mut sink = Sink(0);
        scrub(&sanitizer, threads, &mut Text(black_box(&all)), &mut sink, &|| {});
        written = sink.0;
    });
    let row = |name: &str, runs: &measure::Runs| {
        let ratio = 100.0 * runs.middle(bytes) / engine.middle(bytes);
        println!("{name:<34} {:>9.0} {:>9.0} {ratio:>6.0}%", runs.best(bytes), runs.middle(bytes));
    };
    row("engine, in memory", &engine);
    let out = folder.path().join("copy");
    let copy = runs_and_clear(times, || copy_tree(&folder.path().join("in"), &out), || remove(&out));
    row("a copy, one thread", &copy);
    for (name, out) in
        [("folder to folder", "out"), ("folder to .tar", "out.tar"), ("folder to .tar.gz", "out.tar.gz")]
    {
        let out = folder.path().join(out);
        let options = Options { threads, ..Options::default() };
        let make = || {
            let inputs = [folder.path().join("in")];
            let account = bundle::make(&sanitizer, &inputs, &out, &options, &Nobody).expect("a bundle");
            assert_eq!(account.bytes, bytes as u64, "all of it was scrubbed");
            assert_eq!(account.findings(), want as u64, "all that was put in was found");
            if out.is_file() {
                let len = std::fs::metadata(&out).expect("a bundle").len() as usize;
                assert!(len >= written || name.ends_with("gz"), "all of it is in the bundle");
            }
        };
        let bundle = runs_and_clear(times, make, || remove(&out));
        row(name, &bundle);
    }
    let options = Options { threads, dry_run: true, ..Options::default() };
    let dry = runs(times, || {
        let inputs = [folder.path().join("in")];
        bundle::make(&sanitizer, &inputs, &folder.path().join("dry"), &options, &Nobody).expect("a bundle");
    });
    row("--dry-run", &dry);
}

/// Removes what was made.
fn remove(out: &Path) {
    let removed = if out.is_dir() { std::fs::remove_dir_all(out) } else { std::fs::remove_file(out) };
    removed.expect("what was made is removed");
}

/// Makes a tree; all its bytes, in some order.
fn tree(folder: &Path, size: usize) -> Vec<u8> {
    let mut all = Vec::with_capacity(size + (64 << 20));
    let pool = [text(32 << 20, log_line, Some(100)), text(32 << 20, json_line, Some(100))];
    let mut number = 0;
    while all.len() < size {
        let lines = &pool[number % 2];
        let len = (SIZES[number % SIZES.len()] << 10).min(size - all.len() + 4096);
        // Each file begins somewhere else, and ends with a line.
        let from = (number * 1_000_003) % (lines.len() - len.min(lines.len() / 2));
        let from = memchr::memchr(b'\n', &lines[from..]).map_or(0, |newline| from + newline + 1);
        let end = (from + len).min(lines.len());
        let end = from + memchr::memrchr(b'\n', &lines[from..end]).map_or(0, |newline| newline + 1);
        let inner = folder.join(format!("{}", number % 10));
        std::fs::create_dir_all(&inner).expect("a folder");
        std::fs::write(inner.join(format!("{number}.log")), &lines[from..end]).expect("a file");
        all.extend_from_slice(&lines[from..end]);
        number += 1;
    }
    all
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("a copy");
        }
    }
}

struct Nobody;

impl Watch for Nobody {
    fn total(&self, _: u64) {}

    fn read(&self, _: u64) {}

    fn is_stopped(&self) -> bool {
        false
    }
}

struct Text<'t>(&'t [u8]);

impl Source for Text<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> usize {
        let (some, rest) = self.0.split_at(self.0.len().min(buffer.len()));
        buffer[..some.len()].copy_from_slice(some);
        self.0 = rest;
        some.len()
    }
}

struct Sink(usize);

impl Out for Sink {
    fn write(&mut self, bytes: &[u8]) {
        self.0 += black_box(bytes).len();
    }

    fn found(&mut self, _: &Finding) {}
}

impl Target for Sink {
    fn end_block(&mut self) -> bool {
        true
    }
}
