//! Outputs that are files, or that nobody reads.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::sync::Arc;

use rustix::process::Signal;

use super::lines::{are_all, line};
use super::process::{Start, until};
use crate::relay::stage::is_leak;

fn config(text: &str) -> Arc<tempfile::TempDir> {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let text = text.replace('@', &format!("{}/", folder.path().display()));
    fs::write(folder.path().join("scrub.yaml"), text).expect("a file");
    folder
}

#[test]
fn a_file_rotates_and_nothing_is_lost() {
    let folder = config(
        "inputs: [{fifo: {path: @in}}]\noutput: {file: {path: @out.log, max_size: 64KiB, keep: 100, format: raw}}\n",
    );
    let mut process = Start::with(&["--config", "@scrub.yaml"]).in_folder(folder.clone()).start();
    let mut fifo = OpenOptions::new().write(true).open(process.path("in")).expect("a FIFO");
    for number in 0..20_000 {
        fifo.write_all(line(number).as_bytes()).expect("a reader");
    }
    drop(fifo);
    process.end(0);
    let mut all = String::new();
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).ok();
    for number in (1..=100).rev() {
        all.extend(read(&format!("out.log.{number}")));
    }
    assert!(!all.is_empty(), "it has rotated");
    all.push_str(&read("out.log").expect("a file"));
    are_all(&all, 20_000);
}

#[test]
fn an_output_that_is_no_file_is_refused_at_once() {
    for output in ["output: {file: {path: @in}}", "output: {otlp: {dead_letter: @in}}"] {
        let folder = config(&format!("inputs: [{{fifo: {{path: @in}}}}]\n{output}\n"));
        rustix::fs::mkfifoat(rustix::fs::CWD, folder.path().join("in"), 0o600.into()).expect("a FIFO");
        let start = Start::with(&["--config", "@scrub.yaml", "--upstream", "http://127.0.0.1:1"]);
        let (code, said) = start.in_folder(folder).refused();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("is not a file"), "{said}");
    }
}

#[test]
fn a_full_disk_is_waited_for_and_no_line_is_doubled() {
    // A file that may not grow: the system says so in the middle of a write, as a full disk does.
    let folder = config("inputs: [{fifo: {path: @in}}]\noutput: {file: {path: @out.log, format: raw}}\n");
    let start = Start::with(&["--config", "@scrub.yaml"]).in_folder(folder.clone()).most_file(64 << 10);
    let mut process = start.start();
    let mut fifo = OpenOptions::new().write(true).open(process.path("in")).expect("a FIFO");
    let lines: String = (0..4000).map(line).collect();
    let written = std::thread::spawn(move || fifo.write_all(lines.as_bytes()));
    process.says("cannot write; waiting");
    process.counts("kasm_scrub_input_events_total{what=\"output_waiting\"}", 1);
    process.counts("kasm_scrub_input_events_total{what=\"output_retried\"}", 2);
    // Somebody makes room.
    process.unlimit_files();
    process.says("there is room again");
    written.join().expect("no panic").expect("a reader");
    process.end(0);
    are_all(&fs::read_to_string(folder.path().join("out.log")).expect("text"), 4000);
}

#[test]
fn a_full_disk_at_the_end_is_said_with_2() {
    let full = OpenOptions::new().write(true).open("/dev/full").expect("a full disk");
    let mut process = Start::with(&["--fifo", "@in", "--drain", "2s"]).stdout(full).start();
    let mut fifo = OpenOptions::new().write(true).open(process.path("in")).expect("a FIFO");
    fifo.write_all(line(7).as_bytes()).expect("a reader");
    process.says("cannot write; waiting");
    until("it is said how long they wait", || {
        process.admin("/metrics").contains("kasm_scrub_input_oldest_seconds{input=\"fifo\"}")
    });
    process.end(2);
    assert!(process.log().contains("records were still undelivered"), "{}", process.log());
}

#[test]
fn an_output_that_nobody_reads_holds_the_writer_up_and_loses_nothing() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut process = Start::with(&["--fifo", "@in", "--output", "stdout-raw"]).stdout(writer).start();
    let mut fifo = OpenOptions::new().write(true).open(process.path("in")).expect("a FIFO");
    let written = std::thread::spawn(move || {
        for number in 0..200_000 {
            fifo.write_all(line(number).as_bytes()).expect("a reader");
        }
    });
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(!written.is_finished(), "there is no room for all of it");
    let read = std::thread::spawn(move || {
        let mut all = String::new();
        reader.read_to_string(&mut all).map(|_| all)
    });
    written.join().expect("no panic");
    process.end(0);
    drop(process);
    are_all(&read.join().expect("no panic").expect("text"), 200_000);
}

#[test]
fn a_reader_that_is_gone_ends_it() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut process = Start::with(&["--fifo", "@in"]).stdout(writer).start();
    drop(reader);
    let mut fifo = OpenOptions::new().write(true).open(process.path("in")).expect("a FIFO");
    fifo.write_all(line(7).as_bytes()).expect("a reader");
    assert_eq!(process.ended(), Some(2));
    assert!(process.log().contains("nobody reads stdout any more"), "{}", process.log());
    process.has_no_leak();
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut process = Start::with(&["--fifo", "@in", "--drain", "1h"]).start();
    let fifo = OpenOptions::new().write(true).open(process.path("in")).expect("a FIFO");
    process.signal(Signal::TERM);
    process.says("\"draining\"");
    process.signal(Signal::TERM);
    assert_eq!(process.ended(), Some(2));
    drop(fifo);
}

#[test]
fn rules_are_read_again_for_inputs_too() {
    let folder = config("inputs: [{fifo: {path: @in}}]\noutput: {stdout: {format: raw}}\n");
    let mut process = Start::with(&["--config", "@scrub.yaml"]).in_folder(folder.clone()).start();
    let mut fifo = OpenOptions::new().write(true).open(process.path("in")).expect("a FIFO");
    fifo.write_all(b"one mail@example.org\n").expect("a reader");
    until("it is there", || process.out().ends_with(b"\n"));
    let path = folder.path().join("scrub.yaml");
    let text = fs::read_to_string(&path).expect("a file");
    fs::write(&path, format!("{text}actions: {{default: remove}}\n")).expect("a file");
    process.says("rules were read again");
    fifo.write_all(b"two mail@example.org\n").expect("a reader");
    drop(fifo);
    process.end(0);
    let all = String::from_utf8(process.out()).expect("text");
    assert!(!is_leak(all.as_bytes()));
    assert_eq!(all, "one [REDACTED:email]\ntwo \n");
}
