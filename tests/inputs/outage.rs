//! An upstream that is away for long while files are written and rotated, and the sidecar is killed: a checkpoint waits for what
//! the upstream has acknowledged. `KASM_SCRUB_TEST_SECONDS=60` makes it as long as a rollout of a backend.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lines::{clean, line};
use super::process::{Start, until};
use super::upstream::Stage;
use crate::relay::replies::taking;
use crate::relay::upstream::Upstream;

/// A log that is written in turns, and renamed behind each.
struct Log {
    path: PathBuf,
    written: usize,
}

impl Log {
    fn file(&self) -> File {
        OpenOptions::new().create(true).append(true).open(&self.path).expect("a file")
    }

    fn write(&mut self, count: usize) {
        let lines: String = (self.written..self.written + count).map(line).collect();
        self.file().write_all(lines.as_bytes()).expect("room");
        self.written += count;
    }

    fn rotate(&self) {
        let numbered = |number: usize| format!("{}.{number}", self.path.display());
        for number in (1..100).rev().filter(|&number| Path::new(&numbered(number)).exists()) {
            fs::rename(numbered(number), numbered(number + 1)).expect("a file");
        }
        fs::rename(&self.path, numbered(1)).expect("a file");
        self.file();
    }
}

#[test]
fn what_is_written_while_the_upstream_is_away_is_there_once_it_is_back() {
    let seconds: u64 =
        std::env::var("KASM_SCRUB_TEST_SECONDS").map_or(5, |text| text.parse().expect("a number"));
    let mut stage = Stage::new("grpc", taking());
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let mut log = Log { path: folder.path().join("app.log"), written: 0 };
    let url = stage.url();
    let options = ["--tail", "@app.log", "--state", "@state", "--output", "otlp", "--upstream", &url];
    let options = [&options[..], &["--upstream-protocol", "grpc"]].concat();
    let start = || Start::with(&options).in_folder(folder.clone()).start();

    log.write(1000);
    let mut process = start();
    until("all are there", || stage.texts().len() == 1000);
    let mut seen: BTreeSet<String> = stage.texts().into_iter().collect();

    let upstream = stage.upstream.take().expect("an upstream");
    let address = upstream.address();
    stage.runtime.block_on(upstream.stop());
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut turns = 0;
    while Instant::now() < end || turns < 6 {
        log.write(500);
        log.rotate();
        std::thread::sleep(Duration::from_secs(seconds) / 12);
        turns += 1;
        if turns == 4 {
            // What was read and not delivered is read again.
            process.says("the upstream does not take records");
            process.kill();
            process.has_no_leak();
            process = start();
        }
    }
    log.write(500);
    process.says("the upstream does not take records");
    assert_eq!(process.count("kasm_scrub_input_records_total{input=\"file\"}"), 0);

    stage.upstream = Some(stage.runtime.block_on(Upstream::start_at(address, taking())));
    until("all are there", || {
        seen.extend(stage.texts());
        seen.len() == log.written
    });
    process.end(0);
    assert_eq!(seen, (0..log.written).map(clean).collect());
    let after = stage.texts();
    let again = after.len() - after.iter().collect::<BTreeSet<_>>().len();
    // Only what was acknowledged just before the kill may come twice, and there nothing was.
    assert_eq!(again, 0);
    stage.has_no_leak();
}
