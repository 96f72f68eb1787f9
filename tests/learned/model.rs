//! Compared with the obvious: every needle at every byte.

use kasm_scrub::learned::{Match, Work};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;

use super::spelling::{base64, learn};

/// What a value is looked for as, and whether letters beside it hold bits of it, too.
fn needles(value: &str) -> Vec<(String, bool, bool)> {
    let mut needles = vec![(value.to_owned(), false, false)];
    for front in 0..3 {
        for is_url in [false, true] {
            let text = base64(&[&[0; 3][..front], value.as_bytes(), &[0; 3]].concat(), is_url);
            let (start, end) = (8 * front, 8 * (front + value.len()));
            needles.push((text[start.div_ceil(6)..end / 6].to_owned(), start % 6 != 0, end % 6 != 0));
        }
    }
    needles
}

fn naive(values: &[String], text: &str) -> Vec<Match> {
    let is_letter =
        |at: usize| text.as_bytes().get(at).is_some_and(|b| b.is_ascii_alphanumeric() || b"+/-_".contains(b));
    let mut found = Vec::new();
    for (index, value) in (0..).zip(values) {
        for (needle, before, behind) in needles(value) {
            for at in 0..text.len() {
                if text.as_bytes()[at..].starts_with(needle.as_bytes()) {
                    let end = at + needle.len();
                    let start = if before && at > 0 && is_letter(at - 1) { at - 1 } else { at };
                    let end = if behind && is_letter(end) { end + 1 } else { end };
                    found.push(Match { start, end, value: index });
                }
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, cases: 1500, ..Config::default() })]

    #[test]
    fn finds_what_comparing_everywhere_finds(
        values in vec("[a-cX-Z0-3]{8,20}", 1..12),
        pieces in vec((any::<usize>(), any::<usize>(), any::<usize>(), "[a-cX-Z0-3 ]{0,4}"), 0..30),
    ) {
        let mut values = values;
        values.retain(|value| learn(&[value.as_bytes()]).refused().is_empty());
        values.sort();
        values.dedup();
        prop_assume!(!values.is_empty());
        // Values, parts of them, and both in base64, side by side.
        let text: String = pieces.iter().map(|(which, from, to, between)| {
            let value = &values[which % values.len()];
            let (from, to) = (from % 3, value.len() - to % 3);
            let part = if from == 2 { &value[1..to] } else { &value[..to] };
            match from {
                1 => format!("{between}{}", base64(format!("{between}{part}").as_bytes(), false)),
                _ => format!("{between}{part}"),
            }
        }).collect();
        let learned = learn(&values.iter().map(String::as_bytes).collect::<Vec<_>>());
        let mut work = Work::default();
        prop_assert_eq!(learned.scan(text.as_bytes(), &mut work), &naive(&values, &text)[..], "{}", text);
    }
}
