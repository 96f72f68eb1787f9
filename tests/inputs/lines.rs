//! Lines with numbers, every tenth with a secret, and whether all of them came out.

use crate::relay::stage::{is_leak, secret};

/// The line of a number, with a newline.
pub(crate) fn line(number: usize) -> String {
    if number % 10 == 7 {
        format!("line {number} of many password={} is here\n", secret(number))
    } else {
        format!("line {number} of many is here\n")
    }
}

/// What becomes of it, without a newline.
pub(crate) fn clean(number: usize) -> String {
    if number % 10 == 7 {
        format!("line {number} of many password=[REDACTED:password] is here")
    } else {
        format!("line {number} of many is here")
    }
}

/// The numbers of the lines in a text, in order.
pub(crate) fn numbers(text: &str) -> Vec<usize> {
    let number = |line: &str| line.split("line ").nth(1)?.split(' ').next()?.parse().ok();
    text.lines().filter_map(number).collect()
}

/// All lines are there, each once and in order, and none of them raw.
pub(crate) fn are_all(text: &str, count: usize) {
    assert!(!is_leak(text.as_bytes()), "raw");
    let numbers = numbers(text);
    let first_wrong = (0..count).zip(&numbers).find(|(want, got)| want != *got);
    assert_eq!((first_wrong, numbers.len()), (None, count));
    let want: usize = (0..count).map(|number| clean(number).len()).sum();
    assert!(text.len() >= want, "{} of {want} bytes", text.len());
}
