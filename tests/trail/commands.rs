//! Trails from outside: what `filter --audit` writes and what `audit verify` says of it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::KEY;

/// Stands where a secret would; must never be seen in a trail.
const CANARY: &str = "Canary7Xq9ZsecretValue42";

/// A folder with a key in it.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("key"), KEY).expect("a key");
    std::fs::write(dir.path().join("hash-key"), "the hash key of these tests").expect("a key");
    dir
}

fn run(mut command: Command, dir: &Path, stdin: &str) -> Output {
    command.current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("start");
    let (mut pipe, stdin) = (child.stdin.take().expect("stdin"), stdin.to_owned());
    // A program that stops reads no more: the pipe may break.
    let writer = std::thread::spawn(move || pipe.write_all(stdin.as_bytes()));
    let output = child.wait_with_output().expect("end");
    let _ = writer.join();
    output
}

fn scrub(dir: &Path, args: &[&str], stdin: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kasm-scrub"));
    command.args(args);
    run(command, dir, stdin)
}

const FILTER: [&str; 5] = ["filter", "--audit", "audit.jsonl", "--audit-key", "key"];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_filter_keeps_a_trail_without_values() {
    let dir = folder();
    let lines = format!("password={CANARY}\nmail ann@example.com\n{{\"password\": \"{CANARY}\"}}\n");
    for threads in ["1", "3"] {
        let ran = scrub(dir.path(), &[&FILTER[..], &["--threads", threads]].concat(), &lines);
        assert_eq!(ran.status.code(), Some(0));
        let (opened, closed) = anchors(&text(&ran.stderr));
        assert!(closed.starts_with("closed at entry "), "{closed}");
        match threads {
            "1" => assert_eq!(opened, "new"),
            _ => assert!(opened.starts_with("went on at entry "), "{opened}"),
        }
    }
    let trail = std::fs::read_to_string(dir.path().join("audit.jsonl")).expect("a trail");
    for secret in [CANARY, "ann", "example.com"] {
        assert!(!trail.contains(secret), "{trail}");
    }
    assert!(trail.contains("\"source\":\"stdin\",\"rule\":\"password\""), "{trail}");
    let verified = scrub(dir.path(), &["audit", "verify", "--key", "key", "audit.jsonl"], "");
    assert!(
        text(&verified.stdout).starts_with("ok: ") && text(&verified.stdout).contains("6 findings"),
        "{verified:?}"
    );
    assert_eq!(verified.status.code(), Some(0));
    let shown = scrub(dir.path(), &["audit", "show", "--format", "json", "audit.jsonl"], "");
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    let want = serde_json::json!([
        {"source": "stdin", "rule": "email", "count": 2, "pseudonyms": 0},
        {"source": "stdin", "rule": "password", "count": 4, "pseudonyms": 0},
    ]);
    assert_eq!(shown, want);
}

/// What a filter says of its trail when it opens and closes it, without the trail's id.
fn anchors(said: &str) -> (String, String) {
    let lines: Vec<&str> = said.lines().collect();
    let [opened, closed] = lines[..] else { panic!("two lines: {said}") };
    let id = closed
        .strip_prefix("kasm-scrub: audit: trail ")
        .expect("the trail")
        .split(' ')
        .next()
        .expect("an id");
    assert_eq!(id.len(), 32, "{said}");
    let rest = |line: &str| line.replace("kasm-scrub: audit: ", "").replace("trail ", "").replace(id, "");
    (rest(opened).trim().to_owned(), rest(closed).trim().to_owned())
}

