//! The published schema describes what is written, and nothing else.
//!
//! Reads the words of JSON Schema that the file uses; one that it does not know fails.

use kasm_scrub::audit::Limits;
use regex_automata::meta::Regex;
use serde_json::{Value, json};

use super::{RULES, files, open, texts, written};

struct Schema(Value);

impl Schema {
    fn of_the_trail() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/audit.schema.json");
        let text = std::fs::read_to_string(path).expect("the schema");
        Self(serde_json::from_str(&text).expect("JSON"))
    }

    fn takes(&self, schema: &Value, value: &Value) -> bool {
        let Value::Object(words) = schema else { return schema == &Value::Bool(true) };
        words.iter().all(|(word, want)| match word.as_str() {
            "$schema" | "$defs" | "title" | "description" => true,
            "type" => match want.as_str() {
                Some("object") => value.is_object(),
                Some("string") => value.is_string(),
                Some("integer") => value.is_u64(),
                other => panic!("type {other:?}"),
            },
            "const" => value == want,
            "enum" => want.as_array().expect("a list").contains(value),
            "minimum" => value.as_u64() >= want.as_u64(),
            "pattern" => {
                let regex = Regex::new(want.as_str().expect("text")).expect("a regex");
                value.as_str().is_some_and(|text| regex.is_match(text))
            }
            "$ref" => {
                let name = want.as_str().and_then(|at| at.strip_prefix("#/$defs/")).expect("a reference");
                self.takes(&self.0["$defs"][name], value)
            }
            "required" => want
                .as_array()
                .expect("a list")
                .iter()
                .all(|name| value.get(name.as_str().unwrap()).is_some()),
            "properties" => {
                let known = want.as_object().expect("names");
                known.iter().all(|(name, schema)| value.get(name).is_none_or(|it| self.takes(schema, it)))
            }
            "additionalProperties" => {
                assert_eq!(want, false);
                let known = schema["properties"].as_object().expect("names");
                value.as_object().is_some_and(|fields| fields.keys().all(|name| known.contains_key(name)))
            }
            "oneOf" => {
                want.as_array().expect("a list").iter().filter(|one| self.takes(one, value)).count() == 1
            }
            other => panic!("the word {other}"),
        })
    }
}

#[test]
fn what_is_written_is_as_the_schema_says() {
    let schema = Schema::of_the_trail();
    let dir = tempfile::tempdir().expect("a folder");
    let text = written(dir.path());
    // Crashes and full files, for the kinds that a quiet life does not have.
    let path = dir.path().join("other");
    std::fs::write(&path, &text[..text.len() - 10]).expect("write");
    let trail = open(&path, Limits { max_size: 2000, keep: 9 }).expect("a trail to go on with");
    for _ in 0..9 {
        trail.note("stdin", "password", &RULES, None, 1);
        trail.flush().expect("room");
    }
    std::fs::rename(&path, dir.path().join("away")).expect("rename");
    trail.note("stdin", "password", &RULES, None, 1);
    assert!(trail.flush().is_err());
    std::fs::rename(dir.path().join("away"), &path).expect("rename");
    trail.close().expect("room");
    drop(trail);
    drop(open(&path, Limits::default()).expect("a trail to go on with"));
    let all = texts(&files(&path)).concat();
    let mut kinds = std::collections::BTreeSet::new();
    for line in std::str::from_utf8(&all).expect("text").lines() {
        let entry: Value = serde_json::from_str(line).expect("JSON");
        assert!(schema.takes(&schema.0, &entry), "{line}");
        kinds.insert(entry["kind"].as_str().expect("a kind").to_owned());
        let mut more = entry.clone();
        more["value"] = json!("secret");
        assert!(!schema.takes(&schema.0, &more), "{line}");
        for name in entry.as_object().expect("fields").keys().filter(|name| *name != "pseudonym") {
            let mut less = entry.clone();
            less.as_object_mut().expect("fields").remove(name);
            assert!(!schema.takes(&schema.0, &less), "{line} without {name}");
        }
    }
    let known: std::collections::BTreeSet<String> =
        serde_json::from_value(schema.0["properties"]["kind"]["enum"].clone()).expect("kinds");
    assert_eq!(kinds, known);
}
