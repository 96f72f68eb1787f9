//! Findings: in bounds, in order, and all that is not in one passes as it is.

use kasm_scrub::{Sanitizer, Work};
use proptest::prelude::*;

use super::text::text;
use super::{DEFAULT, STRICT, clean, show, times};

/// What remains of `out` behind a marker of `rule`, in whatever way it is written: plain, percent-encoded, quoted.
fn behind_marker<'o>(out: &'o [u8], rule: &str) -> Option<&'o [u8]> {
    let quote = out.iter().take_while(|byte| matches!(byte, b'\\' | b'"' | b'\'')).count();
    let (quote, rest) = out.split_at(quote);
    let plain = format!("[REDACTED:{rule}]");
    let encoded = format!("%5BREDACTED:{rule}%5D");
    let rest = rest.strip_prefix(plain.as_bytes()).or_else(|| rest.strip_prefix(encoded.as_bytes()))?;
    rest.strip_prefix(quote)
}

fn check(sanitizer: &Sanitizer, text: &[u8]) -> Result<(), TestCaseError> {
    let mut work = Work::default();
    let findings = sanitizer.scan_block(text, &mut work).to_vec();
    let mut out = Vec::new();
    sanitizer.write(text, &findings, &mut |bytes| out.extend_from_slice(bytes));
    let mut rest = &out[..];
    let mut done = 0;
    for finding in &findings {
        prop_assert!(
            done <= finding.start && finding.start < finding.end && finding.end <= text.len(),
            "{finding:?}"
        );
        prop_assert!(!text[finding.range()].contains(&b'\n'), "over a line's end: {finding:?}");
        let kept = rest.strip_prefix(&text[done..finding.start]);
        prop_assert!(kept.is_some(), "changed before {finding:?}: {}", show(&out));
        let behind = kept.and_then(|rest| behind_marker(rest, &sanitizer.rules()[finding.rule].id));
        prop_assert!(behind.is_some(), "no marker for {finding:?}: {}", show(&out));
        rest = behind.unwrap_or_default();
        done = finding.end;
    }
    prop_assert_eq!(show(rest), show(&text[done..]));
    prop_assert_eq!(show(&clean(sanitizer, text)), show(&out));
    Ok(())
}

proptest! {
    #![proptest_config(times(4000))]

    #[test]
    fn all_outside_findings_passes(text in text(20)) {
        check(&DEFAULT, &text)?;
    }

    #[test]
    fn all_outside_findings_passes_with_every_rule(text in text(20)) {
        check(&STRICT, &text)?;
    }

    #[test]
    fn lines_stand_alone(first in text(8), second in text(8)) {
        // Private keys are the one exception.
        prop_assume!(!holds(&first, b"BEGIN") && !holds(&second, b"BEGIN"));
        let both = [&first[..], b"\n", &second].concat();
        let apart = [clean(&DEFAULT, &first), b"\n".to_vec(), clean(&DEFAULT, &second)].concat();
        prop_assert_eq!(show(&clean(&DEFAULT, &both)), show(&apart));
    }
}

/// Whether `text` holds `word`, in one case or with escapes in it.
fn holds(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

proptest! {
    #![proptest_config(times(1000))]

    #[test]
    fn the_prefilter_hides_nothing(text in text(16)) {
        let (mut with, mut without) = (Work::default(), Work::default());
        let scanner = STRICT.scanner();
        prop_assert_eq!(scanner.scan_block(&text, &mut with), scanner.scan_block_unfiltered(&text, &mut without));
    }
}
