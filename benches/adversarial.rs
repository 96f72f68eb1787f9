//! Texts made to be slow: MB/s at growing sizes must stay flat, for work grows with the input and not faster.
//!
//! `cargo bench --bench adversarial`. Exits 1 where the largest text is scanned at less than a third of the smallest's
//! speed. `KASM_SCRUB_BENCH_MIB` is the largest size (8); a part of a name as argument runs only those texts.
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::disallowed_types)]

#[allow(dead_code)]
mod measure;

use std::hint::black_box;
use std::process::ExitCode;

use kasm_scrub::{Finding, Out, Sanitizer, Scrubber, Work};
use measure::{runs, setting};

/// A text, made to a size, and what must be found in it.
struct Attack {
    name: &'static str,
    make: fn(usize) -> Vec<u8>,
    findings: Findings,
}

#[derive(Clone, Copy)]
enum Findings {
    Exactly(usize),
    /// As many as lines.
    PerLine,
    /// Not said: the rules decide; only speed is looked at.
    Any,
}

/// `unit` again and again: one line.
fn repeat(unit: &str, size: usize) -> Vec<u8> {
    unit.bytes().cycle().take(size).collect()
}

/// `unit` again and again in lines of about `length` bytes.
fn lines(unit: &str, length: usize, size: usize) -> Vec<u8> {
    let line = unit.repeat(length.div_ceil(unit.len())) + "\n";
    line.repeat(size.div_ceil(line.len())).into_bytes()
}

