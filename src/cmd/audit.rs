//! `audit`: audit trails, read again: whether they are what was written, and what they tell.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::auditing::read_key;
use super::{Exit, Refusal, print};
use crate::audit::{Broken, Entry, Hash, Id, Key, Kind, MOST_LINE, Name, Summary, Verifier, Wanted};

const EXAMPLES: &str = "\
Examples:
  kasm-scrub audit verify --key /run/secrets/audit audit.jsonl*
  kasm-scrub audit verify --key a1=old.key --key a2=new.key audit.jsonl*
  kasm-scrub audit verify --key audit.key --live audit.jsonl*
  kasm-scrub audit verify --key audit.key --expect-seq 4711 --format json audit.jsonl*
  kasm-scrub audit verify --key audit.key --strict --trail 0123456789abcdef0123456789abcdef audit.jsonl*
  kasm-scrub audit show audit.jsonl*

verify finds what was edited, cut out, moved, doubled or put in, a missing file, and an end without
a close. That the end was cut off behind an earlier close, or before the program went on after a
crash, only a number or hash noted elsewhere tells: --expect-seq, --head; that another trail under
the same key was put in its place, only its id: --trail. Who keeps a trail says all three when it
opens and closes it. --strict takes no trail that was gone on with after a crash.

Exit codes: 0 it is what was written, 1 it is not, 2 it could not be told.";

/// Check and show audit trails
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Verify(VerifyArgs),
    Show(ShowArgs),
}

/// Check that a trail is what was written
#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// The key of checkpoints, as FILE or, where keys have changed, ID=FILE for each
    #[arg(long, value_name = "[ID=]FILE", required_unless_present = "chain_only")]
    key: Vec<String>,
    /// Check only the chain of hashes, without a key: whoever edits a trail can make that anew
    #[arg(long, conflicts_with = "key")]
    chain_only: bool,
    /// The trail is being written now: it need not be closed, its last line may not be whole, and full files beside those
    /// that are named are read as well, as it may have gone over to a new one
    #[arg(long)]
    live: bool,
    /// Older files that were kept may be missing here
    #[arg(long)]
    part: bool,
    /// The trail must reach this entry
    #[arg(long, value_name = "N")]
    expect_seq: Option<u64>,
    /// The trail must have an entry with this hash
    #[arg(long, value_name = "HASH", value_parser = hash)]
    head: Option<Hash>,
    /// It must be this trail, by its id
    #[arg(long, value_name = "ID", value_parser = trail_id)]
    trail: Option<Id>,
    /// It must never have been gone on with after a crash
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    files: Files,
}

/// Count what a trail tells, by source and rule; checks nothing but that entries follow from each other
#[derive(Debug, clap::Args)]
struct ShowArgs {
    #[command(flatten)]
    files: Files,
}

