//! Where bundles go, what is told of them, and what is left when they do not come to be.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use super::stage::{Stage, clean_log, gz, log, tar_of, zip_of};

fn tree(stage: &Stage) {
    stage.put("in/a.log", log("a"));
    stage.put("in/sub/b.log", log("b"));
    stage.put("in/sub/c.tar.gz", gz(&tar_of(&[("c.log", &log("c"))])));
    stage.put("in/d.zip", zip_of(&[("d.log", &log("d"))]));
    stage.put("in/clean.log", "nothing to see\n");
}

#[test]
fn all_goes_into_one_archive() {
    let stage = Stage::new();
    tree(&stage);
    stage.done(&["in", "-o", "out"]);
    let want: Vec<_> = stage.unpacked("out").into_iter().filter(|(name, _)| !name.ends_with('/')).collect();
    for out in ["out.tar", "out.tar.gz", "out.tgz", "out.tar.zst", "out.zip"] {
        stage.done(&["in", "-o", out]);
        let got = stage.unpacked(out).into_iter().filter(|(name, _)| !name.ends_with('/'));
        let got: Vec<_> =
            got.map(|(name, file)| (name.rsplit("!in/").next().expect("a name").to_owned(), file)).collect();
        assert_eq!(got, want, "{out}");
    }
}

#[test]
fn one_file_stays_what_it_is() {
    let stage = Stage::new();
    stage.put("a.log", log("a"));
    stage.put("a.zip", zip_of(&[("a.log", &log("a"))]));
    stage.done(&["a.log", "-o", "b.log"]);
    assert_eq!(stage.unpacked("b.log")[""].1, clean_log("a"));
    stage.done(&["a.zip", "-o", "b.zip"]);
    assert_eq!(stage.unpacked("b.zip")["!a.log"].1, clean_log("a"));
    stage.done(&["a.zip", "-o", "c.tar"]);
    assert_eq!(stage.unpacked("c.tar")["!a.zip!a.log"].1, clean_log("a"));
    stage.done(&["a.log", "-o", "folder/"]);
    assert_eq!(stage.unpacked("folder")["a.log"].1, clean_log("a"));
    stage.done(&["a.log", "a.zip", "-o", "both"]);
    assert_eq!(stage.unpacked("both").keys().collect::<Vec<_>>(), ["/", "a.log", "a.zip!a.log"]);
}

#[test]
fn one_file_is_compressed_where_its_name_says_so() {
    let stage = Stage::new();
    stage.put("a.log", log("a"));
    stage.put("b.log.gz", gz(&log("b")));
    for out in ["a.log.gz", "A.LOG.ZST"] {
        stage.done(&["a.log", "-o", out]);
        assert_eq!(stage.unpacked(out)["!"].1, clean_log("a"), "{out}");
    }
    // What is compressed already stays so, whatever it is called.
    stage.put("dump", gz(&log("b")));
    for input in ["b.log.gz", "dump"] {
        let out = format!("{input}.clean.gz");
        stage.done(&[input, "-o", &out]);
        assert_eq!(stage.unpacked(&out)["!"].1, clean_log("b"));
    }
    let refused = stage.run(&["b.log.gz", "-o", "c.log.zst"]);
    assert_eq!((refused.code, stage.path("c.log.zst").exists()), (Some(2), false), "{}", refused.err);
    assert!(refused.err.contains("asks for another compression"), "{}", refused.err);
}

#[test]
fn threads_do_not_show() {
    let stage = Stage::new();
    tree(&stage);
    // Large enough to be cut between threads.
    let lines = [log("large"), b"a line in which there is nothing to be found\n".repeat(300)].concat();
    stage.put("in/large.log", lines.repeat(5200));
    let mut outputs = Vec::new();
    for threads in ["1", "2", "5"] {
        let mut summary = String::new();
        for out in ["tar.gz", "zip"] {
            let out = format!("{threads}.{out}");
            summary += &stage.done(&["in", "-o", &out, "-t", threads, "--format", "json"]);
            outputs.push((
                out.ends_with("zip"),
                std::fs::read(stage.path(&out)).expect("file"),
                summary.clone(),
            ));
        }
    }
    let same = |zip: bool| {
        let mut all =
            outputs.iter().filter(|(is_zip, ..)| *is_zip == zip).map(|(_, bytes, summary)| (bytes, summary));
        let first = all.next().expect("one");
        all.all(|other| other == first)
    };
    assert!(same(true) && same(false));
}

