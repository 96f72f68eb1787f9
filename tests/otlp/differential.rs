//! Scrubbing on the wire is scrubbing of what is decoded; and what holds for every request.

use kasm_scrub::Work;
use kasm_scrub::otlp::{Encoding, Policy, Scrubbed, Scrubber, Signal, Unknown};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use proptest::prelude::*;
use prost::Message;

use super::model::{self, Model, each_leaf};
use super::tree::{self, Field, Holds, Options, Style, Tape};
use super::{SANITIZER, SIGNALS, forwarded, scrubber};

/// What a receiver reads, and what the model makes of it.
pub(super) fn decoded(signal: Signal, body: &[u8], scrubbed: bool) -> Vec<u8> {
    decoded_by(signal, body, scrubbed.then(|| model(true)))
}

pub(super) fn model(is_whole: bool) -> Model<'static> {
    Model { sanitizer: &SANITIZER, work: Work::default(), is_whole }
}

fn decoded_by(signal: Signal, body: &[u8], model: Option<Model<'_>>) -> Vec<u8> {
    match signal {
        Signal::Traces => {
            let mut request = ExportTraceServiceRequest::decode(body).expect("valid");
            if let Some(mut model) = model {
                model.traces(&mut request);
            }
            request.encode_to_vec()
        }
        Signal::Logs => {
            let mut request = ExportLogsServiceRequest::decode(body).expect("valid");
            if let Some(mut model) = model {
                model.logs(&mut request);
            }
            request.encode_to_vec()
        }
        _ => {
            let mut request = ExportMetricsServiceRequest::decode(body).expect("valid");
            if let Some(mut model) = model {
                model.metrics(&mut request);
            }
            request.encode_to_vec()
        }
    }
}

pub(super) fn request(signal: Signal, tape: &[u16], is_plain: bool) -> Vec<Field> {
    tree::fields(tree::root(signal), &mut Tape(tape), 14, Options { is_plain, is_once: false })
}

/// Every field at most once, in any order, and some that are not known.
fn request_once(signal: Signal, tape: &[u16]) -> Vec<Field> {
    tree::fields(tree::root(signal), &mut Tape(tape), 14, Options { is_plain: false, is_once: true })
}

/// The fields that are lists of pairs, but for those of a list.
const ATTRIBUTES: [&str; 3] = ["attributes", "filteredAttributes", "metadata"];

/// What the model makes of values that hold values, with the keys of what they were made of.
fn scrub_composites(fields: &mut [Field], from: &[Field]) {
    let composite = |key: Option<&str>, raw: &[Field], value: &mut [Field]| {
        let decoded = |fields: &[Field]| AnyValue::decode(&tree::wire(fields)[..]).expect("a value");
        let (raw, mut decoded) = (decoded(raw), decoded(value));
        model(true).composite(key, &raw, &mut decoded);
        let mut texts = Vec::new();
        each_leaf(&mut decoded, key.is_some(), &mut |leaf| texts.push(leaf.text()));
        set_leaves(value, key.is_some(), &mut texts.into_iter());
    };
    for (field, from) in fields.iter_mut().zip(from) {
        let (Holds::Fields(inner), Holds::Fields(from_inner)) = (&mut field.holds, &from.holds) else {
            continue;
        };
        if ATTRIBUTES.contains(&field.name.as_str()) {
            let key = from_inner.iter().find_map(|field| match &field.holds {
                Holds::Text(text) if field.name == "key" => Some(text.clone()),
                _ => None,
            });
            for (value, raw) in inner.iter_mut().zip(from_inner).filter(|(field, _)| field.name == "value") {
                let (Holds::Fields(value), Holds::Fields(raw)) = (&mut value.holds, &raw.holds) else {
                    continue;
                };
                composite(Some(key.as_deref().unwrap_or_default()), raw, value);
            }
        } else if field.name == "body" {
            composite(None, from_inner, inner);
        } else {
            scrub_composites(inner, from_inner);
        }
    }
}

