//! Anchors: short byte patterns of which every match of a rule holds at least one.
//!
//! The prefilter looks for anchors only; a rule runs where one of its anchors fired.
//! That is sound if no match can exist without an anchor inside it, which holds by construction for anchors that are
//! derived (`derive`) and is held against the regex by a property test.
//!
//! An anchor is a sequence of byte sets rather than a literal, so that letter case, separators and "ends here"
//! need no extra patterns.

use std::sync::Arc;

use super::byte_set::ByteSet;

/// How many sets an anchor keeps.
pub const MAX_SETS: usize = 16;
/// A byte pattern that every match holds (one of a rule's anchors, not all).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Anchor {
    /// What each byte may be; 1 to 16 sets. Shared by the rule and who looks for its anchors.
    pub sets: Arc<[ByteSet]>,
    /// What the byte in front may be, where there is one (a line's end is always in it); `None`: anything.
    pub before: Option<ByteSet>,
    /// What follows its sets.
    pub reach: Option<Box<Reach>>,
    /// How far behind the start of the match the anchor starts, where that is the same for every match.
    pub offset: Option<usize>,
}

/// What follows an anchor, some bytes behind it: `@example.` is an `@` that reaches a dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reach {
    /// The bytes in between.
    pub over: ByteSet,
    /// What ends them; nothing of it is in `over`.
    pub to: ByteSet,
    /// What stands behind the first byte of `to`, byte by byte.
    pub then: [ByteSet; THEN],
    /// How many bytes may be in between; `None`: any number.
    pub most: Option<u8>,
}

/// How many bytes are known of what an anchor reaches, behind the first.
pub const THEN: usize = 3;
/// How far it is read for what an anchor reaches. What goes on for longer is taken to reach it, if any number of bytes
/// may be in between.
pub const MAX_REACH: usize = 256;

impl Reach {
    /// Any number of bytes of `over`, and one of `to` behind them.
    pub fn new(over: ByteSet, to: ByteSet) -> Self {
        Self { over, to, then: [ByteSet::ANY; THEN], most: None }
    }

    /// Whether `text` begins with it.
    pub fn leads(&self, text: &[u8]) -> bool {
        let most = self.most.map_or(MAX_REACH, usize::from);
        let over = text.iter().take(most).take_while(|&&byte| self.over.has(byte)).count();
        if over == most && self.most.is_none() {
            return true;
        }
        let mut next = text[over..].iter();
        next.next().is_some_and(|&byte| self.to.has(byte))
            && self.then.iter().zip(next).all(|(then, &byte)| then.has(byte))
    }
}

/// An anchor to look at: one of its own, or one of many ([`super::anchors`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnchorRef<'a> {
    /// What each byte may be.
    pub sets: &'a [ByteSet],
    /// What the byte in front may be.
    pub before: Option<ByteSet>,
    /// What follows its sets.
    pub reach: Option<&'a Reach>,
}

impl Anchor {
    /// To look at. Where it stands in the match is left out.
    pub fn as_ref(&self) -> AnchorRef<'_> {
        AnchorRef { sets: &self.sets, before: self.before, reach: self.reach.as_deref() }
    }

    /// A sequence of sets, wherever it stands.
    pub fn new(sets: Vec<ByteSet>) -> Self {
        Self::of(&sets)
    }

    /// The same sequence of sets.
    pub fn of(sets: &[ByteSet]) -> Self {
        Self { sets: sets.into(), before: None, reach: None, offset: None }
    }

    /// A literal, ignoring ASCII case.
    pub fn caseless(text: &[u8]) -> Self {
        Self::new(text.iter().take(MAX_SETS).map(|&b| ByteSet::caseless(b)).collect())
    }
}

impl AnchorRef<'_> {
    /// Whether the anchor stands at `at`.
    pub fn stands_at(self, text: &[u8], at: usize) -> bool {
        text.len() - at.min(text.len()) >= self.sets.len()
            && self.sets.iter().zip(&text[at..]).all(|(set, &byte)| set.has(byte))
            && self.is_free_at(text, at)
            && self.reach.is_none_or(|reach| reach.leads(&text[at + self.sets.len()..]))
    }

    /// Whether what is in front of `at` is what it asks for.
    #[inline]
    pub fn is_free_at(self, text: &[u8], at: usize) -> bool {
        self.before.is_none_or(|before| at.checked_sub(1).is_none_or(|i| before.has(text[i])))
    }
}
