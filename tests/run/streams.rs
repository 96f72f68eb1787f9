//! What the program writes comes out: all of it, in order, scrubbed, and nothing else.

use std::io::{BufRead, Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{CANARY, ONE_RULE, Ran, Running, command, dir, sh, until};

fn check(options: &[&str], script: &str, out: &str, err: &str) {
    let ran = sh(options, script);
    assert_eq!((ran.code, &*ran.out, &*ran.err), (Some(0), out, err), "{script}");
}

#[test]
fn both_are_scrubbed() {
    check(
        &[],
        "echo a password=hunter2 b; echo token ghp_x password=hunter3 >&2",
        "a password=[REDACTED:password] b\n",
        "token ghp_x password=[REDACTED:password]\n",
    );
    check(&["--action", "remove"], "echo 'password=hunter2;'", "password=;\n", "");
    check(
        ONE_RULE,
        "echo password=hunter2; echo TKT-12345678",
        "password=hunter2\n[REDACTED:team-ticket]\n",
        "",
    );
    check(&[], ":", "", "");
}

#[test]
fn a_secret_in_two_writes() {
    let (one, two) = CANARY.split_at(9);
    let script = format!(
        "printf password={one}; printf secret_key={one} >&2; sleep 0.2; echo '{two}'; echo '{two}' >&2; sleep 0.1; \
         printf password={CANARY}"
    );
    let ran = sh(&[], &script);
    assert_eq!(ran.out, "password=[REDACTED:password]\npassword=[REDACTED:password]");
    assert!(!ran.err.contains(one) && !ran.err.contains(two), "{}", ran.err);
}

#[test]
fn order_stays_in_each() {
    let ran = sh(&[], "seq 100000 & seq 100001 200000 >&2; wait");
    let want = |from: u32| (from..from + 100_000).map(|i| format!("{i}\n")).collect::<String>();
    assert!(ran.out == want(1) && ran.err == want(100_001), "{:?}", ran.code);
}

#[test]
fn a_line_comes_at_once() {
    let mut command = command(&[], &["sh", "-c", "while read line; do echo got $line; done"]);
    command.stdin(Stdio::piped());
    let mut running = Running::of(command);
    let mut stdin = running.child.stdin.take().expect("stdin");
    for i in 0..9 {
        writeln!(stdin, "{i}").expect("write");
        assert_eq!(running.line(), format!("got {i}\n"));
    }
    drop(stdin);
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn other_bytes_pass() {
    let dir = dir();
    let path = dir.path().join("bytes");
    let bytes: Vec<u8> = (0..=255).cycle().take(700_000).collect();
    std::fs::write(&path, &bytes).expect("write");
    let output = command(ONE_RULE, &["cat", &path.display().to_string()]).output().expect("run");
    assert!(output.stdout == bytes, "{} bytes", output.stdout.len());
}

#[test]
fn long_lines_and_none() {
    let script = "head -c 1000000 /dev/zero | tr '\\0' x; echo; head -c 300000 /dev/zero | tr '\\0' y";
    let ran = sh(&[], script);
    assert!(ran.out == format!("{}\n{}", "x".repeat(1_000_000), "y".repeat(300_000)), "{}", ran.out.len());
}

#[test]
fn two_hundred_megabytes() {
    let mut running =
        Running::start(ONE_RULE, "yes 'a line of a program that has much to say' | head -n 4500000");
    let mut lines = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let len = running.out.as_mut().expect("stdout").read(&mut buffer).expect("read");
        if len == 0 {
            break;
        }
        lines += memchr::memchr_iter(b'\n', &buffer[..len]).count();
    }
    assert_eq!(lines, 4_500_000);
    assert_eq!(running.end().code, Some(0));
}

#[test]
fn a_reader_that_stops_holds_the_program() {
    let dir = dir();
    let count = dir.path().join("count");
    let script =
        format!("i=0; while [ $i -lt 400 ]; do i=$((i+1)); seq 1000; echo $i > {}; done", count.display());
    let mut running = Running::start(ONE_RULE, &script);
    let counted = || std::fs::read_to_string(&count).unwrap_or_default();
    let (mut last, mut since) = (String::new(), Instant::now());
    until("the program is held", || {
        let now = counted();
        if now != last {
            (last, since) = (now, Instant::now());
        }
        !last.is_empty() && since.elapsed() > Duration::from_millis(700)
    });
    assert!(last.trim().parse::<u32>().expect("a number") < 400, "it was not held");
    let mut lines = Vec::new();
    running.out.take().expect("stdout").read_to_end(&mut lines).expect("read");
    let want: String = (1..=1000).map(|i| format!("{i}\n")).collect();
    assert!(lines == want.repeat(400).into_bytes(), "{} bytes", lines.len());
    assert_eq!(counted().trim(), "400");
}

#[test]
fn descriptors_and_environment_are_the_programs() {
    // The folder's own descriptor is among them, in both.
    let program = ["sh", "-c", "cd /proc/$$/fd; echo * $KASM_TEST_WORD"];
    let mut run = command(&[], &program);
    let mut bare = std::process::Command::new(program[0]);
    bare.args(&program[1..]).stdin(Stdio::null());
    let [run, bare] = [&mut run, &mut bare]
        .map(|command| Ran::from(command.env("KASM_TEST_WORD", "word").output().expect("run")));
    assert_eq!(run.out, bare.out);
    assert!(run.out.starts_with("0 1 ") && run.out.ends_with(" word\n"), "{}", run.out);
}

/// A container's scripts write to the stdout of its first process by name.
#[test]
fn our_own_descriptors_lead_to_the_same_place() {
    check(
        &[],
        "echo password=hunter2 > /proc/$PPID/fd/1; echo password=hunter3 > /proc/$PPID/fd/2",
        "password=[REDACTED:password]\n",
        "password=[REDACTED:password]\n",
    );
}

#[test]
fn lines_stay_whole_where_both_are_one() {
    let dir = dir();
    let path = dir.path().join("both");
    let script = format!(
        "exec > {} 2>&1; exec {} run {} -- sh -c 'yes {} | head -n 40000 & yes {} | head -n 40000 >&2; wait'",
        path.display(),
        env!("CARGO_BIN_EXE_kasm-scrub"),
        ONE_RULE.join(" "),
        "a".repeat(99),
        "b".repeat(99)
    );
    // Appended to, as a pipe is: each stream has the end of the file.
    let script = script.replacen("> ", ">> ", 1);
    let status = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("run");
    assert!(status.success());
    let (mut a, mut b) = (0, 0);
    for line in std::io::BufReader::new(std::fs::File::open(&path).expect("file")).lines() {
        match line.expect("text") {
            line if line == "a".repeat(99) => a += 1,
            line if line == "b".repeat(99) => b += 1,
            line => panic!("cut: {line}"),
        }
    }
    assert_eq!((a, b), (40_000, 40_000));
}

/// A file with a value to learn.
fn secret_file(dir: &tempfile::TempDir) -> String {
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "Dead-Beef-2626-Dead\n").expect("write");
    secret.display().to_string()
}

