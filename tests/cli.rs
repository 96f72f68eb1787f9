//! The command line as a user meets it: arguments and stdin in; exit code, stdout and stderr out.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "starts the binary and reads what it wrote"
)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Stands where a secret would; must never be seen in any output.
const CANARY: &str = "Canary7Xq9ZsecretValue42";

/// What a run gave.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kasm-scrub"));
    command.args(args).current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("NO_COLOR");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(args: &[&str], stdin: impl AsRef<[u8]>) -> Ran {
    finish(command(args), stdin.as_ref())
}

fn finish(mut command: Command, stdin: &[u8]) -> Ran {
    let mut child = command.spawn().expect("start");
    if let Some(mut pipe) = child.stdin.take() {
        // A program that refuses to start reads nothing: the pipe may break.
        let stdin = stdin.to_vec();
        std::thread::spawn(move || pipe.write_all(&stdin));
    }
    let output = child.wait_with_output().expect("end");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn filter(args: &[&str], stdin: &str, want: &str) {
    let ran = run(&[&["filter"], args].concat(), stdin);
    assert_eq!((ran.code, &*ran.out, &*ran.err), (Some(0), want, ""), "filter {args:?}");
}

/// Refuses to start: exit 2, nothing on stdout, and a message with these words.
fn refuses(args: &[&str], words: &[&str]) {
    let ran = run(args, format!("password={CANARY}\n"));
    assert_eq!((ran.code, &*ran.out), (Some(2), ""), "{args:?}: {}", ran.err);
    for word in words {
        assert!(ran.err.contains(word), "{args:?}: no {word:?} in {}", ran.err);
    }
    assert!(!ran.err.contains(CANARY), "{args:?} shows the secret");
}

fn file(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("write");
    path.display().to_string()
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("directory")
}

#[test]
fn filter_scrubs() {
    filter(&[], "a password=hunter2 b\n", "a password=[REDACTED:password] b\n");
    filter(&[], "no newline", "no newline");
    filter(&[], "", "");
    filter(&["--profile", "secrets"], "ann@example.com\n", "ann@example.com\n");
    filter(&["--action", "remove"], "password=hunter2;\n", "password=;\n");
    filter(&["--rules", "tests/data/team.toml"], "TKT-12345678\n", "[REDACTED:team-ticket]\n");
    filter(&["--rules", "tests/data/team.toml", "--no-builtin"], "password=hunter2\n", "password=hunter2\n");
}

#[test]
fn filter_leaves_other_bytes() {
    let dir = dir();
    let path = dir.path().join("in");
    let bytes: Vec<u8> = (0..=255).cycle().take(700_000).collect();
    std::fs::write(&path, &bytes).expect("write");
    let mut command = command(&["filter", "--rules", "tests/data/team.toml", "--no-builtin"]);
    command.stdin(std::fs::File::open(&path).expect("open"));
    let output = command.output().expect("run");
    assert!(output.stdout == bytes, "{} bytes", output.stdout.len());
}

#[test]
fn a_line_is_out_as_soon_as_its_newline_is_in() {
    use std::io::{BufRead, BufReader};
    for threads in ["1", "3"] {
        let mut child = command(&["filter", "--threads", threads]).spawn().expect("start");
        let mut stdin = child.stdin.take().expect("stdin");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        for i in 0..9 {
            stdin.write_all(format!("line {i}\nhalf a ").as_bytes()).expect("write");
            let want = format!("{}line {i}", if i > 0 { "half a " } else { "" });
            assert_eq!(lines.next().and_then(Result::ok), Some(want));
        }
        drop(stdin);
        assert!(child.wait().expect("end").success());
    }
}

#[test]
fn threads_change_nothing() {
    let dir = dir();
    let body = "DEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdead";
    let key = format!("-----BEGIN PRIVATE KEY-----\n{body}\naw0=\n-----END PRIVATE KEY-----");
    let mut text = String::new();
    for i in 0..20_000 {
        text.push_str(&format!("2026-03-01 INFO [agent] heartbeat {i} of 40 cores\n"));
        // Close together, then far apart.
        match i % if i < 10_000 { 9 } else { 90 } {
            0 => text.push_str(&format!("password={CANARY}{i}\n")),
            4 => text.push_str("- name: DB_PASSWORD\n  value: dead1\n"),
            7 => text.push_str(&format!("{key}\n")),
            _ => {}
        }
    }
    text.push_str(&"x".repeat(700_000));
    text.push_str("\n{\"password\":\"hunter2\"}");
    let run = |threads: &str| {
        let path = dir.path().join(threads).display().to_string();
        let ran = run(&["filter", "--threads", threads, "--report", &path], &text);
        assert_eq!((ran.code, &*ran.err), (Some(0), ""));
        (ran.out, std::fs::read_to_string(path).expect("report"))
    };
    let one = run("1");
    assert!(!one.0.contains(CANARY) && !one.0.contains("dead1") && one.0.contains("heartbeat 19999 of"));
    for threads in ["2", "3", "7"] {
        let many = run(threads);
        assert!(many.0 == one.0, "{threads} threads");
        assert_eq!(many.1, one.1);
    }
}

#[test]
fn a_failed_write_ends_threads_that_wait_for_input() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    for threads in ["1", "4"] {
        let (reader, closed) = std::io::pipe().expect("pipe");
        drop(reader);
        let full = std::fs::File::create("/dev/full").expect("open");
        for (stdout, code, words) in
            [(Stdio::from(full), 2, "cannot write to stdout"), (Stdio::from(closed), 0, "")]
        {
            let mut command = command(&["filter", "--threads", threads]);
            command.stdout(stdout);
            let mut child = command.spawn().expect("start");
            let mut stdin = child.stdin.take().expect("stdin");
            stdin.write_all(format!("password={CANARY}\n").as_bytes()).expect("write");
            // More may come, and does not.
            let output = child.wait_with_output().expect("end");
            let err = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{threads} threads: {err}");
            assert!(err.contains(words) && !err.contains(CANARY), "{threads} threads: {err}");
            drop(stdin);
        }
    }
}

