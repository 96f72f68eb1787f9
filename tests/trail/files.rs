//! Files of trails: gone on with after any crash, rotated, refused.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use kasm_scrub::audit::{CannotOpen, Fault, Key, Limits, Options, Trail, Wanted, WhenFull};

use super::{RULES, fault, files, open, texts, verify, verify_by, written};

const SMALL: Limits = Limits { max_size: 1500, keep: 3 };

/// A folder that is written to thousands of times: in memory, where there is such a place.
fn quick() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// Goes on with a trail; notes one finding and closes it.
fn go_on(path: &Path, limits: Limits) {
    let trail = open(path, limits).expect("a trail to go on with");
    trail.note("stdin", "password", &RULES, None, 1);
    trail.close().expect("room");
}

#[test]
fn a_trail_goes_on_from_a_cut_at_any_byte() {
    let dir = quick();
    let text = written(dir.path());
    let path = dir.path().join("cut");
    for len in 0..=text.len() {
        fs::write(&path, &text[..len]).expect("write");
        go_on(&path, Limits::default());
        let after = fs::read(&path).expect("the trail");
        let whole = memchr::memrchr(b'\n', &text[..len]).map_or(0, |at| at + 1);
        assert_eq!(after[..whole], text[..whole], "cut at {len}");
        let summary =
            verify(&[after], Wanted::default()).unwrap_or_else(|broken| panic!("{len}: {broken:?}"));
        let is_crash = len > 0 && len < text.len();
        assert_eq!(summary.resumed, u64::from(is_crash), "cut at {len}");
    }
}

#[test]
fn a_crash_between_two_files_is_gone_on_from() {
    let dir = quick();
    let path = dir.path().join("audit.jsonl");
    let (before, second) = two_files(&path);
    let first_line = memchr::memchr(b'\n', &second).expect("a line") + 1;
    for len in (0..=first_line).chain([second.len()]) {
        fs::write(&path, &second[..len]).expect("write");
        go_on(&path, SMALL);
        let mut all = texts(&files(&path));
        let summary = verify(&all, Wanted::default()).unwrap_or_else(|broken| panic!("{len}: {broken:?}"));
        assert_eq!((summary.files, summary.first.map(|(seq, _)| seq)), (2, Some(0)), "cut at {len}");
        assert_eq!(all.remove(0), before);
    }
    // The full file had not been renamed yet.
    let full = files(&path).remove(0);
    fs::rename(&full, &path).expect("rename");
    go_on(&path, SMALL);
    let summary = verify(&texts(&files(&path)), Wanted::default()).expect("a whole trail");
    assert_eq!((summary.files, summary.resumed), (2, 1));
}

/// A trail of two files; what is in them.
fn two_files(path: &Path) -> (Vec<u8>, Vec<u8>) {
    let trail = open(path, SMALL).expect("a new trail");
    while files(path).len() < 2 {
        trail.note("stdin", "password", &RULES, None, 1);
        trail.flush().expect("room");
    }
    trail.close().expect("room");
    let mut texts = texts(&files(path));
    (texts.remove(0), texts.remove(0))
}

#[test]
fn full_files_are_kept_and_removed_as_it_was_said() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("audit.jsonl");
    for _ in 0..4 {
        let trail = open(&path, SMALL).expect("a trail");
        for i in 0..8 {
            trail.note("stdin", "password", &RULES, None, 1 + i);
            trail.flush().expect("room");
        }
        trail.close().expect("room");
    }
    let all = files(&path);
    assert_eq!(all.len(), 1 + SMALL.keep);
    let texts = texts(&all);
    let summary = verify(&texts, Wanted::default()).expect("a whole trail");
    assert!(summary.first.is_some_and(|(seq, _)| seq > 0), "the first files are gone, as was said");
    for missing in 0..texts.len() {
        let mut rest = texts.clone();
        rest.remove(missing);
        let found = fault(verify(&rest, Wanted::default()));
        match missing {
            0 => assert!(matches!(found, Some(Fault::Removed { .. })), "{found:?}"),
            3 => assert_eq!(found, Some(Fault::Open), "{missing}"),
            _ => assert!(matches!(found, Some(Fault::Missing { .. })), "{found:?}"),
        }
    }
    let part = Wanted { part: true, ..Wanted::default() };
    assert_eq!(fault(verify(&texts[1..], part)), None);
    let mut swapped = texts.clone();
    swapped.swap(1, 2);
    assert!(verify(&swapped, Wanted::default()).is_err());
}

