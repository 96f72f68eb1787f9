//! What is hostile, damaged or not meant: refused, told, and nothing left of it.

use std::io::Write;

use super::stage::{SECRET, Stage, clean_log, gz, header, log, secret_line, tar_of, zip_of, zst};

/// Without `--skip-bad` there is no bundle, and this is said; with it, there is one without it.
fn check(name: &str, bytes: &[u8], why: &str, left: &[&str]) {
    let stage = Stage::new();
    stage.put(&format!("in/{name}"), bytes);
    stage.put("in/other.log", log("other"));
    let ran = stage.run(&["in", "-o", "out"]);
    assert_eq!(ran.code, Some(2), "{name}: {}", ran.out);
    assert!(ran.out.contains(why) && ran.err.contains("--skip-bad"), "{name}: {} {}", ran.out, ran.err);
    assert_eq!(stage.names(), ["in"], "{name}: nothing is left");
    stage.done(&["in", "-o", "out", "--skip-bad"]);
    let out = stage.unpacked("out");
    assert_eq!(out["other.log"].1, clean_log("other"));
    let got: Vec<_> = out.keys().filter(|name| !["/", "other.log"].contains(&&***name)).collect();
    assert_eq!(got, left, "{name}");
}

/// A header with a name that the library would not write.
fn raw_entry(name: &[u8], kind: tar::EntryType, target: &[u8], data: &[u8]) -> Vec<u8> {
    let mut header = header(data.len());
    header.set_entry_type(kind);
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target);
    header.set_cksum();
    let padding = vec![0; data.len().wrapping_neg() % 512];
    [&header.as_bytes()[..], data, &padding].concat()
}

#[test]
fn damage() {
    let whole = gz(&log("a"));
    check("cut.gz", &whole[..whole.len() - 9], "cut.gz: damaged", &[]);
    check("garbage.gz", &[&whole[..], secret_line().as_bytes()].concat(), "garbage.gz: damaged", &[]);
    let mut wrong = whole.clone();
    let at = wrong.len() - 6;
    wrong[at] ^= 1;
    check("checksum.gz", &wrong, "checksum.gz: damaged", &[]);
    let whole = zst(&log("a").repeat(50));
    check("cut.zst", &whole[..whole.len() - 9], "cut.zst: damaged", &[]);
    check("garbage.zst", &[&whole[..], secret_line().as_bytes()].concat(), "garbage.zst: damaged", &[]);
    let whole = tar_of(&[("a.log", &log("a")), ("b.log", &log("b"))]);
    check("cut.tar", &whole[..600], "cut.tar: ", &[]);
    check("garbage.tar", &[&whole[..], secret_line().as_bytes()].concat(), "garbage.tar: ", &[]);
    let whole = zip_of(&[("a.log", &log("a"))]);
    check("cut.zip", &whole[..whole.len() - 9], "cut.zip: damaged", &[]);
    // An entry that is damaged is left out of an archive that is not.
    let inner = gz(&log("a"));
    let whole = tar_of(&[("cut.gz", &inner[..20]), ("b.log", &log("b"))]);
    check("some.tar", &whole, "some.tar!cut.gz: damaged", &["some.tar!b.log"]);
}

#[test]
fn bombs() {
    let zeros = |mib: usize| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let some = vec![b'\n'; 1 << 20];
        (0..mib).for_each(|_| encoder.write_all(&some).expect("gzip"));
        encoder.finish().expect("gzip")
    };
    // As much as ten times this would be told at the same place: reading ends at the limit.
    let bomb = zeros(300);
    check("bomb.gz", &bomb, "bomb.gz: unpacks to many times its size", &[]);
    check(
        "bomb.tar",
        &tar_of(&[("x.gz", &bomb), ("b.log", &log("b"))]),
        "bomb.tar!x.gz: unpacks",
        &["bomb.tar!b.log"],
    );
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    writer.start_file("x", options).expect("zip");
    (0..100).for_each(|_| writer.write_all(&vec![b'\n'; 1 << 20]).expect("zip"));
    let bomb = writer.finish().expect("zip").into_inner();
    check("bomb.zip", &bomb, "bomb.zip!x: unpacks to many times its size", &[]);
    let stage = Stage::new();
    let long = gz(&log("a").repeat(40_000));
    stage.put("a.gz", &long);
    let ran = stage.run(&["a.gz", "-o", "b.gz", "--max-size", "1M"]);
    assert!(ran.code == Some(2) && ran.out.contains("a.gz: more comes out of it"), "{}", ran.out);
    stage.done(&["a.gz", "-o", "b.gz"]);
}

