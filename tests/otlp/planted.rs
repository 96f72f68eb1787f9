//! Requests with something planted in each field of each message that may hold it, by the protocol's own descriptors: as they
//! are scrubbed, and as they go over the wires of the relay.

use std::collections::{BTreeMap, VecDeque};

use kasm_scrub::otlp::Signal;
use prost_types::field_descriptor_proto::Type;

use super::SIGNALS;
use super::tree::{self, Field, Holds};

/// A request with something planted in it.
pub(crate) struct Planted {
    pub(crate) signal: Signal,
    /// Which field of which message.
    pub(crate) what: String,
    pub(crate) fields: Vec<Field>,
}

/// The way from a request to a message: the fields, from the outermost.
type Way = Vec<(String, String)>;

/// The shortest ways to all messages that a request may hold.
fn ways(root: &str) -> BTreeMap<String, Way> {
    let mut known = BTreeMap::from([(root.to_owned(), Way::new())]);
    let mut next = VecDeque::from([root.to_owned()]);
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

/// A value that is a text.
pub(crate) fn text(text: &str) -> Vec<Field> {
    vec![tree::named(ANY_VALUE, "stringValue", Holds::Text(text.to_owned()))]
}

fn array(value: Vec<Field>) -> Vec<Field> {
    let list = vec![tree::named(ARRAY, "values", Holds::Fields(value))];
    vec![tree::named(ANY_VALUE, "arrayValue", Holds::Fields(list))]
}

fn list(key: &str, value: Vec<Field>) -> Vec<Field> {
    list_of(vec![pair(key, value)])
}

/// A value that is a list of these pairs.
pub(crate) fn list_of(pairs: Vec<Vec<Field>>) -> Vec<Field> {
    let list = pairs.into_iter().map(|pair| tree::named(LIST, "values", Holds::Fields(pair)));
    vec![tree::named(ANY_VALUE, "kvlistValue", Holds::Fields(list.collect()))]
}

pub(crate) fn pair(key: &str, value: Vec<Field>) -> Vec<Field> {
    vec![
        tree::named(KEY_VALUE, "key", Holds::Text(key.to_owned())),
        tree::named(KEY_VALUE, "value", Holds::Fields(value)),
    ]
}

/// Values that hold a text in each of their shapes.
pub(crate) fn shapes(secret: &str) -> [Vec<Field>; 6] {
    [
        text(secret),
        vec![tree::named(ANY_VALUE, "bytesValue", Holds::Bytes(secret.as_bytes().to_vec()))],
        array(text(secret)),
        list("password", text(secret)),
        array(array(text(secret))),
        list("settings", list("password", array(text(secret)))),
    ]
}

/// A request for each string and each bytes field of each message. `canary`: makes one that is not there yet.
pub(crate) fn in_fields(canary: &mut dyn FnMut() -> String) -> Vec<Planted> {
    let mut all = Vec::new();
    for signal in SIGNALS {
        for (name, way) in ways(tree::root(signal)) {
            for field in &tree::message(&name).field {
                let mut text = || format!("login password={} ok", canary());
                let holds = match field.r#type() {
                    Type::String => Holds::Text(text()),
                    Type::Bytes if tree::is_id(field) => Holds::Id(text().into_bytes()),
                    Type::Bytes => Holds::Bytes(text().into_bytes()),
                    _ => continue,
                };
                let mut fields = vec![tree::field(field, holds)];
                if name == KEY_VALUE {
                    fields.extend(pair("", Vec::new()).pop());
                }
                let what = format!("{name}.{}", field.name());
                all.push(Planted { signal, what, fields: at_end(&way, fields) });
            }
        }
    }
    all
}

/// A request for each attribute of each message, and each value without a key, in each shape.
pub(crate) fn in_values(canary: &mut dyn FnMut() -> String) -> Vec<Planted> {
    let mut all = Vec::new();
    for signal in SIGNALS {
        for (name, way) in ways(tree::root(signal)) {
            for field in &tree::message(&name).field {
                for shape in 0..shapes("").len() {
                    let holds = match field.type_name() {
                        KEY_VALUE => pair("db.password", shapes(&canary())[shape].clone()),
                        ANY_VALUE if name != KEY_VALUE => {
                            shapes(&format!("password={}", canary()))[shape].clone()
                        }
                        _ => continue,
                    };
                    let fields = at_end(&way, vec![tree::field(field, Holds::Fields(holds))]);
                    let what = format!("{name}.{} {shape}", field.name());
                    all.push(Planted { signal, what, fields });
                }
            }
        }
    }
    all
}

/// A request for each list of pairs that a message may have, with these in it.
pub(crate) fn as_pairs(signal: Signal, pairs: &[Vec<Field>]) -> Vec<Planted> {
    let mut all = Vec::new();
    for (name, way) in ways(tree::root(signal)) {
        for field in tree::message(&name).field.iter().filter(|field| field.type_name() == KEY_VALUE) {
            let pairs = pairs.iter().map(|pair| tree::field(field, Holds::Fields(pair.clone())));
            let fields = at_end(&way, pairs.collect());
            all.push(Planted { signal, what: format!("{name}.{}", field.name()), fields });
        }
    }
    all
}

/// A text for each string of each message that the response to a request of a signal may hold.
pub(crate) fn in_responses(signal: Signal, canary: &mut dyn FnMut() -> String) -> Vec<Planted> {
    let root = tree::root(signal).replace("Request", "Response");
    let mut all = Vec::new();
    for (name, way) in ways(&root) {
        for field in tree::message(&name).field.iter().filter(|field| field.r#type() == Type::String) {
            let text = Holds::Text(format!("cannot store password={} in zone", canary()));
            let fields = at_end(&way, vec![tree::field(field, text)]);
            all.push(Planted { signal, what: format!("{name}.{}", field.name()), fields });
        }
    }
    all
}
