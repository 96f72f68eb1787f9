//! Generated texts: what logs are made of, and what makes trouble in them, in any order.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::BoxedStrategy;

/// What log lines are made of, none of it secret.
const PLAIN: [&str; 24] = [
    "2026-03-01T12:00:00.123Z ",
    "INFO ",
    "[kasm_api] ",
    "session started for user ",
    "GET /api/public/get_kasms HTTP/1.1",
    "status=200 ",
    "duration_ms=12.5 ",
    "kasm_id=0a1b2c3d4e5f60718293a4b5c6d7e8f9 ",
    "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 ",
    "550e8400-e29b-41d4-a716-446655440000 ",
    "10.0.0.7:8443 ",
    "https://kasm.example.com/#/session/",
    "?a=1&b=2",
    "{\"level\":\"info\",\"message\":\"",
    "\",\"count\":12}",
    "{'role': 'agent', 'n': 3}",
    "Traceback (most recent call last):",
    "  File \"/srv/app.py\", line 12, in run",
    "\u{1b}[32mok\u{1b}[0m ",
    "größe 10 µs → fertig ",
    "<entry id=\"7\">",
    "</entry>",
    "| column | column |",
    "-- \t ",
];

/// Names whose values are secret, or nearly.
const KEYS: [&str; 18] = [
    "password",
    "Password",
    "passwd",
    "api_key",
    "apiKey",
    "X-Api-Key",
    "access_token",
    "token",
    "secret",
    "client_secret",
    "Authorization",
    "Cookie",
    "Set-Cookie",
    "session_token",
    "DB_PASSWORD",
    "username",
    "password_policy",
    "pin",
];

/// What stands between keys and values, and around them.
const JOINTS: [&str; 40] = [
    "=",
    ": ",
    ":",
    " => ",
    ":=",
    "\":\"",
    "\": \"",
    "\\\":\\\"",
    "\\\\\\\":\\\\\\\"",
    "': '",
    "': b'",
    "=\"",
    "='",
    "%3D",
    "=%22",
    "\"",
    "'",
    "`",
    "\\\"",
    "\\'",
    ",",
    ", ",
    ";",
    "&",
    "?",
    "#",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "<",
    ">",
    "\\n",
    "\\u0022",
    "\\/",
    " ",
    "--",
    "\":",
];

/// Secrets by shape, placeholders, our own markers, and pieces of all of these.
const SHAPES: [&str; 40] = [
    "hunter2",
    "correct horse battery staple",
    "Bearer abcDEF123456ghiJKL789",
    "Basic YWRtaW46aHVudGVyMg==",
    "Digest username=\"u\", response=\"6629fae49393a05397450978507c4ef1\"",
    "sid=abcDEF123456; Path=/; HttpOnly",
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLXRoYXQtaXMtZGVhZA",
    "eyJ",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_000000000000000000000000000000000000",
    "hvs.AAAAAQAAAAAAAAAAAAAAAAAAAAAA",
    "postgres://kasm:hunter2@db:5432/kasm",
    "://u:p@h",
    "jane.doe@example.com",
    "4111 1111 1111 1111",
    "4111111111111111",
    "+14155552671",
    "GB82 WEST 1234 5698 7654 32",
    "123456",
    "ssn 078-05-1120",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----\\nMIIEpAIBAAKCAQEA0000000000000000000000000000000\\n-----END RSA PRIVATE KEY-----",
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj",
    "p%61ssword",
    "%70assword%3Dhunter2",
    "p\\u0061ssword",
    "\\x70assword",
    "[REDACTED:password]",
    "%5BREDACTED:jwt%5D",
    "[REDACTED:",
    "[email:k1:0123456789abcdef01234567]",
    "****",
    "${DB_PASSWORD}",
    "null",
    "true",
    "{\"name\":\"password\",\"value\":\"hunter2\"}",
    "('password', 'hunter2')",
    "<password>hunter2</password>",
    "--password hunter2 ",
];

/// Bytes that no valid UTF-8 text holds, control bytes, and halves of escapes.
const BROKEN: [&[u8]; 12] =
    [b"\xff", b"\xc3", b"\xe2\x82", b"\0", b"\r", b"\x1b[", b"\x0b", b"\\", b"\\\\", b"%", b"%4", b"\\u00"];

/// Bytes that a failing case shows as a string.
#[derive(Clone)]
pub(crate) struct Text(Vec<u8>);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

impl std::ops::Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// One piece of a text.
fn fragment() -> BoxedStrategy<Vec<u8>> {
    let of = |words: &'static [&'static str]| select(words).prop_map(|word| word.as_bytes().to_vec());
    prop_oneof![
        4 => of(&PLAIN),
        5 => of(&KEYS),
        8 => of(&JOINTS),
        6 => of(&SHAPES),
        2 => select(&BROKEN[..]).prop_map(<[u8]>::to_vec),
        3 => Just(b"\n".to_vec()),
        3 => vec(select(&b"abcdefXYZ0123456789_-+/=.@!"[..]), 1..30),
        1 => vec(any::<u8>(), 1..6),
    ]
    .boxed()
}

/// A text of up to `most` pieces, newlines and all.
pub(crate) fn text(most: usize) -> BoxedStrategy<Text> {
    vec(fragment(), 0..most).prop_map(|pieces| Text(pieces.concat())).boxed()
}

/// A text that is one line of valid UTF-8.
pub(crate) fn line(most: usize) -> BoxedStrategy<String> {
    let tidy = |text: Text| String::from_utf8_lossy(&text).replace('\n', " ");
    text(most).prop_map(tidy).boxed()
}

/// A key name, sensitive or not, now and then with something in it that needs an escape.
pub(crate) fn key() -> BoxedStrategy<String> {
    prop_oneof![
        6 => select(&KEYS[..]).prop_map(str::to_owned),
        3 => "[a-z_]{1,8}",
        1 => select(&["a\"b", "pass\\word", "größe", "a/b", "x\ty", "", "{", "password "][..]).prop_map(str::to_owned),
    ]
    .boxed()
}
