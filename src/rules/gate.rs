//! Gates: the few kinds of places where anchors are looked for. Most anchors begin where a word begins or end where a
//! key ends, some hold a sign that is rare, some are written in digits; the prefilter looks nowhere else, but for the
//! few that no gate leads to.
//!
//! Here a gate is what can be said of an anchor: whether it only ever stands where the gate is open, by what bytes it is
//! looked up there, and about what that costs. The prefilter says the same of text.

use std::sync::LazyLock;

use super::anchor::{Anchor, Frequency};
use super::byte_set::{BySet, ByteSet};

/// Letters.
pub const LETTERS: ByteSet = ByteSet::NONE.with_range(b'a', b'z').with_range(b'A', b'Z');
/// Digits.
pub const DIGITS: ByteSet = ByteSet::NONE.with_range(b'0', b'9');
/// Letters and digits.
pub const ALPHANUMERIC: ByteSet = LETTERS.with_range(b'0', b'9');
/// What tokens are made of.
pub const TOKEN: ByteSet = ALPHANUMERIC.with(b'_').with(b'-').with(b'+').with(b'/').with(b'=').with(b'.');
/// What numbers are written with.
pub const NUMBER: ByteSet = DIGITS.with(b' ').with(b'-').with(b'+').with(b'.');
/// What may follow a key.
pub const AFTER_KEY: ByteSet =
    ByteSet::of_each(b" \t\r\n\x0B\x0C=:->],\"'`\\\x1B").with_range(b'0', b'9').with_range(0x80, 0xFF);
/// What of it says little: the next byte must be one of [`AFTER_BLANK`].
pub const BLANK: ByteSet = ByteSet::of_each(b" \t-");
/// The one byte of [`TOKEN`] and of [`BLANK`].
pub const DASH: ByteSet = ByteSet::of(b'-');
/// What may follow a blank behind a key.
pub const AFTER_BLANK: ByteSet = ByteSet::of_each(b" \t\r\n\x0B\x0C\x1B=:->").with_range(0x80, 0xFF);
/// Signs that are rare in logs.
pub const SIGNS: ByteSet = ByteSet::of_each(b"$@%\\\x1B+#{<>!*~`&^|?");
/// The colon.
pub const COLON: ByteSet = ByteSet::of(b':');
/// What escapes begin with.
pub const ESCAPES: ByteSet = ByteSet::of_each(b"\\%\x1B");

/// A kind of place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Where a word of at least four letters begins.
    Letters,
    /// Where something begins that goes on for at least [`TOKEN_RUN`] bytes, as tokens do.
    Token,
    /// One byte in front of the last three letters of what may be a key with an operator behind it.
    Key,
    /// Where a word of two or three letters begins that may be a key.
    Short,
    /// A rare sign, a colon before something that is neither a letter, a digit nor a blank, or a dash that begins a
    /// flag.
    Sign,
    /// Two letters and two digits.
    Code,
    /// Where digits begin that go on, with what numbers are written with between them, for at least
    /// [`NUMBER_RUN`] bytes.
    Number,
    /// Where at least [`TOKEN_RUN`] bytes of a token follow, begun before or here.
    Run,
}

/// The least bytes of a token.
pub const TOKEN_RUN: usize = 12;
/// The least bytes of a number.
pub const NUMBER_RUN: usize = 11;

impl Gate {
    /// All gates.
    pub const ALL: [Self; 8] =
        [Self::Letters, Self::Token, Self::Key, Self::Short, Self::Sign, Self::Code, Self::Number, Self::Run];

