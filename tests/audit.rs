//! The dependencies keep to `deny.toml`: licences, one version of each crate, none that is banned, one source.
//!
//! Needs no network and no other tool: versions and sources are read from `Cargo.lock`, for every platform; licences
//! from `cargo metadata`, for this platform and what is already downloaded. Advisories are cargo-deny's: they need a
//! network.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use toml::de::{DeTable, DeValue};

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What `deny.toml` says.
struct Policy {
    licences: BTreeSet<String>,
    banned: BTreeSet<String>,
    /// Crates that may have more than one version.
    skipped: BTreeSet<String>,
}

/// A package of `Cargo.lock`.
struct Package {
    name: String,
    version: String,
    /// `None`: this package itself.
    source: Option<String>,
}

fn parsed<T>(file: &str, read: impl FnOnce(&DeTable<'_>) -> T) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{file}: {e}"));
    let table = DeTable::parse(&text).unwrap_or_else(|e| panic!("{file}: {e}"));
    read(table.get_ref())
}

fn string(table: &DeTable<'_>, key: &str) -> Option<String> {
    table.get(key).and_then(|value| value.get_ref().as_str()).map(str::to_owned)
}

/// The strings of a list, or the `name`s of its tables.
fn names(table: &DeTable<'_>, section: &str, key: &str) -> BTreeSet<String> {
    let list = table.get(section).and_then(|s| s.get_ref().as_table()).and_then(|s| s.get(key));
    let items = list
        .and_then(|list| list.get_ref().as_array())
        .unwrap_or_else(|| panic!("deny.toml lacks {section}.{key}"));
    items
        .iter()
        .map(|item| match item.get_ref() {
            DeValue::Table(table) => string(table, "name").expect("an entry has a name"),
            item => item.as_str().expect("an entry is a string or a table").to_owned(),
        })
        .collect()
}

fn policy() -> Policy {
    parsed("deny.toml", |table| Policy {
        licences: names(table, "licenses", "allow"),
        banned: names(table, "bans", "deny"),
        skipped: names(table, "bans", "skip"),
    })
}

fn locked() -> Vec<Package> {
    parsed("Cargo.lock", |table| {
        let packages =
            table.get("package").and_then(|list| list.get_ref().as_array()).expect("Cargo.lock has packages");
        packages
            .iter()
            .filter_map(|package| package.get_ref().as_table())
            .map(|package| Package {
                name: string(package, "name").expect("a package has a name"),
                version: string(package, "version").expect("a package has a version"),
                source: string(package, "source"),
            })
            .collect()
    })
}

/// Whether an SPDX expression can be met with the allowed licences. `/` is the old way to write `OR`.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (holds, rest) = any_of(&words, allowed);
    holds && rest.is_empty()
}

fn any_of<'w>(words: &'w [&'w str], allowed: &BTreeSet<String>) -> (bool, &'w [&'w str]) {
    let (mut holds, mut rest) = all_of(words, allowed);
    while let Some((&"OR", after)) = rest.split_first() {
        let (other, after) = all_of(after, allowed);
        holds |= other;
        rest = after;
    }
    (holds, rest)
}

fn all_of<'w>(words: &'w [&'w str], allowed: &BTreeSet<String>) -> (bool, &'w [&'w str]) {
    let (mut holds, mut rest) = one(words, allowed);
    while let Some((&"AND", after)) = rest.split_first() {
        let (other, after) = one(after, allowed);
        holds &= other;
        rest = after;
    }
    (holds, rest)
}

fn one<'w>(words: &'w [&'w str], allowed: &BTreeSet<String>) -> (bool, &'w [&'w str]) {
    match words {
        ["(", rest @ ..] => {
            let (holds, rest) = any_of(rest, allowed);
            // Without its closing bracket the expression cannot be read, so it does not hold.
            match rest.split_first() {
                Some((&")", rest)) => (holds, rest),
                _ => (false, rest),
            }
        }
        [licence, "WITH", exception, rest @ ..] => {
            (allowed.contains(&format!("{licence} WITH {exception}")), rest)
        }
        [licence, rest @ ..] => (allowed.contains(*licence), rest),
        [] => (false, words),
    }
}

/// Package and licence of everything that this platform's build uses.
fn licences() -> Vec<(String, Option<String>)> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let run = |args: &[&str]| {
        let output = Command::new(&cargo).args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        let output = output.expect("cargo starts");
        assert!(output.status.success(), "cargo {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let version = String::from_utf8(run(&["-vV"])).expect("cargo -vV is text");
    let host =
        version.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo -vV names the host");
    let args = ["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", host];
    let metadata: serde_json::Value = serde_json::from_slice(&run(&args)).expect("cargo metadata is JSON");
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let packages = metadata["packages"].as_array().expect("metadata has packages");
    packages.iter().map(|p| (text(&p["name"]).unwrap_or_default(), text(&p["license"]))).collect()
}

#[test]
fn licences_are_allowed() {
    let Policy { licences: allowed, .. } = policy();
    let wrong: Vec<_> = licences()
        .into_iter()
        .filter(|(_, licence)| !licence.as_deref().is_some_and(|licence| is_allowed(licence, &allowed)))
        .collect();
    assert!(wrong.is_empty(), "not allowed by deny.toml: {wrong:?}");
}

#[test]
fn each_crate_has_one_version() {
    let Policy { skipped, .. } = policy();
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Package { name, version, .. } in locked() {
        versions.entry(name).or_default().push(version);
    }
    for name in &skipped {
        assert!(versions.get(name).is_some_and(|v| v.len() > 1), "bans.skip no longer needs {name}");
    }
    versions.retain(|name, list| list.len() > 1 && !skipped.contains(name));
    assert!(versions.is_empty(), "more than one version of: {versions:?}");
}

#[test]
fn nothing_banned_is_used() {
    let Policy { banned, .. } = policy();
    let used: Vec<_> = locked().into_iter().map(|p| p.name).filter(|name| banned.contains(name)).collect();
    assert!(used.is_empty(), "banned by deny.toml: {used:?}");
}

#[test]
fn all_come_from_the_default_registry() {
    let others: Vec<_> = locked()
        .into_iter()
        .filter(|p| p.source.as_deref().is_some_and(|source| source != REGISTRY))
        .map(|p| p.name)
        .collect();
    assert!(others.is_empty(), "from elsewhere than the default registry: {others:?}");
    let own: Vec<_> = locked().into_iter().filter(|p| p.source.is_none()).map(|p| p.name).collect();
    assert_eq!(own, ["kasm-scrub"], "one package, no path dependencies");
}

#[test]
fn expressions_are_read_as_spdx() {
    let allowed = BTreeSet::from(["MIT".to_owned(), "Zlib".to_owned()]);
    for (expression, want) in [
        ("MIT", true),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("(GPL-3.0 OR MIT) AND Zlib", true),
        ("MIT AND (GPL-3.0 OR BSD-3-Clause)", false),
        ("MIT WITH some-exception", false),
        ("(MIT", false),
        ("", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), want, "{expression}");
    }
}
