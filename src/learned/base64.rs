//! A value within base64 (RFC 4648): of the letters it is written in, those that hold nothing but the value are the same
//! whatever stands beside it. There are three such texts, by how many bytes stand in front of it, modulo three.

use zeroize::Zeroizing;

use super::spelling::unit;

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The letters that hold nothing but bits of a value, and whether the ones beside them hold some, too.
pub(super) struct Letters {
    pub(super) text: Zeroizing<Vec<u8>>,
    pub(super) before: bool,
    pub(super) behind: bool,
}

/// The letters of `value` in both alphabets, behind so many bytes (modulo three); where both are the same, once.
pub(super) fn letters(value: &[u8], front: usize) -> impl Iterator<Item = Letters> {
    let (start, end) = (8 * front, 8 * (front + value.len()));
    let (first, last) = (start.div_ceil(6), end / 6);
    let write = move |alphabet: &[u8; 64]| {
        let mut text = Zeroizing::new(Vec::with_capacity(last.saturating_sub(first)));
        for letter in first..last {
            let bit = 6 * letter - start;
            let pair =
                u16::from(value[bit / 8]) << 8 | value.get(bit / 8 + 1).map_or(0, |&byte| u16::from(byte));
            text.push(alphabet[usize::from(pair >> (10 - bit % 8) & 63)]);
        }
        Letters { text, before: start % 6 != 0, behind: end % 6 != 0 }
    };
    let standard = write(STANDARD);
    let url = Some(write(URL)).filter(|url| *url.text != *standard.text);
    std::iter::once(standard).chain(url)
}

/// Where the letter of base64 ends that may be spelled at `at`; or `at`.
pub(super) fn letter_end(text: &[u8], at: usize) -> usize {
    unit(text, at).filter(|&(byte, _)| is_letter(byte)).map_or(at, |(_, end)| end)
}

/// Where the letter of base64 starts that may be spelled right in front of `at`; or `at`.
pub(super) fn letter_start(text: &[u8], at: usize) -> usize {
    /// The most bytes of an escape.
    const REACH: usize = 256;
    let is_spelled = |&start: &usize| {
        let begins = text[start] == b'%' || text[start] == b'\\' && text[..start].last() != Some(&b'\\');
        begins && unit(text, start).is_some_and(|(byte, end)| end == at && is_letter(byte))
    };
    let is_plain = at > 0 && is_letter(text[at - 1]);
    let spelled = (at.saturating_sub(REACH)..at).find(is_spelled);
    spelled.unwrap_or(if is_plain { at - 1 } else { at })
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_shifts() {
        let check = |value: &[u8], front: usize, want: &[(&str, bool, bool)]| {
            let got: Vec<_> = letters(value, front).collect();
            let got: Vec<_> = got
                .iter()
                .map(|l| (std::str::from_utf8(&l.text).expect("letters"), l.before, l.behind))
                .collect();
            assert_eq!(got, want, "{front}");
        };
        // SGVsbG8h, eEhlbGxvIQ==, eHhIZWxsbyE=
        check(b"Hello!", 0, &[("SGVsbG8h", false, false)]);
        check(b"Hello!", 1, &[("hlbGxvI", true, true)]);
        check(b"Hello!", 2, &[("IZWxsby", true, true)]);
        // 78 ff fe in both alphabets
        check(b"x\xff\xfe", 0, &[("eP/+", false, false), ("eP_-", false, false)]);
    }

    #[test]
    fn letters_at_the_edges() {
        let start = |text: &str| letter_start(text.as_bytes(), text.len());
        assert_eq!(
            [
                start("=a"),
                start("=%2B"),
                start("=%252f"),
                start("=%41"),
                start(r"=\u0041"),
                start(r"=\\/"),
                start("="),
                start("x2B")
            ],
            [1, 1, 1, 1, 1, 1, 1, 2]
        );
        let end = |text: &str| letter_end(text.as_bytes(), 0);
        assert_eq!(
            [end("a="), end("%2Bx"), end("%252fx"), end(r"\\/x"), end("="), end("%3D"), end(r"\n"), end("")],
            [1, 3, 5, 3, 0, 0, 0, 0]
        );
    }
}
