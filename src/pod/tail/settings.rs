//! What a tail is told, and why it does not start.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What the lines of a file are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Each line is a record.
    #[default]
    Lines,
    /// Lines of a container runtime: those of CRI, and those of Docker's `json-file`; told apart line by line.
    Cri,
}

impl Format {
    /// The kind of input that records say they come from.
    pub(super) fn input(self) -> &'static str {
        match self {
            Self::Lines => "file",
            Self::Cri => "cri",
        }
    }
}

/// What a tail is told.
#[derive(Clone, Debug)]
pub struct TailSettings {
    /// Which files: patterns with `*`, `?`, `[a-z]` within a name, and `**` for any folders.
    pub paths: Vec<String>,
    /// Which of them not: patterns for whole paths, or, without a `/`, for names.
    pub exclude: Vec<String>,
    /// Folders into which links may lead that are found below what a pattern names literally. Of container runtimes those
    /// of the runtimes and of the patterns are so, too.
    pub follow_links: Vec<PathBuf>,
    /// Whether files that are there at the very first start, before there is a checkpoint, are read from their beginning.
    /// Files that appear later always are.
    pub from_start: bool,
    /// Whether files that rotation has put aside are removed once they have been delivered.
    pub remove_rotated: bool,
    /// What their lines are.
    pub format: Format,
    /// Files that this process writes itself: they are not read, whatever they are called.
    pub own: Vec<PathBuf>,
    /// The file that says how far each has been delivered. No other tail may use it.
    pub checkpoint: PathBuf,
    /// How often all files are looked at, beside what the system tells of them.
    pub poll: Duration,
    /// How long nothing must come before a file is taken to be at its end: one that was rotated away or deleted, and all of
    /// them while draining.
    pub quiet: Duration,
    /// How long nothing must come before a line or a record without an end is delivered as it is. If it goes on, it comes once
    /// more, whole.
    pub unfinished: Duration,
    /// How long a file that was rotated away or deleted is held open after it has been read: its writer may write on.
    pub lingers: Duration,
    /// The most files that are held open, and no more than a quarter of what the system lets the process have.
    pub descriptors: usize,
}

impl TailSettings {
    /// A tail of these files, with what is usual for the rest.
    pub fn new(paths: Vec<String>, format: Format, checkpoint: PathBuf) -> Self {
        Self {
            paths,
            exclude: COMPRESSED.map(str::to_owned).to_vec(),
            follow_links: Vec::new(),
            from_start: true,
            remove_rotated: false,
            format,
            own: Vec::new(),
            checkpoint,
            poll: Duration::from_secs(1),
            quiet: Duration::from_secs(1),
            unfinished: Duration::from_secs(5),
            lingers: Duration::from_secs(30),
            descriptors: 256,
        }
    }
}

/// What rotation makes of files, and is no text.
const COMPRESSED: [&str; 6] = ["*.gz", "*.bz2", "*.xz", "*.zst", "*.zip", "*.tmp"];

/// Why a tail did not start.
#[derive(Debug)]
pub enum CannotStart {
    /// A pattern is none.
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// No pattern is given.
    NoPaths,
    /// Another process holds the checkpoint.
    Held(PathBuf),
    /// The checkpoint can be neither read nor made.
    Checkpoint(PathBuf, io::Error),
}

impl fmt::Display for CannotStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pattern { pattern, why } => write!(f, "path {pattern}: {why}"),
            Self::NoPaths => f.write_str("no path is given; name the files to be read"),
            Self::Held(file) => write!(
                f,
                "checkpoint {}: another process uses it; give each tail a checkpoint of its own",
                file.display()
            ),
            Self::Checkpoint(file, error) => {
                write!(
                    f,
                    "checkpoint {}: {error}; name a file in a folder that can be written to",
                    file.display()
                )
            }
        }
    }
}

impl std::error::Error for CannotStart {}
