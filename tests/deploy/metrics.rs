//! Rules and dashboard name counts that there are: as the sources register them.

use std::collections::BTreeSet;

use super::files::{read, root};

const SOURCES: &[&str] = &["src/relay/metrics.rs", "src/pod/metrics.rs"];
const READERS: &[&str] = &["monitoring/rules.yaml", "monitoring/dashboard.json"];

/// What is behind the name of a counter, and of the parts of a histogram.
const ENDINGS: [&str; 4] = ["_total", "_bucket", "_sum", "_count"];

/// How a count is registered, in front of its name.
const REGISTERED: [&str; 4] = ["register(", "register_with_unit(", "gauge(", "encode_descriptor("];

/// The names that the sources register, each with its unit.
fn registered(sources: &str) -> BTreeSet<String> {
    let calls = REGISTERED.iter().flat_map(|call| sources.match_indices(call).map(|(at, _)| at + call.len()));
    let name_of = |at: usize| {
        let call = sources[at..].split(';').next()?;
        let name = call.trim_start().strip_prefix('"')?.split('"').next()?;
        let unit = match call.split_once("Unit::").map_or("", |(_, unit)| unit) {
            "" => "",
            unit if unit.starts_with("Bytes") => "_bytes",
            unit if unit.starts_with("Seconds") => "_seconds",
            unit if unit.starts_with("Other(\"ratio\"") => "_ratio",
            unit => panic!("a unit that this test does not know: {unit}"),
        };
        Some(format!("{name}{unit}"))
    };
    calls.filter_map(name_of).collect()
}

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
    let names = registered(&sources);
    assert!(names.len() > 25, "{names:?}");
    for name in asked {
        let is_there = names.contains(name)
            || ENDINGS
                .iter()
                .any(|ending| name.strip_suffix(ending).is_some_and(|base| names.contains(base)));
        assert!(is_there, "kasm_scrub_{name} is asked for and nowhere counted: {names:?}");
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
