//! Our program takes the arguments and configurations that manifests give it. It is started with each of them, and with a rule
//! file that is not there: when that is all it complains about, it has taken everything else.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::files::{all_documents, containers, documents, root, strings};

/// What a variable or file holds that is to be learned.
const VALUE: &str = "DeadBeef4Dead7Beef2Dead9Beef";

/// A file that is in no place.
const MISSING: &str = "/nowhere/rules-of-the-test.toml";

fn kasm_scrub(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kasm-scrub"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .expect("the program starts")
}

fn check_stops_at_the_missing_file(at: &str, arguments: &[&str], environment: &[(&str, &str)]) {
    let output = kasm_scrub(arguments, environment);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{at}: {arguments:?}\n{told}");
    assert!(told.contains(MISSING), "{at}: {arguments:?}\n{told}");
    for other in ["unexpected argument", "unknown", "invalid value", "required", "unrecognized"] {
        assert!(!told.contains(other), "{at}: {arguments:?}\n{told}");
    }
}

/// Makes what Secrets are to a sidecar: values to be learned, beside its configuration, and the key of an audit trail.
fn fill(folder: &Path) {
    fs::create_dir(folder.join("secrets")).unwrap();
    fs::write(folder.join("secrets/db-password"), VALUE).unwrap();
    fs::write(folder.join("key"), VALUE).unwrap();
}

/// An argument or a configuration with a folder of the test in place of those that manifests mount.
fn moved(text: &str, folder: &Path) -> String {
    let folder = folder.to_str().unwrap();
    let mut text = text.to_owned();
    for (mounted, here) in [
        ("/etc/kasm-scrub", folder.to_owned()),
        ("/audit-key", folder.to_owned()),
        ("/audit", folder.to_owned()),
        ("[/secrets", format!("[{folder}/secrets")),
    ] {
        text = text.replace(mounted, &here);
    }
    text
}

/// The name of the ConfigMap that a pod mounts.
fn mounted_map(document: &Value) -> &str {
    let mut found = None;
    super::files::objects(document, &mut |object| {
        found = found.or(object.get("configMap").and_then(|map| map["name"].as_str()));
    });
    found.expect("a volume with a ConfigMap")
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
            if object.get("kind").is_some_and(|kind| kind == "ConfigMap")
                && object["metadata"]["name"] == name
            {
                let text = object["data"]["sidecar.yaml"].as_str();
                found = found.take().or(text.map(str::to_owned));
            }
        });
    }
    found
}

#[test]
fn sidecars_take_their_arguments_and_configurations() {
    let mut seen = 0;
    for (path, document) in all_documents() {
        for container in containers(&document) {
            let arguments = strings(container.get("args"));
            if arguments.first() != Some(&"sidecar") {
                continue;
            }
            seen += 1;
            let at = path.display().to_string();
            let folder = tempfile::tempdir().unwrap();
            fill(folder.path());
            if arguments.iter().any(|argument| argument.contains("/etc/kasm-scrub/sidecar.yaml")) {
                let name = mounted_map(&document);
                let text = configuration(&path, name).unwrap_or_else(|| panic!("{at}: no ConfigMap {name}"));
                fs::write(folder.path().join("sidecar.yaml"), moved(&text, folder.path())).unwrap();
            }
            let mut taken: Vec<String> =
                arguments.iter().map(|argument| moved(argument, folder.path())).collect();
            taken.extend(["--rules".to_owned(), MISSING.to_owned()]);
            let environment = container.get("env").and_then(|list| list.as_array()).into_iter().flatten();
            let environment =
                environment.filter_map(|one| Some((one["name"].as_str()?, one["value"].as_str()?)));
            let taken: Vec<&str> = taken.iter().map(String::as_str).collect();
            check_stops_at_the_missing_file(&at, &taken, &environment.collect::<Vec<_>>());
        }
    }
    assert!(seen >= 5, "only {seen} sidecars were started");
}

/// Also of those that a component puts in place of another one: no container of its folder names them.
#[test]
fn every_configuration_is_taken() {
    let mut seen = 0;
    for (path, document) in all_documents() {
        super::files::objects(&document, &mut |object| {
            let text = object.get("data").and_then(|data| data["sidecar.yaml"].as_str());
            let Some(text) = text else { return };
            seen += 1;
            let folder = tempfile::tempdir().unwrap();
            let config = folder.path().join("sidecar.yaml");
            fs::write(&config, moved(text, folder.path())).unwrap();
            fill(folder.path());
            let arguments = ["sidecar", "--config", config.to_str().unwrap(), "--rules", MISSING];
            let upstream = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317")];
            check_stops_at_the_missing_file(&path.display().to_string(), &arguments, &upstream);
        });
    }
    assert!(seen >= 4, "only {seen} configurations were read");
}

#[test]
fn other_commands_take_their_arguments() {
    let mut seen = [0; 3];
    let no_port = ["--admin", "127.0.0.1:1"];
    for (path, document) in all_documents() {
        let at = path.display();
        super::files::objects(&document, &mut |object| {
            let command = strings(object.get("command"));
            let arguments = strings(object.get("args"));
            match (&command[..], &arguments[..]) {
                ([program, "probe", rest @ ..], _) => {
                    seen[0] += 1;
                    assert_eq!(*program, "/kasm-scrub", "{at}");
                    // Nobody is there to be asked, which is another answer than that of a command it does not know.
                    let output = kasm_scrub(&[&["probe"], rest, &no_port].concat(), &[]);
                    assert_eq!(
                        output.status.code(),
                        Some(1),
                        "{at}: {}",
                        String::from_utf8_lossy(&output.stderr)
                    );
                }
                ([program, "run", rest @ ..], _) => {
                    seen[1] += 1;
                    assert_eq!(*program, "/kasm-scrub/kasm-scrub", "{at}");
                    let (options, program) =
                        rest.split_at(rest.iter().position(|word| *word == "--").expect("a --"));
                    assert!(program.len() > 1, "{at}: nothing is run");
                    // The chart sets these.
                    let given: Vec<(&str, &str)> = options
                        .iter()
                        .filter_map(|option| option.strip_prefix("--learn-env="))
                        .map(|name| (name, VALUE))
                        .collect();
                    let words = [&["run"], options, &["--", "/bin/sh", "-c", "exit 7"]].concat();
                    let output = kasm_scrub(&words, &given);
                    assert_eq!(
                        output.status.code(),
                        Some(7),
                        "{at}: {}",
                        String::from_utf8_lossy(&output.stderr)
                    );
                }
                (_, ["install", rest @ ..]) => {
                    seen[2] += 1;
                    let [_] = rest else { panic!("{at}: install takes a folder: {rest:?}") };
                    let folder = tempfile::tempdir().unwrap();
                    let output = kasm_scrub(&["install", folder.path().to_str().unwrap()], &[]);
                    assert!(output.status.success(), "{at}: {}", String::from_utf8_lossy(&output.stderr));
                    assert!(folder.path().join("kasm-scrub").exists(), "{at}");
                }
                _ => {}
            }
        });
    }
    assert!(seen.iter().all(|&seen| seen > 0), "probes, runs and installs: {seen:?}");
}
