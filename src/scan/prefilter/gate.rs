//! Where gates are open in text, told of words of bits, for 64 places at a time. What each gate asks is said in
//! [`crate::rules::gate`], of anchors; the two must agree, and tests hold them against each other.

use super::kind::{KINDS, Kind};
#[cfg(doc)]
use crate::rules::gate::Gate;
use crate::rules::gate::{NUMBER_RUN, TOKEN_RUN};

/// The lists of places that gates lead to, in the order of [`open`]'s words.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
pub(super) enum List {
    /// [`Gate::Letters`] and [`Gate::Token`]: what follows is looked up by four bytes.
    Starts,
    /// [`Gate::Key`]: by four bytes.
    Ends,
    /// [`Gate::Short`], and wherever rare bytes stand: by three bytes.
    Shorts,
    /// [`Gate::Sign`] and [`Gate::Code`]: by two bytes.
    Signs,
    /// [`Gate::Number`]: by where the digits are.
    Numbers,
    /// [`Gate::Run`].
    Runs,
}

pub(super) const LISTS: usize = 6;

/// Which gates are open at the places of the first `count` words behind the first one. The loop has no branch and its
/// words do not depend on each other, so that the compiler makes vector instructions of it.
#[inline(always)]
pub(super) fn open<const N: usize>(words: &[[u64; N]; KINDS], count: usize, lists: &mut [[u64; N]; LISTS]) {
    let count = count.min(N - 2);
    let kind = |kind: Kind| {
        let words = &words[kind as usize];
        [&words[..count], &words[1..][..count], &words[2..][..count]]
    };
    // Each bit tells of the byte so far behind its place, or in front of it.
    let ahead = |[_, word, after]: [&[u64]; 3], i: usize, bytes: u32| {
        word[i] >> bytes | after[i] << (u64::BITS - bytes)
    };
    let back = |[before, word, _]: [&[u64]; 3], i: usize, bytes: u32| {
        word[i] << bytes | before[i] >> (u64::BITS - bytes)
    };
    // Bytes of a kind go on from here for at least so long.
    let run = |[_, word, after]: [&[u64]; 3], i: usize, len: usize| {
        let longer = |(word, after): (u64, u64), by: usize| {
            (word & (word >> by | after << (64 - by)), after & after >> by)
        };
        let eight = longer(longer(longer((word[i], after[i]), 1), 2), 4);
        longer(eight, len - 8).0
    };
    let [letter, digit, token, number, escape] =
        [Kind::Letter, Kind::Digit, Kind::Token, Kind::Number, Kind::Escape].map(kind);
    let [after_key, blank, after_blank, sign, colon] =
        [Kind::AfterKey, Kind::Blank, Kind::AfterBlank, Kind::Sign, Kind::Colon].map(kind);
    let rare = [Kind::RareFirst, Kind::RareSecond, Kind::RareThird].map(kind);
    let [starts, ends, shorts, signs, numbers, runs] = lists.each_mut().map(|list| &mut list[..count]);
    for i in 0..count {
        let letters = letter[1][i];
        let digits = digit[1][i];
        let (second, third) = (ahead(letter, i, 1), ahead(letter, i, 2));
        let behind_first = second & third & ahead(letter, i, 3);
        // An escape may end here, whatever its last letter: `\n`, `%20`, `\u0022`. Colours are marked as such.
        let escaped = back(escape, i, 2) | back(escape, i, 3) | back(escape, i, 6);
        let behind_letter = back(letter, i, 1);
        let behind_digit = back(digit, i, 1);
        let behind_alphanumeric = behind_letter | behind_digit;
        let begins = !behind_letter | escaped;
        let run_of_token = run(token, i, TOKEN_RUN);
        let tokens = (letters | digits) & run_of_token & (!behind_alphanumeric | escaped);
        starts[i] = (letters & behind_first & begins) | tokens;
        let says = !ahead(blank, i, 4) | ahead(after_blank, i, 5);
        ends[i] = behind_first & ahead(after_key, i, 4) & says;
        let is_short = ahead(after_key, i, 2) | (third & ahead(after_key, i, 3));
        let rare = rare[0][1][i] & ahead(rare[1], i, 1) & ahead(rare[2], i, 2);
        shorts[i] = (letters & second & begins & is_short) | rare;
        let stops = ahead(token, i, 1) & !(second | ahead(digit, i, 1));
        let stops = stops | ahead(sign, i, 1) | ahead(colon, i, 1);
        // The one byte that is of both kinds.
        let dash = token[1][i] & blank[1][i];
        let behind_dash = back(token, i, 1) & back(blank, i, 1);
        let before_dash = ahead(token, i, 1) & ahead(blank, i, 1);
        let flags = dash & (!(behind_alphanumeric | behind_dash) | escaped) & (second | before_dash);
        let codes = letters & second & ahead(digit, i, 2) & ahead(digit, i, 3);
        signs[i] = sign[1][i] | (colon[1][i] & stops) | flags | codes;
        numbers[i] = digits & run(number, i, NUMBER_RUN) & (!behind_digit | escaped);
        runs[i] = run_of_token;
    }
}
