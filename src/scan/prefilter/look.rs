//! What the bytes near a place look like: those of their bits that are the same in every text that stands there. Comparing
//! them costs the same however many they are, and rules out nearly all that an anchor's key has let through.

use crate::rules::byte_set::ByteSet;

/// How many bytes near a place are looked at before an anchor is compared.
pub(super) const NEAR: usize = 16;

/// The bits of a byte that all bytes of a set have in common.
#[derive(Clone, Copy)]
pub(super) struct Shared {
    bits: u8,
    /// Which of the bits they are.
    known: u8,
}

impl Shared {
    /// What all bytes have in common.
    pub(super) const NOTHING: Self = Self { bits: 0, known: 0 };

    /// What the bytes of a set have in common.
    pub(super) fn of(set: ByteSet) -> Self {
        Self::of_each(set.iter())
    }

    /// What these bytes have in common.
    pub(super) fn of_each(bytes: impl Iterator<Item = u8>) -> Self {
        let (ones, zeros) = bytes.fold((0xFF, 0xFF), |(ones, zeros), byte| (ones & byte, zeros & !byte));
        Self { bits: ones & !zeros, known: ones ^ zeros }
    }
}

/// Some bits of the bytes near a place, the first byte in the lowest bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Look {
    bits: u128,
    /// Which of the bits they are.
    known: u128,
}

impl Look {
    /// All bytes look so.
    pub(super) const ANYTHING: Self = Self { bits: 0, known: 0 };
    /// None do.
    const NOTHING: Self = Self { bits: 1, known: 0 };

    /// What such bytes look like.
    pub(super) fn of(near: [Shared; NEAR]) -> Self {
        Self {
            bits: u128::from_le_bytes(near.map(|byte| byte.bits)),
            known: u128::from_le_bytes(near.map(|byte| byte.known)),
        }
    }

    /// What looks like both.
    fn and(self, other: Self) -> Self {
        Self { bits: self.bits | other.bits, known: self.known | other.known }
    }

    /// What looks like this or the other, and as little else as can be told.
    fn or(self, other: Self) -> Self {
        let known = self.known & other.known & !(self.bits ^ other.bits);
        Self { bits: self.bits & known, known }
    }

    /// Whether bytes look so.
    #[inline(always)]
    pub(super) fn fits(self, near: u128) -> bool {
        near & self.known == self.bits
    }

    /// How much of all there is looks so.
    fn share(self) -> u128 {
        // In nearly all texts the highest bits are zero.
        let told = (self.known & u128::from_le_bytes([0x7F; NEAR])).count_ones();
        (u128::MAX >> 1) >> told
    }
}

/// What looks like one of two: where many different things may stand, what they all have in common is little.
#[derive(Clone, Copy)]
pub(super) struct Looks([Look; 2]);

impl Looks {
    /// Nothing looks so.
    pub(super) const NOTHING: Self = Self([Look::NOTHING; 2]);

    /// What looks like one of all, and little else. The vaguest and what is most unlike it are told apart, and each of the
    /// rest goes where it lets less through.
    pub(super) fn of(all: impl ExactSizeIterator<Item = Look> + Clone) -> Self {
        let Some(vague) = all.clone().max_by_key(|look| look.share()) else { return Self::NOTHING };
        let [mut one, mut other] = [vague; 2];
        if all.len() > 1 {
            other = all.clone().max_by_key(|look| vague.or(*look).share()).unwrap_or(vague);
            for look in all {
                let (first, second) = (one.or(look), other.or(look));
                if first.share() + other.share() <= one.share() + second.share() {
                    one = first;
                } else {
                    other = second;
                }
            }
        }
        Self([one, other])
    }

    /// What looks so, and like this.
    pub(super) fn and(self, look: Look) -> Self {
        Self(self.0.map(|one| one.and(look)))
    }

    /// Whether bytes look so. Both are asked, for a branch that cannot be foretold costs more than they do.
    #[inline(always)]
    pub(super) fn fit(&self, near: u128) -> bool {
        self.0[0].fits(near) | self.0[1].fits(near)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn look(sets: &[ByteSet; NEAR]) -> Look {
        Look::of(sets.map(Shared::of))
    }

    fn set() -> impl Strategy<Value = ByteSet> {
        prop_oneof![
            any::<u8>().prop_map(ByteSet::of),
            (b'a'..=b'z').prop_map(ByteSet::caseless),
            prop::collection::vec(any::<u8>(), 1..5).prop_map(|bytes| ByteSet::of_each(&bytes)),
            Just(ByteSet::ANY),
        ]
    }

    proptest! {
        #[test]
        fn what_may_stand_there_looks_so(
            windows in prop::collection::vec(prop::array::uniform16(set()), 1..12),
            which in any::<prop::sample::Index>(),
            picks in prop::array::uniform16(any::<prop::sample::Index>()),
        ) {
            let all = Looks::of(windows.iter().map(look));
            let sets = &windows[which.index(windows.len())];
            let pick = |at: usize| {
                let bytes: Vec<u8> = sets[at].iter().collect();
                bytes[picks[at].index(bytes.len())]
            };
            let near: [u8; NEAR] = std::array::from_fn(pick);
            let near = u128::from_le_bytes(near);
            prop_assert!(look(sets).fits(near));
            prop_assert!(all.fit(near));
            // A key is known folded.
            let folded = near.to_le_bytes().map(|byte| Shared::of_each([byte | 0x20, byte & !0x20].into_iter()));
            prop_assert!(all.and(Look::of(folded)).fit(near));
        }
    }

    #[test]
    fn one_odd_window_does_not_hide_what_the_others_have_in_common() {
        let sets = |text: &str| -> [ByteSet; NEAR] {
            std::array::from_fn(|at| match text.as_bytes().get(at) {
                Some(b'?') | None => ByteSet::ANY,
                Some(&byte) if byte.is_ascii_lowercase() => ByteSet::caseless(byte),
                Some(&byte) => ByteSet::of(byte),
            })
        };
        let near = |text: &str| {
            u128::from_le_bytes(std::array::from_fn(|at| text.as_bytes().get(at).copied().unwrap_or(0)))
        };
        let looks =
            Looks::of(["??SESS????", "??session_token", "??session-token"].map(sets).iter().map(look));
        for (text, want) in [
            ("a SESS0000", true),
            ("a Session_token", true),
            ("a session-token", true),
            ("a session by 360", false),
            ("a sess0000", false),
        ] {
            assert_eq!(looks.fit(near(text)), want, "{text}");
        }
        assert!(!Looks::of(std::iter::empty()).fit(0));
        assert!(!Looks::NOTHING.fit(1));
        assert_eq!(Shared::of(ByteSet::caseless(b'k')).known, !0x20);
    }
}
