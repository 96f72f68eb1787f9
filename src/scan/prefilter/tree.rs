//! Trees: which of many windows may stand at a place, told by one byte near it after the other. The bytes asked for
//! first are those that lead to the fewest windows. Of a byte only the lower five bits count: letters are told apart in
//! either case, and sets of bytes are words of bits.

use super::look::NEAR;
use crate::rules::byte_set::ByteSet;

/// For each byte near a place, which lower five bits it may have where a window stands.
#[derive(Clone, Copy)]
pub(super) struct Residues {
    bits: [u32; NEAR],
    /// How many they are.
    count: [u8; NEAR],
}

impl Residues {
    pub(super) fn new(bits: [u32; NEAR]) -> Self {
        Self { bits, count: bits.map(|bits| bits.count_ones() as u8) }
    }

    /// Those of either.
    pub(super) fn union(&self, other: &Self) -> Self {
        Self::new(std::array::from_fn(|at| self.bits[at] | other.bits[at]))
    }
}

/// The lower five bits of the bytes of a set.
pub(super) fn residues(set: ByteSet) -> u32 {
    set.words().iter().fold(0, |all, &word| all | word as u32 | (word >> 32) as u32)
}

/// What is asked of one byte.
#[derive(Clone, Copy)]
pub(super) struct Node {
    /// Which residues lead on.
    with: u32,
    /// Where the first of them leads; those of the others follow, in order.
    first: u32,
    /// Which of the bytes near the place.
    at: u8,
}

/// Where a byte leads.
#[derive(Clone, Copy)]
struct Next {
    /// A node, or where a list of windows starts.
    index: u32,
    /// How many windows are in the list; none: it is a node.
    count: u32,
}

impl Node {
    /// A node that leads nowhere.
    pub(super) const NOWHERE: Self = Self { with: 0, first: 0, at: 0 };
}

/// The nodes of many trees but for the first ones, and the lists they end with.
#[derive(Default)]
pub(super) struct Trees {
    nodes: Vec<Node>,
    next: Vec<Next>,
    list: Vec<u16>,
    /// The first nodes of windows that have had a tree for themselves: they may be looked up by many keys.
    alone: Vec<Option<Node>>,
}

impl Trees {
    /// How many bytes are asked for at most.
    const DEPTH: u32 = 2;
    /// How many windows are compared without asking for more.
    const FEW: usize = 4;
    /// Windows that may have many bytes somewhere are in many lists; this many for each window are enough.
    const MOST: usize = 64;

    /// The first node of a tree for these windows, named by their places in `of`. `asked`: the bytes that are known
    /// already, a bit for each; the same for all trees.
    pub(super) fn plant(&mut self, windows: &[Residues], of: &[u16], asked: u32) -> Node {
        let &[window] = of else { return self.grow(windows, of, asked, 0) };
        let name = usize::from(window);
        self.alone.resize(windows.len(), None);
        if let Some(node) = self.alone[name] {
            return node;
        }
        let node = self.grow(windows, of, asked, 0);
        self.alone[name] = Some(node);
        node
    }

