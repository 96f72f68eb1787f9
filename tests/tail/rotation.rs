//! Rotation: by renaming, by copying and emptying, by deleting.

use std::fs::{self, OpenOptions};
use std::io::{Seek, Write};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use super::stage::{Stage, append, check_numbered, numbered, until};

/// Shifts `app.log` to `app.log.1` and so on, and deletes what is beyond so many.
fn shift(stage: &Stage, most: usize) {
    let name = |number: usize| if number == 0 { "app.log".to_owned() } else { format!("app.log.{number}") };
    let _ = fs::remove_file(stage.path(&name(most)));
    for number in (0..most).rev() {
        let _ = fs::rename(stage.path(&name(number)), stage.path(&name(number + 1)));
    }
}

/// Lines are written and the file is renamed again and again.
fn check_renamed(pattern: &str, pause: Duration) {
    let stage = Stage::new(pattern);
    let tail = stage.start();
    for turn in 0..20 {
        stage.write("app.log", numbered(turn * 100, turn * 100 + 70));
        // The writer goes on in the old file for a while.
        let mut old = stage.file("app.log");
        thread::sleep(pause);
        shift(&stage, 30);
        old.write_all(numbered(turn * 100 + 70, turn * 100 + 100).as_bytes()).unwrap();
        thread::sleep(pause);
    }
    tail.sink.wait_for(2000);
    let sink = tail.stop();
    check_numbered(&sink, 2000);
    assert!(!sink.events().contains(&"lost") && !sink.events().contains(&"truncated"), "{:?}", sink.events());
}

#[test]
fn renamed_files_are_read_to_their_ends() {
    check_renamed("app.log", Duration::from_millis(30));
}

#[test]
fn renamed_files_that_a_pattern_still_names_are_read_once() {
    check_renamed("app.log*", Duration::from_millis(30));
}