    /// At which places of an anchor it surely is open, a bit for each.
    fn open(self, bytes: &Lanes) -> Places {
        let is = |offset: isize, kinds: u16| at(offset, fold(&bytes.within, kinds, 0, |any, of| any | of));
        let is_not =
            |offset: isize, kinds: u16| at(offset, fold(&bytes.without, kinds, !0, |all, of| all & of));
        let run = |len: usize, kind: u16| {
            let lane = is(0, kind);
            (1..len as isize).fold(lane, |all, i| all & at(i, lane))
        };
        match self {
            Self::Letters => is_not(-1, LETTER) & run(4, LETTER),
            Self::Token => is(0, WORD) & is_not(-1, LETTER | DIGIT) & run(TOKEN_RUN, IN_TOKEN),
            Self::Key => {
                let says = is_not(4, BEHIND) | is(5, THEN);
                is(1, LETTER) & is(2, LETTER) & is(3, LETTER) & is(4, AFTER) & says
            }
            Self::Short => {
                let ends = is(2, AFTER) | (is(2, LETTER) & is(3, AFTER));
                run(2, LETTER) & is_not(-1, LETTER) & ends
            }
            Self::Sign => {
                let stops = is_not(1, LETTER | DIGIT) & is(1, IN_TOKEN | SIGN | COLONS);
                let flag = is_not(-1, LETTER | DIGIT | DASHES) & (is(1, LETTER) | is(1, DASHES));
                is(0, SIGN) | (is(0, COLONS) & stops) | (is(0, DASHES) & flag)
            }
            Self::Code => run(2, LETTER) & is(2, DIGIT) & is(3, DIGIT),
            Self::Number => is(0, DIGIT) & is_not(-1, DIGIT) & run(NUMBER_RUN, IN_NUMBER),
            Self::Run => run(TOKEN_RUN, IN_TOKEN),
        }
    }
}

/// A bit for each place of an anchor, the lowest for the byte in front of it.
type Places = u64;

/// The places so far behind which a byte is one of these.
fn at(offset: isize, bytes: Places) -> Places {
    if offset < 0 { bytes << -offset } else { bytes >> offset }
}

/// The kinds of all bytes of an anchor: for each kind, which bytes are surely of it, and which surely are not.
#[derive(Default)]
struct Lanes {
    within: [Places; ASKED.len()],
    without: [Places; ASKED.len()],
}

impl Lanes {
    fn of(bytes: &[Known]) -> Self {
        let mut lanes = Self::default();
        for (i, byte) in bytes.iter().take(Places::BITS as usize).enumerate() {
            each_bit(byte.kinds.within.into(), |kind| lanes.within[kind] |= 1 << i);
            each_bit((byte.kinds.without & ASKED_NOT).into(), |kind| lanes.without[kind] |= 1 << i);
        }
        lanes
    }
}

fn each_bit(mut bits: u64, mut found: impl FnMut(usize)) {
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
const ASKED: [ByteSet; 11] =
    [LETTERS, DIGITS, ALPHANUMERIC, TOKEN, NUMBER, AFTER_KEY, BLANK, AFTER_BLANK, SIGNS, COLON, DASH];
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
/// Those that gates ask not to be.
const ASKED_NOT: u16 = LETTER | DIGIT | BEHIND | DASHES;

/// The kinds that all bytes of a set are of, and those that none is of.
#[derive(Clone, Copy, Debug, Default)]
struct Kinds {
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
    fn of(set: ByteSet) -> Self {
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
    /// Four bytes, folded, that something ends with.
    End,
    /// Three bytes, folded.
    Short,
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
            Self::Key => By::End,
            Self::Short => By::Short,
            Self::Sign | Self::Code => By::Sign,
            Self::Number => By::Shape,
            Self::Run => By::Nothing,
        }
    }
}

/// Where an anchor is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// Where this gate is open.
    Gate(Gate),
    /// Where four of its bytes may stand.
    Rare,
    /// At every byte.
    Everywhere,
}

/// One way to look for an anchor.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// Which places are looked at.
    pub at: Where,
    /// How far behind the anchor's start the place is; -1 is the byte in front of it.
    pub place: isize,
    /// About how often the anchor is compared with a byte of log text.
    pub cost: f32,
}

impl Way {
    /// The best way to look for `anchor`. What is more than `near` bytes behind its place, or more than `back` bytes in
    /// front of it, is only compared after the rest.
    pub fn best(anchor: &Anchor, back: usize, near: usize, sets: &mut Sets) -> Self {
        let len = anchor.sets.len();
        let known = sets.of_anchor(anchor);
        let lanes = Lanes::of(&known[..=len]);
        let is_vague = known[1..=len].iter().all(|byte| byte.readings > 1);
        let best = Self { at: Where::Everywhere, place: isize::MIN, cost: 1.0 };
        let mut choice = Choice { known, len, back, near, is_vague, best };
        for gate in Gate::ALL {
            let mut places = gate.open(&lanes);
            // In front of the anchor only a key may have its place: at the start of a text, that is not in it.
            if gate != Gate::Key {
                places &= !1;
            }
            each_bit(places, |i| choice.offer(Where::Gate(gate), i));
        }
        if choice.best.cost > RARE {
            (0..=len).for_each(|i| choice.offer(Where::Rare, i));
        }
        match choice.best {
            Self { at: Where::Everywhere, cost, .. } => Self { at: Where::Everywhere, place: 0, cost },
            best => best,
        }
    }

