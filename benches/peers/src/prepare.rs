//! What all rows work on: texts, rule files and lists of patterns, in one folder. Made by a process of its own, so that
//! the one that measures stays small.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use crate::patterns;
use crate::texts::{Dice, MARK, json_line, log_line, text};
use crate::vectorscan::{Database, Refused, Vectorscan};
use crate::worker;

/// How many rules a user adds.
const USER_RULES: usize = 1000;

/// A text by its name; 1, 16 or 64 is how many times smaller than the whole it is.
pub fn text_name(text: &str, part: usize) -> String {
    if part == 1 { format!("{text}.txt") } else { format!("{text}.{part}.txt") }
}

/// What to make, and where.
#[derive(Debug, clap::Args)]
pub struct Args {
    dir: PathBuf,
    /// The size of each text
    #[arg(long)]
    mib: usize,
    /// One more text
    #[arg(long)]
    file: Option<PathBuf>,
    /// gitleaks' rules
    #[arg(long)]
    gitleaks: Option<PathBuf>,
    /// Compile for Vectorscan, which takes a while
    #[arg(long)]
    vectorscan: bool,
}

/// Fills the folder. Says how much there is of what.
pub fn prepare(args: &Args) -> Result<Value, String> {
    let Args { dir, mib, file, gitleaks, vectorscan } = args;
    let size = mib << 20;
    let mut sizes = serde_json::Map::new();
    let mut put = |name: &str, text: Vec<u8>| {
        sizes.insert(name.to_owned(), text.len().into());
        for part in [1, 16, 64] {
            let end = memchr::memchr(b'\n', &text[text.len() / part - 1..])
                .map_or(text.len(), |i| text.len() / part + i);
            write(&dir.join(text_name(name, part)), &text[..end])?;
        }
        Ok::<(), String>(())
    };
    let log: fn(&mut Vec<u8>, &mut Dice) = log_line;
    for (name, line, every) in [
        ("log", log, None),
        ("json", json_line, None),
        ("hundredth", log_line, Some(100)),
        ("every", log_line, Some(1)),
    ] {
        put(name, text(size, line, every))?;
    }
    if let Some(path) = file {
        let mut text = read(path)?;
        if text.is_empty() {
            return Err(format!("{}: is empty; name a log with lines in it", path.display()));
        }
        if text.last() != Some(&b'\n') {
            text.push(b'\n');
        }
        let once = text.len();
        while text.len() + once <= size {
            text.extend_from_within(..once);
        }
        put("file", text)?;
    }
    let line = text(1, log_line, None);
    write(&dir.join("line.txt"), &line)?;
    write(&dir.join("corpus.txt"), &corpus_text())?;

    let rules = patterns::builtin();
    let (regexes, keyed) = patterns::regexes(&rules);
    let literals = patterns::literals(&rules);
    let words: Vec<&str> = literals.words.iter().map(String::as_str).collect();
    write_list(&dir.join("literals.json"), &words)?;
    write(&dir.join("user-rules.toml"), patterns::user_rules(USER_RULES).as_bytes())?;
    let library = vectorscan.then(Vectorscan::load).transpose()?;
    if let Some(library) = &library {
        save(&words, || library.literals(words.iter().copied()), &dir.join("literals.vectorscan.db"))?;
    }
    let mut lists = serde_json::Map::new();
    let mut list = |name: &str, regexes: &[&str], rules: usize| {
        write_list(&dir.join(format!("{name}.json")), regexes)?;
        let mut told = json!({"rules": rules, "regexes": regexes.len()});
        // What a peer does not compile is left out, and counted.
        let taken = |peer: &str, compiles: &dyn Fn(&str) -> bool| {
            let taken: Vec<&str> = regexes.iter().copied().filter(|regex| compiles(regex)).collect();
            write_list(&dir.join(format!("{name}.{peer}.json")), &taken).map(|()| taken.len())
        };
        if let Some(library) = &library {
            told["vectorscan"] = taken("vectorscan", &|regex| library.regexes([regex]).is_ok())?.into();
            let taken = read_list(&dir.join(format!("{name}.vectorscan.json")))?;
            let compile = || library.regexes(taken.iter().map(String::as_str));
            told["vectorscan_compile_s"] =
                save(&taken, compile, &dir.join(format!("{name}.vectorscan.db")))?.into();
        }
        let bytes = taken("regex-set", &|regex| worker::regex_set([regex]).is_ok())?;
        let unicode = taken("vrl", &|regex| regex::Regex::new(regex).is_ok())?;
        (told["regex_set"], told["vrl"]) = (bytes.into(), unicode.into());
        lists.insert(name.to_owned(), told);
        Ok::<(), String>(())
    };
    list("builtin", &regexes, rules.rules().len())?;
    if let Some(path) = gitleaks {
        let text = String::from_utf8(read(path)?).map_err(|e| e.to_string())?;
        let rules = patterns::of_file("gitleaks.toml", &text)?;
        list("gitleaks", &patterns::regexes(&rules).0, rules.rules().len())?;
        write(&dir.join("gitleaks.toml"), text.as_bytes())?;
    }
    Ok(json!({
        "bytes": sizes,
        "lists": lists,
        "keyed_rules": keyed,
        "literals": words.len(),
        "anchors_without_literal": literals.without,
        "vectorscan": library.map(|library| library.version()),
        "corpus_records": corpus_records().len(),
    }))
}

