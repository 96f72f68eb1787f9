//! Where gates are open in text, told of words of bits, for 64 places at a time. What each gate asks is said in
//! [`crate::rules::gate`], of anchors; the two must agree, and tests hold them against each other.

use super::kind::{Kind, Word};
#[cfg(doc)]
use crate::rules::gate::Gate;
use crate::rules::gate::{NUMBER_RUN, TOKEN_RUN};

/// Of 64 places, those where gates are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Open {
    /// [`Gate::Letters`] and [`Gate::Token`]: what follows is looked up by four bytes.
    pub(super) starts: u64,
    /// [`Gate::Key`]: by four bytes.
    pub(super) ends: u64,
    /// [`Gate::Short`]: by three bytes.
    pub(super) shorts: u64,
    /// [`Gate::Sign`] and [`Gate::Code`]: by two bytes.
    pub(super) signs: u64,
    /// [`Gate::Number`]: by where the digits are.
    pub(super) numbers: u64,
    /// [`Gate::Run`].
    pub(super) runs: u64,
}

/// Which gates are open in the middle one of three words.
#[inline(always)]
pub(super) fn open(before: &Word, word: &Word, after: &Word) -> Open {
    // Each bit tells of the byte so far behind its place, or in front of it.
    let ahead = |kind: Kind, bytes: u32| {
        let (word, after) = (word[kind as usize], after[kind as usize]);
        word >> bytes | after << (u64::BITS - bytes)
    };
    let back = |kind: Kind, bytes: u32| {
        let (before, word) = (before[kind as usize], word[kind as usize]);
        word << bytes | before >> (u64::BITS - bytes)
    };
    // Bytes of a kind go on from here for at least so long.
    let run = |kind: Kind, len: usize| {
        let all = u128::from(word[kind as usize]) | u128::from(after[kind as usize]) << u64::BITS;
        let two = all & all >> 1;
        let four = two & two >> 2;
        let eight = four & four >> 4;
        (eight & eight >> (len - 8)) as u64
    };
    let letter = word[Kind::Letter as usize];
    let digit = word[Kind::Digit as usize];
    let second = ahead(Kind::Letter, 1);
    let behind_first = second & ahead(Kind::Letter, 2) & ahead(Kind::Letter, 3);
    // An escape may end here, whatever its last letter: `\n`, `%20`, `\u0022`. Terminal colours are seen to elsewhere.
    let escaped = back(Kind::Escape, 2) | back(Kind::Escape, 3) | back(Kind::Escape, 6);
    let alphanumeric = letter | digit;
    let behind_alphanumeric = back(Kind::Letter, 1) | back(Kind::Digit, 1);
    let runs = run(Kind::Token, TOKEN_RUN);
    let begins = !back(Kind::Letter, 1) | escaped;
    let letters = letter & behind_first & begins;
    let ends = ahead(Kind::AfterKey, 2) | (ahead(Kind::Letter, 2) & ahead(Kind::AfterKey, 3));
    let shorts = letter & second & begins & ends;
    let tokens = alphanumeric & runs & (!behind_alphanumeric | escaped);
    let says = !ahead(Kind::Blank, 4) | ahead(Kind::AfterBlank, 5);
    let keys = behind_first & ahead(Kind::AfterKey, 4) & says;
    let stops = (ahead(Kind::Token, 1) & !(second | ahead(Kind::Digit, 1)))
        | ahead(Kind::Sign, 1)
        | ahead(Kind::Colon, 1);
    // The one byte that is of both kinds.
    let dash = word[Kind::Token as usize] & word[Kind::Blank as usize];
    let behind_dash = back(Kind::Token, 1) & back(Kind::Blank, 1);
    let before_dash = ahead(Kind::Token, 1) & ahead(Kind::Blank, 1);
    let flags = dash & (!(behind_alphanumeric | behind_dash) | escaped) & (second | before_dash);
    let codes = letter & second & ahead(Kind::Digit, 2) & ahead(Kind::Digit, 3);
    Open {
        starts: letters | tokens,
        ends: keys,
        shorts,
        signs: word[Kind::Sign as usize] | (word[Kind::Colon as usize] & stops) | flags | codes,
        numbers: digit & run(Kind::Number, NUMBER_RUN) & (!back(Kind::Digit, 1) | escaped),
        runs,
    }
}