    /// How it is looked up at its places; `None`: it is compared at every byte.
    pub fn by(&self) -> Option<By> {
        match self.at {
            Where::Gate(gate) => Some(gate.by()),
            Where::Rare => Some(By::Short),
            Where::Everywhere => None,
        }
    }

    /// What each byte may be that `anchor` is looked up by; of digits, whether it is one (1) or not (0).
    pub fn readings(&self, anchor: &Anchor) -> Vec<ByteSet> {
        let bytes = |count: isize| (0..count).map(|i| byte_at(anchor, self.place + i).folded()).collect();
        let is_digit = |i: isize| {
            let set = byte_at(anchor, self.place + i);
            let kinds = [DIGITS.complement(), DIGITS].map(|kind| !set.intersection(kind).is_empty());
            (0..2).filter(|&kind| kinds[usize::from(kind)]).fold(ByteSet::NONE, ByteSet::with)
        };
        match self.by() {
            Some(By::Start | By::End) => bytes(4),
            Some(By::Short) => bytes(3),
            Some(By::Sign) => bytes(2),
            Some(By::Shape) => (0..16).map(is_digit).collect(),
            Some(By::Nothing) | None => Vec::new(),
        }
    }

    /// How many keys there are for an anchor of which this is known from the place on.
    fn count_readings(&self, here: &[Known]) -> usize {
        let bytes = |count: usize| {
            here[..count].iter().fold(1, |all: usize, byte| all.saturating_mul(byte.readings as usize))
        };
        // Digits and others.
        let is_either = |byte: &&Known| (byte.kinds.within | byte.kinds.without) & DIGIT == 0;
        match self.by() {
            Some(By::Start | By::End) => bytes(4),
            Some(By::Short) => bytes(3),
            Some(By::Sign) => bytes(2),
            Some(By::Shape) => 1 << here[..16].iter().filter(is_either).count(),
            Some(By::Nothing) | None => 1,
        }
    }

    /// Gives every key that the anchor may be looked up by.
    pub fn each_key(&self, anchor: &Anchor, found: &mut impl FnMut(Key)) {
        fn go(rest: &[ByteSet], bits: u32, shift: u32, key: Key, found: &mut impl FnMut(Key)) {
            let Some((set, rest)) = rest.split_first() else { return found(key) };
            set.iter().for_each(|byte| go(rest, bits, shift + bits, key | Key::from(byte) << shift, found));
        }
        let bits = if self.by() == Some(By::Shape) { 1 } else { u8::BITS };
        go(&self.readings(anchor), bits, 0, 0, found);
    }
}

/// The choice between the ways to look for an anchor.
struct Choice<'k> {
    /// What is known of its bytes, from one in front of it on.
    known: &'k [Known],
    len: usize,
    back: usize,
    near: usize,
    is_vague: bool,
    best: Way,
}

