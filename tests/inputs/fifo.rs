//! The FIFO: several writers, readers that come and go, and the end.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::process::Signal;

use super::lines::{are_all, line, numbers};
use super::process::{Process, Start, until};
use crate::relay::stage::{is_leak, secret};

fn writer(path: &Path) -> fs::File {
    OpenOptions::new().write(true).open(path).expect("a FIFO")
}

/// As a writer does that goes on while nobody reads: with both ends open, nothing ends it.
fn holder(path: &Path) -> fs::File {
    OpenOptions::new().read(true).write(true).open(path).expect("a FIFO")
}

fn raw() -> Process {
    Start::with(&["--fifo", "@in", "--output", "stdout-raw"]).start()
}

fn text(process: &Process) -> String {
    String::from_utf8(process.out()).expect("text")
}

#[test]
fn it_is_made_for_everyone_to_write() {
    let mut process = raw();
    let made = fs::metadata(process.path("in")).expect("it is there");
    assert!(made.file_type().is_fifo());
    assert_eq!(made.permissions().mode() & 0o777, 0o622);
    process.end(0);
}

#[test]
fn lines_come_out_as_json_with_their_labels() {
    let mut process = Start::with(&["--fifo", "@in"]).start();
    let mut fifo = writer(&process.path("in"));
    fifo.write_all(b"one\n\xff two\n").expect("a reader");
    fifo.write_all(line(7).as_bytes()).expect("a reader");
    until("all are there", || process.records().len() == 3);
    let records = process.records();
    assert_eq!(records[0]["message"], "one");
    assert_eq!(records[1]["message"], "\u{FFFD} two");
    assert_eq!(records[2]["message"], "line 7 of many password=[REDACTED:password] is here");
    for record in &records {
        let keys: Vec<_> = record.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(keys, ["time", "message", "input", "log.file.path"]);
        assert_eq!(record["input"], "fifo");
        assert!(record["log.file.path"].as_str().is_some_and(|path| path.ends_with("/in")), "{record}");
    }
    process.counts("kasm_scrub_input_records_total{input=\"fifo\"}", 3);
    process.counts("kasm_scrub_input_findings_total{rule=\"password\",input=\"fifo\"}", 1);
    drop(fifo);
    process.end(0);
}

