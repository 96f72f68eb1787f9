//! The files of `deploy`, read as what they are.

use std::fs;
use std::path::{Path, PathBuf};

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value};

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(super) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The files below `deploy` whose names end so, sorted.
pub(super) fn files(ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("deploy")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "there is no {ending} below deploy");
    found
}

/// The documents of a YAML file.
pub(super) fn documents(path: &Path) -> Vec<Value> {
    let text = read(path);
    let nodes = Yaml::load_from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    nodes.iter().map(json).collect()
}

/// Every document of every YAML file below `deploy`, and where it stands.
pub(super) fn all_documents() -> Vec<(PathBuf, Value)> {
    files(".yaml")
        .into_iter()
        .flat_map(|path| documents(&path).into_iter().map(move |document| (path.clone(), document)))
        .collect()
}

/// A node as JSON; merge keys are followed, as Go's parsers do.
fn json(node: &Yaml<'_>) -> Value {
    match node {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => Value::Bool(*value),
        Yaml::Value(Scalar::Integer(value)) => (*value).into(),
        Yaml::Value(Scalar::FloatingPoint(value)) => Value::from(value.into_inner()),
        Yaml::Value(Scalar::String(value)) => value.as_ref().into(),
        Yaml::Sequence(items) => Value::Array(items.iter().map(json).collect()),
        Yaml::Mapping(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let Value::String(key) = json(key) else { panic!("a key that is no string") };
                match (key.as_str(), json(value)) {
                    ("<<", Value::Object(merged)) => map.extend(merged),
                    (_, value) => drop(map.insert(key, value)),
                }
            }
            Value::Object(map)
        }
        other => panic!("{other:?} has no place in a manifest"),
    }
}

/// Every object in a value, itself included.
pub(super) fn objects<'v>(value: &'v Value, visit: &mut impl FnMut(&'v Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            visit(map);
            map.values().for_each(|value| objects(value, visit));
        }
        Value::Array(items) => items.iter().for_each(|value| objects(value, visit)),
        _ => {}
    }
}

/// The containers of ours in a document: those with our image.
pub(super) fn containers(document: &Value) -> Vec<&Map<String, Value>> {
    let mut found = Vec::new();
    objects(document, &mut |object| {
        let is_ours =
            |image: &str| image.split('/').next_back().is_some_and(|name| name.starts_with("kasm-scrub:"));
        if object.get("image").and_then(Value::as_str).is_some_and(is_ours) {
            found.push(object);
        }
    });
    found
}

/// The strings of a list.
pub(super) fn strings(list: Option<&Value>) -> Vec<&str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}