impl Choice<'_> {
    /// Takes this way if it is better; byte `i` of those known has its place.
    fn offer(&mut self, at: Where, i: usize) {
        let (here, place) = (&self.known[i..], i as isize - 1);
        let hidden =
            (place - self.back as isize).max(0) + (self.len as isize - place - self.near as isize).max(0);
        let factor = (1.0 + 0.1 * hidden as f32) * if self.is_vague { VAGUE } else { 1.0 };
        let two = here[0].share * here[1].share;
        let three = two * here[2].share;
        let four = three * here[3].share;
        // How often the gate is open in logs, and how much likelier its bytes are there than anywhere.
        let (cost, part) = match at {
            Where::Gate(Gate::Letters) => (0.6 * four, Some(Part::Start)),
            Where::Gate(Gate::Token) => (0.06 * four, None),
            Where::Gate(Gate::Key) => (0.5 * four, Some(Part::End)),
            Where::Gate(Gate::Short) => (0.2 * three, None),
            Where::Gate(Gate::Sign) => (0.1 * two, None),
            Where::Gate(Gate::Code) => (0.04 * two, None),
            Where::Gate(Gate::Number) => (0.001, None),
            Where::Gate(Gate::Run) => (0.2, None),
            Where::Rare => (RARE + four, Some(Part::Inside)),
            Where::Everywhere => return,
        };
        // What costs time to know is asked for last.
        if cost * factor > self.best.cost {
            return;
        }
        let cost = factor * part.map_or(cost, |part| cost.max(part.cost(here)));
        let way = Way { at, place, cost };
        let readings = way.count_readings(here);
        let way = Way { cost: cost + readings as f32 * KEY, ..way };
        // Of ways that cost the same the one with the first place, and there the first gate.
        let is_better = way.cost < self.best.cost || (way.cost == self.best.cost && place < self.best.place);
        if readings <= MAX_READINGS && is_better {
            self.best = way;
        }
    }
}

/// What is known of a byte of an anchor.
#[derive(Clone, Copy, Debug)]
struct Known {
    kinds: Kinds,
    /// How often such a byte turns up where it stands.
    share: f32,
    turns_up: Frequency,
    /// How many bytes it may be when folded, and which one if that is all.
    readings: u32,
    only: Option<u8>,
}

impl Known {
    /// Nothing.
    const ANYTHING: Self = Self {
        kinds: Kinds { within: 0, without: 0 },
        share: 1.0,
        turns_up: Frequency::ALWAYS,
        readings: ByteSet::ANY.folded().len(),
        only: None,
    };

    fn of(set: ByteSet) -> Self {
        let (folded, turns_up) = (set.folded(), Frequency::of(&set));
        Self { kinds: Kinds::of(set), share: 1.0, turns_up, readings: folded.len(), only: folded.only() }
    }
}

/// What is known of sets: anchors are many, but made of few different ones.
#[derive(Debug, Default)]
pub struct Sets {
    of: BySet<Known>,
    /// Those of the last anchor.
    anchor: Vec<Known>,
}

impl Sets {
    /// How many bytes behind an anchor may be asked for.
    const BEHIND: usize = 16;

    /// What is known of the bytes of an anchor, from one in front of it on.
    fn of_anchor(&mut self, anchor: &Anchor) -> &[Known] {
        let mut known = |set: ByteSet| *self.of.entry(set).or_insert_with(|| Known::of(set));
        let bytes = &mut self.anchor;
        bytes.clear();
        let before = anchor.before.map_or(Known::ANYTHING, &mut known);
        bytes.push(Known { readings: byte_at(anchor, -1).folded().len(), ..before });
        let mut last = Frequency::NOTHING;
        for (i, &set) in anchor.sets.iter().enumerate() {
            // Most sets are the same as the one before.
            let is_same = i > 0 && anchor.sets[i - 1] == set;
            let byte = if is_same { bytes[i] } else { known(set) };
            bytes.push(Known { share: byte.turns_up.behind(last), ..byte });
            last = byte.turns_up;
        }
        bytes.resize(bytes.len() + Self::BEHIND, Known::ANYTHING);
        bytes
    }
}

/// In how many ways the bytes that an anchor is looked up by may read.
const MAX_READINGS: usize = 2048;
/// How much more an anchor costs that cannot be compared by bytes it must have.
const VAGUE: f32 = 10.0;
/// What it costs to look at every byte, however seldom the anchor is compared then.
const RARE: f32 = 0.002;
/// What a key costs, however seldom it stands in text: others hash like it.
const KEY: f32 = 1e-6;

/// What may stand so far behind an anchor's start. In front of it an escape may end, which the gates see to.
fn set_at(anchor: &Anchor, offset: isize) -> ByteSet {
    match usize::try_from(offset) {
        Ok(i) => anchor.sets.get(i).copied().unwrap_or(ByteSet::ANY),
        Err(_) if offset == -1 => anchor.before.unwrap_or(ByteSet::ANY),
        Err(_) => ByteSet::ANY,
    }
}

