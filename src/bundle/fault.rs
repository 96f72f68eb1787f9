//! Why something is not in a bundle, and why there is no bundle at all. No text of any file.

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::Serialize;

/// Why a file or an entry of an archive was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It is no text.
    Binary,
    /// It is compressed or packed in a form that is not read.
    OtherForm,
    /// A socket, a FIFO or a device.
    Special,
    /// The same, named as an input.
    SpecialInput,
    /// A symlink of a folder that leads out of it.
    LinkOut,
    /// A hard link to an entry that was left out.
    LinkToNothing,
    /// What an archive says of itself, not of an entry.
    Extension,
    /// It could not be read.
    Unreadable,
    /// It became shorter while it was read.
    Changed,
    /// It is not what its first bytes say, or ends too early.
    Damaged,
    /// It is text in UTF-16, but not all of it.
    BadUtf16,
    /// It begins as text, and something else is in it.
    Mixed,
    /// It unpacks to many times what it is.
    Bomb,
    /// More comes out of it than is allowed.
    TooLarge,
    /// It is an archive within too many others.
    TooDeep,
    /// Its name leads out of the archive, or its link does.
    Traversal,
    /// It cannot have its name where it goes.
    Name,
    /// It is encrypted.
    Encrypted,
    /// It is stored in a way that is not read.
    Unsupported,
    /// Scrubbing failed.
    Failed,
}

impl Why {
    /// Whether a bundle without it is less than what was asked for: such a bundle is only made with `skip_bad`.
    pub fn is_bad(self) -> bool {
        !matches!(
            self,
            Self::Binary
                | Self::OtherForm
                | Self::Special
                | Self::LinkOut
                | Self::LinkToNothing
                | Self::Extension
        )
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Binary => "no text",
            Self::OtherForm => "packed in a form that is not read",
            Self::Special => "a socket, FIFO or device",
            Self::SpecialInput => "no file or folder, but a socket, FIFO or device",
            Self::LinkOut => "a symlink that leads out of the folder",
            Self::LinkToNothing => "a link to what was left out",
            Self::Extension => "an extension of the archive's form",
            Self::Unreadable => "cannot be read",
            Self::Changed => "became shorter while it was read",
            Self::Damaged => "damaged, or cut off",
            Self::BadUtf16 => "not all of it is UTF-16",
            Self::Mixed => "text with something else in it: UTF-16, zeros, or an archive",
            Self::Bomb => "unpacks to many times its size (--max-ratio)",
            Self::TooLarge => "more comes out of it than is allowed (--max-size)",
            Self::TooDeep => "an archive within too many others (--max-depth)",
            Self::Traversal => "its name or link leads out of the archive",
            Self::Name => "its name is too long for where it goes",
            Self::Encrypted => "encrypted",
            Self::Unsupported => "stored in a way that is not read",
            Self::Failed => "scrubbing failed",
        })
    }
}

/// Why there is no bundle.
#[derive(Debug)]
pub enum Fault {
    /// A file, folder or socket could not be dealt with: what was to be done, where, and what the system said.
    Io(&'static str, PathBuf, io::Error),
    /// What was asked for is refused.
    Refused(String),
    /// It was stopped.
    Stopped,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(what, path, error) => write!(f, "cannot {what} {}: {error}", path.display()),
            Self::Refused(message) => f.write_str(message),
            Self::Stopped => f.write_str("stopped; nothing was written"),
        }
    }
}

impl std::error::Error for Fault {}

/// How the work on one file or entry ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// It is left out.
    Left(Why),
    /// Nothing goes on: what is clean cannot be written.
    Write(io::Error),
    /// It was stopped.
    Stopped,
}
