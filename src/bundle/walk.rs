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
use super::fault::{Fault, Why};
use super::names::{self, Names};
use crate::sanitize::Sanitizer;
use crate::scan::Work;

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

/// Looks through the inputs. If `is_copy`, and there is one input, a folder, the bundle is a copy of it; otherwise each
/// stands in the bundle under its own name.
pub(super) fn walk(inputs: &[PathBuf], is_copy: bool, sanitizer: &Sanitizer) -> Result<Found, Fault> {
    let mut found = Found::default();
    let mut work = Work::default();
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
        let mut walker = Walker { found: &mut found, sanitizer, work: &mut work };
        if about.is_dir() {
            walker.found.roots.push(path.clone());
            let prefix = if is_copy && inputs.len() == 1 { Vec::new() } else { base };
            let skipped = if prefix.is_empty() { 0 } else { prefix.len() + 1 };
            walker.folder(path, about, prefix, skipped);
        } else {
            walker.thing(path, about, base, Vec::new());
        }
    }
    Ok(found)
}

struct Walker<'w> {
    found: &'w mut Found,
    sanitizer: &'w Sanitizer,
    work: &'w mut Work,
}

/// A name in a folder that has one, or none.
fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

impl Walker<'_> {
    /// `skipped` bytes at the start of the name are not the folder's: links are judged without them.
    fn folder(&mut self, path: PathBuf, about: Metadata, name: Vec<u8>, skipped: usize) {
        let entries = fs::read_dir(&path).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
        self.add(Kind::Folder, path.clone(), name.clone(), about);
        let Ok(mut entries) = entries else {
            let label = names::label(&names::scrubbed(self.sanitizer, &name, self.work).0);
            self.found.account.left.push((label, Why::Unreadable));
            return;
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
                    let target = target.as_os_str().as_bytes();
                    let target = names::scrubbed(self.sanitizer, target, self.work).0;
                    self.add(Kind::Link(target), path, name, about);
                }
            }
        }
    }

    fn leave(&mut self, name: &[u8], why: Why) {
        let clean = names::scrubbed(self.sanitizer, name, self.work).0;
        self.found.account.left.push((names::label(&clean), why));
    }

    fn add(&mut self, kind: Kind, path: PathBuf, name: Vec<u8>, about: Metadata) {
        let clean = names::scrubbed(self.sanitizer, &name, self.work).0;
        // Where a folder above had its name changed further, this one is in it.
        let above = name.iter().rposition(|&byte| byte == b'/').map(|at| &name[..at]);
        let clean = match above.and_then(|above| self.found.names.renamed(above)) {
            Some(above) => {
                let own = clean.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
                join(above, &clean[own..])
            }
            None => clean,
        };
        let is_changed = clean != name;
        let name = self.found.names.take(&name, clean);
        let label = names::label(if name.is_empty() { b"." } else { &name });
        if is_changed {
            self.found.account.renamed.push(label.clone());
        }
        self.found.items.push(Item { kind, path, name, label, about });
    }
}

/// Whether `path` is in one of the folders.
pub(super) fn is_within(path: &Path, roots: &[PathBuf]) -> bool {
    roots.iter().any(|root| path.starts_with(root))
}