#[test]
fn many_small_files() {
    let stage = Stage::new();
    for i in 0..10_000 {
        stage.put(&format!("in/{}/{i}.log", i % 100), log(&i.to_string()));
    }
    let summary = stage.done(&["in", "-o", "out"]);
    assert!(
        summary.starts_with("10000 files scrubbed: 10000 changed, 0 clean; 0 left out; 10000 findings\n"),
        "{summary}"
    );
    for i in [0, 4711, 9_999] {
        let text = std::fs::read(stage.path(&format!("out/{}/{i}.log", i % 100))).expect("file");
        assert_eq!(text, clean_log(&i.to_string()));
    }
}

#[test]
fn names_that_are_no_text_stay() {
    let stage = Stage::new();
    stage.put("in/a", "");
    let name = OsStr::from_bytes(b"gr\xFCn.log");
    std::fs::write(stage.path("in").join(name), log("a")).expect("write");
    stage.done(&["in", "-o", "out"]);
    assert_eq!(std::fs::read(stage.path("out").join(name)).expect("file"), clean_log("a"));
    stage.done(&["in", "-o", "out.tar"]);
    let bytes = std::fs::read(stage.path("out.tar")).expect("file");
    assert!(memchr::memmem::find(&bytes, b"in/gr\xFCn.log\0").is_some());
}

#[test]
fn modes_and_folders_that_may_not_be_written_to() {
    let stage = Stage::new();
    stage.put("in/sub/a.log", log("a"));
    stage.put("in/none", "");
    let mode = |name: &str, mode| {
        std::fs::set_permissions(stage.path(name), std::fs::Permissions::from_mode(mode)).expect("mode");
    };
    mode("in/sub/a.log", 0o440);
    mode("in/sub", 0o550);
    mode("in", 0o500);
    stage.done(&["in", "-o", "out"]);
    let out = stage.unpacked("out");
    assert_eq!((out["sub/a.log"].0, out["sub/"].0, out["/"].0), (0o440, 0o550, 0o500));
    assert_eq!(out["sub/a.log"].1, clean_log("a"));
    for name in ["in", "out", "in/sub", "out/sub"] {
        mode(name, 0o700);
    }
    mode("in/none", 0);
    let ran = stage.run(&["in", "-o", "other"]);
    // Root may read everything.
    let is_read = std::fs::read(stage.path("in/none")).is_ok();
    assert_eq!(ran.code, Some(if is_read { 0 } else { 2 }), "{}", ran.out);
    assert!(is_read || ran.out.contains("none: cannot be read"), "{}", ran.out);
}

#[test]
fn a_dry_run_writes_nothing() {
    let stage = Stage::new();
    tree(&stage);
    let told = stage.done(&["in", "-o", "out", "--format", "json"]);
    let not_written = told.replace("\"written\": true", "\"written\": false");
    assert_ne!(not_written, told);
    std::fs::remove_dir_all(stage.path("out")).expect("remove");
    assert_eq!(stage.done(&["in", "-o", "out", "--dry-run", "--format", "json"]), not_written);
    for out in ["out.tar", "out.tar.gz", "out.zip"] {
        let told = stage.done(&["in", "-o", out, "--dry-run"]);
        assert!(told.starts_with("5 files scrubbed: 4 changed"), "{told}");
    }
    assert_eq!(stage.names(), ["in"]);
}

