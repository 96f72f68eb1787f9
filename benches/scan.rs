//! How fast text is scanned and cleaned: clean logs, Kasm-shaped JSON, and both with secrets in them.
//!
//! Texts are generated, so that the numbers can be had anywhere: `cargo bench --bench scan`.
//! `KASM_SCRUB_BENCH_FILE` names a log to measure beside them, `KASM_SCRUB_BENCH_MIB` the size of texts (64),
//! `KASM_SCRUB_BENCH_RUNS` the number of runs (5). Every row's findings are counted and compared with what was put in.
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::disallowed_types)]

mod measure;
mod texts;

use std::hint::black_box;

use kasm_scrub::learned::{Learned, Named};
use kasm_scrub::sanitize::Parts;
use kasm_scrub::{Finding, Out, Profile, Ruleset, Sanitizer, Scrubber, Work};
use measure::{runs, setting};
use texts::{Dice, json_line, log_line, secrets, text};

/// The size of the blocks that a reader hands over.
const BLOCK: usize = 256 << 10;

fn main() {
    let size = setting("KASM_SCRUB_BENCH_MIB", 64) << 20;
    let bench = Bench { sanitizer: Sanitizer::builtin(), times: setting("KASM_SCRUB_BENCH_RUNS", 5) };
    println!("{:<28} {:<10} {:>9} {:>9} {:>10}", "text", "how", "best MB/s", "middle", "findings");
    let log = text(size, log_line, None);
    bench.compare("log", &log);
    bench.measure("log", &log, Some(0));
    bench.compare_learned("log", &log);
    let json = text(size, json_line, None);
    bench.measure("json", &json, Some(0));
    bench.compare_learned("json", &json);
    for (name, line) in [("log", log_line as fn(&mut Vec<u8>, &mut Dice)), ("json", json_line)] {
        for every in [100, 1] {
            let text = text(size / 4, line, Some(every));
            let want = secrets(&text);
            bench.measure(&format!("{name}, secret in 1 of {every}"), &text, Some(want));
        }
    }
    if let Ok(path) = std::env::var("KASM_SCRUB_BENCH_FILE") {
        let text = std::fs::read(&path).expect("KASM_SCRUB_BENCH_FILE must name a readable file");
        bench.compare("file", &text);
        bench.measure("file", &text, None);
    }
}

struct Bench {
    sanitizer: Sanitizer,
    times: usize,
}

impl Bench {
    fn row(&self, text: &str, how: &str, bytes: usize, findings: Option<usize>, work: impl FnMut()) {
        let runs = runs(self.times, work);
        let findings = findings.map_or("-".to_owned(), |n| n.to_string());
        println!("{text:<28} {how:<10} {:>9.0} {:>9.0} {findings:>10}", runs.best(bytes), runs.middle(bytes));
    }

    /// What the machine can do at most.
    fn compare(&self, name: &str, text: &[u8]) {
        let mut copy = vec![0; text.len()];
        self.row(name, "memcpy", text.len(), None, || black_box(&mut copy).copy_from_slice(black_box(text)));
        self.row(name, "newlines", text.len(), None, || {
            black_box(memchr::memchr_iter(b'\n', black_box(text)).count());
        });
    }

    /// The same clean text without learned values and with 20, in turns; what they cost more. Short ones are looked for at
    /// more places than UUIDs.
    fn compare_learned(&self, name: &str, text: &[u8]) {
        for (what, values) in [
            ("passwords", passwords("ABCDEFGHKLMNPQRSTUVWXYZabcdefghkmnpqrstuvwxyz23456789-_!#?*%/+=.", 12)),
            ("UUIDs", passwords("0123456789abcdef", UUID)),
        ] {
            let learned = learning(&values);
            assert_eq!(scan(&learned, text), 0, "{name}: clean text must stay so");
            let times = |sanitizer| {
                runs(1, || {
                    black_box(scan(sanitizer, black_box(text)));
                })
                .best(text.len())
            };
            let (mut without, mut with) = (0.0_f64, 0.0_f64);
            for _ in 0..self.times {
                without = without.max(times(&self.sanitizer));
                with = with.max(times(&learned));
            }
            let more = 1000.0 * (1.0 / with - 1.0 / without);
            let cost = format!("{:.3} times, {more:.3} ns/B", without / with);
            println!("{:<28} {:<10} {with:>9.0} {cost:>20}", format!("{name}, 20 {what} learned"), "scan");
        }
    }

    /// Blocks through the scanner, then chunks through a scrubber; both must find what is wanted.
    fn measure(&self, name: &str, text: &[u8], want: Option<usize>) {
        let count = scan(&self.sanitizer, text);
        let mut sink = Sink::default();
        scrub(&self.sanitizer, text, &mut sink);
        assert_eq!(sink.findings, count, "{name}: scan and stream must find the same");
        assert!(want.is_none_or(|want| want == count), "{name}: {count} findings, not {want:?}");
        if count == 0 {
            assert_eq!(sink.bytes, text.len(), "{name}: clean text must pass as it is");
        }
        self.row(name, "scan", text.len(), Some(count), || {
            black_box(scan(&self.sanitizer, black_box(text)));
        });
        self.row(name, "stream", text.len(), Some(count), || {
            scrub(&self.sanitizer, black_box(text), &mut Sink::default());
        });
    }
}

/// 20 values that no text holds.
fn passwords(letters: &str, len: usize) -> Vec<String> {
    let mut dice = 0x9E37_79B9_7F4A_7C15_u64;
    let mut letter = |at: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let is_dash = len == UUID && matches!(at, 8 | 13 | 18 | 23);
        if is_dash { '-' } else { char::from(letters.as_bytes()[(dice >> 33) as usize % letters.len()]) }
    };
    (0..20).map(|_| (0..len).map(&mut letter).collect()).collect()
}

/// The length of a UUID.
const UUID: usize = 36;

/// The built-in rules, and these values.
fn learning(values: &[String]) -> Sanitizer {
    let mut rules = Ruleset::builtin().into_profile(Profile::Default, |_| true);
    rules.add_learned();
    let named =
        values.iter().map(|value| Named { name: String::new(), value: value.clone().into_bytes().into() });
    let learned = Learned::new(named, 8);
    assert_eq!(learned.count(), 20);
    Sanitizer::new(Parts { rules, learned: Some(learned), ..Parts::default() }).expect("no rule hashes")
}

/// Counts what comes out.
#[derive(Default)]
struct Sink {
    bytes: usize,
    findings: usize,
}

impl Out for Sink {
    fn write(&mut self, bytes: &[u8]) {
        self.bytes += black_box(bytes).len();
    }

    fn found(&mut self, _: &Finding) {
        self.findings += 1;
    }
}

fn scan(sanitizer: &Sanitizer, mut text: &[u8]) -> usize {
    let mut work = Work::default();
    let mut count = 0;
    while !text.is_empty() {
        // Whole lines only, as a reader of blocks hands them over.
        let reach = text.len().min(BLOCK);
        let end = match memchr::memrchr(b'\n', &text[..reach]) {
            Some(newline) => newline + 1,
            None => memchr::memchr(b'\n', text).map_or(text.len(), |newline| newline + 1),
        };
        let (block, rest) = text.split_at(end);
        count += sanitizer.scan_block(block, &mut work).len();
        text = rest;
    }
    count
}

fn scrub(sanitizer: &Sanitizer, text: &[u8], sink: &mut Sink) {
    let mut scrubber = Scrubber::new(sanitizer);
    for chunk in text.chunks(BLOCK) {
        scrubber.push(chunk, sink);
    }
    scrubber.finish(sink);
}