#[test]
fn names_that_lead_out() {
    let a = log("a");
    use tar::EntryType as E;
    for (name, kind, target) in [
        ("../a.log", E::Regular, ""),
        ("/etc/a.log", E::Regular, ""),
        ("x/../../a.log", E::Regular, ""),
        ("x", E::Symlink, "/etc/passwd"),
        ("x", E::Symlink, "../x"),
        ("x/y", E::Symlink, "z/../../../x"),
        ("x", E::Link, "../x"),
        ("x", E::Link, "/etc/passwd"),
    ] {
        let data = if kind == E::Regular { &a[..] } else { b"" };
        let entry = raw_entry(name.as_bytes(), kind, target.as_bytes(), data);
        let archive = [entry, tar_of(&[("b.log", &log("b"))])].concat();
        check("a.tar", &archive, "leads out of the archive", &["a.tar!b.log"]);
    }
    // Through a link that itself stays inside.
    let through = [
        raw_entry(b"x", E::Symlink, b".", b""),
        raw_entry(b"x/y", E::Symlink, b"..", b""),
        tar_of(&[("b.log", &log("b"))]),
    ];
    check("a.tar", &through.concat(), "a.tar!x/y: its name or link leads out", &["a.tar!b.log", "a.tar!x"]);
    // A hard link takes a symlink to where it leads out.
    let moved = [
        raw_entry(b"a/b/s", E::Symlink, b"../..", b""),
        raw_entry(b"h", E::Link, b"./a/b/s", b""),
        raw_entry(b"h/evil", E::Regular, b"", &a),
        tar_of(&[("b.log", &log("b"))]),
    ];
    check(
        "a.tar",
        &moved.concat(),
        "a.tar!h: its name or link leads out",
        &["a.tar!a/b/s", "a.tar!b.log", "a.tar!h/evil"],
    );
    for name in ["../a.log", "/a.log", "x\\..\\..\\a.log"] {
        check(
            "a.zip",
            &zip_of(&[(name, &a), ("b.log", &log("b"))]),
            "leads out of the archive",
            &["a.zip!b.log"],
        );
    }
}

#[test]
fn archives_in_too_many_others() {
    let nest = |times: usize| (0..times).fold(log("a"), |inner, _| zip_of(&[("inner", &inner)]));
    check("deep.zip", &nest(6), "an archive within too many others", &[]);
    let stage = Stage::new();
    stage.put("a.zip", nest(4));
    stage.done(&["a.zip", "-o", "b.zip"]);
    stage.put("c.gz", (0..6).fold(log("a"), |inner, _| gz(&inner)));
    assert_eq!(stage.run(&["c.gz", "-o", "d.gz"]).code, Some(2));
    stage.done(&["c.gz", "-o", "d.gz", "--max-depth", "6"]);
}

#[test]
fn what_is_encrypted_or_packed_otherwise() {
    let mut bytes = zip_of(&[("a.log", &log("a")), ("b.log", &log("b"))]);
    // The first entry says that it is encrypted, in its own header and in the directory.
    let local = 6;
    let central = memchr::memmem::find(&bytes, b"PK\x01\x02").expect("directory") + 8;
    bytes[local] |= 1;
    bytes[central] |= 1;
    check("a.zip", &bytes, "a.zip!a.log: encrypted", &["a.zip!b.log"]);
    let mut bytes = zip_of(&[("a.log", &log("a")), ("b.log", &log("b"))]);
    bytes[local + 2] = 12;
    bytes[central + 2] = 12;
    check("a.zip", &bytes, "a.zip!a.log: stored in a way that is not read", &["a.zip!b.log"]);
}