#[test]
fn configuration_decides_unless_the_command_line_does() {
    let config = ["--config", "tests/data/scrub.yaml"];
    filter(&config, "TKT-12345678 ann@example.com\n", "****78 ann@example.com\n");
    filter(&config, "password=hunter2-is-documented\n", "password=hunter2-is-documented\n");
    let ran = run(&["filter", "--config", "tests/data/scrub.yaml"], "password=hunter2\n");
    assert!(ran.out.starts_with("password=[password:2026:"), "{}", ran.out);
    let beaten = ["--config", "tests/data/scrub.yaml", "--action", "replace"];
    filter(&beaten, "TKT-12345678\n", "[REDACTED:team-ticket]\n");
}

#[test]
fn pseudonyms_join() {
    let args = ["filter", "--action", "hash", "--hash-key", "tests/data/key"];
    let ran = run(&args, "password=hunter2\n{\"password\":\"hunter2\"}\n");
    let first =
        ran.out.lines().next().and_then(|l| l.strip_prefix("password=")).expect("pseudonym").to_owned();
    assert!(first.starts_with("[password:k1:") && first.len() == "[password:k1:]".len() + 24, "{first}");
    assert_eq!(ran.out.lines().nth(1), Some(&*format!("{{\"password\":\"{first}\"}}")));
}

#[test]
fn what_has_no_effect_is_told() {
    let dir = dir();
    let told = |args: &[&str], note: &str| {
        let ran = run(&[&["filter"], args].concat(), "password=hunter2\n");
        assert_eq!((ran.code, &*ran.out), (Some(0), "password=[REDACTED:password]\n"), "{args:?}");
        assert_eq!(ran.err, format!("kasm-scrub: note: {note}\n"), "{args:?}");
    };
    let empty = file(dir.path(), "empty.toml", "title = \"none\"\n");
    told(&["--rules", &empty], &format!("{empty}:1: has no rules"));
    told(&["--hash-key", "tests/data/key"], "--hash-key is not used: nothing has the action hash");
}

