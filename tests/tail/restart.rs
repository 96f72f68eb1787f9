//! Restarts: what was delivered is not delivered again, what was not is, and nothing is forgotten that lines before have
//! opened.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::Duration;

use super::rotation::{check_no_key, key};
use super::stage::{Stage, check_numbered, numbered};

#[test]
fn reading_goes_on_where_it_was() {
    let stage = Stage::new("*.log");
    let mut sink = Default::default();
    for turn in 0..5 {
        stage.write("a.log", numbered(turn * 10, turn * 10 + 10));
        let tail = stage.start_with(sink);
        tail.sink.wait_for(turn * 10 + 10);
        sink = tail.stop();
    }
    check_numbered(&sink, 50);
}

#[test]
fn what_was_not_delivered_comes_again() {
    let stage = Stage::new("*.log");
    stage.write("a.log", numbered(0, 100_000));
    let tail = stage.start();
    tail.sink.wait_for(1);
    tail.sink.shut(true);
    let sink = tail.cut_off();
    assert!(sink.records().len() < 100_000);
    sink.shut(false);
    let tail = stage.start_with(sink);
    tail.sink.wait_for(100_000);
    check_numbered(&tail.stop(), 100_000);
}

#[test]
fn rotation_while_nobody_looks_is_followed() {
    for pattern in ["app.log", "app.log*"] {
        let stage = Stage::new(pattern);
        stage.write("app.log", numbered(0, 10));
        let tail = stage.start();
        tail.sink.wait_for(10);
        let sink = tail.stop();
        stage.write("app.log", numbered(10, 20));
        stage.rename("app.log", "app.log.2");
        stage.write("app.log.1", numbered(20, 30));
        stage.write("app.log", numbered(30, 40));
        let tail = stage.start_with(sink);
        tail.sink.wait_for(40);
        let sink = tail.stop();
        if pattern == "app.log" {
            check_numbered(&sink, 40);
        } else {
            // Each name is a stream of its own there.
            let mut texts = sink.texts();
            texts.sort_by_key(|text| text[5..].parse::<usize>().unwrap());
            assert_eq!(texts.concat(), numbered(0, 40).replace('\n', ""));
        }
    }
}

#[test]
fn a_copy_made_while_nobody_looks_is_read_from_where_it_was() {
    let stage = Stage::new("app.log*");
    stage.write("app.log", numbered(0, 100));
    let tail = stage.start();
    tail.sink.wait_for(100);
    let sink = tail.stop();
    stage.write("app.log", numbered(100, 150));
    fs::copy(stage.path("app.log"), stage.path("app.log.1")).unwrap();
    fs::write(stage.path("app.log"), numbered(150, 200)).unwrap();
    let tail = stage.start_with(sink);
    tail.sink.wait_for(200);
    check_numbered(&tail.stop(), 200);
}

#[test]
fn another_file_with_the_same_inode_is_read_from_its_beginning() {
    let stage = Stage::new("*.log");
    stage.write("a.log", "start\nline 1\n");
    let tail = stage.start();
    tail.sink.wait_for(2);
    let sink = tail.stop();
    let inode = |name: &str| fs::metadata(stage.path(name)).unwrap().ino();
    let old = inode("a.log");
    fs::remove_file(stage.path("a.log")).unwrap();
    // Most file systems use it again at once; where this one does not, it is another file anyway.
    stage.write("b.log", "start\nline 1\nline 2\n");
    println!("inode used again: {}", old == inode("b.log"));
    let tail = stage.start_with(sink);
    tail.sink.wait_for(5);
    assert_eq!(tail.stop().texts(), ["start", "line 1", "start", "line 1", "line 2"]);
}

#[test]
fn a_short_file_that_has_grown_is_the_same() {
    let stage = Stage::new("*.log");
    let mut sink = Default::default();
    for number in 0..5 {
        stage.write("a.log", numbered(number, number + 1));
        let tail = stage.start_with(sink);
        tail.sink.wait_for(number + 1);
        sink = tail.stop();
    }
    stage.write("a.log", numbered(5, 1000));
    let tail = stage.start_with(sink);
    tail.sink.wait_for(1000);
    check_numbered(&tail.stop(), 1000);
}

#[test]
fn a_key_over_lines_is_found_across_a_restart() {
    let key = key();
    let count = key.lines().count();
    for cut in [1, 2, count / 2, count - 1] {
        for is_clean in [true, false] {
            let stage = Stage::new("*.log");
            let at = key.match_indices('\n').nth(cut - 1).unwrap().0 + 1;
            stage.write("a.log", format!("before\n{}", &key[..at]));
            let tail = stage.start();
            tail.sink.wait_for(cut + 1);
            let sink = if is_clean {
                tail.stop()
            } else {
                // As after a kill: the checkpoint is that of some moment before.
                thread::sleep(Duration::from_millis(1200));
                let saved = fs::read(&stage.settings.checkpoint).unwrap();
                let sink = tail.stop();
                fs::write(&stage.settings.checkpoint, saved).unwrap();
                sink
            };
            stage.write("a.log", format!("{}after\n", &key[at..]));
            let tail = stage.start_with(sink);
            tail.sink.wait_for_text("after");
            let texts = tail.stop().texts();
            check_no_key(&texts);
            // After a kill, what was delivered last may come again.
            let is_right = texts.len() == count + 2 || !is_clean && texts.len() > count + 2;
            assert!(is_right, "{texts:#?}");
            assert_eq!((&texts[0][..], &texts[texts.len() - 1][..]), ("before", "after"));
        }
    }
}
