//! Private keys whose beginning is gone, or was never delivered: the rest of them does not come out.

use std::fs::{self, File};
use std::thread;
use std::time::Duration;

use kasm_scrub::pod::tail::Format;

use super::rotation::{check_no_key, key};
use super::stage::{Stage, Tailing};

/// Lines that are none of a key, but stand behind one.
const OTHERS: [&str; 7] = [
    "started",
    "ok",
    "done",
    "loading /usr/local/lib/python3/distPackages/KasmClientApi/handlers",
    "{\"authenticated\":\"yes\"}",
    "4bf92f3577b34da6 accepted",
    "2024-02-29T10:15:00Z INFO after",
];

/// The lines of a key from one to another, the last not included.
fn part(from: usize, to: usize) -> String {
    key().split_inclusive('\n').skip(from).take(to - from).collect()
}

/// The rest of a key, and what stands behind it.
fn rest(from: usize) -> String {
    part(from, usize::MAX / 2) + &OTHERS.join("\n") + "\n"
}

/// A file with the beginning of a key, and a tail that has read it.
fn begun() -> (Stage, Tailing) {
    let stage = Stage::new("*.log");
    stage.write("a.log", format!("before\n{}", part(0, 6)));
    let tail = stage.start();
    tail.sink.wait_for(7);
    (stage, tail)
}

/// Ends a tail as a kill would: what it does while it ends is not in the checkpoint.
fn kill(stage: &Stage, tail: Tailing) -> std::sync::Arc<super::stage::Sink> {
    thread::sleep(Duration::from_millis(1500));
    let saved = fs::read(&stage.settings.checkpoint).unwrap();
    let sink = tail.cut_off();
    fs::write(&stage.settings.checkpoint, saved).unwrap();
    sink
}

/// Starts a tail, lets it read the rest, and looks at all that has come.
#[track_caller]
fn check_rest(stage: &Stage, sink: std::sync::Arc<super::stage::Sink>, write: impl FnOnce()) {
    let tail = stage.start_with(sink);
    thread::sleep(Duration::from_millis(500));
    write();
    tail.sink.wait_for_text(OTHERS[OTHERS.len() - 1]);
    let texts = tail.stop().texts();
    check_no_key(&texts);
    assert!(texts.iter().any(|text| text.contains("REDACTED:private-key")), "{texts:#?}");
    assert_eq!(texts[texts.len() - OTHERS.len()..], OTHERS);
}

#[test]
fn the_beginning_was_emptied_before_a_kill() {
    let (stage, tail) = begun();
    File::create(stage.path("a.log")).unwrap();
    tail.sink.wait_for_event("truncated");
    stage.write("a.log", part(6, 8));
    tail.sink.wait_for(9);
    let sink = kill(&stage, tail);
    check_rest(&stage, sink, || stage.write("a.log", rest(8)));
}

#[test]
fn the_beginning_was_deleted_before_a_kill() {
    for is_read in [false, true] {
        let (stage, tail) = begun();
        fs::remove_file(stage.path("a.log")).unwrap();
        if is_read {
            stage.write("a.log", part(6, 8));
            tail.sink.wait_for(9);
        }
        let sink = kill(&stage, tail);
        check_rest(&stage, sink, || stage.write("a.log", rest(if is_read { 8 } else { 6 })));
    }
}

#[test]
fn the_beginning_is_emptied_or_compressed_while_nobody_looks() {
    for is_renamed in [false, true] {
        let (stage, tail) = begun();
        let sink = tail.stop();
        if is_renamed {
            stage.rename("a.log", "a.log.1");
            stage.write("a.log", part(6, 8));
            stage.write("a.log.1.gz", "compressed");
            fs::remove_file(stage.path("a.log.1")).unwrap();
        } else {
            fs::write(stage.path("a.log"), part(6, 8)).unwrap();
        }
        // What is lost stays so over one more restart.
        let sink = kill(&stage, stage.start_with(sink));
        check_rest(&stage, sink, || stage.write("a.log", rest(8)));
    }
}

