//! Learned secrets from the command line: variables, files, configurations, and what is said when one is wrong.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::spelling::MARKER;

const SECRET: &str = "4f2e9a7c-dead-4bee-8f00-0123456789ab";

fn run(args: &[&str], env: &[(&str, &str)], stdin: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kasm-scrub"));
    command.args(args).envs(env.iter().copied());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start");
    let mut pipe = child.stdin.take().expect("stdin");
    let stdin = stdin.to_owned();
    let writer = std::thread::spawn(move || {
        // A program that refuses to start reads nothing.
        let _ = pipe.write_all(stdin.as_bytes());
    });
    let output = child.wait_with_output().expect("end");
    writer.join().expect("written");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// What `filter` makes of a line with the secret, and what it says.
#[track_caller]
fn learns(args: &[&str], env: &[(&str, &str)], said: &str) {
    let (code, out, err) = run(&[&["filter"], args].concat(), env, &format!("with {SECRET}\n"));
    assert_eq!((code, &*out, &*err), (Some(0), &*format!("with {MARKER}\n"), said));
}

#[track_caller]
fn refuses(args: &[&str], env: &[(&str, &str)], words: &[&str]) {
    let (code, out, err) = run(&[&["filter"], args].concat(), env, "x\n");
    assert_eq!((code, &*out), (Some(2), ""), "{err}");
    assert!(words.iter().all(|word| err.contains(word)) && !err.contains("dead-4bee"), "{err}");
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

#[test]
fn from_variables() {
    learns(&["--learn-env", "DB_PASSWORD"], &[("DB_PASSWORD", SECRET)], "");
    learns(
        &["--learn-env", "DB_PASSWORD", "--learn-env", "DB_USER"],
        &[("DB_PASSWORD", SECRET), ("DB_USER", "postgres")],
        "kasm-scrub: note: variable DB_USER is not learned: it is a common word or name, which would be found all over\n",
    );
    refuses(
        &["--learn-env", "NOT_SET_1", "--learn-env", "NOT_SET_2"],
        &[],
        &["\"NOT_SET_1\"", "\"NOT_SET_2\"", "is not set"],
    );
    refuses(&["--learn-env", &format!("X={SECRET}")], &[], &["takes the name of a variable, not its value"]);
}

#[test]
fn from_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = write(folder.path(), "password", &format!("{SECRET}\n"));
    learns(&["--learn-file", &file], &[], "");
    let pattern = folder.path().join("pass*").display().to_string();
    learns(&["--learn-file", &pattern], &[], "");
    refuses(&["--learn-file", &format!("{file}.gone")], &[], &["password.gone", "No such file"]);
    refuses(&["--learn-file", &folder.path().display().to_string()], &[], &["is a folder"]);
    refuses(&["--learn-file", &format!("{file}x*")], &[], &["no file to learn from is named", "passwordx*"]);
    let nul = write(folder.path(), "nul", "Dead\0Beef1234");
    let large = write(folder.path(), "large", &"Dead1Beef2".repeat(7000));
    let said = format!(
        "kasm-scrub: note: file {nul} is not learned: it holds a zero byte\n\
         kasm-scrub: note: file {large} is not learned: it has over 64 KiB\n"
    );
    learns(&["--learn-file", &file, "--learn-file", &nul, "--learn-file", &large], &[], &said);
}

#[test]
fn from_a_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "password", &format!("{SECRET}\r\n"));
    let config =
        write(folder.path(), "c.yaml", "learn: {env: [DB_PASSWORD], files: ['pass*'], min_length: 6}\n");
    learns(&["--config", &config], &[("DB_PASSWORD", "hunter2")], "");
    let actions = "learn: {files: [password]}\nactions: {rules: {learned-secret: {mask: {keep: 4}}}}\n";
    let config = write(folder.path(), "c.yaml", actions);
    let (code, out, _) = run(&["filter", "--config", &config], &[], &format!("password={SECRET} {SECRET}\n"));
    assert_eq!((code, &*out), (Some(0), "password=**** ****\n"));
    // Without anything to learn there is no such rule.
    let config = write(folder.path(), "c.yaml", "disable: [learned-secret]\n");
    refuses(&["--config", &config], &[], &["no rule has the id `learned-secret`"]);
    let config = write(folder.path(), "c.yaml", "learn: {files: [gone]}\n");
    refuses(&["--config", &config], &[], &["gone"]);
}

