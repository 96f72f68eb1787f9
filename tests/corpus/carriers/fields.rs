//! The harmless fields and sentences around a secret. Ids among them must keep their value: an operator
//! still joins records by them.

use super::super::random::Random;
use super::super::slots::line;

/// A neighbouring field: its key, its value, and whether the value is a number or boolean.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) key: &'static str,
    pub(super) value: String,
    pub(super) scalar: bool,
}

const FIELDS: &[(&str, &str, bool)] = &[
    ("status", "200", true),
    ("attempt", "~d1~", true),
    ("duration_ms", "~n~", true),
    ("kasm_id", "~uuid~", false),
    ("image_id", "~h32~", false),
    ("trace_id", "~h32~", false),
    ("span_id", "~h16~", false),
    ("request_id", "~uuid~", false),
    ("zone", "default", false),
    ("method", "GET", false),
    ("path", "/api/public/get_kasms", false),
    ("pod", "~pod~", false),
    ("level", "info", false),
    ("component", "client_api_server", false),
    ("retry", "true", true),
    ("max_tokens", "4096", true),
    ("expires_in", "3600", true),
    ("timestamp", "~iso~", false),
    ("epoch_ms", "~ms~", true),
    ("commit", "~h40~", false),
];

/// Between `low` and `high` fields with different keys.
pub(super) fn fields(random: &mut Random, low: usize, high: usize) -> Vec<Field> {
    let n = random.between(low, high);
    let first = random.below(FIELDS.len());
    // A stride without a common factor with the table's length visits every row once.
    let stride = random.pick(&[1, 3, 7, 9, 11, 13]);
    (0..n)
        .map(|i| {
            let (key, value, scalar) = FIELDS[(first + i * stride) % FIELDS.len()];
            Field { key, value: line(random, value), scalar }
        })
        .collect()
}

/// The start of a message that a `key=value` may follow.
pub(super) fn message(random: &mut Random) -> &'static str {
    random.pick(&[
        "settings loaded",
        "upstream answered",
        "request done",
        "retrying in 5s",
        "component registered",
    ])
}
