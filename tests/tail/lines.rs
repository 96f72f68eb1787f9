//! Lines of files that stay where they are.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use kasm_scrub::Sanitizer;
use kasm_scrub::rules::Ruleset;
use kasm_scrub::sanitize::Parts;

use super::stage::{PATIENCE, Stage, Tailing, append, check_numbered, numbered, until};

#[test]
fn lines_are_delivered_scrubbed_and_labelled() {
    let stage = Stage::new("*.log");
    stage.write("app.log", "one password=DeadBeef42!\n\ntwo \u{fffd}\n");
    let tail = stage.start();
    tail.sink.wait_for(3);
    let sink = tail.stop();
    assert_eq!(sink.texts(), ["one password=[REDACTED:password]", "", "two \u{fffd}"]);
    let origin = sink.records()[0].origin.clone();
    let path = stage.path("app.log").display().to_string();
    let want = [("log.file.path".into(), path), ("log.file.name".into(), "app.log".to_owned())];
    assert_eq!((origin.input, &origin.labels[..]), ("file", &want[..]));
    assert_eq!(sink.events(), [""; 0]);
}

#[test]
fn names_of_files_are_scrubbed_too() {
    let stage = Stage::new("*.log");
    stage.write("password=DeadBeef42.log", "x\n");
    let tail = stage.start();
    tail.sink.wait_for(1);
    let sink = tail.stop();
    let labels = format!("{:?}", sink.records()[0].origin.labels);
    assert!(labels.contains("REDACTED:password") && !labels.contains("DeadBeef42"), "{labels}");
}

#[test]
fn files_and_folders_that_appear_later_are_read_from_their_beginning() {
    let mut stage = Stage::new("*/deep/*.log");
    stage.settings.from_start = false;
    let tail = stage.start();
    for folder in 0..3 {
        stage.write(&format!("{folder}/deep/a.log"), numbered(folder * 10, folder * 10 + 10));
        tail.sink.wait_for(folder * 10 + 10);
    }
    check_numbered(&tail.stop(), 30);
}

#[test]
fn what_was_there_before_is_left_where_that_is_asked_for() {
    let mut stage = Stage::new("*.log");
    stage.settings.from_start = false;
    stage.write("a.log", "old\nold again\nlast li");
    let tail = stage.start();
    thread::sleep(Duration::from_millis(100));
    stage.write("a.log", "ne\nnew\n");
    tail.sink.wait_for(2);
    assert_eq!(tail.stop().texts(), ["last line", "new"]);
}

#[test]
fn a_line_waits_for_its_end() {
    let stage = Stage::new("*.log");
    let mut file = stage.file("a.log");
    let tail = stage.start();
    for piece in ["pass", "word=Dead", "Beef42!", " ok\nne", "xt\n"] {
        file.write_all(piece.as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(60));
    }
    tail.sink.wait_for(2);
    assert_eq!(tail.stop().texts(), ["password=[REDACTED:password] ok", "next"]);
}

#[test]
fn a_line_without_end_is_delivered_while_draining_and_once_more_if_it_goes_on() {
    let stage = Stage::new("*.log");
    stage.write("a.log", "one\npassword=Dead");
    let tail = stage.start();
    tail.sink.wait_for(1);
    let sink = tail.stop();
    assert_eq!(sink.texts(), ["one", "[REDACTED:undecided]"]);
    // As long as nothing has come, it is not delivered again.
    assert_eq!(stage.start_with(sink.clone()).stop().texts().len(), 2);
    stage.write("a.log", "Beef42! ok\n");
    let sink = stage.start_with(sink).stop();
    assert_eq!(sink.texts()[2..], ["password=[REDACTED:password] ok"]);
}

#[test]
fn a_line_without_end_is_delivered_when_nothing_comes_for_long() {
    let mut stage = Stage::new("*.log");
    stage.settings.unfinished = Duration::from_millis(300);
    stage.write("a.log", "one\npassword=Dead");
    let tail = stage.start();
    tail.sink.wait_for(2);
    thread::sleep(Duration::from_millis(800));
    stage.write("a.log", "Beef42! ok\nlast wo");
    tail.sink.wait_for(4);
    let sink = tail.stop();
    let words = ["one", "[REDACTED:undecided]", "password=[REDACTED:password] ok", "[REDACTED:undecided]"];
    assert_eq!(sink.texts(), words);
    let cut: Vec<bool> = sink.records().iter().map(|kept| !kept.details.labels.is_empty()).collect();
    assert_eq!(cut, [false, true, false, true]);
    assert_eq!(stage.start_with(sink).stop().texts().len(), 4);
}