#[test]
fn what_is_said_of_a_trail_tells_later_whether_it_is_that() {
    let dir = folder();
    let first = text(&scrub(dir.path(), &FILTER, "password=hunter2\n").stderr);
    let word = |before: &str, said: &str| -> String {
        let at = said.rfind(before).expect(before) + before.len();
        said[at..].split([' ', ',', '\n']).next().expect("a word").to_owned()
    };
    let (id, seq, head) = (word("audit: trail ", &first), word("entry ", &first), word("head ", &first));
    scrub(dir.path(), &FILTER, "password=hunter2\n");
    let anchors = ["--strict", "--trail", &id, "--expect-seq", &seq, "--head", &head];
    let verify = [&["audit", "verify", "--key", "key"][..], &anchors, &["audit.jsonl"]].concat();
    let verified = scrub(dir.path(), &verify, "");
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
    assert!(text(&verified.stdout).contains(&format!("trail {id}, entries 0 to ")), "{verified:?}");
    std::fs::remove_file(dir.path().join("audit.jsonl")).expect("a trail");
    scrub(dir.path(), &FILTER, "password=hunter2\n");
    let verified = scrub(dir.path(), &verify, "");
    assert_eq!(verified.status.code(), Some(1));
    assert!(text(&verified.stdout).contains("another trail"), "{verified:?}");
}

#[test]
fn without_a_key_nothing_is_said_to_be_authentic() {
    let dir = folder();
    scrub(dir.path(), &FILTER, "password=hunter2\n");
    let refused = scrub(dir.path(), &["audit", "verify", "audit.jsonl"], "");
    assert_eq!((refused.status.code(), text(&refused.stdout)), (Some(2), String::new()));
    assert!(text(&refused.stderr).contains("--key"), "{refused:?}");
    let chain = scrub(dir.path(), &["audit", "verify", "--chain-only", "audit.jsonl"], "");
    assert_eq!(chain.status.code(), Some(0), "{chain:?}");
    assert!(text(&chain.stdout).starts_with("chain ok (not authenticated): "), "{chain:?}");
}

#[test]
fn pseudonyms_are_those_of_the_output() {
    let dir = folder();
    let hash = ["--action", "hash", "--hash-key", "hash-key"];
    let lines = format!(
        "password={CANARY}\nhttp://u:{CANARY}@h/\n{{\"pin\": 4711}}\n{{\"password\": \"{CANARY}\"}}\n"
    );
    let ran = scrub(dir.path(), &[&FILTER[..], &hash].concat(), &lines);
    let out = text(&ran.stdout);
    let trail = std::fs::read_to_string(dir.path().join("audit.jsonl")).expect("a trail");
    assert!(!trail.contains(CANARY) && !out.contains(CANARY), "{out}{trail}");
    let entries = trail.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let found: Vec<_> = entries.filter(|entry| entry["kind"] == "found").collect();
    assert!(found.iter().any(|entry| entry["rule"] == "password" && entry["count"] == 2), "{trail}");
    for entry in &found {
        let pseudonym = entry["pseudonym"].as_str().expect("a pseudonym").to_owned();
        let in_url = pseudonym.replace('[', "%5B").replace(']', "%5D");
        assert!(out.contains(&pseudonym) || out.contains(&in_url), "{pseudonym} is not in {out}");
    }
    assert!(found.len() >= 3, "{trail}");
}

#[test]
fn pseudonyms_without_room_are_counted() {
    let dir = folder();
    let hash = ["--action", "hash", "--hash-key", "hash-key"];
    let lines: String = (0..30_000).map(|i| format!("user {i} password=hunter{i}x\n")).collect();
    for threads in ["1", "2"] {
        let ran = scrub(dir.path(), &[&FILTER[..], &hash, &["--threads", threads]].concat(), &lines);
        assert_eq!(text(&ran.stdout).lines().filter(|line| line.contains("[password:")).count(), 30_000);
    }
    let shown = scrub(dir.path(), &["audit", "show", "--format", "json", "audit.jsonl"], "");
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    assert_eq!((&shown[0]["rule"], &shown[0]["count"]), (&"password".into(), &60_000.into()));
    // A process that took over a second has room anew in each.
    assert!(shown[0]["pseudonyms"].as_u64().is_some_and(|some| (1024..60_000).contains(&some)), "{shown}");
}

#[test]
fn masks_leave_nothing_in_a_trail() {
    let dir = folder();
    let ran =
        scrub(dir.path(), &[&FILTER[..], &["--action", "mask"]].concat(), &format!("password={CANARY}\n"));
    assert!(text(&ran.stdout).contains("****"), "{ran:?}");
    let trail = std::fs::read_to_string(dir.path().join("audit.jsonl")).expect("a trail");
    assert!(!trail.contains("ue42") && !trail.contains("pseudonym"), "{trail}");
}

