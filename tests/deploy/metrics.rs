//! Rules and dashboard name counts that there are: as the sources register them.

use std::collections::BTreeSet;

use super::files::{read, root};

const SOURCES: &[&str] = &["src/relay/metrics.rs", "src/pod/metrics.rs"];
const READERS: &[&str] = &["monitoring/rules.yaml", "monitoring/dashboard.json"];

/// What Prometheus or a unit adds to a name.
const ENDINGS: &[&str] = &["_total", "_bucket", "_sum", "_count", "_seconds", "_bytes"];

/// The words of a text that begin so, without what they begin with.
fn words<'t>(text: &'t str, prefix: &str) -> BTreeSet<&'t str> {
    text.match_indices(prefix)
        // Not the name of a recording rule, which has one of ours inside.
        .filter(|(at, _)| !text[..*at].ends_with(':'))
        .map(|(at, _)| {
            let rest = &text[at + prefix.len()..];
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            &rest[..end]
        })
        .collect()
}

fn sources() -> String {
    SOURCES
        .iter()
        .map(|path| root().join(path))
        .filter(|path| path.exists())
        .map(|path| read(&path))
        .collect()
}

fn readers() -> String {
    let folder = root().join("deploy/kubernetes/components");
    READERS.iter().map(|path| read(&folder.join(path))).collect()
}

#[test]
fn every_count_that_is_asked_for_is_there() {
    let sources = sources();
    let readers = readers();
    let asked = words(&readers, "kasm_scrub_");
    assert!(asked.len() > 10, "{asked:?}");
    for name in asked {
        let mut base = name;
        while let Some(shorter) = ENDINGS.iter().find_map(|ending| base.strip_suffix(ending)) {
            base = shorter;
        }
        let is_there = [format!("\"{base}\""), format!("\"kasm_scrub_{base}\""), format!("\"{name}\"")]
            .iter()
            .any(|text| sources.contains(text));
        assert!(is_there, "kasm_scrub_{name} is asked for and nowhere counted");
    }
}

/// An event that no list of the sources has is not there before it has happened once, and its first time would be missed.
#[test]
fn every_event_that_is_asked_for_is_counted_from_the_start() {
    let sources = sources();
    let readers = readers().replace('\\', "");
    let mut seen = 0;
    for (at, _) in readers.match_indices("what=") {
        let rest = readers[at + "what=".len()..].trim_start_matches('~');
        let listed = rest.strip_prefix('"').and_then(|rest| rest.split('"').next()).expect("a quoted word");
        for word in listed.split('|') {
            seen += 1;
            assert!(sources.contains(&format!("\"{word}\"")), "nothing counts {word}");
        }
    }
    assert!(seen > 10, "only {seen} words were looked up");
}
