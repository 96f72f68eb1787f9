//! Gates: the few kinds of places where anchors are looked for. Most anchors begin where a word begins or end where a
//! key ends, some hold a sign that is rare, some are written in digits; the prefilter looks nowhere else, but for the
//! few that no gate leads to.
//!
//! Here a gate is what can be said of an anchor: whether it only ever stands where the gate is open, and by what bytes it
//! is looked up there. The prefilter says the same of text.

use super::anchor::AnchorRef;
use super::byte_set::ByteSet;

/// Letters.
pub const LETTERS: ByteSet = ByteSet::NONE.with_range(b'a', b'z').with_range(b'A', b'Z');
/// Digits.
pub const DIGITS: ByteSet = ByteSet::NONE.with_range(b'0', b'9');
/// Letters and digits.
pub const ALPHANUMERIC: ByteSet = LETTERS.with_range(b'0', b'9');
/// What tokens are made of.
pub const TOKEN: ByteSet = ALPHANUMERIC.with(b'_').with(b'-').with(b'+').with(b'/').with(b'=').with(b'.');
/// What may follow a key.
pub const AFTER_KEY: ByteSet =
    ByteSet::of_each(b" \t\r\n\x0B\x0C=:->],\"'`\\\x1B").with_range(b'0', b'9').with_range(0x80, 0xFF);
/// What of it says little: the next byte must be one of [`AFTER_BLANK`].
pub const BLANK: ByteSet = ByteSet::of_each(b" \t-");
/// The one byte of [`TOKEN`] and of [`BLANK`].
pub const DASH: ByteSet = ByteSet::of(b'-');
/// What may follow a blank behind a key.
pub const AFTER_BLANK: ByteSet = ByteSet::of_each(b" \t\r\n\x0B\x0C\x1B=:->").with_range(0x80, 0xFF);
/// What stands between the parts of a number: [`BLANK`], and what of [`AFTER_KEY`] is neither a digit nor in
/// [`AFTER_BLANK`].
pub const SEPARATOR: ByteSet = ByteSet::of_each(b" \t-],\"'`\\");
/// What numbers are written with.
pub const NUMBER: ByteSet = SEPARATOR.with_range(b'0', b'9');
/// Signs that are rare in logs.
pub const SIGNS: ByteSet = ByteSet::of_each(b"$@%\\\x1B+#{<>!*~`&^|?;");
/// The colon.
pub const COLON: ByteSet = ByteSet::of(b':');
/// What escapes begin with.
pub const ESCAPES: ByteSet = ByteSet::of_each(b"\\%\x1B");

/// What stands behind the backslash in an escape of two bytes.
pub const SHORT_ESCAPES: ByteSet = ByteSet::of_each(b"nrtbfvae0");
/// What escapes end with: those of two bytes, those in hexadecimal, and colours.
pub(super) const ENDS_OF_ESCAPES: ByteSet =
    SHORT_ESCAPES.with_range(b'0', b'9').with_range(b'a', b'f').with_range(b'A', b'F').with(b'm');

/// A kind of place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Where a word of at least four letters begins.
    Letters,
    /// Where something begins that goes on for at least [`TOKEN_RUN`] bytes, as tokens do.
    Token,
    /// One byte in front of the last two letters of what may be a key with an operator behind it.
    Key,
    /// A rare sign, a colon before something that is neither a letter, a digit nor a blank, or a dash that begins a
    /// flag.
    Sign,
    /// Two letters and two digits.
    Code,
    /// Where digits begin that go on, with separators between them, for at least [`NUMBER_RUN`] bytes: only digits, or
    /// groups of four and more, or a group of at most three and a second one that ends soon. Times and dates are none.
    Number,
    /// Where a token begins, as at [`Token`](Self::Token), for anchors whose first bytes may be too many.
    Begin,
    /// Where at least [`TOKEN_RUN`] bytes of a token follow, begun before or here.
    Run,
}

