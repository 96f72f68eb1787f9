//! Signals reach the program, and nothing ends before it does.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use super::{ONE_RULE, Ran, Running, command, dir, status_of, until};

/// Those that this process was told to ignore: a shell cannot trap them then.
fn is_ignored(number: u32) -> bool {
    let mask = status_of(std::process::id(), "SigIgn").unwrap_or_default();
    u64::from_str_radix(&mask, 16).unwrap_or(0) >> (number - 1) & 1 == 1
}

#[test]
fn each_is_forwarded() {
    // All but faults, those that cannot be caught, SIGPIPE, SIGCHLD, and those of limits.
    let numbers = [1, 2, 3, 10, 12, 14, 15, 16, 18, 20, 21, 22, 23, 26, 27, 28, 29, 30, 36, 40, 64];
    let numbers: Vec<u32> = numbers.into_iter().filter(|&number| !is_ignored(number)).collect();
    let traps: String = numbers.iter().map(|number| format!("trap 'echo got {number}' {number}; ")).collect();
    let mut running = Running::start(ONE_RULE, &format!("{traps} echo ready; while :; do sleep 0.02; done"));
    assert_eq!(running.line(), "ready\n");
    for number in numbers {
        running.kill(&number.to_string());
        assert_eq!(running.line(), format!("got {number}\n"));
    }
}

#[test]
fn sigterm_ends_the_program_not_us() {
    let script = "trap '' INT; trap 'i=0; while [ $i -lt 20 ]; do echo after $i; sleep 0.1; i=$((i+1)); done; exit 7' TERM; \
                  echo ready; while :; do sleep 0.02; done";
    let mut running = Running::start(ONE_RULE, script);
    assert_eq!(running.line(), "ready\n");
    running.kill("TERM");
    assert_eq!(running.line(), "after 0\n");
    // Nor does another, which the program ignores.
    running.kill("INT");
    let ran = running.end();
    let want: String = (1..20).map(|i| format!("after {i}\n")).collect();
    assert_eq!((ran.code, ran.out), (Some(7), want), "{}", ran.err);
}

#[test]
fn one_that_comes_too_early_waits() {
    let dir = dir();
    let rules = dir.path().join("rules.toml");
    let made = Command::new("mkfifo").arg(&rules).status().expect("mkfifo");
    assert!(made.success());
    let options = ["--no-builtin", "--rules", rules.to_str().expect("text")];
    let running = Running::start(&options, "echo started; sleep 600");
    // It waits for its rules, with its handlers set.
    let mut feed = fs::File::options().write(true).open(&rules).expect("open");
    running.kill("TERM");
    let team = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/team.toml")).expect("rules");
    feed.write_all(&team).expect("write");
    drop(feed);
    assert_eq!(running.end().code, Some(143));
}

#[test]
fn a_group_is_told_as_one() {
    let inner = "trap \"echo inner; exit\" TERM; echo ready; while :; do sleep 0.02; done";
    let script =
        format!("trap 'wait; echo outer; exit 6' TERM; sh -c '{inner}' & while :; do sleep 0.02; done");
    let mut running = Running::start(&[ONE_RULE, &["--group"]].concat(), &script);
    assert_eq!(running.line(), "ready\n");
    running.kill("TERM");
    let ran = running.end();
    assert_eq!((ran.code, &*ran.out), (Some(6), "inner\nouter\n"));
}

#[test]
fn what_was_ignored_stays_ignored() {
    let program = ["sh", "-c", "grep -h SigIgn /proc/self/status; grep -h SigBlk /proc/self/status"];
    let run = command(ONE_RULE, &program);
    let words: Vec<String> = std::iter::once(run.get_program())
        .chain(run.get_args())
        .map(|word| word.to_string_lossy().into())
        .collect();
    let ask = |words: &[String]| -> String {
        let output = Command::new("sh")
            .args(["-c", "trap '' USR1 HUP; exec \"$@\"", "sh"])
            .args(words)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output();
        Ran::from(output.expect("run")).out
    };
    let bare: Vec<String> = program.iter().map(|&word| word.to_owned()).collect();
    assert_eq!(ask(&words), ask(&bare));
}

#[test]
fn one_that_is_stopped_goes_on() {
    let mut command = command(ONE_RULE, &["sh", "-c", "echo ready; read line; echo got $line"]);
    command.stdin(Stdio::piped());
    // A group whose parent is elsewhere in the session: one without is not stopped by terminals' signals.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut running = Running::of(command);
    assert_eq!(running.line(), "ready\n");
    running.kill("TSTP");
    let pid = running.pid();
    let is_stopped = || status_of(pid, "State").is_some_and(|state| state.starts_with('T'));
    until("it has stopped as its program has", is_stopped);
    running.kill("CONT");
    until("it goes on", || !is_stopped());
    let mut stdin = running.child.stdin.take().expect("stdin");
    stdin.write_all(b"it\n").expect("write");
    assert_eq!(running.line(), "got it\n");
    assert_eq!(running.end().code, Some(0));
}
