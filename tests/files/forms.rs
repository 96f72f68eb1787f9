//! Every form that is read: a secret in it is gone, every harmless line is there once, names and modes are the same.

use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;

use super::stage::{CLEAN_LINE, Stage, clean_log, gz, header, log, secret_line, tar_of, zip_of, zst};

/// What comes out of a file with these bytes is what went in, unpacked, with the logs scrubbed.
fn check(name: &str, bytes: &[u8], logs: &[&str]) {
    let stage = Stage::new();
    let path = stage.put(&format!("in/{name}"), bytes);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("mode");
    stage.done(&["in", "-o", "out"]);
    let (before, after) = (stage.unpacked("in"), stage.unpacked("out"));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>(), "{name}");
    let mut found: Vec<&&str> = Vec::new();
    for ((name, (mode, text)), (after_mode, after)) in before.iter().zip(after.values()) {
        assert_eq!(mode, after_mode, "{name}");
        let (text, after) = (String::from_utf8_lossy(text), String::from_utf8_lossy(after));
        assert_eq!(text.replace(&secret_line(), CLEAN_LINE), after, "{name}");
        found.extend(logs.iter().filter(|log| after.contains(&format!("first line of {log}\n"))));
    }
    assert_eq!(found.len(), logs.len(), "{name}: each log once");
}

#[test]
fn plain_and_compressed_files() {
    check("a.log", &log("a"), &["a"]);
    check("empty.log", b"", &[]);
    check("no newline", b"a line without its end", &[]);
    check("a.log.gz", &gz(&log("a")), &["a"]);
    check("named wrongly", &gz(&log("a")), &["a"]);
    check("empty.gz", &gz(b""), &[]);
    check("members.gz", &[gz(&log("a")), gz(&log("b"))].concat(), &["a", "b"]);
    check("a.log.zst", &zst(&log("a")), &["a"]);
    check("frames.zst", &[zst(&log("a")), zst(&log("b"))].concat(), &["a", "b"]);
}

#[test]
fn padding_behind_gzip_is_no_damage() {
    let stage = Stage::new();
    stage.put("a.gz", [gz(&log("a")), vec![0; 700]].concat());
    stage.done(&["a.gz", "-o", "b.gz"]);
    assert_eq!(stage.unpacked("b.gz")["!"].1, clean_log("a"));
}

#[test]
fn a_secret_over_the_seam_of_members_is_found() {
    let text = log("a");
    let (one, other) = text.split_at(40);
    let stage = Stage::new();
    stage.put("in/a.gz", [gz(one), gz(other)].concat());
    stage.put("in/a.zst", [zst(one), zst(other)].concat());
    stage.done(&["in", "-o", "out"]);
    for (name, (_, text)) in stage.unpacked("out") {
        assert!(name.ends_with('/') || text == clean_log("a"), "{name}");
    }
}

#[test]
fn archives() {
    let (a, b) = (log("a"), log("b"));
    check("a.tar", &tar_of(&[("./x/a.log", &a), ("b.log", &b), ("empty", b"")]), &["a", "b"]);
    check("a.tar.gz", &gz(&tar_of(&[("a.log", &a), ("b.log", &b)])), &["a", "b"]);
    check("a.tar.zst", &zst(&tar_of(&[("a.log", &a)])), &["a"]);
    check("a.zip", &zip_of(&[("x/a.log", &a), ("b.log", &b), ("empty", b"")]), &["a", "b"]);
    check("empty.zip", &zip_of(&[]), &[]);
    let nested = zip_of(&[("inner.log", &a), ("inner.gz", &gz(&b))]);
    let nested = gz(&tar_of(&[("nested.zip", &nested)]));
    check("nested.zip", &zip_of(&[("nested.tar.gz", &nested)]), &["a", "b"]);
}

