//! Peers that are libraries: each in a process of its own, so that its memory and its start are its own.
//!
//! A worker makes ready, reads a file in blocks of whole lines as a filter would, looks at each block, and prints one line
//! of JSON. Only the looking is timed.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use kasm_scrub::{Sanitizer, Work};
use regex::bytes::{RegexSet, RegexSetBuilder};
use serde_json::{Value, json};

use crate::prepare::read_list;
use crate::vectorscan::{Database, Vectorscan};

/// How much is read at once.
const BLOCK: usize = 256 << 10;
/// Room for the automata of `RegexSet`: enough that it is the text and not the limit that makes it slow.
const ROOM: usize = 1 << 30;

/// A library and how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Our own scanner, without reading and writing
    Scan,
    /// Vectorscan, regexes, line by line
    VectorscanLines,
    /// Vectorscan, literals, block by block
    VectorscanLiterals,
    /// aho-corasick's DFA, literals, block by block
    AhoCorasick,
    /// The regex crate's RegexSet, line by line
    RegexSet,
    /// VRL's redact, line by line
    Vrl,
}

#[derive(Debug, clap::Args)]
pub struct Args {
    kind: Kind,
    /// The text
    file: PathBuf,
    /// Patterns, as a JSON array
    #[arg(long)]
    list: Option<PathBuf>,
    /// Patterns that Vectorscan has compiled before
    #[arg(long)]
    database: Option<PathBuf>,
    /// Where a rewriter writes to
    #[arg(long)]
    out: Option<PathBuf>,
}

pub fn run(args: &Args) -> Result<Value, String> {
    let list = args.list.as_deref().map(read_list).transpose()?.unwrap_or_default();
    let patterns = list.iter().map(String::as_str);
    match args.kind {
        Kind::Scan => {
            let sanitizer = Sanitizer::builtin();
            let mut work = Work::default();
            blocks(&args.file, sanitizer.rules().rules().len(), |block| {
                sanitizer.scan_block(block, &mut work).len() as u64
            })
        }
        Kind::VectorscanLines => {
            let library = Vectorscan::load()?;
            let mut database = restored(&library, args.database.as_deref())?;
            blocks(&args.file, list.len(), |block| lines(block).map(|line| database.scan(line)).sum())
        }
        Kind::VectorscanLiterals => {
            let library = Vectorscan::load()?;
            let mut database = restored(&library, args.database.as_deref())?;
            blocks(&args.file, list.len(), |block| database.scan(block))
        }
        Kind::AhoCorasick => {
            let automaton = AhoCorasick::builder()
                .kind(Some(AhoCorasickKind::DFA))
                .match_kind(MatchKind::Standard)
                .ascii_case_insensitive(true)
                .build(patterns)
                .map_err(|error| error.to_string())?;
            blocks(&args.file, list.len(), |block| automaton.find_overlapping_iter(block).count() as u64)
        }
        Kind::RegexSet => {
            let set = regex_set(patterns)?;
            blocks(&args.file, list.len(), |block| {
                lines(block).map(|line| set.matches(line).iter().count() as u64).sum()
            })
        }
        Kind::Vrl => vrl_redact(&list, &args.file, args.out.as_deref()),
    }
}

fn restored<'v>(library: &'v Vectorscan, path: Option<&Path>) -> Result<Database<'v>, String> {
    let path = path.ok_or("Vectorscan needs --database")?;
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    library.restore(&bytes).map_err(|refused| refused.message)
}

fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    memchr::memchr_iter(b'\n', block)
        .chain(block.last().filter(|&&byte| byte != b'\n').map(|_| block.len()))
        .map(move |end| {
            let line = &block[at..end];
            at = end + 1;
            line
        })
}

/// Bytes and ASCII, as our own engine reads them.
pub fn regex_set<'p>(regexes: impl IntoIterator<Item = &'p str>) -> Result<RegexSet, String> {
    let mut builder = RegexSetBuilder::new(regexes);
    builder.unicode(false).size_limit(ROOM).dfa_size_limit(ROOM).build().map_err(|error| error.to_string())
}

/// Looks at every block of the file; `patterns` is how many are looked for.
fn blocks(path: &Path, patterns: usize, mut look: impl FnMut(&[u8]) -> u64) -> Result<Value, String> {
    let (mut took, mut bytes, mut matches) = (Duration::ZERO, 0, 0);
    each_block(path, |block| {
        let start = Instant::now();
        matches += look(block);
        took += start.elapsed();
        bytes += block.len();
        Ok(())
    })
    .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(json!({"seconds": took.as_secs_f64(), "bytes": bytes, "matches": matches, "patterns": patterns}))
}

