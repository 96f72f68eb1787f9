//! throwaway
#![allow(warnings)]
#[path = "../tests/corpus/mod.rs"]
mod corpus;
use kasm_scrub::*;
fn main() {
    let seed: u64 = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let n: usize = std::env::var("N").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let show: usize = std::env::var("SHOW").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let s = Sanitizer::builtin();
    let mut scrub = |b: &[u8]| { let mut out = Vec::new(); let mut w = Scrubber::new(&s); w.push(b, &mut out); w.finish(&mut out); out };
    let records = corpus::records(seed, n);
    let table = corpus::score(&records, &mut scrub);
    println!("{table}");
    let mut shown = 0;
    for (i, o) in &table.failures {
        if shown >= show { break } shown += 1;
        let r = &records[*i];
        println!("## {} / {} {:?}\n{}\n{}", r.family, r.carrier, o, String::from_utf8_lossy(&r.bytes), String::from_utf8_lossy(&scrub(&r.bytes)));
    }
    let neg = corpus::negatives(seed, n);
    let ch = corpus::changed(&neg, &mut scrub);
    println!("negatives {} changed {}", neg.len(), ch.len());
    for i in ch { println!("NEG {}\n{}\n{}", neg[i].family, String::from_utf8_lossy(&neg[i].bytes), String::from_utf8_lossy(&scrub(&neg[i].bytes))); }
}