/// The program is given a new secret while it runs, and writes it until it comes out scrubbed.
#[test]
fn secrets_are_learned_again_when_their_file_changes() {
    let dir = dir();
    let file = secret_file(&dir);
    let script = format!(
        "cat {file}; printf 'Beef-Dead-6262-Beef\\n' > {file}; while :; do cat {file}; sleep 0.05; done"
    );
    let options = [ONE_RULE, &["--learn-file", &file]].concat();
    let mut running = Running::start(&options, &script);
    assert_eq!(running.line(), "[REDACTED:learned-secret]\n");
    until("the new one is found", || running.line() == "[REDACTED:learned-secret]\n");
    assert_eq!(running.line(), "[REDACTED:learned-secret]\n");
    running.kill("TERM");
    let ran = running.end();
    assert_eq!(ran.code, Some(143), "{}", ran.err);
}

/// What is wrong with one file keeps no other from being learned, nor does a FIFO that nobody writes.
#[test]
fn one_file_that_cannot_be_read_holds_up_no_other() {
    for harm in ["rm @/secrets/b", "mkfifo @/secrets/c"] {
        let dir = dir();
        let folder = dir.path().display().to_string();
        std::fs::create_dir(dir.path().join("secrets")).expect("a folder");
        std::fs::write(dir.path().join("secrets/a"), "Dead-Beef-2626-Dead\n").expect("write");
        std::fs::write(dir.path().join("secrets/b"), "Dead-Dead-3737-Beef\n").expect("write");
        let script = format!(
            "echo Dead-Dead-3737-Beef; {harm}; printf 'Beef-Dead-6262-Beef\\n' > @/secrets/a; \
             while :; do echo Beef-Dead-6262-Beef; sleep 0.05; done"
        );
        let all = format!("{folder}/secrets/*");
        let (a, b) = (format!("{folder}/secrets/a"), format!("{folder}/secrets/b"));
        let files: &[&str] = if harm.starts_with("rm") {
            &["--learn-file", &a, "--learn-file", &b]
        } else {
            &["--learn-file", &all]
        };
        let mut running = Running::start(&[ONE_RULE, files].concat(), &script.replace('@', &folder));
        assert_eq!(running.line(), "[REDACTED:learned-secret]\n");
        until("the new one is found", || running.line() == "[REDACTED:learned-secret]\n");
        running.hear("not all values can be learned again");
        running.kill("TERM");
        let ran = running.end();
        assert!(!ran.err.contains("Beef"), "{}", ran.err);
    }
}

/// A value that is too common to be learned is told when it comes, once, though another change is read after it.
#[test]
fn a_new_value_that_is_not_learned_is_told() {
    let dir = dir();
    let file = secret_file(&dir);
    let other = dir.path().join("other").display().to_string();
    std::fs::write(&other, "Dead-Dead-3737-Beef\n").expect("write");
    let script = format!("printf 'changeme\\n' > {file}; while :; do cat {other}; sleep 0.05; done");
    let options = [ONE_RULE, &["--learn-file", &file, "--learn-file", &other]].concat();
    let mut running = Running::start(&options, &script);
    running.hear("is not learned: it is a common word");
    std::fs::write(&other, "\n").expect("write");
    running.hear("is not learned: it is empty");
    running.kill("TERM");
    let ran = running.end();
    assert_eq!(ran.err.matches("is not learned").count(), 2, "{}", ran.err);
    assert!(!ran.err.contains("changeme"), "{}", ran.err);
}
