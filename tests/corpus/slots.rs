//! The corpus's little template language: literal text with `~slots~` that are drawn anew for each record.
//!
//! | written | becomes |
//! | --- | --- |
//! | `~a20~` `~h7-40~` | that many characters of a class (below) |
//! | `~uuid~`, `~jwt~` … | a named value (`value`, and `tokens` for what takes more than characters) |
//! | `~!slot~` | the same, as a secret: it must not survive |
//! | `~?slot~` | the same, soft: it may go along with the secret |
//! | `~?=text~` | literal text, soft |
//! | `~slot#1~` | the same value wherever `slot#1` stands in this record |
//! | `~~` | a tilde |
//!
//! Templates keep whole credentials out of this source: bodies exist only while a test runs.

use std::collections::BTreeMap;

use super::random::{self, Random};
use super::text::{Part, Text, keep};
use super::tokens;

/// Draws a template's slots.
pub(crate) fn fill(random: &mut Random, template: &str) -> Text {
    let mut text = Text::default();
    let mut drawn = BTreeMap::new();
    for (index, run) in template.split('~').enumerate() {
        text = match index % 2 {
            0 => text.and(run),
            _ if run.is_empty() => text.and("~"),
            _ => text.then(slot(random, run, &mut drawn)),
        };
    }
    text
}

/// A template without secrets, drawn.
pub(crate) fn line(random: &mut Random, template: &str) -> String {
    fill(random, template).shown()
}

fn slot(random: &mut Random, slot: &str, drawn: &mut BTreeMap<String, Text>) -> Text {
    let (part, name) = match slot.as_bytes()[0] {
        b'!' => (Part::Secret, &slot[1..]),
        b'?' => (Part::Soft, &slot[1..]),
        _ => (Part::Keep, slot),
    };
    if let Some(literal) = name.strip_prefix('=') {
        return keep(literal).all(part);
    }
    let value = match name.split_once('#') {
        Some((kind, _)) => drawn.entry(name.to_owned()).or_insert_with(|| kind_of_slot(random, kind)).clone(),
        None => kind_of_slot(random, name),
    };
    match part {
        // A named value may bring its own secret pieces.
        Part::Keep => value,
        Part::Soft | Part::Secret => value.all(part),
    }
}

fn kind_of_slot(random: &mut Random, name: &str) -> Text {
    match class_and_length(name) {
        Some((alphabet, low, high)) => {
            let n = random.between(low, high);
            keep(random.string(alphabet, n))
        }
        None => tokens::token(random, name).unwrap_or_else(|| keep(value(random, name))),
    }
}

/// `h32`, `a20-40`: a class letter and a length.
fn class_and_length(name: &str) -> Option<(&'static str, usize, usize)> {
    let alphabet = match name.as_bytes()[0] {
        b'a' => random::ALNUM,
        b'A' => random::ALPHA,
        b'u' => random::UPPER,
        b'l' => random::LOWER,
        b'z' => random::LETTERS,
        b'h' => random::HEX,
        b'H' => random::HEX_UPPER,
        b'd' => random::DIGITS,
        b's' => random::BASE32,
        b'b' => random::BASE64,
        b'w' => random::BASE64_URL,
        b'c' => random::CRYPT,
        _ => return None,
    };
    let (low, high) = name[1..].split_once('-').unwrap_or((&name[1..], &name[1..]));
    Some((alphabet, low.parse().ok()?, high.parse().ok()?))
}