/// Puts in the leaves of a value, in order.
fn set_leaves(value: &mut [Field], has_key: bool, texts: &mut dyn Iterator<Item = Vec<u8>>) {
    for Field { number, name, holds, .. } in value {
        let mut next = || texts.next().expect("as many");
        match holds {
            Holds::Text(text) if !text.is_empty() => *text = String::from_utf8(next()).expect("text"),
            Holds::Bytes(bytes) if !bytes.is_empty() => *bytes = next(),
            Holds::Fields(inner) => set_leaves(inner, has_key || name == "kvlistValue", texts),
            Holds::Bool(_) | Holds::Varint(_) | Holds::Fixed64(..)
                if has_key && ["boolValue", "intValue", "doubleValue"].contains(&name.as_str()) =>
            {
                let written = match &holds {
                    Holds::Bool(value) => value.to_string(),
                    Holds::Varint(value) => (*value as i64).to_string(),
                    Holds::Fixed64(value, _) => f64::from_bits(*value).to_string(),
                    _ => unreachable!("matched above"),
                };
                let new = next();
                if new != written.as_bytes() {
                    (*number, *name) = (1, "stringValue".to_owned());
                    *holds = Holds::Text(String::from_utf8(new).expect("text"));
                }
            }
            _ => {}
        }
    }
}

pub(super) fn signal() -> impl Strategy<Value = Signal> {
    prop::sample::select(&SIGNALS[..])
}

pub(super) fn tape() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), 0..600)
}

/// As the model does it, on what a request of JSON is made of.
fn scrub_tree(fields: &mut [Field], key: Option<&str>, work: &mut Work) {
    let own = fields.iter().find_map(|field| match &field.holds {
        Holds::Text(text) if field.name == "key" => Some(text.clone()),
        _ => None,
    });
    let is_pair = fields.iter().any(|field| field.name == "key");
    let key = if is_pair { own.as_deref() } else { key };
    let mut clean = |name: Option<&str>, bytes: &[u8]| {
        let key = name.map_or(kasm_scrub::Key::None, |name| kasm_scrub::Key::Name(name.as_bytes()));
        SANITIZER.clean(key, bytes, work).into_owned()
    };
    for field in fields.iter_mut() {
        let under = if field.name == "key" { None } else { key };
        let written = match &field.holds {
            Holds::Varint(value) if field.name == "intValue" => (*value as i64).to_string(),
            Holds::Fixed64(value, false) if field.name == "doubleValue" => f64::from_bits(*value).to_string(),
            _ => String::new(),
        };
        match &mut field.holds {
            Holds::Text(text) => *text = String::from_utf8(clean(under, text.as_bytes())).expect("text"),
            Holds::Bytes(bytes) => *bytes = clean(under, bytes),
            _ => {}
        }
        if let Some(key) = key
            && !written.is_empty()
            && SANITIZER.scanner().knows_key(key.as_bytes())
        {
            let new = clean(Some(key), written.as_bytes());
            if new != written.as_bytes() {
                (field.number, field.name) = (1, "stringValue".to_owned());
                field.holds = Holds::Text(String::from_utf8(new).expect("text"));
            }
        }
    }
    for field in fields {
        if let Holds::Fields(inner) = &mut field.holds {
            let is_own = !matches!(field.name.as_str(), "value" | "arrayValue" | "values" | "kvlistValue");
            scrub_tree(inner, if is_own { None } else { key }, work);
        }
    }
}