#[test]
fn long_names_and_extended_headers() {
    let mut builder = tar::Builder::new(Vec::new());
    let long = format!("{}/a.log", "folder-with-a-long-name/".repeat(12).trim_end_matches('/'));
    builder.append_data(&mut header(log("a").len()), &long, &log("a")[..]).expect("tar");
    builder
        .append_pax_extensions([("path", "été/b.log".as_bytes()), ("mtime", b"1700000001.5")])
        .expect("tar");
    let mut plain = header(log("b").len());
    plain.set_path("short").expect("path");
    plain.set_cksum();
    builder.append(&plain, &log("b")[..]).expect("tar");
    let mut folder = header(0);
    folder.set_entry_type(tar::EntryType::Directory);
    folder.set_mode(0o750);
    builder.append_data(&mut folder, "folder/", &b""[..]).expect("tar");
    for (kind, name, target) in
        [(tar::EntryType::Link, "hard", "été/b.log"), (tar::EntryType::Symlink, "x/soft", "../hard")]
    {
        let mut link = header(0);
        link.set_entry_type(kind);
        builder.append_link(&mut link, name, target).expect("tar");
    }
    check("a.tar", &builder.into_inner().expect("tar"), &["a", "b"]);
}

#[test]
fn owners_and_times_stay() {
    let stage = Stage::new();
    stage.put("a.tar", tar_of(&[("a.log", &log("a"))]));
    stage.done(&["a.tar", "-o", "b.tar"]);
    let bytes = std::fs::read(stage.path("b.tar")).expect("file");
    let mut archive = tar::Archive::new(&bytes[..]);
    let entry = archive.entries().expect("tar").next().expect("entry").expect("entry");
    let header = entry.header();
    assert_eq!(
        (header.uid().ok(), header.gid().ok(), header.mtime().ok()),
        (Some(1000), Some(1000), Some(1_700_000_000))
    );
    let time =
        |name: &str| std::fs::metadata(stage.path(name)).and_then(|about| about.modified()).expect("time");
    assert_eq!(time("a.tar"), time("b.tar"));
}

#[test]
fn sparse_files_are_filled() {
    // As GNU's old form has it: one part of text behind a hole.
    let text = log("a");
    let mut sparse = header(text.len());
    sparse.set_entry_type(tar::EntryType::GNUSparse);
    sparse.set_path("sparse.log").expect("path");
    let gnu = sparse.as_gnu_mut().expect("gnu");
    gnu.set_real_size((512 << 10) + text.len() as u64);
    gnu.sparse[0].set_offset(512 << 10);
    gnu.sparse[0].set_length(text.len() as u64);
    sparse.set_cksum();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append(&sparse, &text[..]).expect("tar");
    builder.append_data(&mut header(log("b").len()), "b.log", &log("b")[..]).expect("tar");
    let stage = Stage::new();
    stage.put("a.tar", builder.into_inner().expect("tar"));
    stage.done(&["a.tar", "-o", "b.tar"]);
    let out = stage.unpacked("b.tar");
    assert_eq!(out["!b.log"].1, clean_log("b"));
    assert_eq!(out["!sparse.log"].1, [vec![0; 512 << 10], clean_log("a")].concat());
}

#[test]
fn text_in_utf16_stays_in_it() {
    let encode = |text: &[u8], high_first: bool| -> Vec<u8> {
        let text = format!("\u{FEFF}{}grün \u{1F600}\r\n", String::from_utf8_lossy(text));
        let swap = |unit: u16| if high_first { unit.to_be_bytes() } else { unit.to_le_bytes() };
        text.encode_utf16().flat_map(swap).collect()
    };
    let stage = Stage::new();
    for (name, high_first) in [("be.log", true), ("le.log", false)] {
        stage.put(&format!("in/{name}"), encode(&log("a"), high_first));
        stage.put(&format!("in/{name} without its mark"), &encode(&log("a"), high_first)[2..]);
    }
    stage.done(&["in", "-o", "out"]);
    let out = stage.unpacked("out");
    assert_eq!(out["be.log without its mark"].1, &encode(&clean_log("a"), true)[2..]);
    assert_eq!(out["le.log without its mark"].1, &encode(&clean_log("a"), false)[2..]);
    assert_eq!(out["be.log"].1, encode(&clean_log("a"), true));
    assert_eq!(out["le.log"].1, encode(&clean_log("a"), false));
    let half = [&encode(&log("a"), false)[..], b"x"].concat();
    stage.put("in/half.log", half);
    let ran = stage.run(&["in", "-o", "other"]);
    assert!(ran.code == Some(2) && ran.out.contains("half.log: not all of it is UTF-16"), "{}", ran.out);
}

