//! Audit trails: kept by the library and by the program, broken in every way, and read again.

#[path = "trail/commands.rs"]
mod commands;
#[path = "trail/edits.rs"]
mod edits;
#[path = "trail/files.rs"]
mod files;
#[path = "trail/schema.rs"]
mod schema;

use std::path::{Path, PathBuf};

use kasm_scrub::audit::{
    Broken, CannotOpen, Fault, Key, Limits, Options, Summary, Trail, Verifier, Wanted, WhenFull,
};

pub(crate) const KEY: &[u8] = b"dead beef dead beef dead beef";
const RULES: [u8; 32] = [0xd5; 32];

fn key() -> Key {
    Key::new("a1", KEY).expect("a key")
}

/// Opens a trail under the key of the tests.
fn open(path: &Path, limits: Limits) -> Result<Trail, CannotOpen> {
    let options = Options { path: path.to_owned(), key: key(), limits, when_full: WhenFull::Stop };
    Trail::open(options, Box::new(|_| {}))
}

/// A closed trail with findings in two writes.
fn written(dir: &Path) -> Vec<u8> {
    let path = dir.join("audit.jsonl");
    let trail = open(&path, Limits::default()).expect("a new trail");
    trail.note("stdin", "password", &RULES, None, 3);
    trail.note("stdin", "email", &RULES, Some("[email:k1:0123456789abcdef01234567]"), 1);
    trail.flush().expect("room");
    trail.note("file:/var/log/a.log", "email", &RULES, None, 1);
    trail.close().expect("room");
    std::fs::read(&path).expect("the trail")
}

/// Verifies texts as the files of a trail.
pub(crate) fn verify<T: AsRef<[u8]>>(files: &[T], wanted: Wanted) -> Result<Summary, Broken> {
    let keys = [key()];
    verify_by(files, &keys, wanted)
}

fn verify_by<T: AsRef<[u8]>>(files: &[T], keys: &[Key], wanted: Wanted) -> Result<Summary, Broken> {
    let mut verifier = Verifier::new(keys, false, wanted);
    for (number, text) in files.iter().enumerate() {
        verifier.file(&number.to_string());
        let text = text.as_ref();
        let whole = memchr::memrchr(b'\n', text).map_or(0, |at| at + 1);
        for line in text[..whole].split_inclusive(|&b| b == b'\n') {
            verifier.line(line)?;
        }
        verifier.file_end((text.len() - whole) as u64)?;
    }
    verifier.finish()
}

fn fault(verified: Result<Summary, Broken>) -> Option<Fault> {
    verified.err().map(|broken| broken.fault)
}

/// The files of a trail, oldest first.
fn files(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().expect("a name").to_str().expect("text");
    let folder = std::fs::read_dir(path.parent().expect("a folder")).expect("a folder");
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| {
        file.file_name().is_some_and(|it| it.to_string_lossy().starts_with(&format!("{name}.")))
    });
    files.sort();
    files.push(path.to_owned());
    files
}

fn texts(files: &[PathBuf]) -> Vec<Vec<u8>> {
    files.iter().map(|file| std::fs::read(file).expect("a file")).collect()
}
