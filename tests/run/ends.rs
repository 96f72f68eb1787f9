//! How a program starts and ends, and what is left of it.

use std::fs;
use std::process::Command;

use super::{CANARY, ONE_RULE, Ran, Running, children_of, command, dir, sh, status_of, until};

#[test]
fn the_exit_status_is_the_programs() {
    let check = |script: &str, want: i32| assert_eq!(sh(ONE_RULE, script).code, Some(want), "{script}");
    check("exit 0", 0);
    check("exit 3", 3);
    check("exit 255", 255);
    check("kill -9 $$", 137);
    check("kill -15 $$", 143);
    check("kill -11 $$", 139);
}

/// What was learned is kept out of our core dumps; those of the program are its own affair.
#[test]
fn the_limit_of_core_dumps_is_the_programs_own() {
    let dir = dir();
    let secret = dir.path().join("secret");
    fs::write(&secret, "Dead-Beef-2626-Dead").expect("write");
    // It may be that it cannot be raised here.
    let outer = "ulimit -S -c 64 2> /dev/null; ulimit -S -c; exec \"$@\"";
    let mut ran = Command::new("sh");
    ran.args(["-c", outer, "sh", env!("CARGO_BIN_EXE_kasm-scrub"), "run", "--learn-file"]).arg(&secret);
    let ran: Ran = ran.args(["--", "sh", "-c", "sleep 1; ulimit -S -c"]).output().expect("run").into();
    let limits: Vec<&str> = ran.out.lines().collect();
    assert_eq!((ran.code, limits.len(), limits[0]), (Some(0), 2, limits[1]), "{}", ran.err);
}

#[test]
fn what_cannot_be_started() {
    let dir = dir();
    let file = dir.path().join("file");
    fs::write(&file, "x").expect("write");
    let check = |program: &str, want: i32, words: &str| {
        let ran: Ran = command(ONE_RULE, &[program, CANARY]).output().expect("run").into();
        assert_eq!((ran.code, &*ran.out), (Some(want), ""), "{program}: {}", ran.err);
        let start = format!("kasm-scrub: cannot start {program} (");
        assert!(ran.err.starts_with(&start) && ran.err.contains(words), "{}", ran.err);
        assert!(!ran.err.contains(CANARY), "arguments are not told: {}", ran.err);
    };
    check("/no/such/program", 127, "No such file");
    check("no-such-program-anywhere", 127, "No such file");
    check(&file.display().to_string(), 126, "denied");
    check(&dir.path().display().to_string(), 126, "denied");
}

#[test]
fn without_rules_there_is_no_program() {
    let dir = dir();
    let (rules, touched) = (dir.path().join("rules.toml"), dir.path().join("touched"));
    fs::write(&rules, "[[rules]]\nid = \"x\"\nregex = '('\n").expect("write");
    let touch = format!("touch {}", touched.display());
    for options in [["--rules", rules.to_str().expect("text")], ["--config", "/no/such/file"]] {
        let ran = sh(&options, &touch);
        assert_eq!((ran.code, &*ran.out), (Some(2), ""), "{}", ran.err);
        assert!(ran.err.contains(options[1]), "{}", ran.err);
        assert!(!touched.exists(), "the program was started");
    }
    let ran: Ran =
        Command::new(env!("CARGO_BIN_EXE_kasm-scrub")).args(["run", "true"]).output().expect("run").into();
    assert_eq!(ran.code, Some(2), "{}", ran.err);
}

#[test]
fn a_line_that_has_begun_is_written() {
    let ran = sh(&[], "printf 'one\\ntwo password=hunter2'; kill -9 $$");
    assert_eq!((ran.code, &*ran.out), (Some(137), "one\ntwo password=[REDACTED:password]"));
}

#[test]
fn who_is_left_behind_is_waited_for() {
    let ran = sh(&["--linger", "60s"], "(sleep 0.4; echo late password=hunter2) & echo early; exit 4");
    assert_eq!((ran.code, &*ran.out, &*ran.err), (Some(4), "early\nlate password=[REDACTED:password]\n", ""));
}

#[test]
fn but_not_for_ever() {
    let dir = dir();
    let end = dir.path().join("end");
    let script = format!(
        "(trap '' PIPE; while echo password={CANARY}; do sleep 0.02; done; echo x > {}) 2> /dev/null & exit 4",
        end.display()
    );
    let ran = sh(&["--linger", "300ms"], &script);
    assert_eq!(ran.code, Some(4));
    assert!(ran.err.contains("has stdout open; it was closed after --linger"), "{}", ran.err);
    assert!(!ran.err.contains("stderr open"), "{}", ran.err);
    assert!(
        ran.out.starts_with("password=[REDACTED:password]\n") && !ran.out.contains(CANARY),
        "{}",
        ran.out
    );
    until("who was left behind cannot write any more", || end.exists());
}

#[test]
fn one_that_writes_without_end_is_no_exception() {
    let ran = sh(&[ONE_RULE, &["--linger", "100ms"]].concat(), "yes & exit 5");
    assert_eq!(ran.code, Some(5));
    assert!(ran.err.contains("has stdout open"), "{}", ran.err);
}

#[test]
fn orphans_are_reaped() {
    let script =
        "for i in 1 2 3 4 5 6 7 8 9; do sh -c '(sleep 0.2; true) &'; done; echo ready; exec sleep 600";
    let mut running = Running::start(ONE_RULE, script);
    assert_eq!(running.line(), "ready\n");
    let pid = running.pid();
    let is_zombie = |&child: &u32| status_of(child, "State").is_some_and(|state| state.starts_with('Z'));
    until("only the program is left", || children_of(pid).len() == 1);
    assert_eq!(children_of(pid).iter().filter(|child| is_zombie(child)).count(), 0);
    running.kill("TERM");
    assert_eq!(running.end().code, Some(143));
}

#[test]
fn nothing_goes_past_us_when_we_are_killed() {
    let dir = dir();
    let (out, pid) = (dir.path().join("out"), dir.path().join("pid"));
    let script = format!(
        "echo $$ > {}; while :; do echo password={CANARY}; echo secret_key={CANARY} >&2; done",
        pid.display()
    );
    let mut command = command(&[], &["sh", "-c", &script]);
    let file = fs::File::create(&out).expect("file");
    command.stdout(file.try_clone().expect("file")).stderr(file);
    let mut child = command.spawn().expect("start");
    let has = |line: &[u8]| {
        fs::read(&out).is_ok_and(|out| out.len() > 10_000 && out.windows(line.len()).any(|part| part == line))
    };
    until("both streams were written", || {
        has(b"password=[REDACTED:password]\n") && has(b"secret_key=[REDACTED:")
    });
    child.kill().expect("kill");
    child.wait().expect("end");
    let program: u32 = fs::read_to_string(&pid).expect("pid").trim().parse().expect("a number");
    until("the program has ended", || status_of(program, "State").is_none_or(|state| state.starts_with('Z')));
    let text = fs::read_to_string(&out).expect("text");
    let odd: Vec<_> = text.lines().filter(|line| line.contains(CANARY)).take(3).collect();
    assert!(odd.is_empty(), "{odd:?}");
}

#[test]
fn a_summary_tells_rules_and_counts() {
    let ran =
        sh(&["--summary"], "echo password=hunter2; echo password=hunter3 >&2; printf 'mail ann@example.com'");
    assert_eq!(ran.code, Some(0));
    assert!(ran.err.ends_with("found 3: password 2, email 1\n"), "{}", ran.err);
    assert!(sh(&["--summary"], ":").err.ends_with("found nothing\n"));
}
