//! What goes wrong inside, and how it ends: with an exit code that has the process started anew.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::Arc;

use super::lines::{are_all, line};
use super::process::Start;

#[test]
fn a_tail_that_cannot_keep_how_far_it_has_read_does_not_start() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    // No file can be made there.
    fs::write(folder.path().join("none"), "a file").expect("a file");
    let options = ["--fifo", "@in", "--tail", "@*.log", "--state", "@none", "--output", "stdout-raw"];
    let (code, said) = Start::with(&options).in_folder(folder).refused();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("name a file in a folder that can be written to"), "{said}");
    assert!(!said.contains("draining"), "{said}");
}

#[test]
fn a_burst_is_out_when_the_process_ends() {
    for _ in 0..3 {
        let mut process = Start::with(&["--fifo", "@in", "--output", "stdout-raw"]).start();
        let path = process.path("in");
        let burst = std::thread::spawn(move || {
            let mut fifo = OpenOptions::new().write(true).open(path).expect("a FIFO");
            (0..20_000).for_each(|number| fifo.write_all(line(number).as_bytes()).expect("a reader"));
        });
        process.counts("kasm_scrub_input_records_total{input=\"fifo\"}", 1);
        process.end(0);
        burst.join().expect("no panic");
        are_all(&String::from_utf8(process.out()).expect("text"), 20_000);
    }
}
