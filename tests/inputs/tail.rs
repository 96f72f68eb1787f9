//! Files that grow, through the whole sidecar: to each output, with checkpoints that wait for it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::Arc;

use super::lines::{are_all, line, numbers};
use super::process::{Start, until};

fn append(path: &std::path::Path, numbers: std::ops::Range<usize>) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("a file");
    numbers.for_each(|number| file.write_all(line(number).as_bytes()).expect("room"));
}

#[test]
fn files_come_out_once_over_restarts() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let log = folder.path().join("app.log");
    let options = ["--tail", "@*.log", "--state", "@", "--output", "stdout-raw"];
    let mut all = String::new();
    for round in 0..3 {
        append(&log, round * 1000..(round + 1) * 1000);
        let mut process = Start::with(&options).in_folder(folder.clone()).start();
        until("they are out", || numbers(&String::from_utf8_lossy(&process.out())).len() == 1000);
        process.end(0);
        all.push_str(&String::from_utf8(process.out()).expect("text"));
    }
    are_all(&all, 3000);
}

#[test]
fn what_a_full_disk_did_not_take_comes_again() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    append(&folder.path().join("app.log"), 0..1000);
    let options = ["--tail", "@*.log", "--state", "@", "--output", "stdout-raw", "--drain", "2s"];
    let full = OpenOptions::new().write(true).open("/dev/full").expect("a full disk");
    let mut process = Start::with(&options).in_folder(folder.clone()).stdout(full).start();
    process.says("cannot write; waiting");
    process.end(2);
    let mut process = Start::with(&options).in_folder(folder).start();
    until("they are out", || numbers(&String::from_utf8_lossy(&process.out())).len() == 1000);
    process.end(0);
    are_all(&String::from_utf8(process.out()).expect("text"), 1000);
}

#[test]
fn container_logs_have_the_labels_of_their_pod() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let own = folder.path().join("kasm_kasm-api-1_0123/api");
    fs::create_dir_all(&own).expect("a folder");
    let secret = crate::relay::stage::secret(1);
    let text = format!(
        "2026-10-11T22:14:15.000000001Z stdout P password={secret}\n2026-10-11T22:14:15.000000002Z stdout F  is here\n"
    );
    fs::write(own.join("0.log"), text).expect("a file");
    let mut process = Start::with(&["--cri", "@*/*/*.log", "--state", "@"]).in_folder(folder).start();
    until("it is there", || process.records().len() == 1);
    let record = process.records().remove(0);
    assert_eq!(record["message"], "password=[REDACTED:password] is here");
    assert_eq!(record["input"], "cri");
    assert_eq!(record["time"], "2026-10-11T22:14:15.000000001Z");
    process.end(0);
}