#[test]
fn half_a_secret_of_a_line_without_end_does_not_come_out() {
    let token = format!("glpat{}", "-DEADdeadDEADdeadDEAD");
    let words = "these words were written before it ";
    for secret in [&*token, "ada.lovelace@corp.example", "4111 1111 1111 1111"] {
        for format in ["@", "{\"a\": \"b\", \"message\": \"@", "key='@"] {
            let mut stage = Stage::new("*.log");
            stage.settings.unfinished = Duration::from_millis(100);
            let begun =
                format!("{}{words}{}", words.repeat(2), format.replace('@', &secret[..secret.len() - 3]));
            stage.write("a.log", &begun);
            let tail = stage.start();
            tail.sink.wait_for(1);
            stage.write("a.log", format!("{} ok\n", &secret[secret.len() - 3..]));
            tail.sink.wait_for(2);
            let texts = tail.stop().texts();
            assert_eq!(texts.len(), 2, "{texts:?}");
            for text in &texts {
                assert!(text.starts_with(&format!("{words}these words")), "{text}");
                let is_out =
                    |at: usize| text.contains(&secret[at..at + 6]) && !secret[at..at + 6].contains("word");
                assert!(!(0..secret.len() - 8).any(is_out), "{secret}: {text}");
            }
            assert!(texts[0].ends_with("[REDACTED:undecided]") && texts[1].contains(" ok"), "{texts:?}");
        }
    }
}

#[test]
fn a_value_whose_name_stands_before_waits_for_its_end() {
    let mut stage = Stage::new("*.log");
    stage.settings.unfinished = Duration::from_millis(200);
    stage.write("a.log", "- name: DB_PASSWORD\n  value: Dead");
    let tail = stage.start();
    thread::sleep(Duration::from_millis(1000));
    stage.write("a.log", "Beef42\nend\n");
    tail.sink.wait_for_text("end");
    let texts = tail.stop().texts();
    assert!(!texts.iter().any(|text| text.contains("Beef42")), "{texts:?}");
}

#[test]
fn lines_longer_than_a_segment_are_cut_at_fixed_places() {
    let long = format!("{} password=DeadBeef42! end", "word ".repeat(200_000));
    let whole = format!("before\n{long}\nafter\n");
    let run = |pieces: Vec<&[u8]>| {
        let stage = Stage::new("*.log");
        let mut file = stage.file("a.log");
        let tail = stage.start();
        for piece in pieces {
            file.write_all(piece).unwrap();
            thread::sleep(Duration::from_millis(1));
        }
        tail.sink.wait_for(6);
        let sink = tail.stop();
        let cut: Vec<bool> = sink.records().iter().map(|kept| !kept.details.labels.is_empty()).collect();
        (sink.texts(), cut)
    };
    let (texts, cut) = run(vec![whole.as_bytes()]);
    assert_eq!(texts[1..texts.len() - 1].concat(), long.replace("DeadBeef42!", "[REDACTED:password]"));
    assert_eq!((&texts[0][..], &texts[texts.len() - 1][..]), ("before", "after"));
    assert_eq!(cut, [false, true, true, true, false, false]);
    assert!(run(whole.as_bytes().chunks(70_000).collect()) == (texts, cut));
}

#[test]
fn a_block_is_read_when_the_one_before_was_delivered() {
    let stage = Stage::new("*.log");
    stage.write("a.log", numbered(0, 200_000));
    let tail = stage.start();
    tail.sink.shut(true);
    thread::sleep(Duration::from_millis(300));
    let count = tail.sink.records().len();
    thread::sleep(Duration::from_millis(300));
    assert_eq!(tail.sink.records().len(), count);
    tail.sink.shut(false);
    tail.sink.wait_for(200_000);
    check_numbered(&tail.stop(), 200_000);
}

#[test]
fn files_have_their_turns() {
    let stage = Stage::new("*.log");
    stage.write("a.log", numbered(0, 400_000));
    stage.write("b.log", "short\n");
    let tail = stage.start();
    tail.sink.wait_for(400_001);
    let texts = tail.stop().texts();
    let short = texts.iter().position(|text| text == "short").unwrap();
    assert!(short < 100_000, "{short}");
}

