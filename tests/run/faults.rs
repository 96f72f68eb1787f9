//! Readers that go away, disks that are full.

use std::fs;
use std::io::Read;
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::{CANARY, ONE_RULE, Running, command, dir, until};

#[test]
fn a_reader_that_goes_away_is_the_programs_affair() {
    let mut command = command(ONE_RULE, &["yes"]);
    let mut child = command.spawn().expect("start");
    drop(child.stdout.take());
    // As without us: SIGPIPE.
    assert_eq!(child.wait().expect("end").code(), Some(141));
    // One that does not mind goes on.
    let script = "trap '' PIPE; while echo x 2> /dev/null; do :; done; echo gone >&2; exit 9";
    let mut running = Running::start(ONE_RULE, script);
    assert_eq!(running.line(), "x\n");
    let ran = close_and_end(running);
    assert_eq!(ran, (Some(9), "gone\n".to_owned()));
}

/// Closes stdout and waits for the end: the status and stderr.
fn close_and_end(mut running: Running) -> (Option<i32>, String) {
    drop(running.out.take());
    let mut text = String::new();
    running.err.take().expect("stderr").read_to_string(&mut text).expect("text");
    (running.child.wait().expect("end").code(), text)
}

#[test]
fn what_does_not_fit_waits_for_room() {
    let dir = dir();
    let (out, err) = (dir.path().join("out"), dir.path().join("err"));
    let script = format!(
        "ulimit -S -f 64; exec {} run -- sh -c 'seq 100000; echo password={CANARY}' > {} 2> {}",
        env!("CARGO_BIN_EXE_kasm-scrub"),
        out.display(),
        err.display()
    );
    let mut child = Command::new("sh").args(["-c", &script]).spawn().expect("start");
    until("it says so", || {
        fs::read_to_string(&err).is_ok_and(|text| text.contains("cannot write to stdout"))
    });
    assert!(child.try_wait().expect("status").is_none(), "it waits");
    let pid = Pid::from_child(&child);
    let most = rustix::process::getrlimit(Resource::Fsize).maximum;
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: most, maximum: most }).expect("more room");
    assert!(child.wait().expect("end").success());
    let want: String = (1..=100_000).map(|i| format!("{i}\n")).collect();
    assert!(fs::read_to_string(&out).expect("text") == want + "password=[REDACTED:password]\n");
    let said = fs::read_to_string(&err).expect("text");
    assert_eq!(said.lines().count(), 1, "{said}");
}
