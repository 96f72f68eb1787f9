//! Why a request was not scrubbed. It must not be forwarded then.
//!
//! What is said of a request is a place in it and what is wrong there: never a byte of it.

use std::fmt;

/// Why a request cannot be scrubbed. None of the reasons goes away when the same bytes are sent again, but
/// for that it was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not what its encoding asks for.
    Malformed {
        /// The byte where that shows.
        at: usize,
        /// What is wrong there.
        what: Malformed,
    },
    /// Messages are nested more than this deep.
    TooDeep {
        /// How deep they may be.
        most: usize,
    },
    /// It has more than this many bytes.
    TooLarge {
        /// How many it may have.
        most: usize,
    },
    /// One attribute, list, resource or scope holds more than this many strings, or this many are to be replaced.
    TooMany {
        /// How many there may be.
        most: usize,
    },
    /// It was stopped before its end.
    Stopped,
    /// Requests of this signal are not scrubbed.
    Profiles,
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A number that has no end within ten bytes, or more than 64 bits; or a tag with more than 32.
    Number,
    /// A field with the number 0.
    FieldZero,
    /// A group, or a wire type that does not exist.
    Group,
    /// A field of another wire type than the protocol gives it.
    WireType,
    /// A value that goes on behind the end of the message it is in.
    Length,
    /// Packed numbers that end within a number.
    Packed,
    /// More keys in one attribute than any sender writes.
    Keys,
    /// No JSON.
    Json,
    /// A value of JSON of another kind than the protocol gives its field.
    JsonKind,
    /// A number that is not whole where it must be, or that its field has no room for.
    JsonNumber,
    /// A name that no value of the `enum` has.
    EnumName,
    /// No base64.
    Base64,
    /// An id that is not written in hexadecimal.
    Hex,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { at, what } => {
                write!(f, "malformed at byte {at}: {what}; do not send it again, look at what made it")
            }
            Self::TooDeep { most } => {
                write!(f, "messages are nested more than {most} deep; flatten attributes and log bodies")
            }
            Self::TooLarge { most } => {
                write!(f, "the request has over {most} bytes; let the exporter send smaller batches")
            }
            Self::TooMany { most } => write!(
                f,
                "one attribute holds over {most} values, or so many are to be replaced; set limits for attributes, or \
                 let the exporter send smaller batches"
            ),
            Self::Stopped => {
                f.write_str("scrubbing was stopped before its end; let the exporter send smaller batches")
            }
            Self::Profiles => {
                f.write_str("profiles are not scrubbed and so not taken; send traces, logs or metrics")
            }
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "a number is too long",
            Self::FieldZero => "a field has the number 0",
            Self::Group => "a field is a group or of no wire type",
            Self::WireType => "a field has another wire type than the protocol gives it",
            Self::Length => "a value goes on behind the end of its message",
            Self::Packed => "packed numbers end within a number",
            Self::Keys => "an attribute has too many keys",
            Self::Json => "it is no JSON",
            Self::JsonKind => "a value is of another kind than the protocol gives its field",
            Self::JsonNumber => "a number is not whole or too large for its field",
            Self::EnumName => "a name is of no value of its enum; write the number",
            Self::Base64 => "it is no base64",
            Self::Hex => "an id is not written in hexadecimal",
        })
    }
}

impl std::error::Error for Refused {}
