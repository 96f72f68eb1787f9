//! A canary in every string and every bytes field of every message: none comes out. The fields are those of the protocol's
//! own descriptors.

use kasm_scrub::otlp::Encoding;

use super::planted::{Planted, in_fields, in_values};
use super::tree::{self, Style};
use super::{forwarded, holds, scrubber};

const CANARY: &str = "hunterCanary7dead9";

fn is_gone(&Planted { signal, ref what, ref fields }: &Planted) {
    let body = tree::wire(fields);
    assert!(holds(&body, CANARY.as_bytes()), "{what}");
    let out = forwarded(&mut scrubber(), signal, Encoding::Protobuf, &body).expect(what);
    assert!(!holds(&out, CANARY.as_bytes()), "{what}: {}", out.escape_ascii());
    for style in [Style::default(), Style { snake: true, escapes: true, blanks: true }] {
        let body = tree::json(fields, style);
        let out = forwarded(&mut scrubber(), signal, Encoding::Json, &body).expect(what);
        let out: serde_json::Value = serde_json::from_slice(&out).expect(what);
        let text = out.to_string();
        assert!(!text.contains(CANARY), "{what}: {text}");
        assert!(!text.contains("68756e74657243616e617279"), "{what}: {text}");
        // In base64 it could begin at any of three places.
        for part in ["aHVudGVyQ2FuYXJ5", "h1bnRlckNhbmFye", "odW50ZXJDYW5hcn"] {
            assert!(!text.contains(part), "{what}: {text}");
        }
    }
}

#[test]
fn no_field_lets_a_canary_through() {
    let all = in_fields(&mut || CANARY.to_owned());
    all.iter().for_each(is_gone);
    assert!(all.len() >= 50, "only {} fields", all.len());
}

#[test]
fn no_attribute_lets_a_canary_through() {
    let all = in_values(&mut || CANARY.to_owned());
    all.iter().for_each(is_gone);
    assert!(all.len() >= 100, "only {} attributes", all.len());
}
