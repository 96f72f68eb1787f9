//! Text with something else in it: what is appended to a log in another encoding, or packed, does not pass unseen.

use super::stage::{Stage, clean_log, gz, log, secret_line, zip_of, zst};

/// Lines without a secret, so many bytes.
fn lines(len: usize) -> Vec<u8> {
    let line = b"2026-01-01T00:00:00Z a line in which there is nothing to be found\n";
    line.iter().copied().cycle().take(len).collect()
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Lengths of clean text before and after which files are read and judged differently.
const LENGTHS: [usize; 10] = [1, 300, 5000, 8191, 8192, 8200, 65_535, 65_536, 70_000, 296_000];

/// Clean lines, then this: bad, whatever the lengths and threads.
fn check(what: &str, tail: &[u8]) {
    let stage = Stage::new();
    for len in LENGTHS {
        stage.put(&format!("in/{len}.log"), [&lines(len)[..], tail].concat());
    }
    for threads in ["1", "4"] {
        let ran = stage.run(&["in", "-o", "out", "-t", threads]);
        assert_eq!((ran.code, stage.names()), (Some(2), vec!["in".to_owned()]), "{what}: {}", ran.out);
        for len in LENGTHS {
            let told = ["text with something else in it", "not all of it is UTF-16", "no text"];
            let is_told = told.iter().any(|why| ran.out.contains(&format!("  {len}.log: {why}")));
            assert!(is_told, "{what}, {len}: {}", ran.out);
        }
    }
}

#[test]
fn utf16_behind_other_text() {
    check("a line", &wide(&secret_line()));
    check("a short line", &wide("pin=1234\r\n"));
    check("with its mark", &[b"\xFF\xFE", &wide(&secret_line())[..]].concat());
    check("high bytes first", &secret_line().encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>());
    check("and text again", &[&wide(&secret_line())[..], &lines(90_000)].concat());
    let units = secret_line().chars().flat_map(|c| u32::from(c).to_le_bytes()).collect::<Vec<_>>();
    check("of 32 bits", &units);
}

#[test]
fn other_text_behind_utf16() {
    let stage = Stage::new();
    for (name, len) in [("short", 50), ("long", 70_000)] {
        for (mark, bytes) in [("", &b""[..]), (" and mark", b"\xFF\xFE")] {
            let text = wide(&String::from_utf8_lossy(&lines(len)));
            let text = [bytes, &text, secret_line().as_bytes()].concat();
            stage.put(&format!("in/{name}{mark}"), text);
        }
    }
    let ran = stage.run(&["in", "-o", "out"]);
    assert_eq!(ran.code, Some(2), "{}", ran.out);
    assert_eq!(stage.run(&["in", "-o", "out", "--skip-bad"]).code, Some(0));
    assert_eq!(stage.unpacked("out").keys().collect::<Vec<_>>(), ["/"]);
}

#[test]
fn archives_behind_text() {
    let noise: Vec<u8> = (0..6000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let long: Vec<u8> = [&noise[..], &log("a")].concat();
    for bytes in [&log("a")[..], &long] {
        check("a zip archive", &zip_of(&[("a.log", bytes)]));
        check("gzip", &gz(bytes));
        check("gzip and text again", &[&gz(bytes)[..], &lines(90_000)].concat());
    }
    check("zstd", &zst(&long));
    check("an unknown form", &noise);
    // Not scrubbed is what --keep-binary asks for; it is told.
    let stage = Stage::new();
    stage.put("a.log", [&lines(90_000)[..], &log("a"), &noise].concat());
    let summary = stage.done(&["a.log", "-o", "b.log", "--keep-binary"]);
    assert!(summary.contains("NOT scrubbed, as --keep-binary asks:\n  a.log"), "{summary}");
    assert_eq!(
        stage.unpacked("b.log").remove("").expect("file").1,
        [&lines(90_000)[..], &clean_log("a"), &noise].concat()
    );
}

#[test]
fn holes_are_text() {
    let stage = Stage::new();
    for hole in [100, 8192, 70_000, 700_000] {
        stage.put(&format!("in/{hole}.log"), [&vec![0; hole][..], &log("a")].concat());
        stage.put(&format!("in/{hole} behind.log"), [&log("a")[..], &vec![0; hole], &log("b")].concat());
    }
    stage.done(&["in", "-o", "out"]);
    let out = stage.unpacked("out");
    for hole in [100, 8192, 70_000, 700_000] {
        assert_eq!(out[&format!("{hole}.log")].1, [&vec![0; hole][..], &clean_log("a")].concat());
        let behind = [&clean_log("a")[..], &vec![0; hole], &clean_log("b")].concat();
        assert_eq!(out[&format!("{hole} behind.log")].1, behind);
    }
}