const ATTACKS: &[Attack] = {
    use Findings::{Any, Exactly, PerLine};
    const fn a(name: &'static str, findings: Findings, make: fn(usize) -> Vec<u8>) -> Attack {
        Attack { name, make, findings }
    }
    &[
        a("anchors, no secret", Exactly(0), |n| {
            lines(
                "ghp_ glpat- xoxb- AKIA eyJ hvs. sk- AIza SG. npm_ dop_v1_ shpat_ ya29. key- :// @ ",
                400,
                n,
            )
        }),
        a("anchors, one line", Any, |n| {
            repeat("ghp_ glpat- xoxb- AKIA eyJ hvs. sk- AIza SG. npm_ dop_v1_ shpat_ ya29. key- :// @ ", n)
        }),
        a("a password per line", PerLine, |n| lines("INFO login password=hunter2x7 ok", 1, n)),
        a("one long word", Exactly(0), |n| repeat("a", n)),
        a("one long line of words", Exactly(0), |n| repeat("some words of a long line ", n)),
        a("brackets, 100,000 deep", Exactly(0), |n| lines("[", 100_000, n)),
        a("braces and quotes", Exactly(0), |n| lines("{\"a\":", 100_000, n)),
        a("json, nested", Exactly(0), |n| {
            let line = "[".repeat(100_000) + &"]".repeat(100_000) + "\n";
            line.repeat(n.div_ceil(line.len())).into_bytes()
        }),
        a("backslashes", Exactly(0), |n| repeat("\\", n)),
        a("backslashes in lines", Exactly(0), |n| lines("\\", 50_000, n)),
        a("escaped backslashes", Any, |n| repeat("\\u005c", n)),
        a("key, backslashes", Any, |n| lines("password\\\\\\\\\\\\\\\\\\\\\\\\", 50_000, n)),
        a("password", Exactly(0), |n| repeat("password", n)),
        a("password and blank", Exactly(0), |n| repeat("password ", n)),
        a("password=", Any, |n| repeat("password=", n)),
        a("password: ", Any, |n| repeat("password: ", n)),
        a("\"password\":", Any, |n| repeat("\"password\":", n)),
        a("\"password\":\"", Any, |n| repeat("\"password\":\"", n)),
        a("password=\" open quotes", Any, |n| repeat("password=\" x ", n)),
        a("password=' open quotes", Any, |n| repeat("password='x ", n)),
        a("quotes", Exactly(0), |n| repeat("\"", n)),
        a("escaped quotes", Exactly(0), |n| repeat("\\\"", n)),
        a("password=[[[", Any, |n| lines("password=[", 100_000, n)),
        a("password=[1,1,1", Any, |n| [&b"password="[..], &repeat("[1,", n)].concat()),
        a("password:[\"\",", Any, |n| lines("\"password\":[\"\",", 100_000, n)),
        a("password=(((", Any, |n| lines("password=((((((((", 100_000, n)),
        a("password=))))", Any, |n| lines("password=a)b)c)d)e)", 100_000, n)),
        a("password=) x 100 kB", Any, |n| {
            let line = format!("password={}\n", "a)".repeat(50_000));
            line.repeat(n.div_ceil(line.len())).into_bytes()
        }),
        a("password=a>a>", Any, |n| {
            let line = format!("password={}\n", "a>".repeat(50_000));
            line.repeat(n.div_ceil(line.len())).into_bytes()
        }),
        a("password=a,a,a", Any, |n| [&b"password="[..], &repeat("a,", n)].concat()),
        a("password=a&a&a", Any, |n| [&b"password="[..], &repeat("a&", n)].concat()),
        a("%41", Exactly(0), |n| repeat("%41", n)),
        a("%41 in lines", Exactly(0), |n| lines("%41", 50_000, n)),
        a("%41 and blank", Exactly(0), |n| repeat("%41 ", n)),
        a("%25%32%35", Any, |n| repeat("%2525", n)),
        a("\\u0041", Exactly(0), |n| repeat("\\u0041", n)),
        a("eyJ", Any, |n| repeat("eyJ", n)),
        a("eyJ.", Any, |n| repeat("eyJhbGciOiJ.", n)),
        a("-----BEGIN ", Any, |n| repeat("-----BEGIN ", n)),
        a("-----BEGIN PRIVATE KEY-----", Any, |n| repeat("-----BEGIN PRIVATE KEY-----", n)),
        a("-----BEGIN PRIVATE KEY----- in lines", Any, |n| lines("-----BEGIN PRIVATE KEY-----", 1, n)),
        a("private key, never ending", Any, |n| {
            [&b"-----BEGIN PRIVATE KEY-----\n"[..], &lines("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", 64, n)]
                .concat()
        }),
        a("name and value pairs", Any, |n| repeat("{\"name\":\"password\",\"value\":\"hunter2\"},", n)),
        a("names, no values", Any, |n| repeat("{\"name\":\"password\",\"other\":1},", n)),
        a("names, braces", Any, |n| repeat("\"name\":\"password\",", n)),
        a("<password>", Any, |n| repeat("<password>", n)),
        a("<password><![CDATA[", Any, |n| repeat("<password><![CDATA[", n)),
        a("--password", Any, |n| repeat("--password ", n)),
        a("Authorization", Any, |n| repeat("Authorization: ", n)),
        a("Authorization: Digest", Any, |n| repeat("Authorization: Digest ", n)),
        a("Cookie", Any, |n| lines("Cookie: a=b; ", 100_000, n)),
        a("Cookie, one line", Any, |n| repeat("Cookie: ", n)),
        a("keys before a marker", Any, |n| [repeat("password=", n), b"[REDACTED:x]".to_vec()].concat()),
        a("secrets without breaks", Any, |n| repeat("jane.doe@example.com|4111111111111111_", n)),
        a("secrets in a document", Any, |n| {
            format!("{{{}\"a\":1}}", "\"password\":\"hunter2\",".repeat(n / 21)).into_bytes()
        }),
        a("secrets in a document in a string", Any, |n| {
            let inner = r#"\"password\":\"hunter2\","#.repeat(n / 25);
            format!(r#"{{"message":"{{{inner}\"a\":1}}"}}"#).into_bytes()
        }),
        a("numbers in a document", Any, |n| {
            format!("{{\"pan\":[{}1]}}", "4111111111111111,".repeat(n / 17)).into_bytes()
        }),
        a("digits", Any, |n| repeat("4111111111111111", n)),
        a("digits and blanks", Any, |n| repeat("4111 ", n)),
        a("@", Exactly(0), |n| repeat("@", n)),
        a("a@a@", Any, |n| repeat("a@", n)),
        a("a.a.", Exactly(0), |n| repeat("a.", n)),
        a("://", Exactly(0), |n| repeat("://", n)),
        a("://a:a", Any, |n| repeat("://a:a", n)),
        a("own markers", Exactly(0), |n| lines("password=[REDACTED:password] ", 100_000, n)),
        a("half markers", Any, |n| repeat("password=[REDACTED:", n)),
        a("blanks", Exactly(0), |n| repeat(" ", n)),
        a("password and blanks", Any, |n| lines("password                         ", 100_000, n)),
        a("terminal colours", Exactly(0), |n| repeat("\u{1b}[1;32m", n)),
        a("no newline, no ASCII", Exactly(0), |n| repeat("\u{e4}", n)),
        a("empty lines", Exactly(0), |n| repeat("\n", n)),
    ]
};

/// Counts findings and drops the rest.
#[derive(Default)]
struct Sink(usize);

impl Out for Sink {
    fn write(&mut self, bytes: &[u8]) {
        black_box(bytes);
    }

    fn found(&mut self, _: &Finding) {
        self.0 += 1;
    }
}

fn scrub(sanitizer: &Sanitizer, text: &[u8]) -> usize {
    let mut sink = Sink::default();
    let mut scrubber = Scrubber::new(sanitizer);
    for chunk in text.chunks(256 << 10) {
        scrubber.push(chunk, &mut sink);
    }
    scrubber.finish(&mut sink);
    sink.0
}

fn main() -> ExitCode {
    let largest = setting("KASM_SCRUB_BENCH_MIB", 8) << 20;
    let wanted = std::env::args().nth(1).filter(|word| !word.starts_with("--")).unwrap_or_default();
    let sanitizer = Sanitizer::builtin();
    let sizes: Vec<usize> = [8, 4, 2, 1].iter().map(|part| largest / part).collect();
    println!(
        "{:<38} {:<6} {:>8} {:>8} {:>8} {:>8} {:>9}",
        "MB/s at MiB", "how", "1/8", "1/4", "1/2", "all", "findings"
    );
    let mut is_flat = true;
    for attack in ATTACKS.iter().filter(|attack| attack.name.contains(wanted.as_str())) {
        let texts: Vec<Vec<u8>> = sizes.iter().map(|&size| (attack.make)(size)).collect();
        expect(attack, &texts[0], scrub(&sanitizer, &texts[0]));
        is_flat &= row(attack.name, "stream", &texts, |text| scrub(&sanitizer, text));
        // Blocks with lines of any length: what `scan_block` is given, it must bear.
        let mut work = Work::default();
        is_flat &= row(attack.name, "scan", &texts, |text| sanitizer.scan_block(text, &mut work).len());
    }
    if is_flat { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// One line of the table. `false`: speed falls with size.
fn row(name: &str, how: &str, texts: &[Vec<u8>], mut work: impl FnMut(&[u8]) -> usize) -> bool {
    let mut findings = 0;
    let mut speeds = Vec::new();
    for text in texts {
        let runs = runs(2, || findings = black_box(work(black_box(text))));
        speeds.push(runs.best(text.len()));
        // Where a text takes this long the larger ones could take hours.
        if speeds.len() > 1 && speeds[speeds.len() - 1] * 3.0 < speeds[0] {
            break;
        }
    }
    let shown: Vec<String> = speeds.iter().map(|speed| format!("{speed:>8.1}")).collect();
    let is_flat = speeds.len() == texts.len() && speeds[speeds.len() - 1] * 3.0 >= speeds[0];
    let verdict = if is_flat { "" } else { "  NOT FLAT" };
    println!("{name:<38} {how:<6} {} {findings:>9}{verdict}", shown.join(" "));
    is_flat
}

fn expect(attack: &Attack, text: &[u8], got: usize) {
    let want = match attack.findings {
        Findings::Exactly(want) => want,
        Findings::PerLine => memchr::memchr_iter(b'\n', text).count(),
        Findings::Any => return,
    };
    assert_eq!(got, want, "findings in {}", attack.name);
}
