//! A large file that is written while it is read; lines are counted as they come, and none is kept.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use kasm_scrub::Sanitizer;
use kasm_scrub::pod::tail::Tail;
use kasm_scrub::pod::{Batch, Counts, House, Output, Stopped, Stopping};

use super::stage::Stage;

/// The number of the line that comes next.
#[derive(Clone, Default)]
struct Next(Arc<AtomicUsize>);

impl Output for Next {
    fn deliver(&self, batch: &Batch, _: &Stopping) -> Result<(), Stopped> {
        let mut next = self.0.load(Ordering::SeqCst);
        for (_, text) in batch.records() {
            let number = std::str::from_utf8(&text[5..]).ok().and_then(|number| number.parse().ok());
            assert_eq!(number, Some(next), "{}", String::from_utf8_lossy(text));
            next += 1;
        }
        self.0.store(next, Ordering::SeqCst);
        Ok(())
    }
}

impl Counts for Next {
    fn delivered(&self, _: &Batch) {}

    fn event(&self, what: &'static str) {
        panic!("{what}");
    }
}

#[test]
fn a_file_that_is_written_while_it_is_read_loses_no_line() {
    let megabytes: usize =
        std::env::var("KASM_SCRUB_TEST_MEGABYTES").map_or(24, |text| text.parse().unwrap());
    let lines = megabytes * (1 << 20) / 32;
    let stage = Stage::new("*.log");
    let mut file = stage.file("a.log");
    let writer = thread::spawn(move || {
        let mut block = String::new();
        for number in 0..lines {
            block.push_str(&format!("line {number:026}\n"));
            if block.len() > 60_000 || number + 1 == lines {
                // Cut anywhere.
                for piece in block.as_bytes().chunks(7_919) {
                    file.write_all(piece).unwrap();
                }
                block.clear();
            }
        }
    });
    let next = Next::default();
    let sanitizer = Arc::new(Sanitizer::builtin());
    let house = Arc::new(House::new(sanitizer, Box::new(next.clone()), Box::new(next.clone())));
    let (own, settings) = (house.clone(), stage.settings.clone());
    let start = Instant::now();
    let tail = thread::spawn(move || Tail::open(settings, own).map(Tail::run));
    while next.0.load(Ordering::SeqCst) < lines {
        assert!(!tail.is_finished());
        thread::sleep(Duration::from_millis(10));
    }
    println!("{megabytes} MiB in {:?}", start.elapsed());
    writer.join().unwrap();
    house.stopping.start(Duration::from_secs(60));
    tail.join().unwrap().unwrap();
    assert_eq!(next.0.load(Ordering::SeqCst), lines);
}
