//! Our program takes the arguments and configurations that manifests give it. It is started with each of them, and with a rule
//! file that is not there: when that is all it complains about, it has taken everything else.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::files::{all_documents, containers, documents, root, strings};

/// A file that is in no place.
const MISSING: &str = "/nowhere/rules-of-the-test.toml";

fn kasm_scrub(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kasm-scrub"))
        .args(arguments)
        .env_clear()
        .output()
        .expect("the program starts")
}

fn check_stops_at_the_missing_file(at: &str, arguments: &[&str]) {
    let output = kasm_scrub(arguments);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{at}: {arguments:?}\n{told}");
    assert!(told.contains(MISSING), "{at}: {arguments:?}\n{told}");
    for other in ["unexpected argument", "unknown", "invalid value", "required", "unrecognized"] {
        assert!(!told.contains(other), "{at}: {arguments:?}\n{told}");
    }
}

/// The configuration that a container mounts: where the ConfigMap of that name is, in the same file or the same folder.
fn configuration(path: &Path, name: &str) -> Option<String> {
    let mut all = documents(path);
    for entry in fs::read_dir(path.parent()?).ok()? {
        let other = entry.ok()?.path();
        if other.extension().is_some_and(|ending| ending == "yaml") {
            all.extend(documents(&other));
        }
    }
    all.extend(documents(&root().join("deploy/kubernetes/base/configmap.yaml")));
    let mut found = None;
    for document in &all {
        super::files::objects(document, &mut |object| {
            if object.get("kind").is_some_and(|kind| kind == "ConfigMap") && object["metadata"]["name"] == name {
                let text = object["data"]["sidecar.yaml"].as_str();
                found = found.take().or(text.map(str::to_owned));
            }
        });
    }
    found
}
