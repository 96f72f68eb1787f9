//! A canary in every string and every bytes field of every message: none comes out. The fields are those of the protocol's
//! own descriptors.

use std::collections::BTreeMap;

use kasm_scrub::otlp::Encoding;
use prost_types::field_descriptor_proto::Type;

use super::tree::{self, Field, Holds, Style};
use super::{SIGNALS, forwarded, holds, scrubber};

const CANARY: &str = "hunterCanary7dead9";

/// The way from a request to a message: the fields, from the outermost.
type Way = Vec<(String, String)>;

/// The shortest ways to all messages that a request may hold.
fn ways(root: &str) -> BTreeMap<String, Way> {
    let mut known = BTreeMap::from([(root.to_owned(), Way::new())]);
    let mut next = std::collections::VecDeque::from([root.to_owned()]);
    while let Some(name) = next.pop_front() {
        let way = known[&name].clone();
        for field in tree::message(&name).field.iter().filter(|field| field.r#type() == Type::Message) {
            if !known.contains_key(field.type_name()) {
                let step = (name.clone(), field.json_name().to_owned());
                known.insert(field.type_name().to_owned(), [way.clone(), vec![step]].concat());
                next.push_back(field.type_name().to_owned());
            }
        }
    }
    known
}

/// A request that holds these fields at the end of a way.
fn at_end(way: &Way, fields: Vec<Field>) -> Vec<Field> {
    way.iter()
        .rev()
        .fold(fields, |fields, (message, name)| vec![tree::named(message, name, Holds::Fields(fields))])
}

const KEY_VALUE: &str = ".opentelemetry.proto.common.v1.KeyValue";
const ANY_VALUE: &str = ".opentelemetry.proto.common.v1.AnyValue";
const ARRAY: &str = ".opentelemetry.proto.common.v1.ArrayValue";
const LIST: &str = ".opentelemetry.proto.common.v1.KeyValueList";

fn pair(key: &str, value: Vec<Field>) -> Vec<Field> {
    vec![
        tree::named(KEY_VALUE, "key", Holds::Text(key.to_owned())),
        tree::named(KEY_VALUE, "value", Holds::Fields(value)),
    ]
}

/// Values that hold a text in each of their shapes.
fn shapes(text: &str) -> Vec<Vec<Field>> {
    let string = || vec![tree::named(ANY_VALUE, "stringValue", Holds::Text(text.to_owned()))];
    let array = |value| {
        let list = vec![tree::named(ARRAY, "values", Holds::Fields(value))];
        vec![tree::named(ANY_VALUE, "arrayValue", Holds::Fields(list))]
    };
    let list = |key: &str, value| {
        let list = vec![tree::named(LIST, "values", Holds::Fields(pair(key, value)))];
        vec![tree::named(ANY_VALUE, "kvlistValue", Holds::Fields(list))]
    };
    vec![
        string(),
        vec![tree::named(ANY_VALUE, "bytesValue", Holds::Bytes(text.as_bytes().to_vec()))],
        array(string()),
        list("password", string()),
        array(array(string())),
        list("a", list("password", array(string()))),
    ]
}

fn is_gone(signal: kasm_scrub::otlp::Signal, fields: &[Field], what: &str) {
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
    let mut count = 0;
    for signal in SIGNALS {
        for (name, way) in ways(tree::root(signal)) {
            for field in &tree::message(&name).field {
                let text = format!("login password={CANARY} ok");
                let holds = match field.r#type() {
                    Type::String => Holds::Text(text),
                    Type::Bytes if tree::is_id(field) => Holds::Id(text.into_bytes()),
                    Type::Bytes => Holds::Bytes(text.into_bytes()),
                    _ => continue,
                };
                count += 1;
                let mut fields = vec![tree::field(field, holds)];
                if name == KEY_VALUE {
                    fields.extend(pair("", Vec::new()).pop());
                }
                let what = format!("{name}.{}", field.name());
                is_gone(signal, &at_end(&way, fields), &what);
            }
        }
    }
    assert!(count >= 50, "only {count} fields");
}

#[test]
fn no_attribute_lets_a_canary_through() {
    let mut count = 0;
    for signal in SIGNALS {
        for (name, way) in ways(tree::root(signal)) {
            for field in &tree::message(&name).field {
                for (i, shape) in shapes(CANARY).into_iter().enumerate() {
                    let holds = match field.type_name() {
                        KEY_VALUE => pair("db.password", shape),
                        // A value without a key.
                        ANY_VALUE if name != KEY_VALUE => shapes(&format!("password={CANARY}"))[i].clone(),
                        _ => continue,
                    };
                    count += 1;
                    let fields = vec![tree::field(field, Holds::Fields(holds))];
                    is_gone(signal, &at_end(&way, fields), &format!("{name}.{} {i}", field.name()));
                }
            }
        }
    }
    assert!(count >= 100, "only {count} attributes");
}
