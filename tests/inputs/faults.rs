//! What goes wrong inside, and how it ends: with an exit code that has the process started anew.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::Arc;

use super::lines::{are_all, line};
use super::process::Start;

#[test]
fn an_input_that_fails_ends_the_process_and_the_others_drain() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    // No file can be made there.
    fs::write(folder.path().join("none"), "a file").expect("a file");
    let options =
        ["--fifo", "@in", "--tail", "@*.log", "--state", "@none", "--output", "stdout-raw", "--drain", "3s"];
    // It may have failed before it is ready.
    let (code, said) = Start::with(&options).in_folder(folder).refused();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("an input has failed; draining the others"), "{said}");
    assert!(said.contains("an input or the output has failed"), "{said}");
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
