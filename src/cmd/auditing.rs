//! The options of an audit trail, shared by all commands that keep one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::setup::{MAX_KEY, read};
use super::{Refusal, say};
use crate::BadKey;
use crate::audit::{Key, Limits, Listener, Options, Trail, WhenFull};

/// Whether and how an audit trail is kept.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Audit")]
pub(super) struct AuditOptions {
    /// Write what was found (source, rule, count; no values) to this file, as JSON lines that `audit verify` checks
    #[arg(long, value_name = "FILE", requires = "audit_key")]
    audit: Option<PathBuf>,
    /// The key of the audit trail's checkpoints: a file with at least 16 bytes
    #[arg(long, value_name = "FILE", requires = "audit")]
    audit_key: Option<PathBuf>,
    /// The id of that key, part of each checkpoint
    #[arg(long, value_name = "ID", default_value = "a1")]
    audit_key_id: String,
    /// Begin a new file when one has so many MiB; the full one becomes FILE.<number of its first entry>
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    audit_max_size: u32,
    /// How many full files are kept
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    audit_keep: u32,
    /// While the audit trail cannot be written: stop (nothing passes) or continue
    #[arg(long, value_name = "WHAT", default_value = "stop", value_parser = ["stop", "continue"])]
    audit_when_full: String,
}

impl AuditOptions {
    /// Opens the trail, if one is to be kept.
    pub(super) fn open(&self, listener: Listener) -> Result<Option<Arc<Trail>>, Refusal> {
        let (Some(path), Some(key)) = (&self.audit, &self.audit_key) else { return Ok(None) };
        warn_of_mode("audit key file", key, 0o022);
        let key = read_key(key, &self.audit_key_id)?;
        let limits =
            Limits { max_size: u64::from(self.audit_max_size) << 20, keep: self.audit_keep as usize };
        let options = Options { path: path.clone(), key, limits, when_full: self.when_full() };
        let trail = Trail::open(options, listener)?;
        warn_of_mode("audit trail", path, 0o002);
        Ok(Some(Arc::new(trail)))
    }

    /// Where the trail is.
    #[cfg(feature = "pod")]
    pub(super) fn path(&self) -> Option<&std::path::Path> {
        self.audit.as_deref()
    }

    /// What happens while the trail cannot be written.
    pub(super) fn when_full(&self) -> WhenFull {
        if self.audit_when_full == "continue" { WhenFull::Continue } else { WhenFull::Stop }
    }
}

/// Says if others may write a file who should not. Who may write a key can sign with one of their own.
fn warn_of_mode(what: &str, path: &Path, bits: u32) {
    let Ok(file) = std::fs::metadata(path) else { return };
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.permissions());
    if file.is_file() && mode & bits != 0 {
        say(&format!(
            "note: {what} {}: others may write it; take that from them (chmod go-w)",
            path.display()
        ));
    }
}

/// Reads the key of a trail.
pub(super) fn read_key(path: &Path, id: &str) -> Result<Key, Refusal> {
    let bytes = read("audit key file", path, MAX_KEY)?;
    Key::new(id, &bytes).map_err(|bad| match bad {
        BadKey::TooShort => Refusal(format!(
            "audit key file {}: has under 16 bytes; make one with `head -c 32 /dev/urandom | base64`",
            path.display()
        )),
        BadKey::BadId => Refusal(format!("audit key id {id:?}: {bad}")),
    })
}