#[test]
fn links_are_followed_where_they_may_lead_and_what_is_no_file_is_left() {
    let mut stage = Stage::new("*.log");
    let elsewhere = tempfile::tempdir().unwrap();
    stage.settings.follow_links.push(elsewhere.path().to_owned());
    let real = elsewhere.path().join("real.txt");
    append(&real).write_all(b"line 0\n").unwrap();
    symlink(&real, stage.path("a.log")).unwrap();
    symlink(stage.path("loop.log"), stage.path("loop.log")).unwrap();
    symlink(stage.path("nothing"), stage.path("none.log")).unwrap();
    fs::create_dir(stage.path("folder.log")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(stage.path("socket.log")).unwrap();
    let tail = stage.start();
    tail.sink.wait_for(1);
    append(&real).write_all(b"line 1\n").unwrap();
    tail.sink.wait_for(2);
    // The same file by another name is the same file.
    symlink(&real, stage.path("b.log")).unwrap();
    append(&real).write_all(b"line 2\n").unwrap();
    tail.sink.wait_for(3);
    thread::sleep(Duration::from_millis(500));
    check_numbered(&tail.stop(), 3);
}

#[test]
fn links_to_what_is_not_the_applications_are_not_read() {
    let stage = Stage::new("**/*.log");
    let elsewhere = tempfile::tempdir().unwrap();
    append(&elsewhere.path().join("key.log")).write_all(b"raw\n").unwrap();
    append(&stage.path("deep/own.log")).write_all(b"line 0\n").unwrap();
    symlink(elsewhere.path().join("key.log"), stage.path("deep/key.log")).unwrap();
    symlink("/proc/1/status", stage.path("status.log")).unwrap();
    symlink(elsewhere.path(), stage.path("folder")).unwrap();
    symlink(elsewhere.path().join("key.log"), stage.path("deep/own.log.1")).unwrap();
    let tail = stage.start();
    tail.sink.wait_for(1);
    tail.sink.wait_for_event("link_refused");
    // A file that is known becomes a link.
    let rest = elsewhere.path().join("rest");
    append(&rest).write_all(b"line 0\nraw\n").unwrap();
    fs::remove_file(stage.path("deep/own.log")).unwrap();
    symlink(&rest, stage.path("deep/own.log")).unwrap();
    stage.write("later.log", "line 1\n");
    tail.sink.wait_for(2);
    thread::sleep(Duration::from_millis(500));
    let sink = tail.stop();
    check_numbered(&sink, 2);
    assert_eq!(sink.events().iter().filter(|what| **what == "link_refused").count(), 3);
}

#[test]
fn excluded_and_compressed_files_are_left() {
    let mut stage = Stage::new("*");
    stage.settings.exclude.push("*/logs/not*".to_owned());
    for name in ["a.log", "b.log.gz", "not.log", ".hidden"] {
        stage.write(name, "line 0\n");
    }
    let tail = stage.start();
    tail.sink.wait_for(1);
    check_numbered(&tail.stop(), 1);
}

#[test]
fn rules_are_replaced_between_lines() {
    let stage = Stage::new("*.log");
    let tail = stage.start();
    stage.write("a.log", "password=DeadBeef42!\n");
    tail.sink.wait_for(1);
    let none = Parts { rules: Ruleset::default(), ..Parts::default() };
    tail.house.replace(Arc::new(Sanitizer::new(none).unwrap()));
    stage.write("a.log", "password=DeadBeef42!\n");
    tail.sink.wait_for(2);
    assert_eq!(tail.stop().texts(), ["password=[REDACTED:password]", "password=DeadBeef42!"]);
}

/// A folder with a file that whoever `start` runs as may not read.
#[cfg(target_os = "linux")]
fn closed() -> Stage {
    let stage = Stage::new("*.log");
    stage.write("a.log", "line 0\n");
    stage.open_to_all();
    set_mode(&stage.path("a.log"), 0);
    stage
}

#[cfg(target_os = "linux")]
fn set_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Starts it as somebody who may not read everything, whoever runs the test.
#[cfg(target_os = "linux")]
fn start_as_nobody(stage: &Stage) -> Tailing {
    let start = || {
        if rustix::process::geteuid().is_root() {
            // Of this thread and those that it starts.
            rustix::thread::set_thread_uid(rustix::thread::Uid::from_raw(65534)).unwrap();
        }
        stage.start()
    };
    thread::scope(|scope| scope.spawn(start).join().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_cannot_be_read_is_tried_again() {
    let stage = closed();
    let tail = start_as_nobody(&stage);
    tail.sink.wait_for_event("unreadable");
    set_mode(&stage.path("a.log"), 0o644);
    tail.sink.wait_for(1);
    let house = tail.house.clone();
    let sink = tail.stop();
    check_numbered(&sink, 1);
    assert_eq!(sink.events(), ["unreadable"]);
    assert_eq!(sink.gauges.unreadable.load(Ordering::Relaxed), 0);
    assert!(!house.has_left());
}

/// Also where no link leads to it.
#[cfg(target_os = "linux")]
#[test]
fn how_full_the_volume_is_is_told() {
    let stage = Stage::new("*.log");
    stage.write("a.log", "line\n");
    let tail = stage.start();
    tail.sink.wait_for(1);
    let sink = tail.sink.clone();
    until("it is told", || sink.gauges.fullest.load(Ordering::Relaxed) > 0);
    tail.stop();
}

/// It is not waited for until the time to drain is over, and what is in it was not delivered.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_may_not_be_read_is_left() {
    let stage = closed();
    let tail = start_as_nobody(&stage);
    tail.sink.wait_for_event("unreadable");
    let sink = tail.sink.clone();
    until("it is counted", || sink.gauges.unreadable.load(Ordering::Relaxed) == 1);
    let house = tail.house.clone();
    let asked = Instant::now();
    let sink = tail.stop();
    assert!(asked.elapsed() < PATIENCE / 2);
    assert!(house.has_left() && sink.texts().is_empty());
}
