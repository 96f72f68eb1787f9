//! Requests as trees of fields, made by the descriptors of the protocol, and how they are written.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use kasm_scrub::otlp::Signal;
use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// A field and what it holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) number: u32,
    /// Its name in JSON; none of a field that is not known.
    pub(crate) name: String,
    pub(crate) is_repeated: bool,
    pub(crate) holds: Holds,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Holds {
    Text(String),
    Bytes(Vec<u8>),
    /// Bytes that JSON writes in hexadecimal.
    Id(Vec<u8>),
    Varint(u64),
    /// Written with the sign as the lowest bit.
    Signed(i32),
    Bool(bool),
    /// Written as an integer or a double.
    Fixed64(u64, bool),
    Fixed32(u32),
    Fields(Vec<Field>),
}

/// All messages, by their full names.
pub(crate) static MESSAGES: LazyLock<BTreeMap<String, DescriptorProto>> = LazyLock::new(|| {
    let set = FileDescriptorSet::decode(opentelemetry_proto::DESCRIPTORS).expect("descriptors");
    let mut all = BTreeMap::new();
    for file in set.file {
        let mut rest: Vec<_> =
            file.message_type.iter().map(|message| (format!(".{}", file.package()), message)).collect();
        while let Some((around, message)) = rest.pop() {
            let name = format!("{around}.{}", message.name());
            rest.extend(message.nested_type.iter().map(|inner| (name.clone(), inner)));
            all.insert(name, message.clone());
        }
    }
    all
});

/// The message that a request is.
pub(crate) fn root(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => ".opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest",
        Signal::Logs => ".opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest",
        _ => ".opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest",
    }
}

pub(crate) fn message(name: &str) -> &'static DescriptorProto {
    MESSAGES.get(name).unwrap_or_else(|| panic!("no message {name}"))
}

/// A field of a message by its description.
pub(crate) fn field(of: &FieldDescriptorProto, holds: Holds) -> Field {
    let is_repeated = of.label() == Label::Repeated;
    Field { number: of.number() as u32, name: of.json_name().to_owned(), is_repeated, holds }
}

/// A field of a message by its name in JSON.
pub(crate) fn named(message_name: &str, name: &str, holds: Holds) -> Field {
    let of = message(message_name).field.iter().find(|field| field.json_name() == name);
    field(of.unwrap_or_else(|| panic!("{message_name} has no {name}")), holds)
}

pub(crate) fn is_id(of: &FieldDescriptorProto) -> bool {
    matches!(of.name(), "trace_id" | "span_id" | "parent_span_id")
}

pub(crate) fn varint(mut value: u64, padding: usize, out: &mut Vec<u8>) {
    let from = out.len();
    loop {
        out.push(value as u8 | 0x80);
        value >>= 7;
        if value == 0 {
            break;
        }
    }
    while out.len() - from < padding.min(9) {
        out.push(0x80);
    }
    *out.last_mut().expect("a byte") &= 0x7F;
}

/// Writes fields on the wire. `padding`: the least bytes of a length.
pub(crate) fn to_wire(fields: &[Field], padding: usize, out: &mut Vec<u8>) {
    for Field { number, holds, .. } in fields {
        let mut tag = |wire: u32| varint(u64::from(number << 3 | wire), 0, out);
        match holds {
            Holds::Varint(value) => {
                tag(0);
                varint(*value, padding, out);
            }
            Holds::Signed(value) => {
                tag(0);
                varint(u64::from((value << 1 ^ value >> 31) as u32), padding, out);
            }
            Holds::Bool(value) => {
                tag(0);
                varint(u64::from(*value), 0, out);
            }
            Holds::Fixed64(value, _) => {
                tag(1);
                out.extend(value.to_le_bytes());
            }
            Holds::Fixed32(value) => {
                tag(5);
                out.extend(value.to_le_bytes());
            }
            Holds::Text(text) => {
                tag(2);
                varint(text.len() as u64, padding, out);
                out.extend(text.as_bytes());
            }
            Holds::Bytes(bytes) | Holds::Id(bytes) => {
                tag(2);
                varint(bytes.len() as u64, padding, out);
                out.extend(bytes);
            }
            Holds::Fields(fields) => {
                tag(2);
                let mut inner = Vec::new();
                to_wire(fields, padding, &mut inner);
                varint(inner.len() as u64, padding, out);
                out.extend(inner);
            }
        }
    }
}

pub(crate) fn wire(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    to_wire(fields, 0, &mut out);
    out
}