#[test]
fn findings_decide_the_exit_code_on_request() {
    assert_eq!(run(&["filter", "--fail-on-finding"], "password=hunter2\n").code, Some(1));
    assert_eq!(run(&["filter", "--fail-on-finding"], "clean\n").code, Some(0));
}

#[test]
fn the_report_counts() {
    let dir = dir();
    let path = dir.path().join("r.json").display().to_string();
    filter(&["--report", &path], "password=hunter2\nx", "password=[REDACTED:password]\nx");
    let text = std::fs::read_to_string(&path).expect("report");
    let report: serde_json::Value = serde_json::from_str(&text).expect("json");
    let numbers = ["bytes_in", "bytes_out", "lines", "findings"].map(|key| report[key].as_u64());
    assert_eq!(numbers, [Some(18), Some(30), Some(2), Some(1)]);
    assert_eq!(report["findings_by_rule"]["password"], 1);
    assert!(!text.contains("hunter2"));
    assert_eq!(
        (&report["version"], &report["profile"]),
        (&env!("CARGO_PKG_VERSION").into(), &"default".into())
    );
    let hash = |args: &[&str]| {
        run(&[&["filter", "--report", &path], args].concat(), "");
        let text = std::fs::read_to_string(&path).expect("report");
        let report: serde_json::Value = serde_json::from_str(&text).expect("json");
        report["rules_sha256"].as_str().expect("hash").to_owned()
    };
    assert_eq!(report["rules_sha256"], hash(&[]));
    assert_eq!(hash(&[]).len(), 64);
    assert_ne!(hash(&[]), hash(&["--profile", "secrets"]));
    assert_ne!(hash(&[]), hash(&["--rules", "tests/data/team.toml"]));
}

#[test]
fn mistakes_refuse_to_start() {
    let dir = dir();
    let bad = |name: &str, text: &str| file(dir.path(), name, text);
    let regex = bad("regex.toml", "[[rules]]\nid = 'mine'\nregex = '(a'\n");
    let large = bad("large.toml", "[[rules]]\nid = 'mine'\nregex = '(?:a{1000}){1000}'\n");
    let twice =
        bad("twice.toml", "[[rules]]\nid = 'mine'\nregex = 'aaa1'\n[[rules]]\nid = 'mine'\nregex = 'bbb1'\n");
    let short = bad("short", "abc\n");
    let config = bad("config.yaml", "profile: stict\ndisable: [passwrd]\nwhat: 1\n");
    let names = bad("names.yaml", "disable: [passwrd]\n");
    let expired = "allow:\n  - value: hunter2\n    reason: r\n    expires: 2020-01-31\n";
    let expired = bad("expired.yaml", expired);
    let empty = bad("empty.toml", "");
    let missing = dir.path().join("missing").display().to_string();
    refuses(&["filter", "--rules", &missing], &["cannot read rule file", &missing]);
    refuses(&["filter", "--rules", &regex], &["regex.toml:3: mine", "unclosed group"]);
    refuses(&["filter", "--rules", &large], &["large.toml:3: mine", "states"]);
    refuses(&["filter", "--rules", &twice], &["twice.toml:4: mine", "duplicate id"]);
    refuses(&["filter", "--rules", &empty, "--no-builtin"], &["no rules are left"]);
    refuses(&["filter", "--action", "hash"], &["--action hash needs a hash key", "--hash-key FILE"]);
    refuses(
        &["filter", "--action", "hash", "--hash-key", &missing],
        &["cannot read hash key file", &missing],
    );
    refuses(&["filter", "--action", "hash", "--hash-key", &short], &[&short, "under 16 bytes"]);
    refuses(&["filter", "--hash-key", "tests/data/key", "--hash-key-id", "a b"], &["hash key id", "a b"]);
    refuses(&["filter", "--config", &missing], &["cannot read configuration", &missing]);
    refuses(&["filter", "--config", &config], &["config.yaml:1: profile", "config.yaml:3: `what`"]);
    refuses(&["filter", "--config", &expired], &["expired.yaml:4: allow.expires", "until 2020-01-31"]);
    refuses(&["explain", "--config", &expired], &["expired.yaml:4: allow.expires"]);
    refuses(&["filter", "--config", &names], &["names.yaml:1: disable", "did you mean `password`?"]);
    refuses(&["filter", "--report", &format!("{missing}/r.json")], &["cannot write the report", &missing]);
    refuses(&["filter", "--threads", "0"], &["--threads", "0"]);
    refuses(&["filter", "--threads", "65"], &["--threads", "65"]);
    refuses(&["filter", "--no-such-option"], &["--no-such-option"]);
    refuses(&["rules", "show", "passwrd"], &["did you mean `password`?"]);
    refuses(&["rules", "test", &missing], &[&missing]);
}