#[test]
fn writers_do_not_mix_and_none_is_lost() {
    let mut process = raw();
    let writers: Vec<_> = (0..4)
        .map(|own| {
            let path = process.path("in");
            std::thread::spawn(move || {
                for number in 0..3000 {
                    let line = format!("writer{own} {}", line(number));
                    writer(&path).write_all(line.as_bytes()).expect("a reader");
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().expect("no panic"));
    process.signal(Signal::TERM);
    assert_eq!(process.ended(), Some(0));
    let all = text(&process);
    for own in 0..4 {
        let of_one: Vec<&str> =
            all.lines().filter(|line| line.starts_with(&format!("writer{own} "))).collect();
        are_all(&of_one.join("\n"), 3000);
    }
    process.has_no_leak();
}

#[test]
fn what_is_there_when_the_end_is_told_is_taken_and_so_is_a_line_without_an_end() {
    let mut process = raw();
    let mut fifo = writer(&process.path("in"));
    for number in 0..2000 {
        fifo.write_all(line(number).as_bytes()).expect("a reader");
    }
    process.signal(Signal::TERM);
    process.says("\"draining\"");
    // A writer that is still there is waited for.
    for number in 2000..4000 {
        fifo.write_all(line(number).as_bytes()).expect("a reader");
    }
    fifo.write_all(format!("line 4000 of it password={}", secret(4000)).as_bytes()).expect("a reader");
    drop(fifo);
    assert_eq!(process.ended(), Some(0));
    let all = text(&process);
    assert!(all.ends_with("line 4000 of it password=[REDACTED:password]\n"), "the last line");
    are_all(&all, 4001);
    process.has_no_leak();
}

#[test]
fn a_writer_that_never_ends_does_not_hold_up_the_end() {
    let mut process = Start::with(&["--fifo", "@in", "--output", "stdout-raw", "--drain", "2s"]).start();
    let mut fifo = writer(&process.path("in"));
    fifo.write_all(line(0).as_bytes()).expect("a reader");
    process.end(0);
    are_all(&text(&process), 1);
}

#[test]
fn a_writer_outlives_a_reader_that_is_killed() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let start = || Start::with(&["--fifo", "@in", "--output", "stdout-raw"]).in_folder(folder.clone());
    let mut process = start().start();
    // With both ends open, so that what is in the pipe stays while nobody else holds it.
    let mut fifo = holder(&process.path("in"));
    let mut all = String::new();
    let (mut written, mut unknown) = (0, 0);
    for round in 0..3 {
        for _ in 0..500 {
            fifo.write_all(line(written).as_bytes()).expect("a pipe");
            written += 1;
        }
        until("they are out", || numbers(&format!("{all}{}", text(&process))).len() == written - unknown);
        process.kill();
        process.has_no_leak();
        all.push_str(&text(&process));
        // Less than the pipe holds.
        for _ in 0..500 {
            fifo.write_all(line(written).as_bytes()).expect("a pipe");
            written += 1;
        }
        process = start().start();
        // Of the first line nobody knows whether it is one.
        unknown += 1;
        until("what was in the pipe is out", || {
            numbers(&format!("{all}{}", text(&process))).len() == written - unknown
        });
        assert!(text(&process).starts_with("[REDACTED:undecided]\nline "), "{}", text(&process));
        assert_eq!(round, written / 1000 - 1);
    }
    drop(fifo);
    process.end(0);
    all.push_str(&text(&process));
    let want: Vec<_> = (0..3000).filter(|number| number % 1000 != 500).collect();
    assert_eq!(numbers(&all), want);
}

#[test]
fn what_a_reader_that_was_killed_has_begun_to_read_does_not_come_out_raw() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let start = || Start::with(&["--fifo", "@in", "--output", "stdout-raw"]).in_folder(folder.clone());
    for round in 0..4 {
        // Nobody reads what comes out: the pipes fill, and the reader stands in the middle of a line.
        let (blocked, output) = std::io::pipe().expect("a pipe");
        let mut process = start().stdout(output).start();
        let mut fifo = holder(&process.path("in"));
        rustix::io::ioctl_fionbio(&fifo, true).expect("non-blocking");
        let pad = "x".repeat(100 + round * 37);
        let all =
            |number| format!("{{\"pad\": \"{pad}\", \"password\": \"{}\"}}\n", secret(number).repeat(20));
        let all: String = (0..5000).map(all).collect();
        let mut rest = all.as_bytes();
        while let Ok(written) = fifo.write(rest) {
            rest = &rest[written..];
        }
        std::thread::sleep(std::time::Duration::from_millis(300));
        process.kill();
        drop(blocked);
        let mut process = start().start();
        until("the rest is out", || text(&process).lines().count() > 10);
        drop(fifo);
        process.end(0);
        let all = text(&process);
        assert!(all.starts_with("[REDACTED:undecided]\n{"), "{:?}", &all[..200]);
        assert!(!is_leak(all.as_bytes()), "{all}");
    }
}

#[test]
fn a_line_that_is_cut_by_the_end_is_not_told_to_its_end_nor_from_its_middle() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let options = ["--fifo", "@in", "--output", "stdout-raw", "--drain", "1s"];
    let start = || Start::with(&options).in_folder(folder.clone());
    let mut process = start().start();
    let mut fifo = holder(&process.path("in"));
    fifo.write_all(b"one\ntoken is glpat-DEADdeadDEADdead").expect("a reader");
    until("the first is out", || text(&process).lines().count() == 1);
    process.end(0);
    assert_eq!(text(&process), "one\n[REDACTED:undecided]\n");
    let mut process = start().start();
    fifo.write_all(b"DEAD and on\ntwo\n").expect("a reader");
    until("the second is out", || text(&process).ends_with("two\n"));
    process.end(0);
    assert_eq!(text(&process), "[REDACTED:undecided]\ntwo\n");
}

#[test]
fn the_rest_of_a_key_is_known_after_a_restart() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let start = || Start::with(&["--fifo", "@in", "--output", "stdout-raw"]).in_folder(folder.clone());
    let body = format!("{}\n", "DEADdeadDEADdead".repeat(4));
    let mut process = start().start();
    let mut fifo = holder(&process.path("in"));
    fifo.write_all(format!("-----BEGIN PRIVATE {}-----\n{body}{body}", "KEY").as_bytes()).expect("a reader");
    until("they are out", || text(&process).lines().count() == 3);
    process.kill();
    fifo.write_all(format!("{body}{body}{body}-----END PRIVATE {}-----\nnext line\n", "KEY").as_bytes())
        .expect("a pipe");
    let mut process = start().start();
    until("the rest is out", || text(&process).ends_with("next line\n"));
    drop(fifo);
    process.end(0);
    assert!(!text(&process).contains("DEADdead"), "{}", text(&process));
}

#[test]
fn one_that_somebody_reads_already_is_refused() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    let start = || Start::with(&["--fifo", "@in", "--output", "stdout-raw"]).in_folder(folder.clone());
    let mut process = start().start();
    let (code, said) = start().refused();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("another input or process reads it"), "{said}");
    process.end(0);
}

