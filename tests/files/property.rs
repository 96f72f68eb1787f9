//! Any tree, in any form: what comes out, unpacked, is what a scrubber makes of each file.

use kasm_scrub::{Sanitizer, Scrubber};
use proptest::prelude::*;

use super::stage::{Stage, Tree, gz, log, secret_line, tar_of, unpack, zip_of, zst};

/// A text of some lines.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just(secret_line().into_bytes()),
        "[ -~]{0,80}\n".prop_map(String::into_bytes),
        proptest::collection::vec(1u8.., 0..20),
        Just(log("x")),
    ];
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

/// A file or an archive of such.
fn packed() -> impl Strategy<Value = Vec<u8>> {
    text().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|bytes| gz(&bytes)),
            inner.clone().prop_map(|bytes| zst(&bytes)),
            proptest::collection::vec(inner.clone(), 1..3).prop_map(|files| archive(&files, tar_of)),
            proptest::collection::vec(inner, 0..3).prop_map(|files| archive(&files, zip_of)),
        ]
    })
}

/// Makes an archive of names and contents.
type Pack = fn(&[(&str, &[u8])]) -> Vec<u8>;

fn archive(files: &[Vec<u8>], pack: Pack) -> Vec<u8> {
    let names = ["one", "two", "three"];
    let entries: Vec<_> = names.into_iter().zip(files).map(|(name, bytes)| (name, &bytes[..])).collect();
    pack(&entries)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn trees_are_scrubbed_file_by_file(
        files in proptest::collection::vec(packed(), 1..5),
        out in prop_oneof![Just("out"), Just("out.tar"), Just("out.tar.gz"), Just("out.tar.zst"), Just("out.zip")],
        threads in 1..4usize,
    ) {
        let sanitizer = Sanitizer::builtin();
        let stage = Stage::new();
        let mut want = Tree::new();
        for (i, bytes) in files.iter().enumerate() {
            stage.put(&format!("in/{i}"), bytes);
            unpack(&i.to_string(), 0, bytes.clone(), &mut want);
        }
        stage.done(&["in", "-o", out, "--max-depth", "9", "--keep-binary", "-t", &threads.to_string()]);
        let got: Vec<_> = stage.unpacked(out).into_iter()
            .filter(|(name, _)| !name.ends_with('/'))
            .map(|(name, (_, bytes))| (name.rsplit_once("!in/").map_or(name.clone(), |(_, name)| name.to_owned()), bytes))
            .collect();
        prop_assert_eq!(got.len(), want.len());
        for ((name, bytes), (want_name, (_, text))) in got.into_iter().zip(want) {
            let mut clean = Vec::new();
            let mut scrubber = Scrubber::new(&sanitizer);
            scrubber.push(&text, &mut clean);
            scrubber.finish(&mut clean);
            prop_assert_eq!(&name, &want_name);
            // Some bytes make a text one in UTF-16 or another form: such are told by their first bytes.
            if text.first().is_none_or(|byte| *byte < 0x80) {
                prop_assert_eq!(bytes, clean, "{}", name);
            }
        }
    }
}