#[test]
fn a_closed_stdout_ends_quietly() {
    let mut command = command(&["filter"]);
    let (reader, writer) = std::io::pipe().expect("pipe");
    drop(reader);
    command.stdout(writer);
    let ran = finish(command, format!("password={CANARY}\n").repeat(1000).as_bytes());
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
}

#[test]
fn a_full_disk_is_told_and_nothing_is_lost() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let ran = run(&["filter", "--report", "/dev/full"], format!("password={CANARY}\nend"));
    assert_eq!((ran.code, &*ran.out), (Some(2), "password=[REDACTED:password]\nend"));
    assert!(ran.err.contains("cannot write the report /dev/full"), "{}", ran.err);
    let mut command = command(&["filter"]);
    command.stdout(std::fs::File::create("/dev/full").expect("open"));
    let ran = finish(command, format!("password={CANARY}\n").as_bytes());
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("cannot write to stdout") && !ran.err.contains(CANARY), "{}", ran.err);
}

#[test]
fn an_unreadable_stdin_is_told() {
    for threads in ["1", "2"] {
        let mut command = command(&["filter", "--threads", threads]);
        command.stdin(std::fs::File::open(env!("CARGO_MANIFEST_DIR")).expect("open"));
        let ran = finish(command, b"");
        assert_eq!(ran.code, Some(2));
        assert!(ran.err.contains("cannot read stdin"), "{}", ran.err);
    }
}

#[test]
fn no_output_of_any_command_holds_the_canary() {
    let line =
        format!("{{\"password\":\"{CANARY}\",\"n\":1}} password={CANARY} Authorization: Bearer {CANARY}");
    let input = format!("{line}\n{line}");
    for args in [
        &["filter"][..],
        &["filter", "--format", "json"],
        &["filter", "--format", "text", "--fail-on-finding"],
        &["filter", "--action", "mask"],
        &["filter", "--threads", "3"],
        &["filter", "--action", "hash", "--hash-key", "tests/data/key"],
        &["filter", "--action", "remove"],
        &["filter", "--report", "/dev/full"],
        &["filter", "--report", "/dev/stderr"],
        &["explain"],
        &["explain", "--format", "json"],
        &["rules", "list"],
    ] {
        let Ran { out, err, .. } = run(args, &input);
        assert!(!out.contains(CANARY) && !err.contains(CANARY), "{args:?}");
    }
}

#[test]
fn explain_says_where_which_and_why() {
    let ran = run(&["explain"], "x\n a password=hunter2\npassword=null\n");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("2:13-19 password (via key, assign) "), "{}", ran.out);
    assert!(lines[1].starts_with("3:10-13 password left: a placeholder"), "{}", ran.out);
    assert_eq!(lines.last(), Some(&"1 finding, 1 near miss in 3 lines"));
    assert!(!ran.out.contains('\x1b'), "colour outside a terminal");
}

