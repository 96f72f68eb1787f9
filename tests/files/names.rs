//! Names, comments and links: scrubbed, counted, apart from each other, and never a way out.

use std::ffi::OsStr;
use std::io::{Cursor, Write};
use std::os::unix::ffi::OsStrExt;

use super::stage::{SECRET, Stage, clean_log, gz, header, log, secret_line, tar_of, zip_of};

const CLEAN: &str = "password=[REDACTED:password]";

#[test]
fn names_that_become_one_stay_apart() {
    let names = ["password=HUNTER22".to_owned(), CLEAN.to_owned(), "password=HUNTER33".to_owned()];
    for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0]] {
        let entries: Vec<_> = order.iter().map(|&i| (&*names[i], &b"text\n"[..])).collect();
        let stage = Stage::new();
        stage.put("in/a.tar", tar_of(&entries));
        stage.put("in/a.zip", zip_of(&entries));
        names.iter().for_each(|name| drop(stage.put(&format!("in/{name}"), log(name))));
        for out in ["out", "out.tar", "out.zip"] {
            stage.done(&["in", "-o", out]);
            let got = stage.unpacked(out);
            for end in ["", "-2", "-3"] {
                for place in ["", "a.tar!", "a.zip!"] {
                    let name = format!("{place}{CLEAN}{end}");
                    assert!(got.keys().any(|key| key.ends_with(&name)), "{name} in {out}: {:?}", got.keys());
                }
            }
        }
    }
}

#[test]
fn what_was_found_beside_content_counts() {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.set_comment(secret_line()).expect("comment");
    let options = zip::write::FullFileOptions::default().with_file_comment(secret_line());
    writer.start_file("a.log", options).expect("zip");
    writer.write_all(b"clean\n").expect("zip");
    let zip = writer.finish().expect("zip").into_inner();
    let mut named = flate2::GzBuilder::new().comment(secret_line()).write(Vec::new(), Default::default());
    named.write_all(b"clean\n").expect("gzip");
    let mut link = header(0);
    link.set_entry_type(tar::EntryType::Symlink);
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_link(&mut link, "link", format!("password={SECRET}")).expect("tar");
    let mut owned = header(0);
    owned.set_username(&format!("password={SECRET}")).expect("name");
    builder.append_data(&mut owned, "owned", &b""[..]).expect("tar");
    for (name, bytes, told) in [
        ("a.zip", zip, &["a.zip (comment)", "a.zip!a.log (comment)"][..]),
        ("a.gz", named.finish().expect("gzip"), &["a.gz (header)"]),
        ("a.tar", builder.into_inner().expect("tar"), &["a.tar!link (link)", "a.tar!owned (owner)"]),
    ] {
        let stage = Stage::new();
        stage.put(name, bytes);
        let ran = stage.run(&[name, "-o", "out", "--fail-on-finding", "--format", "json"]);
        assert_eq!(ran.code, Some(1), "{name}: {}", ran.out);
        let report: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
        assert_eq!(report["findings"], told.len());
        assert_eq!(report["findings_by_rule"]["password"], told.len());
        let files = report["files"].as_array().expect("files");
        let got: Vec<_> = files.iter().filter_map(|file| file["name"].as_str()).collect();
        assert_eq!(got, told);
    }
    let stage = Stage::new();
    stage.put(&format!("in/password={SECRET}/a"), "clean\n");
    std::os::unix::fs::symlink(format!("password={SECRET}/a"), stage.path("in/link")).expect("link");
    let ran = stage.run(&["in", "-o", "out", "--fail-on-finding"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains(&format!("1  {CLEAN} (name)\n")), "{}", ran.out);
    assert_eq!(stage.unpacked("out")["link"].1, format!("{CLEAN}/a").into_bytes());
}

#[test]
fn names_that_are_no_text_are_told_in_zip() {
    let stage = Stage::new();
    for name in [&b"gr\xFCn.log"[..], b"gr\xF6n.log"] {
        stage.put("in/a", "");
        std::fs::write(stage.path("in").join(OsStr::from_bytes(name)), log("a")).expect("write");
    }
    let summary = stage.done(&["in", "-o", "out.zip"]);
    assert!(summary.contains("names that were changed:\n  in/gr%F6n.log\n  in/gr%FCn.log\n"), "{summary}");
    let out = stage.unpacked("out.zip");
    assert_eq!(out["!in/gr%FCn.log"].1, clean_log("a"));
    assert_eq!(out["!in/gr%F6n.log"].1, clean_log("a"));
}

#[test]
fn markers_that_are_longer_than_what_was_there() {
    let stage = Stage::new();
    let long = format!("{} password=hunter2", "x".repeat(235));
    stage.put(&format!("in/{long}"), log("a"));
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.set_comment("password=hunter2 ".repeat(3800)).expect("comment");
    let options = zip::write::FullFileOptions::default().with_file_comment("password=hunter2 ".repeat(3800));
    writer.start_file("a.log", options).expect("zip");
    writer.write_all(&log("b")).expect("zip");
    stage.put("in/a.zip", writer.finish().expect("zip").into_inner());
    stage.put("in/long.zip", zip_of(&[(&"password=hunter2/".repeat(3800), b""), ("b.log", &log("c"))]));
    for out in ["out", "out.tar.gz", "out.zip"] {
        let ran = stage.run(&["in", "-o", out, "--skip-bad"]);
        assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{}", ran.out);
        let out = stage.unpacked(out);
        for name in ["a.zip!a.log", "long.zip!b.log"] {
            assert!(out.keys().any(|key| key.ends_with(name)), "{name} in {:?}", out.keys());
        }
    }
}

#[test]
fn what_is_written_does_not_lead_out_either() {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, target) in
        [(&*format!("d/e/{CLEAN}"), "../.."), ("d/e/password=HUNTER22/x/y/s", "../../../../..")]
    {
        let mut link = header(0);
        link.set_entry_type(tar::EntryType::Symlink);
        builder.append_link(&mut link, name, target).expect("tar");
    }
    let evil = "d/e/password=HUNTER33/x/y/s/evil.txt";
    builder.append_data(&mut header(6), evil, &b"clean\n"[..]).expect("tar");
    let stage = Stage::new();
    stage.put("a.tar", builder.into_inner().expect("tar"));
    stage.done(&["a.tar", "-o", "b.tar"]);
    let out = stage.unpacked("b.tar");
    let names: Vec<_> = out.keys().map(|name| name.trim_start_matches('!')).collect();
    let want = ["", "-2/x/y/s", "-3/x/y/s/evil.txt"].map(|end| format!("d/e/{CLEAN}{end}"));
    assert_eq!(names, want);
}

#[test]
fn what_a_directory_does_not_list_is_damage() {
    let (one, other) = (zip_of(&[("a.log", &log("a"))]), zip_of(&[("b.log", &log("b"))]));
    for bytes in [
        [&one[..], &other].concat(),
        [b"#!/bin/sh\nexit 0\n", &one[..]].concat(),
        [&one[..], secret_line().as_bytes()].concat(),
    ] {
        let stage = Stage::new();
        stage.put("in/a.zip", &bytes);
        stage.put("in/b.gz", gz(&bytes));
        let ran = stage.run(&["in", "-o", "out"]);
        assert_eq!((ran.code, stage.names()), (Some(2), vec!["in".to_owned()]), "{}", ran.out);
        assert!(ran.out.contains("  a.zip: ") && ran.out.contains("  b.gz: "), "{}", ran.out);
    }
}
