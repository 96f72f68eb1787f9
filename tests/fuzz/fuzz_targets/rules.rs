//! Any rule file is loaded or refused, and what loads can scan any text; nothing panics.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../checks.rs"]
mod checks;

/// A file as it is, or a rule around a regex: most files that are not tried for are no TOML.
#[derive(Arbitrary, Debug)]
enum File<'a> {
    Whole(&'a str),
    Regex { regex: &'a str, group: Option<u8>, more: &'a str },
    Keys { name: &'a str, more: &'a str },
}

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    file: File<'a>,
    text: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let file = match input.file {
        File::Whole(file) => file.to_owned(),
        File::Regex { regex, group, more } => {
            let group = group.map_or(String::new(), |group| format!("secretGroup = {group}\n"));
            format!("[[rules]]\nid = \"a\"\nregex = '''{regex}'''\n{group}{more}\n")
        }
        File::Keys { name, more } => format!("[[rules]]\nid = \"a\"\nkeys = [\"{name}\"]\n{more}\n"),
    };
    checks::rules(&file, input.text);
});
