//! What an audit trail costs: `filter` on a log with and without one, turn by turn, the best run of each and the ratio of
//! the two.
//!
//! `KASM_SCRUB_BENCH_MIB=256 KASM_SCRUB_BENCH_RUNS=9 cargo bench --bench audit`

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "starts the program and looks at the clock"
)]

#[allow(dead_code)]
mod measure;
#[allow(dead_code)]
mod texts;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use measure::setting;

/// How long a filter takes for a file.
fn run(input: &Path, args: &[&str]) -> Duration {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kasm-scrub"));
    command
        .arg("filter")
        .args(args)
        .stdin(File::open(input).unwrap())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let start = Instant::now();
    assert!(command.status().unwrap().success());
    start.elapsed()
}

fn main() {
    let (size, rounds) = (setting("KASM_SCRUB_BENCH_MIB", 128) << 20, setting("KASM_SCRUB_BENCH_RUNS", 7));
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    for key in ["key", "hash-key"] {
        std::fs::write(path(key), "a dead key for a bench").unwrap();
    }
    let (audit, key, hash_key) = (path("audit.jsonl"), path("key"), path("hash-key"));
    let hash = ["--action", "hash", "--hash-key", &hash_key];
    println!("{:<34} {:>10} {:>10} {:>7}", "", "without", "with", "ratio");
    for (what, every, more) in [
        ("no secret", None, &[][..]),
        ("a secret in 1 of 100 lines", Some(100), &[]),
        ("a secret in every line", Some(1), &[]),
        ("pseudonyms in 1 of 100 lines", Some(100), &hash),
        ("pseudonyms in every line", Some(1), &hash),
    ] {
        let input = dir.path().join("log");
        std::fs::write(&input, texts::text(size, texts::log_line, every)).unwrap();
        let with = [&["--audit", &audit, "--audit-key", &key], more].concat();
        let mut best = [Duration::MAX; 2];
        for round in 0..rounds {
            // Who goes first changes: what the other leaves in caches is nobody's.
            for turn in [round % 2, (round + 1) % 2] {
                best[turn] = best[turn].min(run(&input, if turn == 0 { more } else { &with }));
            }
        }
        let speed = best.map(|took| size as f64 / 1e6 / took.as_secs_f64());
        println!("{what:<34} {:>5.0} MB/s {:>5.0} MB/s {:>7.3}", speed[0], speed[1], speed[1] / speed[0]);
    }
}
