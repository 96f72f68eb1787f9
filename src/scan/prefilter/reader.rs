//! Which ways of reading text the processor at hand has. All give the same.

/// What reads text, of what the processor at hand has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Sse,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Reader {
    /// All that can be used here, the best first.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let has_avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("popcnt");
        #[cfg(target_arch = "x86_64")]
        let vectors = [
            (
                Self::Avx512,
                has_avx2 && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw"),
            ),
            (Self::Avx2, has_avx2),
            (Self::Sse, is_x86_feature_detected!("ssse3") && is_x86_feature_detected!("popcnt")),
        ];
        #[cfg(target_arch = "aarch64")]
        let vectors = [(Self::Neon, std::arch::is_aarch64_feature_detected!("neon"))];
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let vectors = [];
        let vectors = vectors.into_iter().filter(|&(_, is_here)| is_here).map(|(reader, _)| reader);
        vectors.chain([Self::Portable])
    }
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use super::*;
    use crate::scan::prefilter::kind::{self, SEEN};
    #[cfg(target_arch = "aarch64")]
    use crate::scan::prefilter::neon;
    #[cfg(target_arch = "x86_64")]
    use crate::scan::prefilter::{avx2, avx512, sse};

    #[test]
    fn vectors_read_what_is_read_portably() {
        // Others are tested where a processor has them.
        println!("read with: {:?}", Reader::all().collect::<Vec<_>>());
        let mut dice = 1u64;
        let kinds = kind::Kinds::new([
            [[0x81, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], [0x83; 16]],
            [[0xF1; 16], [0, 0, 1, 3, 7, 1, 2, 4, 8, 16, 32, 64, 128, 0xFF, 0x81, 1]],
            [[0xFF; 16], [0xFF; 16]],
        ]);
        for round in 0..2000 {
            let block: [u8; SEEN] = std::array::from_fn(|_| {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                // Of all bytes, or of few.
                if round % 2 == 0 { (dice >> 33) as u8 } else { b"yA5\xC3\xE3%"[(dice >> 33) as usize % 6] }
            });
            for reader in Reader::all() {
                // SAFETY: the processor has been asked.
                #[allow(unsafe_code)]
                let word = match reader {
                    Reader::Portable => continue,
                    #[cfg(target_arch = "x86_64")]
                    Reader::Avx512 => unsafe { avx512::read(&kinds.halves, &block) },
                    #[cfg(target_arch = "x86_64")]
                    Reader::Avx2 => unsafe { avx2::read(&kinds.halves, &block) },
                    #[cfg(target_arch = "x86_64")]
                    Reader::Sse => unsafe { sse::read(&kinds.halves, &block) },
                    #[cfg(target_arch = "aarch64")]
                    Reader::Neon => unsafe { neon::read(&kinds.halves, &block) },
                };
                assert_eq!(word, kind::read_portable(&kinds, &block), "{reader:?}");
            }
        }
    }
}
