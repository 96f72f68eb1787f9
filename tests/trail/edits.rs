//! Every single change of a trail is found.

use std::sync::LazyLock;

use kasm_scrub::audit::{Fault, Hash, Wanted};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::{fault, verify, verify_by, written};

fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    text.split_inclusive(|&b| b == b'\n').map(<[u8]>::to_vec).collect()
}

#[test]
fn what_was_written_is_that() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = written(dir.path());
    let summary = verify(&[&text], Wanted::default()).expect("as it was written");
    assert_eq!((summary.entries, summary.findings, summary.first.map(|(seq, _)| seq)), (6, 5, Some(0)));
    assert!(summary.is_closed && summary.resumed == 0 && summary.unkeyed == 0);
    let (last, _, head) = summary.last.expect("a last entry");
    for (wanted, want) in [
        (Wanted { seq: Some(last), head: Some(head), ..Wanted::default() }, None),
        (Wanted { seq: Some(last + 1), ..Wanted::default() }, Some(Fault::TooShort { last })),
        (Wanted { head: Hash::parse(&"0".repeat(64)), ..Wanted::default() }, Some(Fault::NoHead)),
    ] {
        assert_eq!(fault(verify(&[&text], wanted)), want);
    }
}

#[test]
fn every_changed_byte_is_found() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = written(dir.path());
    for at in 0..text.len() {
        for bits in [1, 0x20, 0x80] {
            let mut changed = text.clone();
            changed[at] ^= bits;
            for live in [false, true] {
                let wanted = Wanted { live, part: live, ..Wanted::default() };
                let found = verify(&[&changed], wanted);
                // The newline of the last line: all of the line may be on its way.
                assert!(found.is_err() || live && at == text.len() - 1, "byte {at}, bits {bits}");
            }
        }
    }
}

#[test]
fn every_cut_before_the_close_is_found() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = written(dir.path());
    for len in 0..text.len() {
        assert!(verify(&[&text[..len]], Wanted::default()).is_err(), "cut at {len}");
    }
}

#[test]
fn hashes_made_anew_without_the_key_are_found() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = String::from_utf8(written(dir.path())).expect("text");
    for (from, to) in [("\"count\":3", "\"count\":2"), ("\"rule\":\"email\"", "\"rule\":\"e-mail\"")] {
        let edited = text.replacen(from, to, 1);
        assert_ne!(edited, text);
        let mut before = vec![0; 32];
        let forged: String = edited
            .lines()
            .map(|line| {
                let content = line.rsplit_once(",\"hash\":").expect("a hash").0;
                let hash = Sha256::new().chain_update(b"kasm-scrub audit 1\n");
                before = hash.chain_update(&before).chain_update(content).finalize().to_vec();
                let hex: String = before.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{content},\"hash\":\"{hex}\"}}\n")
            })
            .collect();
        assert_eq!(fault(verify(&[&forged], Wanted::default())), Some(Fault::Forged));
        // Without a key there is nothing that could tell.
        assert_eq!(fault(verify_by(&[&forged], &[], Wanted::default())), None);
    }
}

static TEXT: LazyLock<Vec<u8>> = LazyLock::new(|| written(tempfile::tempdir().expect("a folder").path()));

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines_in_another_order_are_found(first in 0_usize..6, second in 0_usize..7, what in 0..4) {
        let text = &*TEXT;
        let mut changed = lines(text);
        match what {
            0 => drop(changed.remove(first)),
            1 => changed.swap(first, second.min(5)),
            2 => changed.insert(second, changed[first].clone()),
            _ => changed.insert(second, b"{}\n".to_vec()),
        }
        let changed = changed.concat();
        prop_assume!(changed != *text);
        prop_assert!(verify(&[&changed], Wanted::default()).is_err());
        // Who reads a trail that is being written may see no close, but nothing else of this.
        let at_the_end = what == 0 && first == 5;
        let live = Wanted { live: true, ..Wanted::default() };
        prop_assert_eq!(verify(&[&changed], live).is_err(), !at_the_end);
    }
}

#[test]
fn faults_say_what_was_done() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = written(dir.path());
    let check = |what: &str, line: u64, want: Fault, change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut changed = lines(&text);
        change(&mut changed);
        let broken = verify(&[changed.concat()], Wanted::default()).expect_err(what);
        assert_eq!((broken.line, broken.fault), (line, want), "{what}");
    };
    check("cut out", 3, Fault::Missing { from: 2, to: 2 }, &|lines| drop(lines.remove(2)));
    check("doubled", 4, Fault::Moved { seq: 2 }, &|lines| lines.insert(3, lines[2].clone()));
    check("no close", 5, Fault::Open, &|lines| drop(lines.pop()));
    check("no start", 1, Fault::Misplaced("found"), &|lines| drop(lines.remove(0)));
    check("an empty line", 2, Fault::NotAnEntry, &|lines| lines.insert(1, b"\n".to_vec()));
    check("a carriage return", 1, Fault::NotAnEntry, &|lines| {
        lines[0].pop();
        lines[0].extend_from_slice(b"\r\n");
    });
    check("no line", 0, Fault::Empty, &|lines| lines.clear());
    check("edited", 3, Fault::Edited, &|lines| {
        let text = String::from_utf8(lines[2].clone()).expect("text");
        lines[2] = text.replace("\"count\":3", "\"count\":4").into_bytes();
    });
    let other = [kasm_scrub::audit::Key::new("a1", b"another dead key 16").expect("a key")];
    assert_eq!(fault(verify_by(&[&text], &other, Wanted::default())), Some(Fault::Forged));
    let other = [kasm_scrub::audit::Key::new("a2", super::KEY).expect("a key")];
    let unknown = Fault::UnknownKey("a1".to_owned());
    assert_eq!(fault(verify_by(&[&text], &other, Wanted::default())), Some(unknown));
}
