//! The way to look for an anchor: of the gates that are open where it stands, the one that costs the least.

use super::anchor::AnchorRef;
use super::byte_set::ByteSet;
use super::frequency::{Frequency, Part};
use super::gate::{By, DIGITS, ENDS_OF_ESCAPES, Gate, Key, Kinds, Lanes, byte_at, each_bit};

/// Where an anchor is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// Where this gate is open.
    Gate(Gate),
    /// Where three of its bytes may stand.
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
    /// The best way to look for an anchor. What is more than `near` bytes behind its place, or more than `back` bytes in
    /// front of it, is only compared after the rest.
    pub fn best(anchor: &Bytes, back: usize, near: usize) -> Self {
        let known = &anchor.known[..];
        let len = known.len() - 1 - Bytes::BEHIND;
        let lanes = Lanes::of(known[..=len].iter().map(|byte| byte.kinds));
        let is_vague = known[1..=len].iter().all(|byte| byte.readings > 1);
        let cost = if is_vague { VAGUE } else { 1.0 };
        let best = Self { at: Where::Everywhere, place: isize::MIN, cost };
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
            (1..=len).for_each(|i| choice.offer(Where::Rare, i));
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
            Where::Rare => Some(By::Three),
            Where::Everywhere => None,
        }
    }

    /// What each byte may be that `anchor` is looked up by; of digits, whether it is one (1) or not (0).
    pub fn readings(&self, anchor: AnchorRef<'_>) -> Vec<ByteSet> {
        let bytes = |count: isize| (0..count).map(|i| byte_at(anchor, self.place + i).folded()).collect();
        let is_digit = |i: isize| {
            let set = byte_at(anchor, self.place + i);
            let kinds = [DIGITS.complement(), DIGITS].map(|kind| !set.intersection(kind).is_empty());
            (0..2).filter(|&kind| kinds[usize::from(kind)]).fold(ByteSet::NONE, ByteSet::with)
        };
        match self.by() {
            Some(By::Start) => bytes(4),
            Some(By::Three) => bytes(3),
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
        let is_either = |byte: &&Known| byte.kinds.may_be_digit_or_not();
        match self.by() {
            Some(By::Start) => bytes(4),
            Some(By::Three) => bytes(3),
            Some(By::Sign) => bytes(2),
            Some(By::Shape) => 1 << here[..16].iter().filter(is_either).count(),
            Some(By::Nothing) | None => 1,
        }
    }

    /// Whether a table has room for the keys of `anchor`.
    pub fn is_possible(&self, anchor: AnchorRef<'_>) -> bool {
        let readings = self.readings(anchor);
        readings.iter().fold(1, |all: usize, set| all.saturating_mul(set.len() as usize)) <= MAX_READINGS
    }

    /// Gives every key that the anchor may be looked up by.
    pub fn each_key(&self, anchor: AnchorRef<'_>, found: &mut impl FnMut(Key)) {
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
            Where::Gate(Gate::Key) => (0.5 * three, Some(Part::End)),
            Where::Gate(Gate::Sign) => (0.1 * two, None),
            Where::Gate(Gate::Code) => (0.04 * two, None),
            Where::Gate(Gate::Number) => (0.001, None),
            Where::Gate(Gate::Begin) => (0.03, None),
            Where::Gate(Gate::Run) => (0.2, None),
            Where::Rare => (RARE + three, Some(Part::Inside)),
            Where::Everywhere => return,
        };
        // What costs time to know is asked for last.
        if cost * factor > self.best.cost {
            return;
        }
        let cost = factor * part.map_or(cost, |part| cost.max(part.cost(here.iter().map(|byte| byte.only))));
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

/// What is known of a set of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    kinds: Kinds,
    /// How often such a byte turns up where it stands in an anchor.
    share: f32,
    turns_up: Frequency,
    /// How many bytes it may be when folded; in front of an anchor, with what escapes end with.
    readings: u32,
    in_front: u32,
    /// Which byte it is when folded, if there is only one.
    only: Option<u8>,
}

impl Known {
    /// Nothing.
    const ANYTHING: Self = Self {
        kinds: Kinds::ANY,
        share: 1.0,
        turns_up: Frequency::ALWAYS,
        readings: ByteSet::ANY.folded().len(),
        in_front: ByteSet::ANY.folded().len(),
        only: None,
    };

    /// What is known of this one.
    pub fn of(set: ByteSet) -> Self {
        let (folded, turns_up) = (set.folded(), Frequency::of(&set));
        Self {
            kinds: Kinds::of(set),
            share: 1.0,
            turns_up,
            readings: folded.len(),
            in_front: set.union(ENDS_OF_ESCAPES).folded().len(),
            only: folded.only(),
        }
    }
}

/// What is known of the bytes of an anchor, from one in front of it on.
#[derive(Debug, Default)]
pub struct Bytes {
    known: Vec<Known>,
}

impl Bytes {
    /// How many bytes behind an anchor may be asked for.
    const BEHIND: usize = 16;

    /// Those of this anchor.
    pub fn of(anchor: AnchorRef<'_>) -> Self {
        let mut bytes = Self::default();
        bytes.read(anchor.before.map(Known::of), anchor.sets.iter().map(|&set| Known::of(set)));
        bytes
    }

    /// Those of the anchor of whose sets this is known.
    pub fn read(&mut self, before: Option<Known>, sets: impl Iterator<Item = Known>) {
        let bytes = &mut self.known;
        bytes.clear();
        let before = before.unwrap_or(Known::ANYTHING);
        bytes.push(Known { readings: before.in_front, ..before });
        let mut last = Frequency::NOTHING;
        for byte in sets {
            bytes.push(Known { share: byte.turns_up.behind(last), ..byte });
            last = byte.turns_up;
        }
        bytes.resize(bytes.len() + Self::BEHIND, Known::ANYTHING);
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
