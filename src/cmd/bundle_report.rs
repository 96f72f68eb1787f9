//! The report of `files` in a file: begun before the work, so that one that cannot be written is not found out about at
//! its end, and moved to its place when the bundle is there.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::Refusal;

/// A report that is to be written.
pub(super) struct BundleReport {
    path: PathBuf,
    to: To,
}

enum To {
    /// A file that is moved there.
    File(NamedTempFile, PathBuf),
    /// A pipe or device.
    Open(File),
}

/// Where a path leads, be it there or not.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    if let Ok(there) = fs::canonicalize(path) {
        return Ok(there);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    Ok(fs::canonicalize(folder)?.join(name))
}

impl BundleReport {
    /// Begins a report. It is none of the inputs, in none of them, and not the bundle.
    pub(super) fn begin(path: &Path, inputs: &[PathBuf], out: &Path) -> Result<Self, Refusal> {
        let shown = path.display();
        let cannot = |error: io::Error| Refusal(format!("cannot write the report {shown}: {error}"));
        let place = resolved(path).map_err(cannot)?;
        let about = fs::metadata(&place).ok();
        let same = |other: &Path| {
            let other = fs::metadata(other).ok().zip(about.as_ref());
            other.is_some_and(|(one, other)| (one.dev(), one.ino()) == (other.dev(), other.ino()))
        };
        let is_input = |input: &PathBuf| {
            same(input) || fs::canonicalize(input).is_ok_and(|input| place.starts_with(&input))
        };
        if inputs.iter().any(is_input) {
            return Err(Refusal(format!("the report {shown} is an input or inside one; name another file")));
        }
        if resolved(out).is_ok_and(|out| place.starts_with(out)) || same(out) {
            return Err(Refusal(format!("the report {shown} is where the bundle goes; name another file")));
        }
        let to = if about.is_none_or(|about| about.is_file()) {
            let folder = place.parent().unwrap_or(Path::new("/"));
            let name = place.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
            let prefix = format!(".{name}.");
            let file = tempfile::Builder::new()
                .prefix(&prefix)
                .suffix(".partial")
                .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666))
                .tempfile_in(folder);
            To::File(file.map_err(cannot)?, place)
        } else {
            To::Open(OpenOptions::new().write(true).open(&place).map_err(cannot)?)
        };
        Ok(Self { path: path.to_owned(), to })
    }

    /// Writes it and moves it to its place.
    pub(super) fn finish(self, report: &str) -> Result<(), Refusal> {
        let written = match self.to {
            To::Open(mut file) => file.write_all(report.as_bytes()),
            To::File(mut file, place) => file
                .write_all(report.as_bytes())
                .and_then(|()| file.as_file().sync_all())
                .and_then(|()| file.persist(place).map(|_| ()).map_err(|error| error.error)),
        };
        written.map_err(|error| Refusal(format!("cannot write the report {}: {error}", self.path.display())))
    }
}