/// The strings and bytes of a message of the wire, and the messages they are in.
pub(crate) fn read(message_name: &str, mut bytes: &[u8]) -> Vec<Field> {
    fn number(bytes: &mut &[u8]) -> u64 {
        let len = bytes.iter().take_while(|&&byte| byte >= 0x80).count() + 1;
        let (own, rest) = bytes.split_at(len);
        *bytes = rest;
        own.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7F))
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = number(&mut bytes);
        let len = match tag & 7 {
            0 => {
                number(&mut bytes);
                continue;
            }
            1 => 8,
            5 => 4,
            _ => number(&mut bytes) as usize,
        };
        let (own, rest) = bytes.split_at(len);
        bytes = rest;
        let Some(of) = message(message_name).field.iter().find(|field| field.number() as u64 == tag >> 3)
        else {
            continue;
        };
        let holds = match of.r#type() {
            Type::String => Holds::Text(String::from_utf8(own.to_vec()).expect("text")),
            Type::Bytes if !is_id(of) => Holds::Bytes(own.to_vec()),
            Type::Message => Holds::Fields(read(of.type_name(), own)),
            _ => continue,
        };
        fields.push(field(of, holds));
    }
    fields
}

/// How JSON may be written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Style {
    /// Names as in the protocol's files.
    pub(crate) snake: bool,
    /// Strings with escapes wherever they may have some.
    pub(crate) escapes: bool,
    pub(crate) blanks: bool,
}

/// Writes fields as an object of JSON.
pub(crate) fn to_json(fields: &[Field], style: Style, out: &mut String) {
    out.push('{');
    let blank = if style.blanks { "\n  " } else { "" };
    let mut done: Vec<u32> = Vec::new();
    for field in fields {
        if done.contains(&field.number) {
            continue;
        }
        if !done.is_empty() {
            out.push(',');
        }
        done.push(field.number);
        out.push_str(blank);
        string(&if style.snake { snake(&field.name) } else { field.name.clone() }, false, out);
        out.push_str(if style.blanks { " :\t" } else { ":" });
        if field.is_repeated {
            out.push('[');
            let same = fields.iter().filter(|other| other.number == field.number);
            for (i, other) in same.enumerate() {
                if i > 0 {
                    out.push(',');
                }
                value(&other.holds, style, out);
            }
            out.push(']');
        } else {
            value(&field.holds, style, out);
        }
    }
    out.push_str(blank);
    out.push('}');
}

fn snake(name: &str) -> String {
    name.chars().fold(String::new(), |mut name, c| {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
        name
    })
}

fn value(holds: &Holds, style: Style, out: &mut String) {
    match holds {
        Holds::Text(text) => string(text, style.escapes, out),
        Holds::Bytes(bytes) => string(&base64(bytes), style.escapes, out),
        Holds::Id(bytes) => {
            string(&bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), false, out);
        }
        Holds::Varint(value) if style.snake => out.push_str(&format!("{}", *value as i64)),
        Holds::Varint(value) => string(&(*value as i64).to_string(), false, out),
        Holds::Signed(value) => out.push_str(&value.to_string()),
        Holds::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Holds::Fixed64(value, true) => string(&value.to_string(), false, out),
        Holds::Fixed64(value, false) => {
            let double = f64::from_bits(*value);
            out.push_str(&if double.is_finite() { double.to_string() } else { "0".to_owned() });
        }
        Holds::Fixed32(value) => out.push_str(&value.to_string()),
        Holds::Fields(fields) => to_json(fields, style, out),
    }
}

fn string(text: &str, escapes: bool, out: &mut String) {
    if !escapes {
        return out.push_str(&serde_json::Value::String(text.to_owned()).to_string());
    }
    out.push('"');
    for unit in text.encode_utf16() {
        match u8::try_from(unit) {
            Ok(b'/') => out.push_str("\\/"),
            Ok(byte) if byte.is_ascii_alphanumeric() && byte % 3 != 0 => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out.push('"');
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let digits = bits.as_bytes().chunks(6).map(|six| {
        let text = format!("{:0<6}", String::from_utf8_lossy(six));
        char::from(ALPHABET[usize::from_str_radix(&text, 2).expect("bits")])
    });
    let text: String = digits.collect();
    let len = text.len().div_ceil(4) * 4;
    format!("{text:=<len$}")
}

pub(crate) fn json(fields: &[Field], style: Style) -> Vec<u8> {
    let mut out = String::new();
    to_json(fields, style, &mut out);
    out.into_bytes()
}

/// Decisions, one after the other; when there are no more, always the first choice.
pub(crate) struct Tape<'t>(pub(crate) &'t [u16]);

impl Tape<'_> {
    pub(crate) fn next(&mut self, choices: usize) -> usize {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(first) % choices
    }
}