/// Writes what `compile` makes of `list` to a file; the seconds that compiling took.
fn save<'v>(
    list: &[impl AsRef<str>],
    compile: impl FnOnce() -> Result<Database<'v>, Refused>,
    path: &Path,
) -> Result<f64, String> {
    let start = Instant::now();
    let compiled = compile();
    let took = start.elapsed().as_secs_f64();
    let saved = compiled.and_then(|database| database.saved()).map_err(|refused| refused.of(list))?;
    write(path, &saved).map(|()| took)
}

fn write(path: &Path, text: &[u8]) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn write_list(path: &Path, list: &[&str]) -> Result<(), String> {
    write(path, json!(list).to_string().as_bytes())
}

/// A list that `prepare` has written.
pub fn read_list(path: &Path) -> Result<Vec<String>, String> {
    serde_json::from_slice(&read(path)?).map_err(|error| format!("{}: {error}", path.display()))
}

/// The labelled corpus' records of one line each.
fn corpus_records() -> Vec<crate::corpus::Record> {
    let mut records = crate::corpus::records(1, 1);
    records.retain(|record| !record.bytes.contains(&b'\n'));
    records
}

fn corpus_text() -> Vec<u8> {
    corpus_records().iter().flat_map(|record| [&record.bytes[..], b"\n"].concat()).collect()
}

/// What a rewriter has left of the corpus, line by line.
pub fn judge_corpus(out: &[u8]) -> Value {
    let records = corpus_records();
    let lines: Vec<&[u8]> = out.strip_suffix(b"\n").unwrap_or(out).split(|&byte| byte == b'\n').collect();
    if lines.len() != records.len() {
        return json!({"records": records.len(), "error": format!("{} lines came out", lines.len())});
    }
    let outcomes: Vec<_> =
        records.iter().zip(lines).map(|(record, line)| crate::corpus::judge(record, line)).collect();
    let count = |what: fn(&crate::corpus::Outcome) -> bool| outcomes.iter().filter(|o| what(o)).count();
    json!({
        "records": records.len(),
        "leaked": count(|o| o.leaked),
        "context_damaged": count(|o| o.context_damaged),
        "broken_json": count(|o| o.broken_json),
    })
}

/// The passwords that were planted in `text`.
fn planted(text: &[u8]) -> HashSet<&[u8]> {
    let body = |at: usize| {
        let rest = &text[at + MARK.len()..];
        let key = memchr::memmem::find(rest, b"password")?;
        let from = key + memchr::memchr(b'x', &rest[key..])?;
        rest.get(from..from + 17)
    };
    memchr::memmem::find_iter(text, MARK).filter_map(body).collect()
}

/// How many of the passwords planted in `text` are still in `out`.
pub fn judge_planted(text: &[u8], out: &[u8]) -> Value {
    let planted = planted(text);
    let starts = memchr::memchr_iter(b'x', out);
    let left: HashSet<&[u8]> =
        starts.filter_map(|at| out.get(at..at + 17)).filter(|body| planted.contains(body)).collect();
    json!({"planted": planted.len(), "left": left.len()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_passwords_are_counted() {
        for line in [log_line as fn(&mut Vec<u8>, &mut Dice), json_line] {
            let text = text(64 << 10, line, Some(10));
            let all = crate::texts::secrets(&text);
            assert!(all > 20);
            assert_eq!(judge_planted(&text, &text), json!({"planted": all, "left": all}));
            assert_eq!(judge_planted(&text, b""), json!({"planted": all, "left": 0}));
            let half = &text[..text.len() / 2];
            let left = judge_planted(&text, half)["left"].as_u64().expect("a number") as usize;
            assert!(left.abs_diff(all / 2) < all / 4);
        }
    }

    #[test]
    fn the_corpus_is_judged_line_by_line() {
        let text = corpus_text();
        let judged = judge_corpus(&text);
        assert_eq!(judged["leaked"], judged["records"]);
        assert!(judge_corpus(b"one\n")["error"].is_string());
    }
}