/// As the model does it with the keys of maps. `within`: the field that holds these.
fn keep_apart_fields(within: &str, before: &[Field], after: &mut [Field]) {
    let is_pair = |name: &str| match name {
        "values" => within == "kvlistValue",
        name => ATTRIBUTES.contains(&name),
    };
    let key_of = |field: &Field| match &field.holds {
        Holds::Fields(inner) if is_pair(&field.name) => {
            let key = inner.iter().find_map(|field| match &field.holds {
                Holds::Text(text) if field.name == "key" => Some(text.clone()),
                _ => None,
            });
            Some(key.unwrap_or_default())
        }
        _ => None,
    };
    let mut new: Vec<String> = after.iter().filter_map(key_of).collect();
    model::keep_apart(&before.iter().filter_map(key_of).collect::<Vec<_>>(), &mut new);
    let mut new = new.into_iter();
    for (before, Field { name, holds, .. }) in before.iter().zip(after) {
        let key = key_of(before).and_then(|_| new.next());
        let (Holds::Fields(before), Holds::Fields(inner)) = (&before.holds, holds) else {
            continue;
        };
        let own = inner.iter_mut().find(|field| field.name == "key");
        if let (Some(key), Some(Field { holds: Holds::Text(text), .. })) = (key, own) {
            *text = key;
        }
        keep_apart_fields(name, before, inner);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    #[test]
    fn the_wire_is_scrubbed_as_what_is_decoded(signal in signal(), tape in tape(), padding in 0usize..4) {
        let mut body = Vec::new();
        tree::to_wire(&request_once(signal, &tape), padding, &mut body);
        let out = forwarded(&mut scrubber(), signal, Encoding::Protobuf, &body).expect("valid");
        prop_assert_eq!(decoded(signal, &out, false), decoded(signal, &body, true));
    }

    /// Where a field occurs more than once, all of its occurrences are looked at, also those that no receiver reads, and all may
    /// tell what others are: more may be replaced, and never less of any text by itself.
    #[test]
    fn all_that_occurs_is_looked_at(signal in signal(), tape in tape(), padding in 0usize..4) {
        let fields = request(signal, &tape, false);
        let mut body = Vec::new();
        tree::to_wire(&fields, padding, &mut body);
        let mut scrubber = scrubber();
        let out = forwarded(&mut scrubber, signal, Encoding::Protobuf, &body).expect("valid");
        prop_assert_eq!(decoded(signal, &out, false), decoded_by(signal, &out, Some(model(false))));
        // Twice is once, and what was seen before changes nothing.
        prop_assert_eq!(scrubber.scrub(signal, Encoding::Protobuf, &out), Ok(Scrubbed::Clean), "{} {}", body.escape_ascii(), out.escape_ascii());
        for _ in 0..3 {
            let again = forwarded(&mut scrubber, signal, Encoding::Protobuf, &body).expect("valid");
            prop_assert_eq!(&again, &out);
        }
    }

    #[test]
    fn json_is_scrubbed_as_what_it_says(
        signal in signal(), tape in tape(), snake: bool, escapes: bool, blanks: bool,
    ) {
        let fields = request(signal, &tape, true);
        let style = Style { snake, escapes, blanks };
        let body = tree::json(&fields, style);
        let mut scrubber = scrubber();
        let out = forwarded(&mut scrubber, signal, Encoding::Json, &body).expect("valid");
        let mut want = fields.clone();
        scrub_tree(&mut want, None, &mut Work::default());
        scrub_composites(&mut want, &fields);
        keep_apart_fields("", &fields, &mut want);
        let mut got: serde_json::Value = serde_json::from_slice(&out).expect("JSON stays JSON");
        let mut want: serde_json::Value = serde_json::from_slice(&tree::json(&want, style)).expect("JSON");
        // A number that has become a string has the name of one, in either spelling.
        spell(&mut got);
        spell(&mut want);
        prop_assert_eq!(got, want, "{}", String::from_utf8_lossy(&body));
        prop_assert_eq!(scrubber.scrub(signal, Encoding::Json, &out), Ok(Scrubbed::Clean));
        for _ in 0..3 {
            let again = forwarded(&mut scrubber, signal, Encoding::Json, &body).expect("valid");
            prop_assert_eq!(&again, &out);
        }
    }

    #[test]
    fn strict_is_what_is_known(signal in signal(), tape in tape()) {
        let body = tree::wire(&request_once(signal, &tape));
        let policy = Policy { unknown: Unknown::Remove, ..Policy::default() };
        let mut strict = Scrubber::new(SANITIZER.clone(), policy);
        let out = forwarded(&mut strict, signal, Encoding::Protobuf, &body).expect("valid");
        prop_assert_eq!(decoded(signal, &out, false), decoded(signal, &body, true));
        prop_assert_eq!(strict.scrub(signal, Encoding::Protobuf, &out), Ok(Scrubbed::Clean));
    }

    #[test]
    fn no_bytes_are_too_odd(signal in signal(), tape in tape(), cuts in prop::collection::vec((any::<u16>(), any::<u8>()), 0..6)) {
        let mut wire = tree::wire(&request(signal, &tape, false));
        let mut json = tree::json(&request(signal, &tape, true), Style::default());
        for (at, byte) in cuts {
            for body in [&mut wire, &mut json] {
                if let Some(at) = usize::from(at).checked_rem(body.len()) {
                    body[at] = byte;
                }
            }
        }
        for (encoding, body) in [(Encoding::Protobuf, wire), (Encoding::Json, json)] {
            let mut scrubber = scrubber();
            if let Ok(Scrubbed::Changed(changed)) = scrubber.scrub(signal, encoding, &body) {
                prop_assert_eq!(scrubber.scrub(signal, encoding, &changed.body), Ok(Scrubbed::Clean));
            }
        }
    }
}

fn spell(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(members) => {
            if let Some(text) = members.remove("string_value") {
                members.insert("stringValue".to_owned(), text);
            }
            members.values_mut().for_each(spell);
        }
        serde_json::Value::Array(list) => list.iter_mut().for_each(spell),
        _ => {}
    }
}