#[test]
fn reports_and_exit_codes() {
    let stage = Stage::new();
    tree(&stage);
    let ran = stage.run(&["in", "-o", "out", "--fail-on-finding", "--report", "report.json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    for line in [
        "5 files scrubbed: 4 changed, 1 clean; 0 left out; 4 findings",
        "       4  password",
        "       1  sub/c.tar.gz!c.log",
    ] {
        assert!(ran.out.contains(line), "{line} in {}", ran.out);
    }
    let report = std::fs::read_to_string(stage.path("report.json")).expect("report");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["findings_by_rule"]["password"], 4);
    assert_eq!(report["files"].as_array().map(Vec::len), Some(4));
    let summary = stage.run(&["in/clean.log", "-o", "clean.log", "--fail-on-finding"]);
    assert_eq!(summary.code, Some(0));
}

#[test]
fn nothing_is_left_of_a_run_that_was_stopped() {
    let stage = Stage::new();
    stage.put("in/large.log", log("large").repeat(2_000_000));
    let mut child =
        stage.command(&["in", "-o", "out", "-t", "1"]).stdout(Stdio::null()).spawn().expect("start");
    // Until it has begun to write.
    while stage.names().len() == 1 && child.try_wait().expect("child").is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("signal");
    let code = child.wait().expect("end").code();
    // It may have been done before.
    match code {
        Some(0) => assert!(stage.path("out").exists()),
        _ => assert_eq!((code, stage.names()), (Some(2), vec!["in".to_owned()])),
    }
}

#[test]
fn nothing_is_there_after_a_kill() {
    let stage = Stage::new();
    stage.put("in/large.log", log("large").repeat(2_000_000));
    for out in ["out", "out.tar"] {
        let mut child =
            stage.command(&["in", "-o", out, "-t", "1"]).stdout(Stdio::null()).spawn().expect("start");
        std::thread::sleep(Duration::from_millis(50));
        let is_done = child.try_wait().expect("child").is_some();
        child.kill().expect("kill");
        child.wait().expect("end");
        assert!(
            is_done || !stage.path(out).exists() || stage.unpacked(out).len() > 1,
            "{out} is whole or not there"
        );
    }
}

#[test]
fn a_full_disk_leaves_nothing() {
    let stage = Stage::new();
    stage.put("in/large.log", log("large").repeat(50_000));
    for out in ["out", "out.tar", "out.zip"] {
        let program = env!("CARGO_BIN_EXE_kasm-scrub");
        // No file may become larger than 512 KiB.
        let script = format!("ulimit -f 512; exec '{program}' files in -o {out}");
        let mut shell = std::process::Command::new("bash");
        let ran = shell.args(["-c", &script]).current_dir(stage.0.path()).output().expect("bash");
        if out == "out.zip" && ran.status.success() {
            // Repeated lines are small in it.
            continue;
        }
        let err = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.code() == Some(2) && err.contains("cannot write"), "{out}: {err}");
        assert!(
            !stage.path(out).exists() && stage.names().iter().all(|name| !name.contains("partial")),
            "{out}"
        );
    }
}

#[test]
fn a_report_never_replaces_an_input_or_the_bundle() {
    let stage = Stage::new();
    stage.put("in/a.log", log("a"));
    stage.put("b.log", log("b"));
    std::fs::hard_link(stage.path("b.log"), stage.path("same.log")).expect("link");
    std::os::unix::fs::symlink("in/a.log", stage.path("link")).expect("link");
    for (out, report, word) in [
        ("out", "b.log", "is an input"),
        ("out", "same.log", "is an input"),
        ("out", "link", "inside one"),
        ("out", "in/a.log", "inside one"),
        ("out", "in/report.json", "inside one"),
        ("out", "out", "where the bundle goes"),
        ("out.tar", "./out.tar", "where the bundle goes"),
        ("out", "missing/report.json", "cannot write the report"),
        ("out", "in", "inside one"),
    ] {
        let ran = stage.run(&["in", "b.log", "-o", out, "--report", report]);
        assert!(ran.code == Some(2) && ran.err.contains(word), "{out} {report}: {} {}", ran.out, ran.err);
        assert_eq!(stage.names(), ["b.log", "in", "link", "same.log"], "{out} {report}");
    }
    assert_eq!(std::fs::read(stage.path("b.log")).expect("file"), log("b"));
    stage.put("report.json", "old");
    stage.done(&["in", "-o", "out", "--report", "report.json"]);
    let report = std::fs::read(stage.path("report.json")).expect("report");
    let report: serde_json::Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(report["written"], true);
    let told = stage.done(&["in", "-o", "dry", "--report", "/dev/null", "--dry-run", "--format", "json"]);
    assert!(told.contains("\"written\": false"), "{told}");
}