#[test]
fn what_is_no_trail_or_was_changed_is_not_written_to() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = written(dir.path());
    let path = dir.path().join("other");
    let mut edited = text.clone();
    let at = text.len() - 100;
    edited[at] ^= 1;
    for bytes in [&b"a log of something else\n"[..], b"x", b"{\"seq\":1}\n", &edited, b"\n", &[0; 70_000]] {
        fs::write(&path, bytes).expect("write");
        let refused = open(&path, Limits::default()).expect_err("no trail");
        assert!(matches!(refused, CannotOpen::Unfit(..)), "{refused}");
        assert_eq!(fs::read(&path).expect("the file"), bytes);
    }
    assert!(matches!(open(dir.path(), Limits::default()), Err(CannotOpen::NotAFile(_))));
    let nowhere = dir.path().join("no/such");
    assert!(matches!(open(&nowhere, Limits::default()), Err(CannotOpen::File(..))));
}

#[test]
fn one_process_writes_a_trail() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("audit.jsonl");
    let first = open(&path, Limits::default()).expect("a new trail");
    assert!(matches!(open(&path, Limits::default()), Err(CannotOpen::InUse(_))));
    drop(first);
    drop(open(&path, Limits::default()).expect("a trail to go on with"));
    assert_eq!(fault(verify(&texts(&[path]), Wanted::default())), None, "a trail that is dropped is closed");
}

#[test]
fn keys_change_from_one_start_to_the_next() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = written(dir.path());
    let path = dir.path().join("audit.jsonl");
    let new = || Key::new("a2", b"the next dead key of the trail").expect("a key");
    let with =
        |key| Options { path: path.clone(), key, limits: Limits::default(), when_full: WhenFull::Stop };
    let other = Key::new("a1", b"not the key of this trail").expect("a key");
    assert!(matches!(Trail::open(with(other), Box::new(|_| {})), Err(CannotOpen::Unfit(..))));
    assert_eq!(fs::read(&path).expect("the trail"), text);
    drop(Trail::open(with(new()), Box::new(|_| {})).expect("a trail to go on with"));
    let all = texts(&[path]);
    assert_eq!(fault(verify_by(&all, &[super::key(), new()], Wanted::default())), None);
    assert_eq!(fault(verify(&all, Wanted::default())), Some(Fault::UnknownKey("a2".to_owned())));
}

#[test]
fn what_others_did_to_the_file_holds_records_up() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("audit.jsonl");
    for harm in [
        |path: &Path| fs::remove_file(path),
        |path: &Path| fs::write(path, "{\"seq\":0"),
        |path: &Path| fs::rename(path, path.with_extension("old")),
    ] {
        let _ = fs::remove_file(&path);
        let trail = open(&path, Limits::default()).expect("a new trail");
        assert!(trail.pass().is_ok());
        harm(&path).expect("harm");
        trail.note("stdin", "password", &RULES, None, 1);
        assert!(trail.flush().is_err() && trail.pass().is_err() && trail.fault().is_some());
        assert!(trail.close().is_err());
    }
}

#[test]
fn nothing_is_lost_between_threads() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("audit.jsonl");
    let limits = Limits { max_size: 16 << 10, keep: 1000 };
    let trail = Arc::new(open(&path, limits).expect("a new trail"));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let trail = trail.clone();
            scope.spawn(move || {
                for i in 0..500_u64 {
                    let name = format!("[email:k1:{i:024x}]");
                    trail.note(&format!("stream {thread}"), "password", &RULES, None, i);
                    trail.note("shared", "email", &RULES, Some(&name), 1);
                    if i % 50 == 0 {
                        trail.flush().expect("room");
                    }
                }
            });
        }
    });
    trail.close().expect("room");
    let summary = verify(&texts(&files(&path)), Wanted::default()).expect("a whole trail");
    assert_eq!(summary.findings, 4 * (499 * 500 / 2 + 500));
}
