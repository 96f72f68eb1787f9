//! Readers that go away, disks that are full.

use std::fs;
use std::io::Read;
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::{CANARY, ONE_RULE, Running, children_of, command, dir, status_of, until};

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

/// `run` with its stdout on a device that is always full.
fn on_a_full_disk(drain: &str, script: &str) -> Running {
    let mut command = command(&[ONE_RULE, &["--drain", drain]].concat(), &["sh", "-c", script]);
    command.stdout(fs::File::options().write(true).open("/dev/full").expect("a full device"));
    Running::of(command)
}

#[test]
fn what_cannot_be_written_is_given_up_after_the_program() {
    let ran = on_a_full_disk("300ms", "echo hello").end();
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("cannot write to stdout"), "{}", ran.err);
    assert!(
        ran.err.ends_with("6 bytes of the program's output could not be written and are lost\n"),
        "{}",
        ran.err
    );
    let ran = on_a_full_disk("300ms", "echo hello; sleep 1; echo more; exit 7").end();
    assert_eq!(ran.code, Some(7), "{}", ran.err);
    assert!(ran.err.contains("11 bytes of"), "{}", ran.err);
}

#[test]
fn a_signal_gives_up_what_cannot_be_written() {
    let running = on_a_full_disk("10m", "echo hello");
    let pid = running.pid();
    until("the program has ended", || children_of(pid).is_empty() && status_of(pid, "State").is_some());
    // Not before it has: the signal would be the program's.
    std::thread::sleep(std::time::Duration::from_secs(1));
    running.kill("TERM");
    let ran = running.end();
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("6 bytes of"), "{}", ran.err);
}

#[test]
fn and_what_nobody_reads() {
    let mut running = Running::start(
        &[ONE_RULE, &["--drain", "10m"]].concat(),
        "head -c 200000 /dev/zero | tr '\\0' x; echo; echo end >&2",
    );
    let mut err = std::io::BufReader::new(running.err.take().expect("stderr"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut err, &mut line).expect("text");
    assert_eq!(line, "end\n");
    let pid = running.pid();
    until("the program has ended", || children_of(pid).is_empty());
    std::thread::sleep(std::time::Duration::from_secs(1));
    running.kill("TERM");
    assert_eq!(running.child.wait().expect("end").code(), Some(2));
    let mut said = String::new();
    err.read_to_string(&mut said).expect("text");
    assert!(said.contains("could not be written and are lost"), "{said}");
}