#[test]
fn what_is_no_text_is_left_out_unless_it_is_wanted() {
    let stage = Stage::new();
    let core = [b"\x7FELF\0\0", secret_line().as_bytes()].concat();
    let noise: Vec<u8> = (0..600_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    stage.put("in/core", &core);
    stage.put("in/noise", &noise);
    stage.put("in/a.xz", b"\xFD7zXZ\0\x01");
    stage.put("in/a.log", log("a"));
    stage.put("in/a.zip", zip_of(&[("core", &core), ("a.log", &log("b"))]));
    let summary = stage.done(&["in", "-o", "out"]);
    for line in ["core: no text", "noise: no text", "a.xz: packed in", "a.zip!core: no text"] {
        assert!(summary.contains(line), "{line} in {summary}");
    }
    let out = stage.unpacked("out");
    assert_eq!(out.keys().collect::<Vec<_>>(), ["/", "a.log", "a.zip!a.log"]);
    let summary = stage.done(&["in", "-o", "kept", "--keep-binary"]);
    assert!(
        summary.contains("NOT scrubbed, as --keep-binary asks:\n  a.xz\n  a.zip!core: 1 findings are"),
        "{summary}"
    );
    assert_eq!(stage.unpacked("kept")["core"].1, core);
}

#[test]
fn names_with_secrets_are_scrubbed() {
    let stage = Stage::new();
    let name = format!("password={}", super::stage::SECRET);
    stage.put(&format!("in/{name}/a.log"), log("a"));
    stage.put(&format!("in/{name}.log"), log("b"));
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut header(log("c").len()), &name, &log("c")[..]).expect("tar");
    let mut link = header(0);
    link.set_entry_type(tar::EntryType::Link);
    builder.append_link(&mut link, "hard", &name).expect("tar");
    stage.put("in/a.tar", builder.into_inner().expect("tar"));
    stage.put("in/a.zip", zip_of(&[(&format!("{name}/d.log"), &log("d"))]));
    let summary = stage.done(&["in", "-o", "out"]);
    assert!(summary.contains("names that were changed:"), "{summary}");
    let out = stage.unpacked("out");
    let shown = format!("{out:?}");
    assert!(!shown.contains(super::stage::SECRET), "{shown}");
    assert_eq!(out["password=[REDACTED:password]/a.log"].1, clean_log("a"));
    assert_eq!(out["a.tar!hard"].1, b"-> password=[REDACTED:password]");
    assert_eq!(out["a.zip!password=[REDACTED:password]/d.log"].1, clean_log("d"));
}

#[test]
fn comments_of_archives_are_scrubbed() {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    writer.set_comment(secret_line()).expect("comment");
    let options = zip::write::FullFileOptions::default().with_file_comment(secret_line());
    writer.start_file("a.log", options).expect("zip");
    writer.write_all(&log("a")).expect("zip");
    let stage = Stage::new();
    stage.put("a.zip", writer.finish().expect("zip").into_inner());
    let named = flate2::GzBuilder::new()
        .filename(&*format!("password={}", super::stage::SECRET))
        .comment(secret_line());
    let mut named = named.write(Vec::new(), flate2::Compression::fast());
    named.write_all(&log("a")).expect("gzip");
    stage.put("a.gz", named.finish().expect("gzip"));
    for name in ["a.zip", "a.gz"] {
        let out = format!("out-{name}");
        stage.done(&[name, "-o", &out]);
        let bytes = std::fs::read(stage.path(&out)).expect("file");
        assert!(memchr::memmem::find(&bytes, super::stage::SECRET.as_bytes()).is_none(), "{name}");
        assert!(memchr::memmem::find(&bytes, b"[REDACTED:password]").is_some(), "{name}");
    }
}