/// What strings are made of.
const TEXTS: [&str; 29] = [
    "",
    "name",
    "value",
    "DB_PASSWORD",
    "GET /api/public/get_kasms",
    "http.request.method",
    "k8s.pod.name",
    "kasm-api-7d9f8b6c5-x2x9z",
    "password",
    "db.password",
    "http.request.header.authorization",
    "pin",
    "span_id",
    "hunter2",
    "Bearer abcdef1234567890",
    "login password=hunter2 ok",
    "{\"user\":\"x\",\"password\":\"hunter2\",\"pin\":1234}",
    "jane.doe@example.com",
    "4111111111111111",
    "1234",
    "https://x/vnc.html?password=hunter2&autoconnect=1",
    "größe → 10 µs 😀 password=größe",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEAdeaddeaddeaddeaddeaddeaddeaddeaddead\n",
    "MIIEpAIBAAKCAQEAdeaddeaddeaddeaddeaddeaddeaddeaddeaddeaddead",
    "name: DB_PASSWORD",
    "value: hunter2",
    "a\"b\\c\td",
    "[REDACTED:password]",
    "state=Hidden1234",
];

/// Fields of a message: any of those it has, in any order, some of them twice, and some that it does not have.
pub(crate) fn fields(name: &str, tape: &mut Tape<'_>, depth: usize, options: Options) -> Vec<Field> {
    let of = message(name);
    let mut made = Vec::new();
    let mut is_oneof_made = false;
    for known in &of.field {
        if known.oneof_index.is_some() && !known.proto3_optional() {
            if options.is_once() && is_oneof_made {
                continue;
            }
            let is_leaf = known.r#type() != Type::Message;
            // Of the values that something may have, the first few as often as the others.
            if tape.next(if is_leaf { 3 } else { 6 }) != 1 {
                continue;
            }
            is_oneof_made = true;
            made.extend(holds(known, tape, depth, options).map(|holds| field(known, holds)));
            continue;
        }
        let is_repeated = known.label() == Label::Repeated;
        let is_twice = !options.is_once() && known.name() != "key" && tape.next(8) == 7;
        let count = if is_repeated { tape.next(3) } else { 1 + usize::from(is_twice) };
        for _ in 0..count {
            made.extend(holds(known, tape, depth, options).map(|holds| field(known, holds)));
        }
    }
    if !options.is_plain {
        while tape.next(12) == 11 {
            let text = TEXTS[tape.next(TEXTS.len())].to_owned();
            let holds = match tape.next(3) {
                0 => Holds::Text(text),
                1 => Holds::Varint(1234),
                _ => Holds::Fields(vec![Field {
                    number: 1,
                    name: String::new(),
                    is_repeated: false,
                    holds: Holds::Text(text),
                }]),
            };
            let number = 40 + tape.next(500) as u32;
            made.push(Field { number, name: format!("future{number}"), is_repeated: false, holds });
        }
        for i in (1..made.len()).rev() {
            made.swap(i, tape.next(i + 1));
        }
    }
    made
}

/// What generated requests may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Every field at most once, in order, and none that is not known.
    pub(crate) is_plain: bool,
    /// Every field at most once, but in any order, and some that are not known.
    pub(crate) is_once: bool,
}

impl Options {
    fn is_once(self) -> bool {
        self.is_plain || self.is_once
    }
}

fn holds(of: &FieldDescriptorProto, tape: &mut Tape<'_>, depth: usize, options: Options) -> Option<Holds> {
    Some(match of.r#type() {
        Type::String => Holds::Text(TEXTS[tape.next(TEXTS.len())].to_owned()),
        Type::Bytes if is_id(of) => {
            let len = if of.name() == "trace_id" { 16 } else { 8 };
            match tape.next(8) {
                7 if !options.is_plain => Holds::Id(TEXTS[tape.next(TEXTS.len())].as_bytes().to_vec()),
                6 => Holds::Id(Vec::new()),
                byte => Holds::Id(vec![byte as u8 + 0x30; len]),
            }
        }
        Type::Bytes => Holds::Bytes(TEXTS[tape.next(TEXTS.len())].as_bytes().to_vec()),
        Type::Message if depth == 0 => return None,
        Type::Message => {
            // Values in values end some time.
            let less = if of.type_name().contains(".common.") { depth.min(6) } else { depth };
            Holds::Fields(fields(of.type_name(), tape, less - 1, options))
        }
        Type::Bool => Holds::Bool(tape.next(2) == 1),
        Type::Double => Holds::Fixed64((tape.next(9999) as f64 / 8.0).to_bits(), false),
        Type::Fixed64 | Type::Sfixed64 => Holds::Fixed64(tape.next(60_000) as u64, true),
        Type::Fixed32 | Type::Float => Holds::Fixed32(tape.next(300) as u32),
        Type::Enum | Type::Int32 | Type::Uint32 => Holds::Varint(tape.next(5) as u64),
        Type::Sint32 => Holds::Signed(tape.next(300) as i32 - 150),
        _ => Holds::Varint(1234 * tape.next(3) as u64),
    })
}