/// Blocks of whole lines; the last may lack its newline.
fn each_block(path: &Path, mut look: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; BLOCK];
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            buffer.resize(2 * filled, 0);
        }
        let read = file.read(&mut buffer[filled..])?;
        filled += read;
        if read == 0 {
            return if filled == 0 { Ok(()) } else { look(&buffer[..filled]) };
        }
        if let Some(newline) = memchr::memrchr(b'\n', &buffer[..filled]) {
            look(&buffer[..=newline])?;
            buffer.copy_within(newline + 1..filled, 0);
            filled -= newline + 1;
        }
    }
}

/// Each line as an event with a message, through a program of one `redact`, as a Vector transform would.
#[cfg(feature = "vrl")]
fn vrl_redact(list: &[String], path: &Path, out: Option<&Path>) -> Result<Value, String> {
    use vrl::compiler::{Context, Program, TargetValue, TimeZone, state::RuntimeState};
    use vrl::value::{KeyString, Secrets, Value as Event};

    let message_of = |event: &Event| event.as_object()?.get("message")?.as_bytes().cloned();

    // A regex literal is written in single quotes.
    let literal = |regex: &String| format!("r'{}'", regex.replace('\'', r"\'"));
    let filters: Vec<String> = list.iter().map(literal).collect();
    let source = format!(".message = redact(string!(.message), filters: [{}])", filters.join(", "));
    let program: Program = vrl::compiler::compile(&source, &vrl::stdlib::all())
        .map_err(|_| "VRL does not compile the program".to_owned())?
        .program;
    let mut out = out.map(File::create).transpose().map_err(|error| error.to_string())?.map(BufWriter::new);
    let mut state = RuntimeState::default();
    let timezone = TimeZone::default();
    let mut error = None;
    let told = blocks(path, filters.len(), |block| {
        for line in lines(block) {
            let message = Event::from(String::from_utf8_lossy(line).into_owned());
            let event = Event::Object([(KeyString::from("message"), message)].into_iter().collect());
            let mut target = TargetValue {
                value: event,
                metadata: Event::Object(Default::default()),
                secrets: Secrets::new(),
            };
            if let Err(failed) = program.resolve(&mut Context::new(&mut target, &mut state, &timezone)) {
                error.get_or_insert(failed.to_string());
            }
            if let (Some(out), Some(message)) = (&mut out, message_of(&target.value)) {
                let written = out.write_all(&message).and_then(|()| out.write_all(b"\n"));
                if let Err(failed) = written {
                    error.get_or_insert(failed.to_string());
                }
            }
        }
        0
    })?;
    if let Some(mut out) = out {
        out.flush().map_err(|error| error.to_string())?;
    }
    error.map_or(Ok(told), Err)
}

#[cfg(not(feature = "vrl"))]
fn vrl_redact(_: &[String], _: &Path, _: Option<&Path>) -> Result<Value, String> {
    // What the other kind needs.
    let _ = BufWriter::<File>::flush;
    Err(crate::peers::NO_VRL.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_without_newlines() {
        assert_eq!(lines(b"a\n\nbc\n").collect::<Vec<_>>(), [&b"a"[..], b"", b"bc"]);
        assert_eq!(lines(b"a\nb").collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(lines(b"").count(), 0);
    }

    #[test]
    fn blocks_hold_whole_lines() {
        let path = std::env::temp_dir().join(format!("peers-blocks-{}", std::process::id()));
        // Lines of many lengths, one of them longer than a block, and no last newline.
        let text: Vec<u8> = (0..5000_usize)
            .flat_map(|i| [vec![b'a'; if i == 4000 { 3 * BLOCK } else { i % 300 }], vec![b'\n']].concat())
            .chain(*b"end")
            .collect();
        std::fs::write(&path, &text).expect("file");
        let mut all = Vec::new();
        let mut cut = 0;
        each_block(&path, |block| {
            cut += usize::from(block.last() != Some(&b'\n'));
            all.extend_from_slice(block);
            Ok(())
        })
        .expect("file");
        std::fs::remove_file(&path).expect("file");
        assert_eq!(cut, 1);
        assert!(all == text);
    }

    #[test]
    fn sets_tell_which() {
        let set = regex_set([r"ab+", r"\d{3}", "z"]).expect("set");
        assert_eq!(set.matches(b"abb 123").iter().collect::<Vec<_>>(), [0, 1]);
        assert!(regex_set(["(?=x)"]).is_err());
    }
}