#[test]
fn headers_that_ask_for_memory() {
    // A long name of a GiB.
    let mut header = header(1 << 30);
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_path("long").expect("path");
    header.set_cksum();
    let bytes = [&header.as_bytes()[..], &vec![b'a'; 4 << 20]].concat();
    check("a.tar", &bytes, "a.tar: ", &[]);
    check("a.tar.gz", &gz(&bytes), "a.tar.gz: damaged", &[]);
}

#[test]
fn inputs_are_never_the_output() {
    let stage = Stage::new();
    stage.put("in/a.log", log("a"));
    std::fs::hard_link(stage.path("in/a.log"), stage.path("same.log")).expect("link");
    stage.put("there/b.log", "");
    for (args, word) in [
        (&["in/a.log", "-o", "in/a.log"][..], "exists"),
        (&["in/a.log", "-o", "in/a.log", "--force"], "is an input"),
        (&["in/a.log", "-o", "same.log", "--force"], "is an input"),
        (&["in", "-o", "in"], "exists"),
        (&["in", "-o", "in/out"], "is inside an input"),
        (&["in", "-o", "in/out.tar"], "is inside an input"),
        (&["in", "-o", "there"], "exists"),
        (&["in", "-o", "there", "--force"], "exists"),
        (&["in", "there/../in", "-o", "out"], "two inputs are called in"),
        (&["missing", "-o", "out"], "cannot read missing"),
        (&["in", "-o", "missing/out"], "cannot write in"),
    ] {
        let ran = stage.run(args);
        assert!(ran.code == Some(2) && ran.err.contains(word), "{args:?}: {}", ran.err);
    }
    assert_eq!(std::fs::read(stage.path("in/a.log")).expect("file"), log("a"));
    assert_eq!(stage.names(), ["in", "same.log", "there"]);
    stage.put("old.log", "old");
    stage.done(&["in/a.log", "-o", "old.log", "--force"]);
    assert_eq!(stage.unpacked("old.log").remove("").expect("file").1, clean_log("a"));
}

#[test]
fn links_and_special_files_of_folders() {
    let stage = Stage::new();
    stage.put("in/sub/a.log", log("a"));
    stage.put("outside.log", log("b"));
    for (name, target) in [
        ("in/inside", "sub/a.log"),
        ("in/sub/up", "../sub"),
        ("in/out", "../outside.log"),
        ("in/abs", "/etc/passwd"),
    ] {
        std::os::unix::fs::symlink(target, stage.path(name)).expect("link");
    }
    let _socket = std::os::unix::net::UnixListener::bind(stage.path("in/socket")).expect("socket");
    for out in ["out", "out.tar"] {
        let summary = stage.done(&["in", "-o", out]);
        for line in ["out: a symlink that leads out", "abs: a symlink that leads out", "socket: a socket"] {
            assert!(summary.contains(line), "{line} in {summary}");
        }
    }
    let out = stage.unpacked("out");
    assert_eq!(out.keys().collect::<Vec<_>>(), ["/", "inside", "sub/", "sub/a.log", "sub/up"]);
    assert_eq!((&*out["inside"].1, &*out["sub/up"].1), (&b"sub/a.log"[..], &b"../sub"[..]));
    assert!(stage.unpacked("out.tar").contains_key("!in/sub/up"));
}

#[test]
fn messages_hold_no_secret_of_a_name() {
    let stage = Stage::new();
    // `Stage::run` looks for it.
    stage.put(&format!("in/password={SECRET}.gz"), b"\x1F\x8B\x08broken");
    assert_eq!(stage.run(&["in", "-o", "out", "--format", "json"]).code, Some(2));
}
