//! The shape of JSON text: its keys, in order, at every depth, through strings that hold JSON themselves.
//!
//! Read from the raw text, since access logs have duplicate keys and a parsed map would lose them.

use serde_json::Value;

/// What a line's JSON looks like without its values: `{`, `}`, keys, and the same for JSON inside strings.
/// Nothing if the line is not one JSON document.
pub(crate) fn shape(line: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(line).ok()?;
    serde_json::from_str::<Value>(text).ok()?;
    let mut events = Vec::new();
    read(text, &mut events);
    Some(events)
}

/// Walks text that is known to be JSON.
fn read(text: &str, events: &mut Vec<String>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'{' => events.push("{".into()),
            b'}' => events.push("}".into()),
            b'"' => {
                let end = string_end(bytes, at);
                let content: String = serde_json::from_str(&text[at..end]).unwrap_or_default();
                let is_key = text[end..].trim_start().starts_with(':');
                if is_key {
                    events.push(format!("key {content}"));
                } else if let Some(inner) = inner_json(&content) {
                    events.push("(".into());
                    read(inner, events);
                    events.push(")".into());
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
}

/// The string's content if it is a JSON object or array itself.
fn inner_json(content: &str) -> Option<&str> {
    let inner = content.trim();
    let opens = inner.starts_with('{') || inner.starts_with('[');
    (opens && serde_json::from_str::<Value>(inner).is_ok()).then_some(inner)
}

/// Where the string that opens at `start` ends, past its closing quote.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

#[test]
fn shape_sees_duplicates_and_inner_json() {
    let shape_of = |text: &str| shape(text.as_bytes()).map(|events| events.join(" "));
    assert_eq!(shape_of(r#"{"a":1,"a":{"b":[2]}}"#).as_deref(), Some("{ key a key a { key b } }"));
    assert_eq!(shape_of(r#"{"a":"{\"b\":\"x\"}"}"#).as_deref(), Some("{ key a ( { key b } ) }"));
    assert_eq!(shape_of(r#"{"a":"{\"b\":x\"}"}"#).as_deref(), Some("{ key a }"));
    assert_eq!(shape_of(r#"{"a":[}"#), None);
}
