//! The copy in an init container.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::{Ran, dir};

fn install(words: &[&str]) -> Ran {
    Command::new(env!("CARGO_BIN_EXE_kasm-scrub")).arg("install").args(words).output().expect("run").into()
}

#[test]
fn a_copy_works() {
    let dir = dir();
    let folder = dir.path().to_str().expect("text");
    let path = dir.path().join("kasm-scrub");
    fs::write(&path, "an older one").expect("write");
    for _ in 0..2 {
        let ran = install(&[folder]);
        assert_eq!((ran.code, ran.out, &*ran.err), (Some(0), format!("{}\n", path.display()), ""));
    }
    assert_eq!(fs::metadata(&path).expect("file").permissions().mode() & 0o7777, 0o755);
    assert_eq!(fs::read(&path).expect("file"), fs::read(env!("CARGO_BIN_EXE_kasm-scrub")).expect("file"));
    let ran: Ran =
        Command::new(&path).args(["run", "--", "echo", "password=hunter2"]).output().expect("run").into();
    assert_eq!(ran.out, "password=[REDACTED:password]\n");
    // Also from a copy, over itself.
    assert!(
        Command::new(&path)
            .args(["install", "--name", "kasm-scrub", folder])
            .status()
            .expect("run")
            .success()
    );
    assert_eq!(fs::read_dir(dir.path()).expect("folder").count(), 1, "nothing else is left there");
}

#[test]
fn what_cannot_be_installed() {
    let dir = dir();
    let folder = dir.path().to_str().expect("text");
    let check = |words: &[&str], want: &str| {
        let ran = install(words);
        assert_eq!((ran.code, &*ran.out), (Some(2), ""), "{words:?}");
        assert!(ran.err.contains(want), "{}", ran.err);
    };
    check(&["/no/such/folder"], "cannot install /no/such/folder/kasm-scrub: No such file");
    check(&["--name", "a/b", folder], "--name a/b");
    check(&["--name", "..", folder], "--name ..");
    fs::create_dir(dir.path().join("kasm-scrub")).expect("folder");
    check(&[folder], "cannot install");
    assert_eq!(fs::read_dir(dir.path()).expect("folder").count(), 1, "nothing else is left there");
}