/// The same, with the last bytes of escapes.
pub fn byte_at(anchor: &Anchor, offset: isize) -> ByteSet {
    const ENDS: ByteSet = ByteSet::of_each(b"0123456789abcdefABCDEFnrtm");
    let set = set_at(anchor, offset);
    if offset == -1 { set.union(ENDS) } else { set }
}

/// A part of a word: its first four letters, its last four, or any three.
#[derive(Clone, Copy)]
enum Part {
    Start,
    End,
    Inside,
}

/// A bit for the hash of each part of the words that logs are full of. Another part may hash like it, which makes a
/// choice a little worse.
static COMMON_PARTS: LazyLock<[u64; 1024]> = LazyLock::new(|| {
    let mut known = [0; 1024];
    let mut learn = |part: Part, letters: &[u8]| {
        let hash = part.hash(letters);
        known[hash / 64] |= 1 << (hash % 64);
    };
    for word in COMMON.split_ascii_whitespace().map(str::as_bytes) {
        if word.len() >= 4 {
            learn(Part::Start, &word[..4]);
            learn(Part::End, &word[word.len() - 4..]);
        }
        word.windows(3).for_each(|letters| learn(Part::Inside, letters));
    }
    known
});

impl Part {
    fn hash(self, letters: &[u8]) -> usize {
        let key = letters.iter().fold(self as u32, |key, &letter| key << 8 ^ u32::from(letter));
        (key.wrapping_mul(0x9E37_79B1) >> 16) as usize
    }

    /// What looking for an anchor costs that has such a part of a common word where this is known of its bytes.
    fn cost(self, here: &[Known]) -> f32 {
        let mut letters = [0; 4];
        let (len, cost) = match self {
            Self::Start => (4, 6e-4),
            Self::End => (4, 5e-4),
            Self::Inside => (3, 1e-3),
        };
        for (letter, known) in letters[..len].iter_mut().zip(here) {
            let Some(only) = known.only else { return 0.0 };
            *letter = only;
        }
        let hash = self.hash(&letters[..len]);
        if COMMON_PARTS[hash / 64] >> (hash % 64) & 1 == 1 { cost } else { 0.0 }
    }
}

/// Whether one of the words that logs are full of is such.
fn is_common(is: impl Fn(&[u8]) -> bool) -> bool {
    COMMON.split_ascii_whitespace().any(|word| is(word.as_bytes()))
}

/// About how often the words of an anchor turn up at a byte of log text, if they are common ones: oftener than their
/// letters would.
pub fn word_frequency(anchor: &Anchor) -> f32 {
    let sets: Vec<ByteSet> = anchor.sets.iter().map(|set| set.folded()).collect();
    let is_letter = |set: &ByteSet| set.len() == 1 && set.intersection(LETTERS) == *set;
    let words: Vec<Vec<u8>> = sets
        .split(|set| !is_letter(set))
        .map(|word| word.iter().filter_map(|set| set.iter().next()).collect())
        .filter(|word: &Vec<u8>| !word.is_empty())
        .collect();
    let is_alone = sets.iter().all(|set| is_letter(set) || set.has(b' '));
    let share = |letters: &Vec<u8>| match letters.len() {
        0..=3 if !is_alone => 0.0,
        0..=2 => 1e-3,
        3 => 2e-4,
        _ if is_common(|word| word.starts_with(letters) || word.ends_with(letters)) => 2e-4,
        _ => 0.0,
    };
    let Some(rarest) = words.iter().map(share).min_by(f32::total_cmp) else { return 0.0 };
    let others = sets.iter().filter(|set| !is_letter(set) && !set.has(b' '));
    // One word behind another is seldom.
    rarest * 0.02f32.powi(words.len() as i32 - 1) * others.map(ByteSet::frequency).product::<f32>()
}

/// Words that logs are full of.
const COMMON: &str = "connection connected session service server username user node information info error warning \
    debug authentication authorization password client request response received data blocked version status state \
    system kernel process thread manager master worker task container application message event started starting \
    stopped opened closed failed failure invalid unknown check root administrator admin login http https www org java \
    exception class file path port host address timestamp time date from with for and the not key value type size \
    length count total index main default config update create created delete getting post proxy packet remote local \
    source destination device driver memory register interface network cluster running hadoop name number internal \
    sending active change block account access token verify confirm result answer signature installation code \
    open unix core sent init initial application current temporary link base with new data";