/// The least bytes of a token.
pub const TOKEN_RUN: usize = 12;
/// The least bytes of a number.
pub const NUMBER_RUN: usize = 13;

impl Gate {
    /// All gates.
    pub const ALL: [Self; 8] =
        [Self::Letters, Self::Token, Self::Key, Self::Sign, Self::Code, Self::Number, Self::Begin, Self::Run];

    /// At which places of an anchor it surely is open, a bit for each.
    pub(super) fn open(self, bytes: &Lanes) -> Places {
        let is = |offset: isize, kinds: u16| at(offset, fold(&bytes.within, kinds, 0, |any, of| any | of));
        let is_not =
            |offset: isize, kinds: u16| at(offset, fold(&bytes.without, kinds, !0, |all, of| all & of));
        let run = |len: usize, kind: u16| {
            let lane = is(0, kind);
            (1..len as isize).fold(lane, |all, i| all & at(i, lane))
        };
        match self {
            Self::Letters => is_not(-1, LETTER) & run(4, LETTER),
            Self::Token | Self::Begin => is(0, WORD) & is_not(-1, LETTER | DIGIT) & run(TOKEN_RUN, IN_TOKEN),
            Self::Key => {
                let says = is_not(3, BEHIND) | is(4, THEN);
                is(1, LETTER) & is(2, LETTER) & is(3, AFTER) & says
            }
            Self::Sign => {
                let stops = is_not(1, LETTER | DIGIT) & is(1, IN_TOKEN | SIGN | COLONS);
                let flag = is_not(-1, LETTER | DIGIT | DASHES) & (is(1, LETTER) | is(1, DASHES));
                is(0, SIGN) | (is(0, COLONS) & stops) | (is(0, DASHES) & flag)
            }
            Self::Code => run(2, LETTER) & is(2, DIGIT) & is(3, DIGIT),
            Self::Number => {
                let parts = |ends: &[isize]| ends.iter().fold(0, |any, &i| any | is(i, SEPARATES));
                let four = run(4, DIGIT);
                let groups = four & is(4, SEPARATES) & at(5, four);
                let small = parts(&[1, 2, 3]) & parts(&[4, 5, 6, 7]);
                let grouped = run(NUMBER_RUN, IN_NUMBER) & (groups | small);
                is(0, DIGIT) & is_not(-1, DIGIT) & (run(NUMBER_RUN, DIGIT) | grouped)
            }
            Self::Run => run(TOKEN_RUN, IN_TOKEN),
        }
    }
}

/// A bit for each place of an anchor, the lowest for the byte in front of it.
pub(super) type Places = u64;

/// The places so far behind which a byte is one of these.
fn at(offset: isize, bytes: Places) -> Places {
    if offset < 0 { bytes << -offset } else { bytes >> offset }
}

/// The kinds of all bytes of an anchor: for each kind, which bytes are surely of it, and which surely are not.
#[derive(Default)]
pub(super) struct Lanes {
    within: [Places; ASKED.len()],
    without: [Places; ASKED.len()],
}

impl Lanes {
    pub(super) fn of(bytes: impl Iterator<Item = Kinds>) -> Self {
        let mut lanes = Self::default();
        for (i, kinds) in bytes.take(Places::BITS as usize).enumerate() {
            each_bit(kinds.within.into(), |kind| lanes.within[kind] |= 1 << i);
            each_bit((kinds.without & ASKED_NOT).into(), |kind| lanes.without[kind] |= 1 << i);
        }
        lanes
    }
}

