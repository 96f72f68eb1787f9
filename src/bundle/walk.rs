//! What the inputs are: folders, files and links, in an order that depends on their names alone.
//!
//! Symlinks are not followed, but for an input itself. Those that stay in their folder go on as links.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::account::Account;
use super::cleaner::Cleaner;
use super::fault::{Fault, Why};
use super::names::{self, Names};
use super::place::{Pack, Shape};
use crate::sanitize::Sanitizer;

/// What something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    File,
    /// A symlink with its target, scrubbed.
    Link(Vec<u8>),
}

/// One thing of the bundle.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) kind: Kind,
    pub(super) path: PathBuf,
    /// Its name in the bundle, scrubbed.
    pub(super) name: Vec<u8>,
    /// Its name for people.
    pub(super) label: String,
    pub(super) about: Metadata,
}

impl Item {
    pub(super) fn mode(&self) -> u32 {
        self.about.mode() & 0o7777
    }
}

/// What was found of the inputs.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) items: Vec<Item>,
    pub(super) account: Account,
    /// The folders among the inputs.
    pub(super) roots: Vec<PathBuf>,
    names: Names,
}

/// Looks through the inputs. If the bundle is a folder, and there is one input, a folder, it is a copy of it; otherwise
/// each stands in the bundle under its own name.
pub(super) fn walk(inputs: &[PathBuf], shape: Shape, sanitizer: &Sanitizer) -> Result<Found, Fault> {
    let is_copy = shape == Shape::Folder;
    let mut found = Found::default();
    let mut cleaner = Cleaner::new(sanitizer, shape == Shape::Pack(Pack::Zip));
    let mut bases = HashSet::new();
    for input in inputs {
        let cannot = |error| Fault::Io("read", input.clone(), error);
        let path = fs::canonicalize(input).map_err(cannot)?;
        let about = fs::metadata(&path).map_err(cannot)?;
        let base = input.file_name().or(path.file_name()).map_or(&b"root"[..], OsStrExt::as_bytes).to_vec();
        if !bases.insert(base.clone()) {
            let message = format!("two inputs are called {}", names::label(&base));
            return Err(Fault::Refused(format!(
                "{message}; scrub the folder that holds them, or one at a time"
            )));
        }
        let mut walker = Walker { found: &mut found, cleaner: &mut cleaner };
        if about.is_dir() {
            walker.found.roots.push(path.clone());
            let prefix = if is_copy && inputs.len() == 1 { Vec::new() } else { base };
            let skipped = if prefix.is_empty() { 0 } else { prefix.len() + 1 };
            walker.folder(path, about, prefix, skipped);
        } else if about.is_file() {
            walker.add(Kind::File, path, base, about);
        } else {
            walker.leave(&base, Why::SpecialInput);
        }
    }
    Ok(found)
}

struct Walker<'w, 's> {
    found: &'w mut Found,
    cleaner: &'w mut Cleaner<'s>,
}

/// A name in a folder that has one, or none.
fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

impl Walker<'_, '_> {
    /// `skipped` bytes at the start of the name are not the folder's: links are judged without them.
    fn folder(&mut self, path: PathBuf, about: Metadata, name: Vec<u8>, skipped: usize) {
        let entries = fs::read_dir(&path).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
        self.add(Kind::Folder, path.clone(), name.clone(), about);
        let Ok(mut entries) = entries else {
            return self.leave(&name, Why::Unreadable);
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let own = entry.file_name().into_vec();
            let name = join(&name, &own);
            match fs::symlink_metadata(&path) {
                Ok(about) if about.is_dir() => self.folder(path, about, name, skipped),
                Ok(about) => {
                    let inner = name.get(skipped..).unwrap_or_default().to_vec();
                    self.thing(path, about, name, inner);
                }
                Err(_) => self.leave(&name, Why::Unreadable),
            }
        }
    }

    /// Whatever is no folder; `inner` is its name in the folder that is the input.
    fn thing(&mut self, path: PathBuf, about: Metadata, name: Vec<u8>, inner: Vec<u8>) {
        if about.is_file() {
            self.add(Kind::File, path, name, about);
        } else if !about.is_symlink() {
            self.leave(&name, Why::Special);
        } else {
            match fs::read_link(&path) {
                Err(_) => self.leave(&name, Why::Unreadable),
                Ok(target) if names::leads_out(&inner, target.as_os_str().as_bytes()) => {
                    self.leave(&name, Why::LinkOut);
                }
                Ok(target) => {
                    let target = target.into_os_string().into_vec();
                    self.add(Kind::Link(target), path, name, about);
                }
            }
        }
    }

    fn leave(&mut self, name: &[u8], why: Why) {
        let clean = names::scrubbed(self.cleaner, name);
        self.cleaner.take_found();
        self.found.account.left.push((names::label(&clean), why));
    }

    fn add(&mut self, mut kind: Kind, path: PathBuf, own: Vec<u8>, about: Metadata) {
        let Found { items, account, names, .. } = &mut *self.found;
        let name = names.place(&own, self.cleaner);
        let label = names::label(if name.is_empty() { b"." } else { &name });
        account.note(&label, "name", self.cleaner.take_found());
        if name != own {
            account.renamed.push(label.clone());
        }
        if let Kind::Link(target) = &mut kind {
            *target = names.target(&own, target, self.cleaner);
            account.note(&label, "link", self.cleaner.take_found());
        }
        items.push(Item { kind, path, name, label, about });
    }
}

/// Whether `path` is in one of the folders.
pub(super) fn is_within(path: &Path, roots: &[PathBuf]) -> bool {
    roots.iter().any(|root| path.starts_with(root))
}
