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

/// Writes until there are so many files more.
fn rotate(path: &Path, limits: Limits, times: usize) {
    let trail = open(path, limits).expect("a trail");
    let inode = || fs::metadata(path).ok().map(|it| std::os::unix::fs::MetadataExt::ino(&it));
    for _ in 0..times {
        let before = inode();
        while inode().is_none_or(|now| Some(now) == before) {
            trail.note("stdin", "password", &RULES, None, 1);
            trail.flush().expect("room");
        }
    }
    trail.close().expect("room");
}

#[test]
fn full_files_that_others_removed_are_told_for_good() {
    let limits = Limits { keep: 6, ..SMALL };
    for removed in [0, 2] {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("audit.jsonl");
        rotate(&path, limits, 4);
        fs::remove_file(&files(&path)[removed]).expect("a full file");
        let found = fault(verify(&texts(&files(&path)), Wanted::default()));
        assert!(matches!(found, Some(Fault::Removed { .. } | Fault::Missing { .. })), "{found:?}");
        for times in 1..=2 {
            rotate(&path, limits, times);
            // Of a hole what is behind it is a trail whose start is missing.
            let behind = if removed == 0 { 0 } else { removed };
            let found = fault(verify(&texts(&files(&path)[behind..]), Wanted::default()));
            assert!(matches!(found, Some(Fault::Lost { .. })), "{removed}: {found:?}");
        }
        let all = texts(&files(&path)).concat();
        let text = String::from_utf8(all).expect("text");
        assert_eq!(text.matches("\"lost_from\"").count(), 1, "it is noted once");
    }
}

#[test]
fn files_that_only_have_the_name_count_for_nothing() {
    let limits = Limits { keep: 2, ..SMALL };
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("audit.jsonl");
    rotate(&path, limits, 1);
    let first = fs::read(&files(&path)[0]).expect("a full file");
    let named = |number: u64| dir.path().join(format!("audit.jsonl.{number:012}"));
    for number in [1, 999_999_999_990, 999_999_999_991, 999_999_999_992] {
        fs::write(named(number), "").expect("write");
    }
    // A true file under another number, and one that is no file.
    fs::write(named(2), &first).expect("write");
    fs::create_dir(named(3)).expect("a folder");
    rotate(&path, limits, 1);
    let planted =
        |file: &Path| fs::read(file).is_ok_and(|text| text.is_empty()) || file == named(2) || file.is_dir();
    let own = || files(&path).into_iter().filter(|file| !planted(file)).collect::<Vec<_>>();
    assert_eq!(own().len(), 3, "none was removed for those");
    let summary = verify(&texts(&own()), Wanted::default()).expect("a whole trail");
    assert_eq!((summary.files, summary.first.map(|(seq, _)| seq)), (3, Some(0)));
    rotate(&path, limits, 1);
    assert_eq!(own().len(), 3);
    verify(&texts(&own()), Wanted::default()).expect("a whole trail");
    assert!(named(1).exists() && named(2).exists() && named(999_999_999_990).exists(), "they are not ours");
}

#[test]
fn what_stands_behind_the_last_line_is_cut_off() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = written(dir.path());
    let path = dir.path().join("other");
    let zeros = |count| vec![0; count];
    let half = [&b"{\"seq\":6,\"ti"[..], &zeros(4000)].concat();
    for end in [zeros(1), zeros(4096), zeros(300_000), b"x".to_vec(), b"\xff\x00\x01".to_vec(), half] {
        fs::write(&path, [&text[..], &end].concat()).expect("write");
        go_on(&path, Limits::default());
        let after = fs::read(&path).expect("the trail");
        let said = format!("\"torn\":{}", end.len());
        assert!(after.starts_with(&text) && String::from_utf8_lossy(&after).contains(&said), "{said}");
        let summary = verify(&[after], Wanted::default()).expect("a whole trail");
        assert_eq!(summary.resumed, 1);
    }
    // A file that was only just begun.
    fs::write(&path, zeros(4096)).expect("write");
    go_on(&path, Limits::default());
    verify(&texts(&[path]), Wanted::default()).expect("a whole trail");
}

#[test]
fn trails_under_one_key_are_told_apart() {
    let dir = tempfile::tempdir().expect("a folder");
    let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
    [&one, &two].into_iter().for_each(|path| rotate(path, SMALL, 1));
    let id =
        |path: &Path| verify(&texts(&files(path)), Wanted::default()).expect("whole").trail.expect("an id");
    let (own, other) = (id(&one), id(&two));
    assert_ne!(own, other);
    go_on(&one, SMALL);
    let wanted = |trail| Wanted { trail: Some(trail), ..Wanted::default() };
    let all = texts(&files(&one));
    assert_eq!(fault(verify(&all, wanted(own))), None);
    assert_eq!(fault(verify(&all, wanted(other))), Some(Fault::OtherTrail(own)));
    // Removed, and begun anew.
    files(&one).iter().for_each(|file| fs::remove_file(file).expect("a file"));
    go_on(&one, SMALL);
    assert!(matches!(fault(verify(&texts(&files(&one)), wanted(own))), Some(Fault::OtherTrail(_))));
}

#[test]
fn a_crash_is_no_crash_to_who_is_strict() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = written(dir.path());
    let strict = Wanted { strict: true, ..Wanted::default() };
    assert_eq!(fault(verify(&[&text], strict.clone())), None);
    let path = dir.path().join("other");
    let whole = memchr::memchr_iter(b'\n', &text).nth(1).expect("a line") + 1;
    fs::write(&path, &text[..whole]).expect("write");
    go_on(&path, Limits::default());
    let all = texts(&[path]);
    assert_eq!(fault(verify(&all, Wanted::default())), None);
    assert_eq!(fault(verify(&all, strict)), Some(Fault::Resumed { times: 1, loose: 1 }));
}

#[test]
fn a_trail_behind_a_link_stands_where_the_link_leads() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("elsewhere");
    fs::create_dir(&folder).expect("a folder");
    let link = dir.path().join("audit.jsonl");
    std::os::unix::fs::symlink(folder.join("real.jsonl"), &link).expect("a link");
    let trail = open(&link, SMALL).expect("a new trail");
    while files(&folder.join("real.jsonl")).len() < 3 {
        trail.note("stdin", "password", &RULES, None, 1);
        trail.flush().expect("room");
    }
    trail.close().expect("room");
    assert!(fs::symlink_metadata(&link).expect("a link").is_symlink());
    verify(&texts(&files(&folder.join("real.jsonl"))), Wanted::default()).expect("a whole trail");
}