/// Calls `found` with the place of each bit.
pub(super) fn each_bit(mut bits: u64, mut found: impl FnMut(usize)) {
    while bits != 0 {
        found(bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
}

/// The lanes of these kinds, put together.
fn fold(
    lanes: &[Places; ASKED.len()],
    kinds: u16,
    mut all: Places,
    with: impl Fn(Places, Places) -> Places,
) -> Places {
    each_bit(kinds.into(), |kind| all = with(all, lanes[kind]));
    all
}

/// What gates ask of a set: a bit for each kind of byte.
const ASKED: [ByteSet; 12] = [
    LETTERS,
    DIGITS,
    ALPHANUMERIC,
    TOKEN,
    NUMBER,
    AFTER_KEY,
    BLANK,
    AFTER_BLANK,
    SIGNS,
    COLON,
    DASH,
    SEPARATOR,
];
const LETTER: u16 = 1;
const DIGIT: u16 = 1 << 1;
const WORD: u16 = 1 << 2;
const IN_TOKEN: u16 = 1 << 3;
const IN_NUMBER: u16 = 1 << 4;
const AFTER: u16 = 1 << 5;
const BEHIND: u16 = 1 << 6;
const THEN: u16 = 1 << 7;
const SIGN: u16 = 1 << 8;
const COLONS: u16 = 1 << 9;
const DASHES: u16 = 1 << 10;
const SEPARATES: u16 = 1 << 11;
/// Those that gates ask not to be.
const ASKED_NOT: u16 = LETTER | DIGIT | BEHIND | DASHES;

/// The kinds that all bytes of a set are of, and those that none is of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kinds {
    within: u16,
    without: u16,
}

/// The kinds of each byte.
static KINDS: [u16; 256] = {
    let mut kinds = [0; 256];
    let mut i = 0;
    while i < 256 * ASKED.len() {
        let (byte, kind) = (i % 256, i / 256);
        kinds[byte] |= (ASKED[kind].has(byte as u8) as u16) << kind;
        i += 1;
    }
    kinds
};

impl Kinds {
    /// Those of a byte that may be any.
    pub(super) const ANY: Self = Self { within: 0, without: 0 };

    /// Whether it is not known if the byte is a digit.
    pub(super) fn may_be_digit_or_not(self) -> bool {
        (self.within | self.without) & DIGIT == 0
    }

    pub(super) fn of(set: ByteSet) -> Self {
        let all = (1 << ASKED.len()) - 1;
        let (mut within, mut any) = (all, 0);
        for byte in set.iter() {
            within &= KINDS[usize::from(byte)];
            any |= KINDS[usize::from(byte)];
            if within == 0 && any == all {
                break;
            }
        }
        Self { within, without: all & !any }
    }
}

/// How the anchors of a place are told from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Four bytes, folded, that something begins with.
    Start,
    /// Three bytes, folded, that something ends with, or that are rare.
    Three,
    /// Two bytes, folded.
    Sign,
    /// Which of sixteen bytes are digits.
    Shape,
    /// Not at all.
    Nothing,
}

/// What stands for the bytes of a place: the first one lowest.
pub type Key = u32;

/// Letters lose their case by this bit; other bytes are paired by it, too, which does no harm.
pub const FOLD: u8 = 0x20;

impl Gate {
    /// How anchors are looked up where it is open.
    pub fn by(self) -> By {
        match self {
            Self::Letters | Self::Token => By::Start,
            Self::Key => By::Three,
            Self::Sign | Self::Code => By::Sign,
            Self::Number => By::Shape,
            Self::Begin | Self::Run => By::Nothing,
        }
    }
}

/// What may stand so far behind an anchor's start. In front of it an escape may end, which the gates see to.
fn set_at(anchor: AnchorRef<'_>, offset: isize) -> ByteSet {
    match usize::try_from(offset) {
        Ok(i) => anchor.sets.get(i).copied().unwrap_or(ByteSet::ANY),
        Err(_) if offset == -1 => anchor.before.unwrap_or(ByteSet::ANY),
        Err(_) => ByteSet::ANY,
    }
}

/// The same, with the last bytes of escapes.
pub fn byte_at(anchor: AnchorRef<'_>, offset: isize) -> ByteSet {
    let set = set_at(anchor, offset);
    if offset == -1 { set.union(ENDS_OF_ESCAPES) } else { set }
}