#[derive(Debug, clap::Args)]
struct Files {
    /// For people or for machines
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    format: String,
    /// The files of the trail, in any order
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

fn hash(text: &str) -> Result<Hash, String> {
    Hash::parse(text).ok_or_else(|| "a hash is 64 hex digits, in lower case".to_owned())
}

fn trail_id(text: &str) -> Result<Id, String> {
    Id::parse(text).ok_or_else(|| "the id of a trail is 32 hex digits, in lower case".to_owned())
}

pub(super) fn run(args: Args) -> Result<Exit, Refusal> {
    match args.command {
        Command::Verify(args) => verify(args),
        Command::Show(args) => show(&args.files),
    }
}

fn verify(args: VerifyArgs) -> Result<Exit, Refusal> {
    let VerifyArgs { key, chain_only, live, part, expect_seq, head, trail, strict, files } = args;
    let (keys, any_name) = keys(&key)?;
    let wanted = Wanted { live, part, seq: expect_seq, head, trail, strict };
    let outcome = read(&files.files, live && !part, Verifier::new(&keys, any_name, wanted), |_| {})?;
    let is_keyed = !chain_only;
    match outcome {
        Ok(summary) => {
            print(|out| match files.format.as_str() {
                "json" => writeln!(out, "{}", summary_json(&summary, is_keyed)),
                _ => write_summary(out, &summary, is_keyed),
            })?;
            Ok(Exit::Done)
        }
        Err(broken) => {
            print(|out| match files.format.as_str() {
                "json" => writeln!(out, "{}", broken_json(&broken)),
                _ => writeln!(out, "{}: {}", place(&broken), broken.fault),
            })?;
            Ok(Exit::Found)
        }
    }
}

/// The keys, and whether the only one is for all names.
fn keys(given: &[String]) -> Result<(Vec<Key>, bool), Refusal> {
    let named: Vec<Option<(&str, &str)>> =
        given.iter().map(|text| text.split_once('=').filter(|_| !Path::new(text).exists())).collect();
    if given.len() > 1 && named.contains(&None) {
        return Err(Refusal("several keys need their ids: --key ID=FILE".to_owned()));
    }
    let any_name = named == [None];
    let keys = given.iter().zip(named).map(|(text, named)| {
        let (id, file) = named.unwrap_or(("any", text));
        read_key(Path::new(file), id)
    });
    Ok((keys.collect::<Result<_, _>>()?, any_name))
}

/// Reads files in the order of their first entries.
fn read(
    paths: &[PathBuf],
    finds_full: bool,
    mut verifier: Verifier<'_>,
    mut each: impl FnMut(Entry),
) -> Result<Result<Summary, Broken>, Refusal> {
    let mut files = Vec::new();
    for (path, file) in open(paths, finds_full)? {
        let cannot = |error| Refusal(format!("cannot read {}: {error}", path.display()));
        let mut reader = BufReader::with_capacity(64 << 10, file);
        let mut line = Vec::new();
        next_line(&mut reader, &mut line).map_err(cannot)?;
        files.push((first_seq(&line), path, reader, line));
    }
    files.sort_by_key(|(seq, ..)| *seq);
    for (_, path, mut reader, mut line) in files {
        let cannot = |error| Refusal(format!("cannot read {}: {error}", path.display()));
        verifier.file(&path.display().to_string());
        while line.ends_with(b"\n") {
            match verifier.line(&line) {
                Ok(entry) => each(entry),
                Err(broken) => return Ok(Err(broken)),
            }
            next_line(&mut reader, &mut line).map_err(cannot)?;
        }
        if let Err(broken) = verifier.file_end(line.len() as u64) {
            return Ok(Err(broken));
        }
    }
    Ok(verifier.finish())
}

/// Opens files. `finds_full`: the trail may have gone over to a new file since they were named, so full ones beside them
/// belong to them, and those that are gone by now are not missed here; whether they may be gone the trail tells.
fn open(paths: &[PathBuf], finds_full: bool) -> Result<Vec<(PathBuf, File)>, Refusal> {
    let mut all = paths.to_vec();
    let mut files = Vec::new();
    let mut known = BTreeSet::new();
    let mut next = 0;
    while let Some(path) = all.get(next).cloned() {
        let cannot = |error| Refusal(format!("cannot read {}: {error}", path.display()));
        match File::open(&path) {
            Err(error) if finds_full && is_full(&path) && error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(cannot(error)),
            Ok(file) => {
                let it = file.metadata().map_err(cannot)?;
                // Renamed meanwhile, it is there by two names. One that was named twice is told as that.
                if known.insert((it.dev(), it.ino())) || next < paths.len() {
                    files.push((path, file));
                }
            }
        }
        next += 1;
        if finds_full && next == paths.len() {
            // Last: what is not full yet is open now.
            let beside = paths.iter().filter(|path| !is_full(path)).flat_map(|path| beside(path));
            let beside: Vec<PathBuf> = beside.filter(|path| !paths.contains(path)).collect();
            all.extend(beside);
        }
    }
    Ok(files)
}

/// Whether a name is one of a full file.
fn is_full(path: &Path) -> bool {
    let digits = path.extension().and_then(|digits| digits.to_str()).unwrap_or_default();
    digits.len() >= 12 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The full files beside a file.
fn beside(path: &Path) -> Vec<PathBuf> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let Ok(entries) = std::fs::read_dir(folder.unwrap_or(Path::new("."))) else { return Vec::new() };
    let names = entries.filter_map(|entry| Some(PathBuf::from(entry.ok()?.file_name())));
    let full = names.filter(|name| is_full(name) && name.file_stem() == path.file_name());
    full.map(|name| path.with_file_name(name)).collect()
}

/// Reads a line, or as much of it as no line has.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<()> {
    line.clear();
    reader.take(MOST_LINE as u64 + 2).read_until(b'\n', line).map(|_| ())
}

