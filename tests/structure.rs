//! The tree is as `src/README.md` says: imports run one way, lists match folders, files open with what they are,
//! and what the README promises is there.
//!
//! Reads the sources as text. It is no parser: comments and unit tests are left out, the rest is searched.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules in reading order. A module uses those of earlier lines and itself, never its own line's others.
const ORDER: &[&[&str]] = &[
    &["finding"],
    &["rules"],
    &["carrier"],
    &["learned"],
    &["scan"],
    &["redact"],
    &["sanitize"],
    &["stream"],
    &["parallel"],
    &["audit", "report", "trial", "config", "otlp"],
    &["bundle"],
    &["relay"],
    &["pod"],
    &["cmd"],
    &["main", "lib"],
];

/// Modules that touch files, arguments, clocks and standard streams.
const OUTSIDE: &[&str] = &["audit", "bundle", "relay", "pod", "cmd", "main"];

/// What the others do not touch; clippy.toml says why, function by function.
const FORBIDDEN: &[&str] = &[
    "std::fs",
    "std::env",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "std::process",
    "Instant::",
    "SystemTime",
];

const MOST_LINES: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The files below `dir` that end in `.ext`, relative to the root.
fn files(dir: &str, ext: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![root().join(dir)];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
            let path = entry.expect("folder can be listed").path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == ext) {
                found.push(path.strip_prefix(root()).expect("below the root").to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The top-level module that a file of `src` belongs to.
fn module(file: &Path) -> String {
    let first = file.iter().nth(1).expect("a file below src").to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|line| line.contains(&module))
}

/// The code of a source file: no comments, no unit tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

/// The names that follow `prefix` in `code`, up to the next `::` or the end of the word; `{a, b::c}` gives both.
fn names_after(code: &str, prefix: &str) -> Vec<String> {
    let word =
        |s: &str| s.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.push(word(rest));
            continue;
        };
        // The group's own items start after its brace and after each comma at depth one.
        let mut depth = 1;
        names.push(word(group));
        for (i, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => names.push(word(&group[i + 1..])),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Where a name that `lib.rs` re-exports comes from.
fn home(name: &str, lib: &str) -> Option<String> {
    lib.lines().filter_map(|line| line.trim().strip_prefix("pub use ")).find_map(|line| {
        let (module, names) = line.split_once("::")?;
        let mut names = names.split(|c: char| !c.is_alphanumeric() && c != '_');
        names.any(|n| n == name).then(|| module.to_owned())
    })
}

#[test]
fn imports_run_one_way() {
    let lib = code(&read("src/lib.rs"));
    let mut wrong = Vec::new();
    for file in files("src", "rs") {
        let own = module(&file);
        let Some(own_rank) = rank(&own) else {
            wrong.push(format!("{}: module {own} is not in ORDER", file.display()));
            continue;
        };
        if own == "lib" {
            continue;
        }
        let code = code(&read(&file));
        if code.contains("super::super::") {
            wrong.push(format!("{}: write crate:: in place of super::super::", file.display()));
        }
        for prefix in ["crate::", "kasm_scrub::"] {
            for name in names_after(&code, prefix) {
                let module = if rank(&name).is_some() { Some(name.clone()) } else { home(&name, &lib) };
                match module.as_deref().and_then(rank) {
                    None => wrong.push(format!("{}: {prefix}{name} is in no known module", file.display())),
                    Some(_) if module.as_deref() == Some(own.as_str()) => {}
                    Some(rank) if rank < own_rank => {}
                    Some(_) => wrong.push(format!("{}: {own} must not use {prefix}{name}", file.display())),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_command_line_touches_the_machine() {
    let mut wrong = Vec::new();
    for file in files("src", "rs") {
        if OUTSIDE.contains(&module(&file).as_str()) {
            continue;
        }
        let code = code(&read(&file));
        for word in FORBIDDEN.iter().filter(|word| code.contains(**word)) {
            wrong.push(format!("{}: {word} belongs in src/cmd", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_pattern_file_is_built_in() {
    let listed: Vec<_> =
        kasm_scrub::rules::builtin::BUILTIN.iter().map(|(name, _)| PathBuf::from(name)).collect();
    assert_eq!(
        listed,
        files("patterns", "toml"),
        "src/rules/builtin.rs lists what patterns/ holds, in order"
    );
}

#[test]
fn files_open_with_what_they_are_and_stay_readable() {
    let mut wrong = Vec::new();
    for file in files("src", "rs") {
        let text = read(&file);
        if !text.starts_with("//! ") {
            wrong.push(format!("{}: open with `//!` and what the file is", file.display()));
        }
        let lines = text.lines().count();
        if lines > MOST_LINES {
            wrong
                .push(format!("{}: {lines} lines; split it at a seam, at most {MOST_LINES}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_is_one_test_binary_and_it_has_every_test_file() {
    let main = read("tests/main.rs");
    let mut missing = Vec::new();
    for entry in fs::read_dir(root().join("tests")).expect("tests can be listed") {
        let path = entry.expect("folder can be listed").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let is_test = path.extension().is_some_and(|e| e == "rs") || path.join("mod.rs").exists();
        if is_test && name != "main" && !main.lines().any(|line| line.trim() == format!("mod {name};")) {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "tests/main.rs lacks: {missing:?}");
    assert_eq!(read("Cargo.toml").matches("[[test]]").count(), 1, "one test binary links once");
}

#[test]
fn readme_names_its_two_commands() {
    let readme = read("README.md");
    let ci = read(".ci/run");
    for command in ["cargo run --release --locked -- filter < tests/data/kasm.log", "cargo test --locked"] {
        assert!(
            readme.lines().any(|line| line.trim() == command),
            "README.md lacks `{command}` on a line of its own"
        );
        assert!(ci.contains(command), ".ci/run does not run `{command}`");
    }
}

#[test]
fn map_of_the_source_names_every_part() {
    let map = read("src/README.md");
    let modules: BTreeSet<_> = files("src", "rs").iter().map(|file| module(file)).collect();
    let missing: Vec<_> = modules
        .iter()
        .filter(|m| !map.contains(&format!("`{m}.rs`")) && !map.contains(&format!("`{m}/`")))
        .collect();
    assert!(missing.is_empty(), "src/README.md has no line for: {missing:?}");
}

#[test]
fn links_in_documents_resolve() {
    let mut broken = Vec::new();
    for document in [
        "README.md",
        "src/README.md",
        "patterns/README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "deploy/README.md",
    ] {
        let folder = root().join(document).parent().expect("a folder").to_owned();
        let text = read(document);
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split(')').next().unwrap_or_default();
            let path = target.split('#').next().unwrap_or_default();
            if !target.contains("://") && !path.is_empty() && !folder.join(path).exists() {
                broken.push(format!("{document}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