#[test]
fn explain_speaks_json() {
    let ran = run(&["explain", "--format", "json"], "password=hunter2\n");
    let entry: serde_json::Value = serde_json::from_str(&ran.out).expect("json");
    let want = serde_json::json!(["finding", 1, 10, 16, "password", "key", "assign"]);
    let got = ["kind", "line", "first", "last", "rule", "via", "carrier"].map(|key| entry[key].clone());
    assert_eq!(serde_json::json!(got), want);
}

#[test]
fn rules_are_listed_and_shown() {
    let ran = run(&["rules", "list", "--rules", "tests/data/team.toml", "--no-builtin"], "");
    assert_eq!(ran.out, "team-ticket  secrets  team  A ticket of the team's own system\n");
    let ran = run(&["rules", "list", "--format", "json"], "");
    assert!(serde_json::from_str::<Vec<serde_json::Value>>(&ran.out).expect("json").len() > 100);
    let ran = run(&["rules", "show", "team-ticket", "--rules", "tests/data/team.toml"], "");
    assert!(ran.out.contains("example      opened TKT-{{digits:8}} →"), "{}", ran.out);
}

#[test]
fn rules_test_tells_what_fails() {
    let ran = run(&["rules", "test", "tests/data/team.toml"], "");
    assert_eq!(ran.out, "1 rules, 2 examples, 0 failures, 0 rules without examples\n");
    let dir = dir();
    let path = file(
        dir.path(),
        "bad.toml",
        "[[rules]]\nid = 'first'\nregex = 'ab[0-9]{4}'\nexamples = ['ab1234']\n\n[[rules]]\nid = 'second'\nregex = 'cd[0-9]{4}'\n",
    );
    let ran = run(&["rules", "test", &path], "");
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    for want in [
        "bad.toml:1: first: example 1 failed with the rule alone\n    text ab1234\n    want ab1234\n    got  [REDACTED:first]\n",
        "bad.toml:6: second: has no examples\n",
        "2 rules, 1 examples, 1 failures, 1 rules without examples\n",
    ] {
        assert!(ran.out.contains(want), "{}", ran.out);
    }
}

#[test]
fn help_has_examples_and_shells_have_completions() {
    for command in ["filter", "explain", "rules", "completions"] {
        assert!(run(&[command, "--help"], "").out.contains("Examples:\n  "), "{command}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(run(&["completions", shell], "").out.contains("fail-on-finding"), "{shell}");
    }
}

#[test]
fn the_cost_of_rules_on_a_log() {
    let log = format!("all is well\npassword={CANARY}\nno token here\npassword: {CANARY}");
    let ran = run(&["rules", "list", "--cost", "-", "--format", "json"], &log);
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
    assert!(!ran.out.contains(CANARY), "{}", ran.out);
    let costs: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(costs["total"]["bytes"], log.len());
    assert_eq!(costs["total"]["lines"], 4);
    assert_eq!(costs["total"]["lines_looked_at"], 2);
    let rule = costs["rules"].as_array().and_then(|rules| rules.iter().find(|rule| rule["id"] == "password"));
    let rule = rule.expect("the rule for passwords");
    assert_eq!(["hits", "confirms", "findings"].map(|field| rule[field].as_u64()), [Some(2); 3]);

    let ran = run(&["rules", "list", "--cost", "-"], &log);
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
    assert!(ran.out.lines().next().is_some_and(|head| head.starts_with("rule ")), "{}", ran.out);
    assert!(ran.out.ends_with("2 of 4 lines (50.0%) were looked at after the prefilter\n"), "{}", ran.out);
    let ran = run(&["rules", "list", "--cost", "-"], "");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    refuses(&["rules", "list", "--cost", "no/such.log"], &["no/such.log"]);
}
