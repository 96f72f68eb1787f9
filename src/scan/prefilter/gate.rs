//! Where gates are open in text, told of words of bits, for 64 places at a time. What each gate asks is said in
//! [`crate::rules::gate`], of anchors; the two must agree, and tests hold them against each other.

use super::kind::{Bits, KINDS, Kind, word};
#[cfg(doc)]
use crate::rules::gate::Gate;
use crate::rules::gate::{NUMBER_RUN, TOKEN_RUN};

/// The lists of places that gates lead to, in the order of [`open`]'s words.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
pub(super) enum List {
    /// [`Gate::Letters`] and [`Gate::Token`]: what follows is looked up by four bytes.
    Starts,
    /// [`Gate::Key`], and wherever rare bytes stand: by three bytes.
    Threes,
    /// [`Gate::Sign`] and [`Gate::Code`]: by two bytes.
    Signs,
    /// [`Gate::Number`]: by where the digits are.
    Numbers,
    /// [`Gate::Begin`].
    Begins,
    /// [`Gate::Run`].
    Runs,
}

pub(super) const LISTS: usize = 6;

/// Which gates are open at the places of the first `count` words behind the first one. The loop has no branch and its
/// words do not depend on each other, so that the compiler makes vector instructions of it.
#[inline(always)]
pub(super) fn open<const N: usize>(words: &[Bits<N>; KINDS], count: usize, lists: &mut [[u64; N]; LISTS]) {
    let count = count.min(N - 2);
    let kind = |kind: Kind| {
        let words = &words[kind as usize];
        [&words[..count], &words[1..][..count], &words[2..][..count]]
    };
    // Each bit tells of the byte so far behind its place, or in front of it.
    let ahead = |[_, here, after]: [&[[u8; 8]]; 3], i: usize, bytes: u32| {
        word(here, i) >> bytes | word(after, i) << (u64::BITS - bytes)
    };
    let back = |[before, here, _]: [&[[u8; 8]]; 3], i: usize, bytes: u32| {
        word(here, i) << bytes | word(before, i) >> (u64::BITS - bytes)
    };
    // What holds here and for the next bytes behind it: the word, and as much as is known of the one behind.
    let shifted = |(here, after): (u64, u64), by: usize| (here >> by | after << (64 - by), after >> by);
    let both = |a: (u64, u64), b: (u64, u64)| (a.0 & b.0, a.1 & b.1);
    let run = |of: (u64, u64), len: usize| {
        let longer = |of, by| both(of, shifted(of, by));
        let eight = longer(longer(longer(of, 1), 2), 4);
        longer(eight, len - 8).0
    };
    let [letter, digit, token, escape] = [Kind::Letter, Kind::Digit, Kind::Token, Kind::Escape].map(kind);
    let [after_key, blank, after_blank, sign, colon] =
        [Kind::AfterKey, Kind::Blank, Kind::AfterBlank, Kind::Sign, Kind::Colon].map(kind);
    let rare = kind(Kind::Rare);
    let [starts, threes, signs, numbers, begins, runs] = lists.each_mut().map(|list| &mut list[..count]);
    for i in 0..count {
        let pair = |[_, here, after]: [&[[u8; 8]]; 3]| (word(here, i), word(after, i));
        let letters = pair(letter).0;
        let digits = pair(digit);
        let (second, third) = (ahead(letter, i, 1), ahead(letter, i, 2));
        // An escape may end here, whatever its last letter: `\n`, `%20`, `\u0022`. Colours are marked as such.
        let escaped = back(escape, i, 2) | back(escape, i, 3) | back(escape, i, 6);
        let behind_letter = back(letter, i, 1);
        let behind_digit = back(digit, i, 1);
        let behind_alphanumeric = behind_letter | behind_digit;
        let run_of_token = run(pair(token), TOKEN_RUN);
        let tokens = (letters | digits.0) & run_of_token & (!behind_alphanumeric | escaped);
        let words = letters & second & third & ahead(letter, i, 3) & (!behind_letter | escaped);
        starts[i] = words | tokens;
        begins[i] = tokens;
        let says = !ahead(blank, i, 3) | ahead(after_blank, i, 4);
        threes[i] = (second & third & ahead(after_key, i, 3) & says) | word(rare[1], i);
        let stops = ahead(token, i, 1) & !(second | ahead(digit, i, 1));
        let stops = stops | ahead(sign, i, 1) | ahead(colon, i, 1);
        // The one byte that is of both kinds.
        let dash = word(token[1], i) & word(blank[1], i);
        let behind_dash = back(token, i, 1) & back(blank, i, 1);
        let before_dash = ahead(token, i, 1) & ahead(blank, i, 1);
        let flags = dash & (!(behind_alphanumeric | behind_dash) | escaped) & (second | before_dash);
        let codes = letters & second & ahead(digit, i, 2) & ahead(digit, i, 3);
        signs[i] = word(sign[1], i) | (word(colon[1], i) & stops) | flags | codes;
        // What may stand behind a key, but neither directly behind its blank nor as a digit; and blanks.
        let separator = |(blank, (after_key, (after_blank, digit))): (u64, (u64, (u64, u64)))| {
            blank | (after_key & !after_blank & !digit)
        };
        let [blanks, after_keys, after_blanks] = [blank, after_key, after_blank].map(pair);
        let separators = (
            separator((blanks.0, (after_keys.0, (after_blanks.0, digits.0)))),
            separator((blanks.1, (after_keys.1, (after_blanks.1, digits.1)))),
        );
        let two = both(digits, shifted(digits, 1));
        let four = both(two, shifted(two, 2));
        let either = |a: (u64, u64), b: (u64, u64)| (a.0 | b.0, a.1 | b.1);
        // One of two bytes, one of four.
        let in_two = either(separators, shifted(separators, 1));
        let in_four = either(in_two, shifted(in_two, 2));
        let groups = four.0 & shifted(separators, 4).0 & shifted(four, 5).0;
        let small = (shifted(separators, 1).0 | shifted(in_two, 2).0) & shifted(in_four, 4).0;
        let grouped = run(either(digits, separators), NUMBER_RUN) & (groups | small);
        let first_digits = digits.0 & (!behind_digit | escaped);
        numbers[i] = first_digits & (run(digits, NUMBER_RUN) | grouped);
        runs[i] = run_of_token;
    }
}
