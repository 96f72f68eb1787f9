//! The audit trail of a bundle: what was found in which file, and no bundle without it.

use std::process::Command;

use serde_json::Value;

use super::stage::{SECRET, Stage, gz, log, tar_of};

const AUDIT: [&str; 4] = ["--audit", "audit.jsonl", "--audit-key", "key"];

/// Files with and without findings, one of them in an archive; keys.
fn stage() -> Stage {
    let stage = Stage::new();
    stage.put("in/a.log", [log("a"), log("b")].concat());
    stage.put("in/sub/c.tar.gz", gz(&tar_of(&[("c.log", &log("c"))])));
    stage.put("in/clean.log", "nothing to see\n");
    stage.put("key", "dead beef dead beef dead beef");
    stage.put("hash-key", "the hash key of these tests");
    stage
}

fn audit(stage: &Stage, args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kasm-scrub"));
    let output = command.arg("audit").args(args).current_dir(stage.0.path()).output().expect("start");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn a_bundle_has_a_trail_by_file() {
    let stage = stage();
    let ran = stage.run(&[&["in", "-o", "out"], &AUDIT[..]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let shown: Value =
        serde_json::from_str(&audit(&stage, &["show", "--format", "json", "audit.jsonl"])).expect("JSON");
    let want = serde_json::json!([
        {"source": "file:a.log", "rule": "password", "count": 2, "pseudonyms": 0},
        {"source": "file:sub/c.tar.gz!c.log", "rule": "password", "count": 1, "pseudonyms": 0},
    ]);
    assert_eq!(shown, want);
    let verified = audit(&stage, &["verify", "--key", "key", "audit.jsonl"]);
    assert!(verified.starts_with("ok: ") && verified.contains("3 findings"), "{verified}");
    assert!(!verified.contains("not closed"), "{verified}");
    // What is not written is not in it.
    assert_eq!(stage.run(&[&["in", "-o", "dry", "--dry-run"], &AUDIT[..]].concat()).code, Some(2));
}

#[test]
fn pseudonyms_in_the_trail_are_those_in_the_bundle() {
    let stage = stage();
    // A secret in a name gets one, too.
    stage.put(&format!("in/password={SECRET}/d.log"), "clean\n");
    let hash = ["--action", "hash", "--hash-key", "hash-key", "--hash-key-id", "k7"];
    let ran = stage.run(&[&["in", "-o", "out.tar"], &AUDIT[..], &hash].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let trail = std::fs::read_to_string(stage.path("audit.jsonl")).expect("a trail");
    assert!(!trail.contains(SECRET), "{trail}");
    let named = trail.lines().filter_map(|line| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        Some((
            line["source"].as_str()?.to_owned(),
            line["pseudonym"].as_str()?.to_owned(),
            line["count"].as_u64()?,
        ))
    });
    let mut named: Vec<_> = named.collect();
    named.sort();
    assert_eq!(named.len(), 3, "{trail}");
    let out = String::from_utf8_lossy(&std::fs::read(stage.path("out.tar")).expect("a bundle")).into_owned();
    assert!(named.iter().all(|(_, pseudonym, _)| *pseudonym == named[0].1), "{trail}");
    assert_eq!(
        out.matches(&named[0].1).count(),
        4,
        "twice in a file, and in the names of a folder and what is in it"
    );
    assert_eq!(named.iter().map(|(.., count)| count).sum::<u64>(), 4, "{trail}");
}

#[test]
fn without_room_for_the_trail_there_is_no_bundle() {
    for (when, code) in [("stop", 2), ("continue", 0)] {
        let stage = stage();
        for file in 0..20 {
            stage.put(&format!("in/{file}.log"), log("a"));
        }
        let mut command = Command::new("sh");
        command.arg("-c").arg("trap '' XFSZ; ulimit -f 2; exec \"$@\"").arg("sh");
        command.arg(env!("CARGO_BIN_EXE_kasm-scrub")).args(["files", "in", "-o", "out"]).args(AUDIT);
        let output =
            command.args(["--audit-when-full", when]).current_dir(stage.0.path()).output().expect("start");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{when}: {said}");
        assert!(said.contains("cannot write the audit trail"), "{said}");
        let outputs = stage.names().iter().filter(|name| name.contains("out")).count();
        assert_eq!(outputs, usize::from(when == "continue"), "{:?}: {said}", stage.names());
    }
}
