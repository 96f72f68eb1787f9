//! Files that are gone are not held, and what could not be looked at is no end.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::stage::{Stage, check_numbered, numbered};

/// How many files of a stage this process holds that are nowhere any more.
fn held(stage: &Stage) -> usize {
    let folder = stage.path("").display().to_string();
    let links = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let names = links.filter_map(|entry| fs::read_link(entry.path()).ok());
    names
        .filter(|name| {
            let name = name.to_string_lossy();
            name.starts_with(&*folder) && name.ends_with(" (deleted)")
        })
        .count()
}

/// After many rotations no more than so many files are held that are gone.
fn check_rotated_away(descriptors: usize, lingers: Duration, most: usize) {
    let count = 12;
    let mut stage = Stage::new("app.log");
    (stage.settings.descriptors, stage.settings.lingers) = (descriptors, lingers);
    stage.write("app.log", numbered(0, 10));
    let tail = stage.start();
    for turn in 1..=count {
        tail.sink.wait_for(turn * 10);
        let _ = fs::remove_file(stage.path("app.log.1"));
        stage.rename("app.log", "app.log.1");
        stage.write("app.log", numbered(turn * 10, turn * 10 + 10));
    }
    tail.sink.wait_for(count * 10 + 10);
    let end = Instant::now() + Duration::from_secs(60);
    while held(&stage) > most {
        assert!(Instant::now() < end, "{} files are held", held(&stage));
        thread::sleep(Duration::from_millis(20));
    }
    let sink = tail.stop();
    check_numbered(&sink, count * 10 + 10);
    assert!(!sink.events().contains(&"lost"), "{:?}", sink.events());
}

#[test]
fn files_that_are_gone_and_read_are_closed() {
    check_rotated_away(256, Duration::from_millis(300), 0);
}

#[test]
fn files_that_are_gone_and_read_are_closed_sooner_where_descriptors_are_few() {
    check_rotated_away(4, Duration::from_secs(3600), 4);
}

#[test]
fn a_file_that_goes_on_growing_ends_with_what_was_there() {
    use std::io::Write;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    let stage = Stage::new("app.log");
    let mut file = stage.file("app.log");
    let tail = stage.start();
    let is_over = Arc::new(AtomicBool::new(false));
    let told = is_over.clone();
    let writer = thread::spawn(move || {
        let mut next = 0;
        while !told.load(Ordering::SeqCst) {
            file.write_all(numbered(next, next + 10).as_bytes()).unwrap();
            next += 10;
            thread::sleep(Duration::from_millis(2));
        }
        next
    });
    tail.sink.wait_for(100);
    let house = tail.house.clone();
    let sink = tail.stop_in(Duration::from_secs(8));
    assert!(!house.stopping.is_over() && !house.has_left());
    is_over.store(true, Ordering::SeqCst);
    let count = writer.join().unwrap();
    let tail = stage.start_with(sink);
    tail.sink.wait_for(count);
    check_numbered(&tail.stop(), count);
}