#[test]
fn values_may_be_required() {
    let word = [("DB_PASSWORD", SECRET), ("DB_USER", "postgres")];
    let both = ["--learn-env", "DB_PASSWORD", "--learn-env", "DB_USER"];
    let required = [&both[..], &["--learn-required"]].concat();
    refuses(&required, &word, &["variable DB_USER is not learned", "all values are required"]);
    let folder = tempfile::tempdir().expect("a folder");
    let config = write(folder.path(), "c.yaml", "learn: {env: [DB_PASSWORD, DB_USER], required: true}\n");
    refuses(&["--config", &config], &word, &["variable DB_USER is not learned"]);
    learns(&["--learn-env", "DB_PASSWORD", "--learn-required"], &word, "");
}

#[test]
fn what_is_said_holds_no_value() {
    // Written where a name belongs, or without what belongs before it.
    refuses(&["--learn-env", "Sup3r-dead-4bee"], &[], &["is not set", "its name is not told"]);
    for args in [
        &["run", "dead-4bee"][..],
        &["dead-4bee"],
        &["filter", "--profile", "dead-4bee"],
        &["filter", "--learn-min-length", "dead-4bee"],
        &["filter", "--no-such=dead-4bee"],
        &["filter", "-dead-4bee"],
        &["audit", "dead-4bee"],
    ] {
        let (code, out, err) = run(args, &[], "");
        assert_eq!((code, &*out), (Some(2), ""), "{args:?}");
        assert!(!err.contains("dead-4bee") && err.contains("error: "), "{err}");
    }
    let (_, _, err) = run(&["filter", "--no-such"], &[], "");
    assert!(err.contains("unexpected argument '--no-such'"), "{err}");
    let (_, _, err) = run(&["filter", "--profile", "x"], &[], "");
    assert!(err.contains("--profile <PROFILE>") && err.contains("strict"), "{err}");
}

#[cfg(all(feature = "pod", target_os = "linux"))]
#[test]
fn nor_does_what_is_said_of_a_program() {
    let program = format!("/no/{SECRET}/x");
    let (code, _, err) = run(&["run", "--learn-env", "X", "--", &program], &[("X", SECRET)], "");
    assert_eq!(code, Some(127));
    assert!(err.contains("cannot start /no/") && !err.contains(SECRET), "{err}");
}

#[test]
fn explaining_shows_no_value() {
    let text = format!("with {SECRET} and {}\n", SECRET.replace('-', "%2d"));
    for format in ["text", "json"] {
        let args = ["explain", "--format", format, "--learn-env", "X"];
        let (code, out, err) = run(&args, &[("X", SECRET)], &text);
        assert_eq!((code, &*err), (Some(0), ""));
        assert!(out.contains("learned-secret") && !out.contains("4f2e9a7c"), "{out}");
    }
}

/// What can be read of a process that has learned something: the limit of its core dumps, and that it may not be looked into.
#[cfg(target_os = "linux")]
#[test]
fn memory_stays_out_of_dumps() {
    use std::os::unix::fs::MetadataExt;

    for learns in [false, true] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kasm-scrub"));
        command.arg("filter").env("X", SECRET).stdin(Stdio::piped()).stdout(Stdio::piped());
        if learns {
            command.args(["--learn-env", "X"]);
        }
        let mut child = command.spawn().expect("start");
        let (mut stdin, stdout) = (child.stdin.take().expect("stdin"), child.stdout.take().expect("stdout"));
        stdin.write_all(b"up\n").expect("written");
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("a line");
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).expect("limits");
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
        if learns {
            assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
            // Its files in /proc are root's, whoever started it.
            assert_eq!(std::fs::metadata(format!("/proc/{}/environ", child.id())).expect("a file").uid(), 0);
        }
        drop(stdin);
        assert!(child.wait().expect("end").success());
    }
}