#[test]
fn what_is_broken_is_said_by_place() {
    let dir = folder();
    scrub(dir.path(), &FILTER, "password=hunter2\n");
    let path = dir.path().join("audit.jsonl");
    let trail = std::fs::read_to_string(&path).expect("a trail");
    std::fs::write(&path, trail.replace("\"count\":1", "\"count\":0")).expect("write");
    let verify = ["audit", "verify", "--key", "key", "audit.jsonl"];
    let broken = scrub(dir.path(), &verify, "");
    assert_eq!(broken.status.code(), Some(1));
    assert!(text(&broken.stdout).starts_with("audit.jsonl:2: edited"), "{broken:?}");
    let broken = scrub(dir.path(), &[&verify[..], &["--format", "json"]].concat(), "");
    let said: serde_json::Value = serde_json::from_slice(&broken.stdout).expect("JSON");
    assert_eq!((&said["ok"], &said["line"], &said["fault"]), (&false.into(), &2.into(), &"edited".into()));
    // Nor is it gone on with where its end was edited.
    let refused = scrub(dir.path(), &FILTER, "password=hunter2\n");
    assert_eq!((refused.status.code(), text(&refused.stdout)), (Some(2), String::new()), "{refused:?}");
    let nothing = scrub(dir.path(), &["audit", "verify", "--key", "key", "no-such-file"], "");
    assert_eq!(nothing.status.code(), Some(2));
    let no_key = scrub(dir.path(), &["filter", "--audit", "other"], "");
    assert!(no_key.status.code() == Some(2) && text(&no_key.stderr).contains("--audit-key"), "{no_key:?}");
}

/// Runs a filter that may write no more than 1 or 2 KiB to any file. It is told by an error, not by a signal.
fn limited(dir: &Path, when_full: &str, stdin: &str) -> Output {
    let mut command = Command::new("sh");
    command.arg("-c").arg("trap '' XFSZ; ulimit -f 2; exec \"$@\"").arg("sh");
    command.arg(env!("CARGO_BIN_EXE_kasm-scrub")).args(FILTER).args(["--audit-when-full", when_full]);
    // Each finding has an entry of its own.
    command.args(["--action", "hash", "--hash-key", "hash-key"]);
    run(command, dir, stdin)
}

#[test]
fn a_full_disk_ends_a_filter_or_not_as_it_was_said() {
    let lines: String = (0..200).map(|i| format!("password=dead{i}Beef\n")).collect();
    let dir = folder();
    let ran = limited(dir.path(), "stop", &lines);
    assert_eq!(ran.status.code(), Some(2));
    assert!(text(&ran.stderr).contains("cannot write the audit trail audit.jsonl: "), "{ran:?}");
    let dir = folder();
    let ran = limited(dir.path(), "continue", &lines);
    assert_eq!((ran.status.code(), text(&ran.stdout).lines().count()), (Some(0), 200));
    assert!(text(&ran.stderr).contains("cannot write the audit trail audit.jsonl: "), "{ran:?}");
    // What the failed write left is removed when the trail goes on.
    let ran = scrub(dir.path(), &FILTER, "password=hunter2\n");
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    let verified = scrub(dir.path(), &["audit", "verify", "--key", "a1=key", "audit.jsonl"], "");
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}

#[test]
fn a_filter_stops_while_its_input_goes_on() {
    let dir = folder();
    let mut command = Command::new("sh");
    command.arg("-c").arg("trap '' XFSZ; ulimit -f 2; exec \"$@\"").arg("sh");
    command.arg(env!("CARGO_BIN_EXE_kasm-scrub")).args(FILTER);
    command.args(["--action", "hash", "--hash-key", "hash-key"]);
    command.current_dir(dir.path()).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("start");
    let mut pipe = child.stdin.take().expect("stdin");
    // Writes until nobody reads: the program stops by itself, without an end of its input.
    let mut number = 0;
    while pipe.write_all(format!("password=dead{number}Beef\n").as_bytes()).is_ok() {
        number += 1;
        std::thread::sleep(std::time::Duration::from_millis(5));
        assert!(number < 10_000, "it goes on");
    }
    assert_eq!(child.wait().expect("end").code(), Some(2));
}

