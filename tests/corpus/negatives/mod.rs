//! Records that look like secrets and are none. A scrubber must give each back byte for byte.
//!
//! Judged for the default profile: e-mail addresses, card numbers and the like do not occur here, IP
//! addresses, user names and ids do.

mod formats;
mod ids;
mod words;

use super::Record;
use super::checksum::base64;
use super::random::{BASE64, HEX, Random};
use super::slots::fill;
use super::text::keep;

/// A kind's name, whether it is JSON, and its template.
type Kind = (&'static str, bool, &'static str);

/// `n` records of every kind. `n` is at least 1.
pub(crate) fn negatives(seed: u64, n: usize) -> Vec<Record> {
    let mut records = Vec::new();
    for &(name, json, template) in [ids::KINDS, words::KINDS, formats::KINDS].into_iter().flatten() {
        for number in 0..n.max(1) {
            let mut random = Random::of(seed, &["negative", name, template], number);
            records.push(fill(&mut random, template).record(name, "negative", json));
        }
    }
    for (name, build) in BUILT {
        for number in 0..n.max(1) {
            let mut random = Random::of(seed, &["negative", name], number);
            records.push(keep(build(&mut random)).record(name, "negative", false));
        }
    }
    records
}

/// A kind's name and how it is written.
type BuiltKind = (&'static str, fn(&mut Random) -> String);

/// Kinds that a template cannot write. U+FFFD becomes a byte that is not UTF-8.
const BUILT: &[BuiltKind] = &[
    ("certificate", |random| certificate(random, "CERTIFICATE")),
    ("certificate request", |random| certificate(random, "CERTIFICATE REQUEST")),
    ("public key", |random| certificate(random, "PUBLIC KEY")),
    ("PGP signature", |random| certificate(random, "PGP SIGNATURE")),
    ("certificate in json", |random| {
        format!(
            "{{\"ca.crt\":\"{}\",\"port\":8443}}",
            certificate(random, "CERTIFICATE").replace('\n', "\\n")
        )
    }),
    ("base64 image", |random| {
        format!("<img src=\"data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA{}\">", random.string(BASE64, 600))
    }),
    ("base64 text", |random| {
        let n = random.between(1, 999);
        format!(
            "payload={}",
            base64(format!("the quick brown fox jumps over {n} lazy dogs and back again").as_bytes())
        )
    }),
    ("hex dump", |random| {
        let lines = (0..3).map(|i| {
            let bytes: Vec<String> = (0..16).map(|_| random.string(HEX, 2)).collect();
            format!("{:08x}  {}  {}  |................|", i * 16, bytes[..8].join(" "), bytes[8..].join(" "))
        });
        lines.collect::<Vec<_>>().join("\n")
    }),
    ("not UTF-8", |random| format!("\u{fffd}\u{fffd}\u{fffd} 0x{} \u{fffd}", random.string(HEX, 8))),
    ("control characters", |random| format!("\u{0}\u{1}\u{2} {} \u{7f}\u{1b}", random.below(1000))),
    ("decimal bytes", |random| {
        let bytes: Vec<String> = (0..40).map(|_| random.below(256).to_string()).collect();
        format!("{{\"type\":\"Buffer\",\"data\":[{}]}}", bytes.join(","))
    }),
    ("long digits", |random| format!("fib(300) = {}", random.string("1234567890", 63))),
];

fn certificate(random: &mut Random, label: &str) -> String {
    let mut lines = vec![format!("MIIDazCCAlOgAwIBAgIU{}", random.string(BASE64, 44))];
    lines.extend((0..random.between(4, 10)).map(|_| random.string(BASE64, 64)));
    lines.push(format!("{}==", random.string(BASE64, 22)));
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----", lines.join("\n"))
}