#[test]
fn a_shell_that_opens_it_for_every_line_is_read() {
    let mut process = raw();
    let path = process.path("in");
    let script = "i=0; while [ $i -lt 300 ]; do echo \"line $i of many is here\" > \"$0\"; i=$((i+1)); done";
    let status = Command::new("sh").args(["-c", script]).arg(&path).stdin(Stdio::null()).status();
    assert!(status.expect("a shell").success());
    process.end(0);
    assert_eq!(numbers(&text(&process)), (0..300).collect::<Vec<_>>());
}

#[test]
fn a_line_without_an_end_takes_no_more_memory_than_allowed() {
    let mut process = raw();
    let mut fifo = writer(&process.path("in"));
    let piece = [&b"x".repeat(1000)[..], b" "].concat();
    for _ in 0..4000 {
        fifo.write_all(&piece).expect("a reader");
    }
    fifo.write_all(b"\n").expect("a reader");
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it is there");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let peak: u64 = peak.trim_end_matches("kB").trim().parse().expect("a number");
    assert!(peak < 80 << 10, "{peak} KiB");
    drop(fifo);
    process.end(0);
    let all = process.out();
    assert_eq!(all.iter().filter(|&&byte| byte == b'x').count(), 4_000_000);
}

#[test]
fn what_is_no_fifo_is_refused() {
    let folder = Arc::new(tempfile::tempdir().expect("a folder"));
    fs::write(folder.path().join("in"), "a file").expect("a file");
    let (code, said) = Start::with(&["--fifo", "@in"]).in_folder(folder.clone()).refused();
    assert_eq!(code, Some(2));
    assert!(said.contains("it is there and is no FIFO"), "{said}");
    let (code, said) = Start::with(&["--fifo", "@none/in"]).in_folder(folder).refused();
    assert_eq!(code, Some(2));
    assert!(said.contains("none/in: "), "{said}");
}

#[test]
fn one_that_is_removed_is_made_anew_and_the_old_one_read_to_its_end() {
    let mut process = raw();
    let mut old = writer(&process.path("in"));
    old.write_all(b"before\n").expect("a reader");
    fs::remove_file(process.path("in")).expect("it was there");
    // Also while the old one is busy.
    let mut count = 0;
    until("it is there anew", || {
        old.write_all(b"old\n").expect("a reader");
        count += 1;
        process.path("in").exists()
    });
    process.says("has removed or replaced the FIFO");
    process.counts("kasm_scrub_input_events_total{what=\"fifo_lost\"}", 1);
    let made = fs::metadata(process.path("in")).expect("it is there");
    assert!(made.file_type().is_fifo());
    assert_eq!(made.permissions().mode() & 0o777, 0o622);
    let mut new = writer(&process.path("in"));
    new.write_all(line(7).as_bytes()).expect("a reader");
    old.write_all(b"the last").expect("a reader");
    drop((old, new));
    until("all are there", || text(&process).lines().count() == count + 3);
    let all = text(&process);
    assert_eq!(all.matches("old\n").count(), count);
    assert!(all.contains("the last\n") && all.contains("line 7 of many"), "{all}");
    process.end(0);
}

#[test]
fn something_else_in_its_place_ends_the_process() {
    let mut process = raw();
    fs::remove_file(process.path("in")).expect("it was there");
    // As quick as an app that writes there: in one go.
    let path = process.path("in");
    fs::write(path.with_extension("new"), "not scrubbed\n").expect("a file");
    fs::rename(path.with_extension("new"), &path).expect("a file");
    process.says("it is there and is no FIFO, but a file of 13 bytes");
    assert_eq!(process.ended(), Some(2), "{}", process.log());
    process.has_no_leak();
}

#[test]
fn a_line_that_a_writer_has_not_ended_is_not_joined_with_the_next_writers() {
    let mut process = raw();
    let path = process.path("in");
    for (number, text) in ["abc", "def\n", "ghi"].iter().enumerate() {
        writer(&path).write_all(text.as_bytes()).expect("a reader");
        until("it is there", || self::text(&process).lines().count() == number + 1);
    }
    // A key over lines is one secret, also if each line has a writer of its own.
    let body = "hunterCanary7deadBeef".repeat(3);
    let key = ["-----BEGIN RSA PRIVATE KEY-----", &body, &body, "-----END RSA PRIVATE KEY-----"];
    for (number, line) in key.iter().enumerate() {
        writer(&path).write_all(format!("{line}\n").as_bytes()).expect("a reader");
        until("it is there", || self::text(&process).lines().count() == number + 4);
    }
    process.end(0);
    assert!(text(&process).starts_with("abc\ndef\nghi\n"), "{}", text(&process));
}
