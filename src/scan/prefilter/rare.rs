//! Three bytes wherever they stand, for anchors that no gate leads to. All such anchors share one set for each of the
//! three bytes, so that looking for them costs the same however many they are. Where in an anchor its three bytes stand
//! is chosen for all together: bytes that others have, too, add nothing to the places that are looked at.

use super::kind::RARE;
use crate::rules::anchor::Anchor;
use crate::rules::byte_set::ByteSet;
use crate::rules::gate::byte_at;
use crate::rules::way::Way;

/// How often the choice is gone over.
const ROUNDS: usize = 3;

/// What each byte may be.
pub(super) type Sets = [ByteSet; RARE];

/// Moves the places of anchors with their ways to where together they are the rarest. Gives what their bytes may be.
pub(super) fn choose(rare: &mut [(&Anchor, Way)]) -> Sets {
    const NONE: Sets = [ByteSet::NONE; RARE];
    let mut all = NONE;
    for round in 0..ROUNDS {
        // What those behind each one have chosen: at first, nothing.
        let mut behind = vec![NONE; rare.len() + 1];
        if round > 0 {
            for (i, (anchor, way)) in rare.iter().enumerate().rev() {
                behind[i] = union(behind[i + 1], sets_at(anchor, way.place));
            }
        }
        all = NONE;
        for ((anchor, way), behind) in rare.iter_mut().zip(&behind[1..]) {
            let others = union(all, *behind);
            let last = (anchor.sets.len() as isize - RARE as isize).max(0);
            let ways = (0..=last).map(|place| Way { place, ..*way }).filter(|way| way.is_possible(anchor));
            let rate = |way: &Way| rate(union(others, sets_at(anchor, way.place)));
            if let Some(best) = ways.min_by(|a, b| rate(a).total_cmp(&rate(b))) {
                *way = best;
            }
            all = union(all, sets_at(anchor, way.place));
        }
    }
    all
}

/// What the bytes of an anchor may be; behind its end, anything.
fn sets_at(anchor: &Anchor, place: isize) -> Sets {
    std::array::from_fn(|i| byte_at(anchor, place + i as isize))
}

fn union(a: Sets, b: Sets) -> Sets {
    std::array::from_fn(|i| a[i].union(b[i]))
}

/// How often three such bytes follow each other in text, about.
fn rate(sets: Sets) -> f32 {
    sets.iter().map(ByteSet::frequency).product()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::way::Where;

    #[test]
    fn anchors_share_their_bytes() {
        let way = Way { at: Where::Rare, place: 0, cost: 0.0 };
        let anchors =
            ["QZXe", "eQZX", "eeQZXe"].map(|text| Anchor::new(text.bytes().map(ByteSet::of).collect()));
        let mut rare: Vec<_> = anchors.iter().map(|anchor| (anchor, way)).collect();
        let sets = choose(&mut rare);
        assert_eq!(rare.iter().map(|(_, way)| way.place).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(sets.map(|set| set.len()), [1, 1, 1]);
        assert_eq!(choose(&mut []), [ByteSet::NONE; RARE]);
    }
}