/// What the folder of logs holds.
fn names(stage: &Stage) -> Vec<String> {
    let entries = fs::read_dir(stage.path("app.log").parent().unwrap()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn rotated_files_are_removed_when_they_have_been_delivered() {
    for pattern in ["app.log", "app.log*"] {
        let mut stage = Stage::new(pattern);
        stage.settings.remove_rotated = true;
        stage.write("app.log", "");
        stage.write("app.log.7", "rotated before we came\n");
        let is_named = pattern.ends_with('*');
        let tail = stage.start();
        let mut last = None;
        for turn in 0..20 {
            stage.write("app.log", numbered(turn * 100, turn * 100 + 100));
            last = Some(stage.file("app.log"));
            thread::sleep(Duration::from_millis(100));
            shift(&stage, 30);
        }
        // What was there before us is not ours, unless a pattern names it.
        let want: &[&str] = if is_named { &[] } else { &["app.log.27"] };
        until("they are removed", || names(&stage) == want);
        // Who still has one open may write on for a while.
        last.unwrap().write_all(b"line 2000\n").unwrap();
        tail.sink.wait_for(2001 + usize::from(is_named));
        let sink = tail.stop();
        let texts: Vec<String> =
            sink.texts().into_iter().filter(|text| text != "rotated before we came").collect();
        assert_eq!(texts, numbered(0, 2001).lines().collect::<Vec<_>>());
        let bad = |event: &&str| ["lost", "truncated", "removal_failed"].contains(event);
        assert!(!sink.events().iter().any(bad), "{:?}", sink.events());
    }
}

#[test]
fn rotated_files_are_not_removed_before_they_are_delivered_and_that_is_kept() {
    let mut stage = Stage::new("app.log");
    stage.settings.remove_rotated = true;
    stage.write("app.log", numbered(0, 10));
    let tail = stage.start();
    tail.sink.wait_for(10);
    tail.sink.shut(true);
    stage.write("app.log", numbered(10, 20));
    shift(&stage, 3);
    stage.write("app.log", numbered(20, 30));
    thread::sleep(2 * stage.settings.lingers);
    assert_eq!(names(&stage), ["app.log", "app.log.1"]);
    tail.cut_off();
    let tail = stage.start();
    tail.sink.wait_for(20);
    until("it is removed", || names(&stage) == ["app.log"]);
    assert_eq!(tail.stop().texts(), numbered(10, 30).lines().collect::<Vec<_>>());
}

#[test]
fn a_line_cut_by_renaming_is_whole_or_a_record() {
    let stage = Stage::new("app.log");
    let mut old = stage.file("app.log");
    old.write_all(b"line 0\nline").unwrap();
    let tail = stage.start();
    tail.sink.wait_for(1);
    shift(&stage, 3);
    stage.write("app.log", "line 2\nline 3\n");
    thread::sleep(Duration::from_millis(100));
    old.write_all(b" 1\n").unwrap();
    tail.sink.wait_for(4);
    shift(&stage, 3);
    stage.write("app.log.1", "line 4");
    stage.write("app.log", "line 5\n");
    tail.sink.wait_for(6);
    check_numbered(&tail.stop(), 6);
}

#[test]
fn generations_between_two_looks_are_read_in_order() {
    for count in [2, 7] {
        let stage = Stage::new("app.log");
        stage.write("app.log", numbered(0, 10));
        stage.write("app.log.1", "rotated before we came\n");
        let tail = stage.start();
        tail.sink.wait_for(10);
        tail.sink.shut(true);
        stage.write("app.log", numbered(10, 20));
        for turn in 1..=count {
            shift(&stage, 20);
            stage.write("app.log", numbered(turn * 20, turn * 20 + 20));
        }
        tail.sink.shut(false);
        stage.write("app.log.999-ignored", "x");
        tail.sink.wait_for((count + 1) * 20 - 10);
        let sink = tail.stop();
        let want: Vec<usize> = (0..20).chain(20..(count + 1) * 20).collect();
        let got: Vec<usize> = sink.texts().iter().map(|text| text[5..].parse().unwrap()).collect();
        assert_eq!(got, want);
    }
}

#[test]
fn files_of_others_with_names_that_begin_alike_are_left() {
    let stage = Stage::new("app.log");
    stage.write("app.log", "line 0\n");
    let tail = stage.start();
    tail.sink.wait_for(1);
    for name in ["app-2.log", "app.2.log", "app.log-2", "app-20240229.log"] {
        stage.write(name, "of another\n");
    }
    // What was ours is, whatever it is called.
    stage.write("app.log", "line 1\n");
    stage.rename("app.log", "app-20240301.log");
    stage.write("app-20240301.log", "line 2\n");
    stage.write("app.log", "line 3\n");
    tail.sink.wait_for(4);
    thread::sleep(Duration::from_millis(500));
    check_numbered(&tail.stop(), 4);
}

#[test]
fn files_that_were_never_seen_under_their_own_names_are_read() {
    let stage = Stage::new("app.log");
    stage.write("app.log.1", "rotated before we came\n");
    let tail = stage.start();
    // A fast writer: all has been renamed when it is looked at for the first time.
    let beside = |name: &str, text: String| {
        let path = stage.path("..").join("beside");
        append(&path).write_all(text.as_bytes()).unwrap();
        fs::rename(path, stage.path(name)).unwrap();
    };
    beside("app.log.3", numbered(0, 10));
    tail.sink.wait_for(10);
    beside("app.log.2024-02-29T10:00:00Z", numbered(10, 20));
    // Another may be called so.
    beside("app.2.log", "of another\n".to_owned());
    tail.sink.wait_for(20);
    let sink = tail.stop();
    // The same while nobody looks.
    beside("app.log.2", numbered(20, 30));
    let tail = stage.start_with(sink);
    tail.sink.wait_for(30);
    stage.write("app.log", numbered(30, 40));
    tail.sink.wait_for(40);
    thread::sleep(Duration::from_millis(500));
    check_numbered(&tail.stop(), 40);
}

#[test]
fn files_that_come_and_go_while_the_output_takes_nothing_are_read() {
    let stage = Stage::new("app.log");
    stage.write("app.log", numbered(0, 10));
    let tail = stage.start();
    tail.sink.wait_for(10);
    tail.sink.shut(true);
    stage.write("app.log", numbered(10, 20));
    // Of each generation nothing is left but what is held.
    for turn in 2..8 {
        thread::sleep(Duration::from_millis(1500));
        let _ = fs::remove_file(stage.path("app.log.1"));
        stage.rename("app.log", "app.log.1");
        stage.write("app.log", numbered(turn * 10, turn * 10 + 10));
    }
    thread::sleep(Duration::from_millis(1500));
    tail.sink.shut(false);
    tail.sink.wait_for(80);
    let sink = tail.stop();
    check_numbered(&sink, 80);
    assert!(!sink.events().contains(&"lost"), "{:?}", sink.events());
}

/// Lines are written, and the file is copied and emptied again and again.
fn check_copied(pattern: &str, batch: usize) {
    let stage = Stage::new(pattern);
    let mut file = stage.file("app.log");
    let tail = stage.start();
    for turn in 0..10 {
        for part in 0..2 {
            let from = (turn * 2 + part) * batch;
            file.write_all(numbered(from, from + batch).as_bytes()).unwrap();
            thread::sleep(Duration::from_millis(20));
        }
        for number in (1..20).rev() {
            let name = |number| stage.path(&format!("app.log.{number}"));
            let _ = fs::rename(name(number), name(number + 1));
        }
        fs::copy(stage.path("app.log"), stage.path("app.log.1")).unwrap();
        file.set_len(0).unwrap();
    }
    tail.sink.wait_for(20 * batch);
    thread::sleep(Duration::from_millis(500));
    let sink = tail.stop();
    check_numbered(&sink, 20 * batch);
    assert!(!sink.events().contains(&"truncated"), "{:?}", sink.events());
}

#[test]
fn copied_and_emptied_files_are_read_once() {
    check_copied("app.log", 100);
}

#[test]
fn copies_that_a_pattern_names_are_not_read_again() {
    check_copied("app.log*", 100);
}

#[test]
fn clocks_that_jump_change_nothing() {
    let stage = Stage::new("app.log*");
    let mut file = stage.file("app.log");
    let tail = stage.start();
    for turn in 0..6_u64 {
        let from = turn as usize * 100;
        file.write_all(numbered(from, from + 100).as_bytes()).unwrap();
        // Forwards and backwards, by years.
        let time = UNIX_EPOCH + Duration::from_secs((turn * 7 % 5) * 400_000_000);
        file.set_modified(time).unwrap();
        thread::sleep(Duration::from_millis(50));
        let old = format!("app.log.{}", turn + 1);
        if turn % 2 == 0 {
            fs::copy(stage.path("app.log"), stage.path(&old)).unwrap();
            file.set_len(0).unwrap();
        } else {
            stage.rename("app.log", &old);
            file = stage.file("app.log");
        }
        append(&stage.path(&old)).set_modified(time).unwrap();
    }
    tail.sink.wait_for(600);
    thread::sleep(Duration::from_millis(500));
    check_numbered(&tail.stop(), 600);
}

#[test]
fn what_was_not_read_before_a_file_was_emptied_is_read_from_its_copy() {
    for pattern in ["app.log", "app.log*"] {
        let stage = Stage::new(pattern);
        let mut file = stage.file("app.log");
        file.write_all(numbered(0, 100_000).as_bytes()).unwrap();
        let tail = stage.start();
        tail.sink.wait_for(1);
        tail.sink.shut(true);
        // A line is cut in two.
        file.write_all(b"line 1000").unwrap();
        fs::copy(stage.path("app.log"), stage.path("app.log.1")).unwrap();
        file.set_len(0).unwrap();
        file.write_all(b"00\nline 100001\n").unwrap();
        tail.sink.shut(false);
        tail.sink.wait_for(100_002);
        check_numbered(&tail.stop(), 100_002);
    }
}

#[test]
fn an_emptied_file_begins_anew_and_is_counted() {
    let stage = Stage::new("app.log");
    let mut file = stage.file("app.log");
    let tail = stage.start();
    file.write_all(b"line 0\nline 1").unwrap();
    tail.sink.wait_for(1);
    thread::sleep(Duration::from_millis(400));
    file.set_len(0).unwrap();
    tail.sink.wait_for_event("truncated");
    // It goes on where its writer was.
    file.write_all(b"\nline 2\n").unwrap();
    tail.sink.wait_for(3);
    check_numbered(&tail.stop(), 3);
}

#[test]
fn a_file_that_was_replaced_in_place_by_a_longer_one_is_read_anew() {
    let stage = Stage::new("app.log");
    stage.write("app.log", numbered(0, 10));
    let tail = stage.start();
    tail.sink.wait_for(10);
    // Longer at once: only what it holds tells.
    fs::write(stage.path("new"), numbered(10, 100)).unwrap();
    fs::copy(stage.path("new"), stage.path("app.log")).unwrap();
    tail.sink.wait_for(100);
    check_numbered(&tail.stop(), 100);
}

#[test]
fn a_hole_before_what_is_written_into_an_emptied_file_is_left() {
    let stage = Stage::new("app.log");
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).open(stage.path("app.log")).unwrap();
    file.write_all(numbered(0, 3000).as_bytes()).unwrap();
    let tail = stage.start();
    tail.sink.wait_for(3000);
    file.set_len(0).unwrap();
    // Its writer does not append: it goes on where it was.
    assert!(file.stream_position().unwrap() > 4096);
    file.write_all(numbered(3000, 4000).as_bytes()).unwrap();
    tail.sink.wait_for(4000);
    check_numbered(&tail.stop(), 4000);
}

#[test]
fn deleted_files_are_read_to_their_ends() {
    let stage = Stage::new("app.log");
    let mut file = stage.file("app.log");
    file.write_all(numbered(0, 100_000).as_bytes()).unwrap();
    let tail = stage.start();
    tail.sink.wait_for(1);
    tail.sink.shut(true);
    fs::remove_file(stage.path("app.log")).unwrap();
    file.write_all(numbered(100_000, 100_010).as_bytes()).unwrap();
    file.write_all(b"line 100010").unwrap();
    tail.sink.shut(false);
    tail.sink.wait_for(100_011);
    // What takes its name is another file.
    append(&stage.path("app.log")).write_all(numbered(100_011, 100_020).as_bytes()).unwrap();
    tail.sink.wait_for(100_020);
    check_numbered(&tail.stop(), 100_020);
}

#[test]
fn a_key_over_lines_is_found_across_rotation() {
    let stage = Stage::new("app.log");
    let key = key();
    let (one, two) = key.split_at(key.len() / 2);
    let cut = one.rfind('\n').unwrap() + 1;
    let two = format!("{}{two}", &one[cut..]);
    stage.write("app.log", &one[..cut]);
    let tail = stage.start();
    tail.sink.wait_for(3);
    shift(&stage, 3);
    stage.write("app.log", format!("{two}after\n"));
    tail.sink.wait_for(key.lines().count() + 1);
    let texts = tail.stop().texts();
    check_no_key(&texts);
    assert_eq!(texts[texts.len() - 1], "after");
}

/// A private key that is none.
pub(super) fn key() -> String {
    let line = |number: usize| format!("{:A<60}{number:04}\n", "DeadBeef");
    let lines: String = (0..20).map(line).collect();
    format!("-----BEGIN RSA PRIVATE {0}-----\n{lines}-----END RSA PRIVATE {0}-----\n", "KEY")
}

#[track_caller]
pub(super) fn check_no_key(texts: &[String]) {
    assert!(!texts.iter().any(|text| text.contains("DeadBeefAAAA")), "{texts:#?}");
}

#[test]
fn files_with_rising_numbers_are_read_in_order() {
    for is_known in [false, true] {
        let stage = Stage::new("app.log");
        if is_known {
            stage.write("app.log", numbered(0, 10));
        }
        let tail = stage.start();
        if is_known {
            tail.sink.wait_for(10);
            tail.sink.shut(true);
            stage.write("app.log", numbered(10, 20));
            stage.rename("app.log", "app.log.1");
        }
        // All of them come before they are looked at: they are made elsewhere.
        let from = if is_known { 20 } else { 0 };
        for part in 0..4 {
            let path = stage.path("..").join(format!("{part}"));
            append(&path).write_all(numbered(from + part * 10, from + part * 10 + 10).as_bytes()).unwrap();
            thread::sleep(Duration::from_millis(20));
        }
        for part in 0..4 {
            let path = stage.path("..").join(format!("{part}"));
            fs::rename(path, stage.path(&format!("app.log.{}", part + 2))).unwrap();
        }
        tail.sink.shut(false);
        tail.sink.wait_for(from + 40);
        check_numbered(&tail.stop(), from + 40);
    }
}