#[cfg(all(feature = "pod", target_os = "linux"))]
#[test]
fn a_program_under_run_has_a_trail_of_both_streams() {
    let dir = folder();
    let options = ["run", "--audit", "audit.jsonl", "--audit-key", "key", "--", "sh", "-c"];
    let script = format!("echo password={CANARY}; echo password={CANARY} >&2; exit 3");
    let ran = scrub(dir.path(), &[&options[..], &[&script]].concat(), "");
    assert_eq!((ran.status.code(), text(&ran.stdout).as_str()), (Some(3), "password=[REDACTED:password]\n"));
    let trail = std::fs::read_to_string(dir.path().join("audit.jsonl")).expect("a trail");
    let has = |source: &str| trail.contains(&format!("\"source\":\"{source}\",\"rule\":\"password\""));
    assert!(has("run:stdout") && has("run:stderr") && !trail.contains(CANARY), "{trail}");
    let verified = scrub(dir.path(), &["audit", "verify", "--key", "key", "audit.jsonl"], "");
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}

#[test]
fn a_filter_that_is_told_to_end_closes_its_trail() {
    use std::os::unix::process::ExitStatusExt;

    let dir = folder();
    // Who runs the tests with nohup has said that it does not end by that.
    let told = [("INT", 2), ("TERM", 15), ("HUP", 1)].into_iter().filter(|(_, number)| !is_ignored(*number));
    for (times, (name, number)) in (1..).zip(told) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kasm-scrub"));
        command.args(FILTER).current_dir(dir.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("start");
        let mut stdin = child.stdin.take().expect("stdin");
        stdin.write_all(b"password=hunter2\nand a line that has ").expect("write");
        let mut line = String::new();
        let mut stdout = std::io::BufReader::new(child.stdout.take().expect("stdout"));
        std::io::BufRead::read_line(&mut stdout, &mut line).expect("text");
        assert_eq!(line, "password=[REDACTED:password]\n");
        let killed = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status();
        assert!(killed.expect("kill").success());
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut stdout, &mut rest).expect("text");
        assert_eq!(rest, "and a line that has ", "what was read is written");
        assert_eq!(child.wait().expect("end").signal(), Some(number));
        let verified = scrub(dir.path(), &["audit", "verify", "--strict", "--key", "key", "audit.jsonl"], "");
        assert_eq!(verified.status.code(), Some(0), "{verified:?}");
        assert!(text(&verified.stdout).contains(&format!("{times} findings")), "{verified:?}");
    }
}

/// Whether this process, and so every one that it starts, ignores a signal.
#[cfg(target_os = "linux")]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).expect("a mask");
    u64::from_str_radix(mask.trim(), 16).expect("digits") >> (signal - 1) & 1 == 1
}

#[test]
fn a_trail_that_has_rotated_meanwhile_is_read_as_a_whole() {
    use kasm_scrub::audit::Limits;

    let dir = folder();
    let path = dir.path().join("audit.jsonl");
    let trail = super::open(&path, Limits { max_size: 1500, keep: 9 }).expect("a trail");
    while super::files(&path).len() < 3 {
        trail.note("stdin", "password", &super::RULES, None, 1);
        trail.flush().expect("room");
    }
    let verify = ["audit", "verify", "--key", "key", "audit.jsonl"];
    // As if a shell had named the files before.
    let missed = scrub(dir.path(), &verify, "");
    assert_eq!(missed.status.code(), Some(1), "{missed:?}");
    for more in [&["--live"][..], &["--live", "audit.jsonl.999999999999"]] {
        let live = scrub(dir.path(), &[&verify[..], more].concat(), "");
        assert_eq!(live.status.code(), Some(0), "{live:?}");
        assert!(text(&live.stdout).contains("in 3 files"), "{live:?}");
    }
}