/// What orders files; what is no entry is found later, wherever it stands.
fn first_seq(line: &[u8]) -> u64 {
    let digits = line.strip_prefix(b"{\"seq\":").unwrap_or_default();
    let len = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(&digits[..len]).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn place(broken: &Broken) -> String {
    let Broken { file, line, .. } = broken;
    if *line > 0 { format!("{file}:{line}") } else { file.clone() }
}

fn broken_json(broken: &Broken) -> serde_json::Value {
    let Broken { file, line, fault } = broken;
    json!({"ok": false, "file": file, "line": line, "fault": fault.name(), "message": fault.to_string()})
}

fn summary_json(summary: &Summary, is_keyed: bool) -> serde_json::Value {
    let first = summary.first.unwrap_or_default();
    let last = summary.last.unwrap_or_default();
    json!({
        "ok": true,
        "keyed": is_keyed,
        "trail": summary.trail.map(|id| id.to_string()),
        "files": summary.files,
        "entries": summary.entries,
        "checkpoints": summary.checkpoints,
        "findings": summary.findings,
        "first_seq": first.0,
        "last_seq": last.0,
        "from": first.1.to_string(),
        "to": last.1.to_string(),
        "head": last.2.to_string(),
        "closed": summary.is_closed,
        "resumed": summary.resumed,
        "loose": summary.loose,
        "gaps": summary.gaps,
        "clock_back": summary.clock_back,
        "unkeyed": summary.unkeyed,
        "torn": summary.torn,
    })
}

fn write_summary(out: &mut dyn Write, summary: &Summary, is_keyed: bool) -> std::io::Result<()> {
    let (first, from) = summary.first.unwrap_or_default();
    let (last, to, head) = summary.last.unwrap_or_default();
    writeln!(
        out,
        "{}: {} entries with {} findings in {} files, {from} to {to}",
        if is_keyed { "ok" } else { "chain ok (not authenticated)" },
        summary.entries,
        summary.findings,
        summary.files
    )?;
    let trail = summary.trail.map_or_else(|| "not named here".to_owned(), |id| id.to_string());
    writeln!(out, "trail {trail}, entries {first} to {last}, head {head}")?;
    let mut note = |holds: bool, text: String| if holds { writeln!(out, "note: {text}") } else { Ok(()) };
    note(
        !is_keyed,
        "no key was given: checkpoints were not checked, and who edits can make the hashes anew".to_owned(),
    )?;
    note(first > 0, format!("it goes on from entry {}, whose file is not here", first.saturating_sub(1)))?;
    note(summary.resumed > 0, format!("gone on after a crash: {} times", summary.resumed))?;
    note(summary.loose > 0, format!("entries that no checkpoint covered at a crash: {}", summary.loose))?;
    note(summary.gaps > 0, format!("times when it could not be written: {}", summary.gaps))?;
    note(summary.clock_back > 0, format!("times the clock went back: {}", summary.clock_back))?;
    note(!summary.is_closed, "it is not closed: the end may be missing".to_owned())?;
    note(
        summary.unkeyed > 0,
        format!("entries at the end that no checkpoint covers yet: {}", summary.unkeyed),
    )?;
    note(summary.torn > 0, format!("bytes at the end that are no whole line: {}", summary.torn))
}

/// Counts by source and rule: findings, and different pseudonyms.
type Counts = BTreeMap<(String, String), (u64, std::collections::BTreeSet<String>)>;

fn show(files: &Files) -> Result<Exit, Refusal> {
    let mut counts = Counts::new();
    let wanted = Wanted { live: true, part: true, ..Wanted::default() };
    let outcome = read(&files.files, false, Verifier::new(&[], false, wanted), |entry| {
        if let Kind::Found { source, rule, count, name, rules: _ } = entry.kind {
            let (sum, names) = counts.entry((source, rule)).or_default();
            *sum = sum.saturating_add(count);
            if let Name::Pseudonym(name) = name {
                names.insert(name);
            }
        }
    })?;
    if let Err(broken) = outcome {
        return Err(Refusal(format!("{}: {}", place(&broken), broken.fault)));
    }
    print(|out| match files.format.as_str() {
        "json" => {
            let rows: Vec<_> = counts
                .iter()
                .map(|((source, rule), (count, names))| {
                    json!({"source": source, "rule": rule, "count": count, "pseudonyms": names.len()})
                })
                .collect();
            writeln!(out, "{}", serde_json::Value::from(rows))
        }
        _ => counts.iter().try_for_each(|((source, rule), (count, names))| {
            // Escaped: a label may hold anything that a path may.
            writeln!(out, "{count:>12}  {rule:<32} {} ({} pseudonyms)", source.escape_debug(), names.len())
        }),
    })?;
    Ok(Exit::Done)
}