/// Named values that are no tokens: ids, addresses, time stamps, words.
fn value(random: &mut Random, name: &str) -> String {
    match name {
        "uuid" => uuid(random),
        "ip" => format!("10.{}.{}.{}", random.below(250), random.below(250), random.between(1, 250)),
        "ip6" => line(random, "fd00:~h4~:~h4~::~h3~"),
        "mac" => line(random, "~h2~:~h2~:~h2~:~h2~:~h2~:~h2~"),
        "word" => random.pick(WORDS).to_owned(),
        "name" => random.pick(NAMES).to_owned(),
        "host" => {
            let word = random.pick(WORDS);
            format!("{word}.internal")
        }
        "n" => random.between(1, 999).to_string(),
        "port" => random.between(1024, 65535).to_string(),
        "ms" => format!("17{}", random.string(random::DIGITS, 11)),
        "pod" => line(random, "kasm-~word~-~l9~-~l5~"),
        "py" => format!("{} {},{:03}", date(random), clock(random), random.below(1000)),
        "iso" => format!("{}T{}.{:03}Z", date(random), clock(random), random.below(1000)),
        "cri" => format!("{}T{}.{:09}Z", date(random), clock(random), random.below(1_000_000_000)),
        "pg" => format!("{} {}.{:03} UTC", date(random), clock(random), random.below(1000)),
        "date" => date(random),
        "clock" => clock(random),
        "clf" => format!("{:02}/Jul/2026:{} +0000", random.between(1, 28), clock(random)),
        "cherry" => format!("{:02}/Jul/2026:{}", random.between(1, 28), clock(random)),
        "sys" => format!("Jul {:2} {}", random.between(1, 28), clock(random)),
        "klog" => format!("I07{:02} {}.{:06}", random.between(1, 28), clock(random), random.below(1_000_000)),
        _ => panic!("the template language has no slot {name:?}"),
    }
}

/// A version 4 UUID.
pub(crate) fn uuid(random: &mut Random) -> String {
    let variant = random.pick(&["8", "9", "a", "b"]);
    let (a, b, c, d, e) = (
        random.string(random::HEX, 8),
        random.string(random::HEX, 4),
        random.string(random::HEX, 3),
        random.string(random::HEX, 3),
        random.string(random::HEX, 12),
    );
    format!("{a}-{b}-4{c}-{variant}{d}-{e}")
}

fn date(random: &mut Random) -> String {
    format!("2026-{:02}-{:02}", random.between(1, 12), random.between(1, 28))
}

fn clock(random: &mut Random) -> String {
    format!("{:02}:{:02}:{:02}", random.below(24), random.below(60), random.below(60))
}

/// The front of a log line as real writers print it, with the space that ends it; sometimes nothing.
pub(crate) fn prefix(random: &mut Random) -> String {
    let template = random.pick(&[
        "",
        "~py~ [INFO] client_api_server: ",
        "~py~ [DEBUG] __main__.handler: ",
        "~klog~       1 controller.go:~n~] ",
        "~sys~ kasm-node-1 kasm-api[~n~]: ",
        "~cri~ stdout F ",
        "~iso~\tINFO\treconciler\t",
        "~date~ ~clock~.~d3~  INFO 1 --- [main] o.e.Service : ",
        "[~date~ ~clock~] [Connection ~n~]  ",
        "<14>1 ~iso~ ~host~ kasm ~n~ - - ",
    ]);
    line(random, template)
}

pub(crate) const WORDS: &[&str] = &[
    "amber", "birch", "cobalt", "delta", "ember", "fjord", "grove", "harbor", "indigo", "juniper", "kestrel",
    "lagoon", "meadow", "nimbus", "otter", "pebble", "quartz", "ridge", "summit", "tundra", "umber",
    "violet", "willow", "zephyr",
];

pub(crate) const NAMES: &[&str] = &["alice", "bruno", "chiara", "dmitri", "elif", "farah", "goran", "hana"];

#[test]
fn slots_draw_what_they_say() {
    let mut random = Random::of(1, &[], 0);
    assert_eq!(line(&mut random, "a~~b"), "a~b");
    assert_eq!(line(&mut random, "~h32~").len(), 32);
    let twice = line(&mut random, "~uuid#1~ ~uuid#1~");
    let (first, second) = twice.split_once(' ').expect("two words");
    assert_eq!(first, second);
    assert_eq!(first.len(), 36);
    let record = fill(&mut random, "key=~?=id:~~!d9~ end").record("f", "c", false);
    assert_eq!(record.secrets, vec![7..16]);
    assert_eq!(record.soft, vec![4..7]);
}
