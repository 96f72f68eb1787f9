//! Checkpoints that cannot be read or written, and those that someone else uses.

use std::fs;
use std::thread;
use std::time::Duration;

use kasm_scrub::pod::tail::CannotStart;

use super::stage::{Stage, check_numbered, numbered};

/// What stands in place of a checkpoint: it is put aside, and nothing is lost.
fn check_put_aside(text: &[u8]) {
    let stage = Stage::new("*.log");
    stage.write("a.log", numbered(0, 10));
    let tail = stage.start();
    tail.sink.wait_for(10);
    tail.stop();
    fs::write(&stage.settings.checkpoint, text).unwrap();
    let tail = stage.start();
    tail.sink.wait_for(10);
    let sink = tail.stop();
    check_numbered(&sink, 10);
    assert_eq!(sink.events(), ["checkpoint_unreadable"]);
    let aside = stage.settings.checkpoint.with_file_name("checkpoint.unreadable");
    assert_eq!(fs::read(aside).unwrap(), text);
}

#[test]
fn a_checkpoint_that_is_none_is_put_aside() {
    for text in ["", "{", "\0\0\0", "[1]", "{\"version\":99,\"sources\":[]}", "{\"version\":1}"] {
        check_put_aside(text.as_bytes());
    }
    let hash = "é".repeat(32);
    let file = format!(
        r#"{{"path":"a","device":1,"inode":1,"head_length":1,"head":"{hash}","offset":1,"delivered":1}}"#
    );
    check_put_aside(format!(r#"{{"version":1,"sources":[{{"name":"a","files":[{file}]}}]}}"#).as_bytes());
}

#[test]
fn a_checkpoint_of_before_is_gone_on_from() {
    let stage = Stage::new("*.log");
    stage.write("a.log", numbered(0, 10));
    let tail = stage.start();
    tail.sink.wait_for(10);
    let sink = tail.stop();
    // What has come to be in checkpoints since they are written is not in those of before.
    let text = fs::read(&stage.settings.checkpoint).unwrap();
    let mut whole: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let least = |entry: &mut serde_json::Value, kept: &[&str]| {
        entry.as_object_mut().unwrap().retain(|key, _| kept.contains(&&**key));
    };
    for source in whole["sources"].as_array_mut().unwrap() {
        least(source, &["name", "files"]);
        for file in source["files"].as_array_mut().unwrap() {
            least(file, &["path", "device", "inode", "head_length", "head", "offset", "delivered"]);
        }
    }
    fs::write(&stage.settings.checkpoint, whole.to_string()).unwrap();
    stage.write("a.log", numbered(10, 20));
    let tail = stage.start_with(sink);
    tail.sink.wait_for(20);
    let sink = tail.stop();
    check_numbered(&sink, 20);
    assert!(!sink.events().contains(&"checkpoint_unreadable"));
}

#[test]
fn a_checkpoint_that_cannot_be_written_holds_nothing_up() {
    let stage = Stage::new("*.log");
    stage.write("a.log", numbered(0, 10));
    // Nothing can be written there, by root neither.
    let new = stage.settings.checkpoint.with_file_name("checkpoint.new");
    fs::create_dir_all(&new).unwrap();
    let tail = stage.start();
    tail.sink.wait_for_event("checkpoint_failed");
    stage.write("a.log", numbered(10, 20));
    tail.sink.wait_for(20);
    fs::remove_dir(&new).unwrap();
    thread::sleep(Duration::from_millis(1500));
    assert!(stage.settings.checkpoint.exists());
    let sink = tail.stop();
    check_numbered(&sink, 20);
    let sink = stage.start_with(sink).stop();
    check_numbered(&sink, 20);
}

#[test]
fn a_checkpoint_has_one_user() {
    let stage = Stage::new("*.log");
    stage.write("a.log", numbered(0, 1));
    let tail = stage.start();
    tail.sink.wait_for(1);
    let refusal = stage.start().refusal();
    assert!(matches!(refusal, CannotStart::Held(_)), "{refusal}");
    assert!(refusal.to_string().contains("another process uses it"), "{refusal}");
    tail.stop();
    stage.start().stop();
}

#[test]
fn a_checkpoint_is_a_file() {
    let mut stage = Stage::new("*.log");
    stage.settings.checkpoint = stage.path("");
    let refusal = stage.start().refusal().to_string();
    assert!(refusal.contains("is a folder"), "{refusal}");
}

#[test]
fn a_checkpoint_holds_nothing_that_was_read() {
    let stage = Stage::new("*.log");
    stage.write("a.log", "Deadbeefword password=DeadBeef42!\nDeadbeefend");
    let tail = stage.start();
    tail.sink.wait_for(1);
    tail.stop();
    let text = fs::read_to_string(&stage.settings.checkpoint).unwrap();
    assert!(text.contains("a.log") && !text.to_lowercase().contains("deadbeef"), "{text}");
}