#[test]
fn the_beginning_of_a_key_of_a_container_is_gone() {
    let stage = Stage::of("0.log", Format::Cri);
    let lines = |text: &str| {
        text.lines().map(|line| format!("2024-02-29T10:15:00.5Z stderr F {line}\n")).collect::<String>()
    };
    stage.write("0.log", lines(&format!("before\n{}", part(0, 6))));
    let tail = stage.start();
    tail.sink.wait_for(7);
    let sink = tail.stop();
    File::create(stage.path("0.log")).unwrap();
    check_rest(&stage, sink, || stage.write("0.log", lines(&rest(6))));
}

/// Half a secret has no shape to be known by.
#[test]
fn the_beginning_of_a_record_of_a_container_is_gone() {
    let stage = Stage::of("0.log", Format::Cri);
    let line =
        |stream: &str, tag: &str, text: &str| format!("2024-02-29T10:15:00.5Z {stream} {tag} {text}\n");
    stage.write("0.log", line("stdout", "F", "before") + &line("stdout", "P", "https://me:hunter"));
    let tail = stage.start();
    tail.sink.wait_for(1);
    let sink = tail.cut_off();
    File::create(stage.path("0.log")).unwrap();
    let tail = stage.start_with(sink);
    for (stream, tag, text) in [
        ("stderr", "F", "another stream"),
        ("stdout", "P", "DeadBeef"),
        ("stdout", "F", "42@db/ here"),
        ("stdout", "F", "next"),
    ] {
        stage.write("0.log", line(stream, tag, text));
    }
    tail.sink.wait_for_text("next");
    let sink = tail.stop();
    assert_eq!(sink.texts(), ["before", "another stream", "[REDACTED:undecided]", "next"]);
    assert!(sink.events().contains(&"record_cut"));
}

#[test]
fn nothing_is_open_where_nothing_was_lost() {
    let stage = Stage::new("*.log");
    stage.write("a.log", "before\n");
    let tail = stage.start();
    tail.sink.wait_for(1);
    let sink = tail.stop();
    fs::write(stage.path("a.log"), format!("{}next\n", part(4, 5))).unwrap();
    let tail = stage.start_with(sink);
    tail.sink.wait_for_text("next");
    assert_eq!(tail.stop().texts(), ["before", part(4, 5).trim_end(), "next"]);
    let state = fs::read_to_string(&stage.settings.checkpoint).unwrap();
    assert!(!state.contains("open") && !state.contains("lost"), "{state}");
}

#[test]
fn the_first_start_is_within_a_key() {
    let mut stage = Stage::new("app.log");
    stage.settings.from_start = false;
    stage.write("app.log", format!("{}before\n{}", "x\n".repeat(1 << 20), part(0, 6)));
    check_rest(&stage, Default::default(), || stage.write("app.log", rest(6)));

    let mut stage = Stage::new("app.log");
    stage.settings.from_start = false;
    stage.write("app.log", format!("before\n{}", part(0, 6)));
    let tail = stage.start();
    thread::sleep(Duration::from_millis(300));
    assert_eq!(tail.stop().texts(), [""; 0]);
}

#[test]
fn the_first_start_is_behind_a_file_with_the_beginning_of_a_key() {
    for from_start in [false, true] {
        let mut stage = Stage::new("app.log");
        stage.settings.from_start = from_start;
        stage.write("app.log.2", "older\n");
        stage.write("app.log.1", format!("before\n{}", part(0, 6)));
        stage.write("app.log", part(6, 8));
        check_rest(&stage, Default::default(), || stage.write("app.log", rest(8)));
    }
    // A key that has ended there has nothing to do with what comes.
    let stage = Stage::new("app.log");
    stage.write("app.log.2", format!("before\n{}", part(0, 6)));
    stage.write("app.log.1", rest(6));
    stage.write("app.log", format!("{}next\n", part(4, 5)));
    let tail = stage.start();
    tail.sink.wait_for(2);
    assert_eq!(tail.stop().texts(), [part(4, 5).trim_end(), "next"]);
}
