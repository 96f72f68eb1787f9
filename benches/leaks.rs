//! What still gets through: the labelled corpus cleaned with the default profile, a table per family and carrier.
//!
//! `cargo bench --bench leaks -- [SEED] [N]`, or `SEED` and `N` in the environment: the corpus' seed (1) and the records
//! per cell (1). `SHOW=20` prints so many of the records that failed, before and after: they are made up.
//! Exits 1 if more than 0.1 % of records leak.
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "../tests/corpus/mod.rs"]
mod corpus;
#[allow(dead_code)]
mod measure;

use std::process::ExitCode;

use kasm_scrub::{Sanitizer, Scrubber};
use measure::setting;

/// The most that may leak, in percent.
const MOST: f64 = 0.1;

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).filter_map(|word| word.parse::<usize>().ok());
    let seed = numbers.next().unwrap_or_else(|| setting("SEED", 1)) as u64;
    let n = numbers.next().unwrap_or_else(|| setting("N", 1)).max(1);
    let sanitizer = Sanitizer::builtin();
    let mut scrub = |text: &[u8]| {
        let mut out = Vec::with_capacity(text.len());
        let mut scrubber = Scrubber::new(&sanitizer);
        scrubber.push(text, &mut out);
        scrubber.finish(&mut out);
        out
    };
    let records = corpus::records(seed, n);
    let table = corpus::score(&records, &mut scrub);
    println!("{table}");
    let show = setting("SHOW", 0);
    for (index, outcome) in table.failures.iter().take(show) {
        let record = &records[*index];
        println!("## {} / {} {outcome:?}", record.family, record.carrier);
        both(&record.bytes, &scrub(&record.bytes));
    }
    let negatives = corpus::negatives(seed, n);
    let changed = corpus::changed(&negatives, &mut scrub);
    println!("{} of {} records without secrets changed", changed.len(), negatives.len());
    for &index in changed.iter().take(show) {
        println!("## {}", negatives[index].family);
        both(&negatives[index].bytes, &scrub(&negatives[index].bytes));
    }
    let (rate, low, high) = table.total().leak_rate();
    println!("leaked: {rate:.3} % of {} records (95 %: {low:.3} to {high:.3})", table.total().records);
    if rate > MOST {
        println!("more than {MOST} % leak");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// A made-up record before and after.
fn both(text: &[u8], out: &[u8]) {
    println!("{}\n{}", String::from_utf8_lossy(text), String::from_utf8_lossy(out));
}
