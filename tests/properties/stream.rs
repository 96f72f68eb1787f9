//! Streams: how the input was cut changes nothing, and cleaning twice is cleaning once.

use kasm_scrub::stream::{AHEAD, SEGMENT};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::Config;

use super::text::text;
use super::{DEFAULT, STRICT, clean, clean_pieces, show, times};

/// `text` cut at these places (taken modulo its length, in any order).
pub(super) fn cut<'t>(text: &'t [u8], places: &[usize]) -> Vec<&'t [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place % (text.len() + 1)).collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for place in places {
        pieces.push(&text[from..place]);
        from = place;
    }
    pieces.push(&text[from..]);
    pieces
}

proptest! {
    #![proptest_config(times(4000))]

    #[test]
    fn cuts_change_nothing(text in text(24), places in vec(any::<usize>(), 0..12)) {
        let whole = clean(&DEFAULT, &text);
        prop_assert_eq!(show(&whole), show(&clean_pieces(&DEFAULT, cut(&text, &places))));
        prop_assert_eq!(show(&whole), show(&clean_pieces(&DEFAULT, text.chunks(1))));
    }

    #[test]
    fn twice_is_once(text in text(16)) {
        let once = clean(&DEFAULT, &text);
        prop_assert_eq!(show(&clean(&DEFAULT, &once)), show(&once));
    }

    #[test]
    fn twice_is_once_with_every_rule(text in text(16)) {
        let once = clean(&STRICT, &text);
        prop_assert_eq!(show(&clean(&STRICT, &once)), show(&once));
    }

    #[test]
    fn a_line_is_out_when_its_newline_is_in(lines in vec(text(8), 1..6)) {
        let mut scrubber = kasm_scrub::Scrubber::new(&*DEFAULT);
        let mut out = Vec::new();
        let mut whole = Vec::new();
        for line in &lines {
            let line = [&line[..], b"\n"].concat();
            whole.extend_from_slice(&line);
            scrubber.push(&line, &mut out);
            prop_assert_eq!(show(&out), show(&clean(&DEFAULT, &whole)));
        }
    }

    #[test]
    fn keys_over_lines_are_cut_anywhere(
        before in text(4), prefix in select(&["", "  ", "web-1 | ", "2026-03-01T12:00:00Z stdout F "][..]),
        bodies in vec(vec(select(&b"ABCDEFabcdef0123456789+/"[..]), 1..65), 0..6),
        between in text(2), places in vec(any::<usize>(), 0..12),
    ) {
        let mut text = [&before[..], b"\n", prefix.as_bytes(), b"-----BEGIN RSA PRIVATE KEY-----\n"].concat();
        for body in &bodies {
            text.extend([prefix.as_bytes(), body, b"\n"].concat());
        }
        text.extend([&between[..], b"\n", prefix.as_bytes(), b"-----END RSA PRIVATE KEY-----\n"].concat());
        let whole = clean(&DEFAULT, &text);
        prop_assert_eq!(show(&whole), show(&clean_pieces(&DEFAULT, cut(&text, &places))));
        prop_assert_eq!(show(&whole), show(&clean_pieces(&DEFAULT, text.chunks(1))));
    }
}

/// How long the line is: at most two segments, for it is cleaned thrice in every case.
pub(super) const LENGTHS: [usize; 4] = [SEGMENT, SEGMENT + AHEAD, SEGMENT + AHEAD, 2 * SEGMENT];

/// Places in a long line where segments, look-ahead and context begin and end, and the bytes next to them.
pub(super) fn edge() -> impl Strategy<Value = usize> {
    let edges = [0, SEGMENT, AHEAD, SEGMENT + AHEAD, 2 * SEGMENT, 2 * SEGMENT + AHEAD];
    (select(edges.to_vec()), 0..128usize).prop_map(|(edge, by)| (edge + by).saturating_sub(64))
}

#[test]
fn a_line_that_just_fits_ends() {
    let line = vec![b'a'; SEGMENT + AHEAD];
    let text = [&b"ok\n"[..], &line, b"\npassword=hunter2\n"].concat();
    let want = [&b"ok\n"[..], &line, b"\npassword=[REDACTED:password]\n"].concat();
    for size in [text.len(), 4096, line.len() + 3, line.len() + 4] {
        assert!(clean_pieces(&DEFAULT, text.chunks(size)) == want, "in pieces of {size}");
    }
}

proptest! {
    #![proptest_config(Config { max_shrink_iters: 60, ..times(100) })]

    #[test]
    fn long_lines_are_cut_anywhere(
        filler in select(&["a", " ", "x ", "a=1 ", "\\", "\"", "{\"a\":1},", "%41", "é"][..]),
        secrets in vec((edge(), text(4)), 1..5),
        length in (select(&LENGTHS[..]), 0..128usize).prop_map(|(length, by)| length + by - 64),
        places in vec(edge(), 0..6),
    ) {
        let mut line = filler.as_bytes().iter().copied().cycle().take(length + 8).collect::<Vec<u8>>();
        for (at, secret) in secrets {
            let at = at % line.len();
            line.splice(at..at, secret.iter().copied().filter(|&byte| byte != b'\n'));
        }
        // Behind a line and before one, which do not change what comes of it.
        let text = [&b"ok\n"[..], &line, b"\npassword=hunter2\n"].concat();
        let whole = clean(&DEFAULT, &text);
        // Not shown: the line is longer than a screen.
        prop_assert!(whole == clean_pieces(&DEFAULT, cut(&text, &places)), "cut at {places:?}");
        prop_assert!(whole == clean_pieces(&DEFAULT, text.chunks(4096)), "cut every 4096 bytes");
    }
}
