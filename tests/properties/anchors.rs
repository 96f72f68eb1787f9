//! Anchors are sound: a rule cannot match where none of its anchors stands.

use kasm_scrub::rules::Detect;
use proptest::prelude::*;

use super::sample::{Draw, parse, sample};
use super::{STRICT, show};

/// What stands around a drawn string, so that `\b` and the like hold now and then.
const AROUND: [(&str, &str); 8] =
    [("", ""), (" ", " "), ("=", "&"), ("\"", "\""), ("://", "@h"), ("ab", "9"), (": ", "\r"), ("'", "',")];

/// How many strings are drawn for each rule.
const DRAWS: usize = 150;

#[test]
fn every_match_holds_an_anchor() {
    let mut never = Vec::new();
    let mut without = Vec::new();
    for (number, rule) in STRICT.rules().rules().iter().enumerate() {
        let Detect::Regex { pattern, anchors, .. } = &rule.detect else { continue };
        if anchors.is_empty() {
            continue;
        }
        let hir = parse(pattern.source());
        let all_known = anchors.iter().all(|anchor| anchor.offset.is_some());
        let mut matches = 0;
        for seed in 0..DRAWS {
            let mut draw = Draw((number * 1_000_000 + seed) as u64);
            let (before, after) = AROUND[draw.below(AROUND.len())];
            let mut text = before.as_bytes().to_vec();
            sample(&hir, &mut draw, &mut text);
            text.extend_from_slice(after.as_bytes());
            let mut from = 0;
            while let Some(found) = pattern.find(&text, from, text.len()) {
                from = found.end.max(from + 1);
                matches += 1;
                let stands = |at: usize| {
                    anchors.iter().any(|anchor| {
                        let place =
                            anchor.offset.filter(|_| all_known).map_or(at, |offset| found.start + offset);
                        place + anchor.sets.len() <= found.end && anchor.as_ref().stands_at(&text, place)
                    })
                };
                if !(found.start..found.end).any(stands)
                    && without.last().is_none_or(|(id, _)| *id != &rule.id)
                {
                    without.push((&rule.id, show(&text[found.start..found.end])));
                }
            }
        }
        if matches == 0 {
            never.push(&rule.id);
        }
    }
    assert!(without.is_empty(), "matches that hold no anchor of their rule: {without:#?}");
    assert!(never.is_empty(), "no drawn string matched, so nothing was checked, for {never:?}");
}

proptest! {
    #![proptest_config(super::times(4000))]

    #[test]
    fn derived_anchors_are_sound(source in super::model::regex(), seed in any::<u64>()) {
        let Ok((pattern, Some(anchors))) = kasm_scrub::rules::pattern::Pattern::parse(&source, None) else {
            return Ok(());
        };
        let mut text = b" ".to_vec();
        sample(&parse(&source), &mut Draw(seed), &mut text);
        text.push(b' ');
        if let Some(found) = pattern.find(&text, 0, text.len()) {
            let holds = (found.start..found.end).any(|at| anchors.iter().any(|anchor| {
                anchor.as_ref().stands_at(&text, at)
                    && at + anchor.sets.len() <= found.end
                    && anchor.offset.is_none_or(|offset| found.start + offset == at)
            }));
            prop_assert!(holds, "{} in {}", source, show(&text));
        }
    }
}