#[test]
fn what_cannot_be_told_is_said_with_what_is_there() {
    let stage = Stage::new();
    stage.put("in/a.log", log("a"));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("device");
    let ran = stage.command(&["in", "-o", "out"]).stdout(full).output().expect("start");
    let err = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.code() == Some(2) && err.contains("out is there"), "{err}");
}

#[test]
fn a_bundle_is_as_private_as_what_is_in_it() {
    let stage = Stage::new();
    let path = stage.put("in/a.log", log("a"));
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("mode");
    };
    mode(&stage.path("in"), 0o755);
    for (file, umask, extra, want) in [
        (0o644, "022", "--no-progress", 0o644),
        (0o640, "022", "--no-progress", 0o640),
        (0o600, "022", "--no-progress", 0o600),
        (0o644, "077", "--no-progress", 0o600),
        (0o644, "022", "--keep-binary", 0o644),
    ] {
        mode(&path, file);
        let run = |name: &str| {
            let program = env!("CARGO_BIN_EXE_kasm-scrub");
            let script = format!("umask {umask}; exec '{program}' files in -o {name} --force {extra}");
            let mut shell = std::process::Command::new("bash");
            let ran = shell.args(["-c", &script]).current_dir(stage.0.path()).output().expect("bash");
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
            std::fs::metadata(stage.path(name)).expect("bundle").permissions().mode() & 0o777
        };
        assert_eq!((run("out.tar"), run("out.zip")), (want, want), "{file:o} {umask} {extra}");
    }
    stage.put("in/core", b"\x7FELF\0\0");
    mode(&stage.path("in/core"), 0o644);
    stage.done(&["in", "-o", "raw.tar", "--keep-binary"]);
    let about = std::fs::metadata(stage.path("raw.tar")).expect("bundle");
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_zip_archive_is_stopped_as_well() {
    let stage = Stage::new();
    stage.put("large.zip", zip_of(&[("large.log", &log("large").repeat(300_000))]));
    let mut child = stage
        .command(&["large.zip", "-o", "out.zip", "-t", "1", "--max-ratio", "1000000"])
        .stdout(Stdio::null())
        .spawn()
        .expect("start");
    while stage.names().len() == 1 && child.try_wait().expect("child").is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("signal");
    let code = child.wait().expect("end").code();
    match code {
        Some(0) => assert!(stage.path("out.zip").exists()),
        _ => assert_eq!((code, stage.names()), (Some(2), vec!["large.zip".to_owned()])),
    }
}

#[test]
fn an_input_that_is_no_file_is_bad() {
    let stage = Stage::new();
    let path = stage.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
    for input in ["fifo", "/dev/null"] {
        let ran = stage.run(&[input, "-o", "out", "--format", "json"]);
        assert_eq!((ran.code, stage.names()), (Some(2), vec!["fifo".to_owned()]), "{}", ran.out);
        assert!(ran.out.contains("\"written\": false"), "{}", ran.out);
    }
}

#[test]
fn what_is_not_scrubbed_is_told_with_what_is_in_it() {
    let stage = Stage::new();
    stage.put("in/core", [b"\x7FELF\0\0", &log("a")[..]].concat());
    let summary = stage.done(&["in", "-o", "out", "--keep-binary"]);
    assert!(summary.contains("  core: 1 findings are still in it\n"), "{summary}");
}
