//! The value of a sensitive key never survives, whatever carries it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::BoxedStrategy;

use super::{DEFAULT, clean, show, times};

/// A way to write a value: what it may be made of beside letters and digits, and how it is written.
#[derive(Clone, Copy, Debug)]
struct Carrier {
    /// `V` stands for the value.
    shape: &'static str,
    /// Marks that may be in the value.
    marks: &'static [u8],
    encoding: Encoding,
}

#[derive(Clone, Copy, Debug)]
enum Encoding {
    Plain,
    /// As in a JSON string, this many deep.
    Json(u32),
    Percent,
    Xml,
}

/// What most values are made of, and what needs quotes or escapes.
const TAME: &[u8] = b"._-!@$*+/^~";
const WILD: &[u8] = b"._-!@$*+/^~ ,;:&#?()[]{}|=%<>'\"\\`\t";

const CARRIERS: [Carrier; 24] = {
    use Encoding::{Json, Percent, Plain, Xml};
    const fn c(shape: &'static str, marks: &'static [u8], encoding: Encoding) -> Carrier {
        Carrier { shape, marks, encoding }
    }
    [
        c("password=V", TAME, Plain),
        c("login password=V user=x", TAME, Plain),
        c("PASSWORD=V\r", TAME, Plain),
        c("password: \"V\"", b"._-!@$*+/^~ ,;:&#?()[]{}|=", Plain),
        c("password = 'V' next", b"._-!@$*+/^~ ,;:&#?()[]{}|=", Plain),
        c("db_password => V", TAME, Plain),
        c("run --password V -v", b"._!@$*+/^~", Plain),
        c("run --password=V", TAME, Plain),
        c("{\"password\":\"V\"}", WILD, Json(1)),
        c("{\"a\":{\"password\": \"V\", \"b\":1}}", WILD, Json(1)),
        c("{\"m\":\"{\\\"password\\\":\\\"V\\\"}\"}", WILD, Json(2)),
        c("{\"m\":\"{\\\"x\\\":\\\"{\\\\\\\"password\\\\\\\":\\\\\\\"V\\\\\\\"}\\\"}\"}", WILD, Json(3)),
        c("sent {\"password\":\"V\"} to x", WILD, Json(1)),
        c("{'user': 'x', 'password': 'V'}", b"._-!@$*+/^~ ,;:&#?()[]{}|=", Plain),
        c("GET /login?user=x&password=V HTTP/1.1", WILD, Percent),
        c("user=x&password=V&next=%2F", WILD, Percent),
        c("<password>V</password>", WILD, Xml),
        c("<add key=\"password\" value=\"V\"/>", WILD, Xml),
        c("{\"name\":\"password\",\"value\":\"V\"}", WILD, Json(1)),
        c("{\"value\":\"V\",\"name\":\"password\"}", WILD, Json(1)),
        c("{\"password\":[\"V\",\"V\"]}", WILD, Json(1)),
        c("{\"key\":\"password\",\"value\":{\"stringValue\":\"V\"}}", WILD, Json(1)),
        c("{\"p\\u0061ssword\":\"V\"}", WILD, Json(1)),
        c("/login?p%61ssword=V", WILD, Percent),
    ]
};

/// A value of words of eight letters and digits, any of which would be a leak, with marks between them.
fn words(marks: &'static [u8]) -> BoxedStrategy<(Vec<String>, String)> {
    let word = vec(select(&b"ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz23456789"[..]), 8..12)
        .prop_map(|word| format!("Q7{}", String::from_utf8_lossy(&word)));
    let gap = vec(select(marks), 0..3).prop_map(|gap| String::from_utf8_lossy(&gap).into_owned());
    vec((word, gap), 1..4)
        .prop_map(|parts| {
            let last = parts.len() - 1;
            let value = parts.iter().enumerate().map(|(i, (word, gap))| match i {
                _ if i == last => word.clone(),
                _ => format!("{word}{gap}"),
            });
            (parts.iter().map(|(word, _)| word.clone()).collect(), value.collect())
        })
        .boxed()
}

fn encode(value: &str, encoding: Encoding) -> String {
    match encoding {
        Encoding::Plain => value.to_owned(),
        Encoding::Json(depth) => (0..depth).fold(value.to_owned(), |value, _| {
            let quoted = serde_json::Value::String(value).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        }),
        Encoding::Percent => value
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'~' => {
                    char::from(byte).to_string()
                }
                _ => format!("%{byte:02X}"),
            })
            .collect(),
        Encoding::Xml => {
            value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
        }
    }
}

fn carried() -> impl Strategy<Value = (Vec<String>, String)> {
    select(&CARRIERS[..]).prop_flat_map(|carrier| {
        words(carrier.marks).prop_map(move |(words, value)| {
            (
                words,
                carrier
                    .shape
                    .replace("stringV", "string\0")
                    .replace('V', &encode(&value, carrier.encoding))
                    .replace('\0', "V"),
            )
        })
    })
}

proptest! {
    #![proptest_config(times(6000))]

    #[test]
    fn no_word_of_a_password_survives((words, line) in carried()) {
        let out = clean(&DEFAULT, line.as_bytes());
        for word in words {
            let is_there = out.windows(word.len()).any(|window| window == word.as_bytes());
            prop_assert!(!is_there, "{line} became {}", show(&out));
        }
    }

    #[test]
    fn what_stands_around_changes_nothing(
        (words, line) in carried(),
        before in select(&["INFO ", "[app] ", "\u{1b}[32mINFO\u{1b}[0m ", "a=1 ", "\u{feff}"][..]),
    ) {
        let out = clean(&DEFAULT, format!("{before}{line}").as_bytes());
        for word in words {
            let is_there = out.windows(word.len()).any(|window| window == word.as_bytes());
            prop_assert!(!is_there, "{before}{line} became {}", show(&out));
        }
    }
}