    fn grow(&mut self, windows: &[Residues], of: &[u16], asked: u32, depth: u32) -> Node {
        let of_windows = || of.iter().map(|&window| &windows[usize::from(window)]);
        let mut counts = [0u32; NEAR];
        for window in of_windows() {
            counts.iter_mut().zip(window.count).for_each(|(all, count)| *all += u32::from(count));
        }
        let free = (0..NEAR).filter(|at| asked >> at & 1 == 0);
        // All asked for: one of them once more does no harm.
        let at = free.min_by_key(|&at| counts[at]).unwrap_or(0);
        let with = of_windows().fold(0, |all, window| all | window.bits[at]);
        // Residues that lead to the same windows lead to the same place; where windows are too many, that is not known.
        let mut known = [(0, Next { index: 0, count: 0 }); u32::BITS as usize];
        let mut known_count = 0;
        let mut next = [Next { index: 0, count: 0 }; u32::BITS as usize];
        let mut next_count = 0;
        for residue in (0..u32::BITS).filter(|residue| with >> residue & 1 == 1) {
            let has = |window: &u16| windows[usize::from(*window)].bits[at] >> residue & 1 == 1;
            let bits = (of.len() <= 64).then(|| {
                of.iter().enumerate().fold(0u64, |bits, (i, window)| bits | u64::from(has(window)) << i)
            });
            let same = known[..known_count].iter().find(|(known, _)| bits == Some(*known));
            let leads_to = match same {
                Some(&(_, leads_to)) => leads_to,
                None => {
                    let list: Vec<u16> = of.iter().copied().filter(has).collect();
                    let leads_to = self.lead_to(windows, &list, asked | 1 << at, depth + 1);
                    if let Some(bits) = bits {
                        known[known_count] = (bits, leads_to);
                        known_count += 1;
                    }
                    leads_to
                }
            };
            next[next_count] = leads_to;
            next_count += 1;
        }
        let first = self.next.len() as u32;
        self.next.extend_from_slice(&next[..next_count]);
        Node { with, first, at: at as u8 }
    }

    fn lead_to(&mut self, windows: &[Residues], of: &[u16], asked: u32, depth: u32) -> Next {
        let is_full = self.list.len() > Self::MOST * windows.len();
        let is_enough = of.len() <= Self::FEW && depth > 1;
        if depth == Self::DEPTH || is_enough || is_full {
            let index = self.list.len() as u32;
            self.list.extend_from_slice(of);
            return Next { index, count: of.len() as u32 };
        }
        let node = self.grow(windows, of, asked, depth);
        self.nodes.push(node);
        Next { index: self.nodes.len() as u32 - 1, count: 0 }
    }

    /// The windows that may stand where these bytes are near, from a first node on; all that do are among them.
    #[inline]
    pub(super) fn windows(&self, mut node: Node, near: impl Fn(u8) -> u8) -> &[u16] {
        loop {
            let residue = near(node.at) % 32;
            if node.with >> residue & 1 == 0 {
                return &[];
            }
            let place = (node.with & ((1 << residue) - 1)).count_ones();
            let Next { index, count } = self.next[(node.first + place) as usize];
            if count > 0 {
                return &self.list[index as usize..(index + count) as usize];
            }
            node = self.nodes[index as usize];
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_window_is_lost(
            windows in prop::collection::vec(prop::array::uniform16(prop_oneof![
                3 => (0..32u32).prop_map(|residue| 1 << residue),
                1 => any::<u32>().prop_map(|bits| bits | 1),
                1 => Just(u32::MAX),
            ]), 1..40),
            near in prop::array::uniform16(any::<u8>()),
            asked in any::<u32>(),
            like in any::<prop::sample::Index>(),
        ) {
            let names: Vec<u16> = (0..windows.len() as u16).collect();
            let mut trees = Trees::default();
            let residues: Vec<Residues> = windows.iter().copied().map(Residues::new).collect();
            let node = trees.plant(&residues, &names, asked);
            // The bytes of one of the windows, so that something is found.
            let wanted = windows[like.index(windows.len())];
            let alike: [u8; NEAR] = std::array::from_fn(|i| wanted[i].trailing_zeros() as u8 | near[i] & 0xE0);
            for bytes in [near, alike] {
                let found = trees.windows(node, |at| bytes[usize::from(at)]);
                for (name, window) in windows.iter().enumerate() {
                    let stands = window.iter().zip(bytes).all(|(bits, byte)| bits >> (byte % 32) & 1 == 1);
                    prop_assert!(!stands || found.contains(&(name as u16)));
                }
            }
        }
    }

    #[test]
    fn letters_have_the_same_residue_in_either_case() {
        assert_eq!(residues(ByteSet::of(b'a')), 2);
        assert_eq!(residues(ByteSet::caseless(b'z')), 1 << 26);
        assert_eq!(residues(ByteSet::ANY), u32::MAX);
    }
}
