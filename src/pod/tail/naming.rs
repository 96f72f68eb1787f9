//! Names that rotation gives: which path a file was written at before, and the number it got.

use std::path::Path;

/// So many digits a date has at least.
const DATE: usize = 8;

/// How a name came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// A pattern names it.
    Named,
    /// It is a whole name with a number or a date behind it: rotation has given it, whoever has seen that.
    Behind,
    /// A number or a date stands before the ending, as in `app-2.log`: rotation may have given it, or it is another file.
    Within,
}

/// The name that a file had before rotation gave it this one: without a number or a date behind it, or before its last
/// ending.
pub(super) fn rotated_from(name: &str) -> Option<(String, Origin)> {
    if let Some(before) = without_mark(name) {
        return Some((before, Origin::Behind));
    }
    let (stem, ending) = name.rsplit_once('.')?;
    Some((format!("{}.{ending}", without_mark(stem)?), Origin::Within))
}

/// A name without `.N`, or a date or time behind `.`, `-` or `_`.
fn without_mark(name: &str) -> Option<String> {
    let is_mark = |sign: char, mark: &str| {
        let is_of_time = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '_' | ':' | '+' | 'T' | 'Z');
        let digits = mark.chars().filter(char::is_ascii_digit).count();
        let begins_with_year = mark.chars().take_while(char::is_ascii_digit).count() >= 4;
        let is_number = mark.len() == digits && (sign == '.' || digits >= DATE);
        mark.starts_with(|c: char| c.is_ascii_digit())
            && (is_number || digits >= DATE && begins_with_year && mark.chars().all(is_of_time))
    };
    let mut signs = name.char_indices().filter(|&(at, c)| at > 0 && matches!(c, '.' | '-' | '_'));
    let at = signs.find(|&(at, sign)| is_mark(sign, &name[at + 1..]));
    at.map(|(at, _)| name[..at].to_owned())
}

/// The number that rotation has given: up to four digits behind the last of `.`, `-` and `_`, and not of a date.
pub(super) fn number(path: &Path) -> Option<i64> {
    let name = path.to_string_lossy();
    let end = name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let digits = Some(&name[end..]).filter(|digits| (1..=4).contains(&digits.len()))?;
    let is_number =
        name[..end].ends_with(['.', '-', '_']) && !name[..end - 1].ends_with(|c: char| c.is_ascii_digit());
    if is_number { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, want: Option<(&str, Origin)>) {
        let got = rotated_from(name);
        assert_eq!(got.as_ref().map(|(before, origin)| (&**before, *origin)), want, "{name}");
    }

    #[test]
    fn names_of_rotated_files() {
        use Origin::{Behind, Within};
        check("app.log.1", Some(("app.log", Behind)));
        check("app.log-20240229", Some(("app.log", Behind)));
        check("0.log.20240229-101500", Some(("0.log", Behind)));
        check("app.log.2024-02-29T10:15:00Z", Some(("app.log", Behind)));
        check("app.log_2024-02-29", Some(("app.log", Behind)));
        check("app-2.log.1", Some(("app-2.log", Behind)));
        check("app-2-2024.02.29", Some(("app-2", Behind)));
        check("app.1.log", Some(("app.log", Within)));
        check("app-2024-02-29.log", Some(("app.log", Within)));
        check("app-2.log", None);
        check("app-2", None);
        check("app.log-2", None);
        check("app.log.2-2", None);
        check("app.log", None);
        check("app.log.gz", None);
        check("1", None);
        check("", None);
        check("app.log.", None);
    }
}
