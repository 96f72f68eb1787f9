//! Threads: any number of them writes and finds what one scrubber does, however the input comes.

use kasm_scrub::parallel::{Source, Target, scrub};
use kasm_scrub::{Finding, Out, Sanitizer, Scrubber};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::Config;

use super::stream::{LENGTHS, cut, edge};
use super::text::text;
use super::{DEFAULT, STRICT, show, times};

/// What is read, piece by piece.
struct Pieces<'t> {
    pieces: Vec<&'t [u8]>,
    next: usize,
}

impl<'t> Pieces<'t> {
    fn new(pieces: impl IntoIterator<Item = &'t [u8]>) -> Self {
        // A read that gives nothing is the last one.
        Self { pieces: pieces.into_iter().filter(|piece| !piece.is_empty()).collect(), next: 0 }
    }
}

impl Source for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> usize {
        let Some(piece) = self.pieces.get_mut(self.next) else { return 0 };
        let len = piece.len().min(buffer.len());
        let (read, rest) = piece.split_at(len);
        buffer[..len].copy_from_slice(read);
        *piece = rest;
        self.next += usize::from(rest.is_empty());
        len
    }
}

/// What was written, and which rules found something, in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Written {
    text: Vec<u8>,
    rules: Vec<u32>,
}

impl Out for Written {
    fn write(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
    }

    fn found(&mut self, finding: &Finding) {
        self.rules.push(finding.rule.0);
    }
}

impl Target for Written {
    fn end_block(&mut self) -> bool {
        true
    }
}

fn by_one(sanitizer: &Sanitizer, text: &[u8]) -> Written {
    let mut written = Written::default();
    let mut scrubber = Scrubber::new(sanitizer);
    scrubber.push(text, &mut written);
    scrubber.finish(&mut written);
    written
}

fn by_many<'t>(sanitizer: &Sanitizer, threads: usize, pieces: impl IntoIterator<Item = &'t [u8]>) -> Written {
    let mut written = Written::default();
    scrub(sanitizer, threads, &mut Pieces::new(pieces), &mut written, &|| {});
    written
}

/// What is open where a line ends, and what closes it or does not.
const OPENING: [&str; 16] = [
    "-----BEGIN PRIVATE KEY-----",
    "  -----BEGIN OPENSSH PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "{\"m\":\"-----BEGIN PRIVATE KEY-----\"}",
    "{\"m\":\"DEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdead\"}",
    "  DEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdead",
    "DEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdead",
    "DEADdead12",
    "aw0=",
    "Private-Lines: 3",
    "- name: DB_PASSWORD",
    "  value: dead1",
    "  \"name\": \"db.password\",",
    "  \"value\": \"dead1\"",
    "INFO nothing here",
    "",
];

proptest! {
    #![proptest_config(times(1500))]

    #[test]
    fn threads_change_nothing(text in text(32), places in vec(any::<usize>(), 0..12), threads in 1..6usize) {
        let one = by_one(&DEFAULT, &text);
        let many = by_many(&DEFAULT, threads, cut(&text, &places));
        prop_assert_eq!(show(&one.text), show(&many.text));
        prop_assert_eq!(one.rules, many.rules);
        let one = by_one(&STRICT, &text);
        let many = by_many(&STRICT, threads, text.split_inclusive(|&byte| byte == b'\n'));
        prop_assert_eq!(show(&one.text), show(&many.text));
        prop_assert_eq!(one.rules, many.rules);
    }

    #[test]
    fn what_is_open_goes_on_in_the_next_block(
        lines in vec(select(&OPENING[..]), 0..16), places in vec(any::<usize>(), 0..12), threads in 1..6usize,
    ) {
        let text = lines.join("\n");
        let text = text.as_bytes();
        let one = by_one(&DEFAULT, text);
        let pieces = [
            cut(text, &places),
            text.split_inclusive(|&byte| byte == b'\n').collect(),
            text.chunks(7).collect(),
        ];
        for pieces in pieces {
            let many = by_many(&DEFAULT, threads, pieces);
            prop_assert_eq!(show(&one.text), show(&many.text));
            prop_assert_eq!(&one.rules, &many.rules);
        }
    }
}

proptest! {
    #![proptest_config(Config { max_shrink_iters: 60, ..times(60) })]

    #[test]
    fn threads_and_long_lines(
        filler in select(&["a", " ", "a=1 ", "\"", "{\"a\":1},", "x\n"][..]),
        secrets in vec((edge(), text(4)), 1..5),
        length in (select(&LENGTHS[..]), 0..128usize).prop_map(|(length, by)| length + by - 64),
        places in vec(edge(), 0..6), threads in 1..6usize,
    ) {
        let mut line = filler.as_bytes().iter().copied().cycle().take(length + 8).collect::<Vec<u8>>();
        for (at, secret) in secrets {
            let at = at % line.len();
            line.splice(at..at, secret.iter().copied());
        }
        let short = b"- name: DB_PASSWORD\n";
        let text = [&short[..], &line, b"\npassword=hunter2\n", short, b"  value: dead1\n", short, &line].concat();
        let one = by_one(&DEFAULT, &text);
        // Not shown: the line is longer than a screen.
        prop_assert!(one == by_many(&DEFAULT, threads, [&text[..]]), "whole");
        prop_assert!(one == by_many(&DEFAULT, threads, cut(&text, &places)), "cut at {places:?}");
        prop_assert!(one == by_many(&DEFAULT, threads, text.chunks(4096)), "cut every 4096 bytes");
    }
}
