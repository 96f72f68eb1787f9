//! How text carries values: which value belongs to a key, where it starts and ends, how it is escaped.
//!
//! Everything here works on one line, looks only around the place it is asked about, and allocates nothing
//! but the decoded view of a line that holds escapes, and the content of a string whose document is to be kept.

mod element;
pub mod escape;
pub mod grammar;
pub mod identifier;
pub mod json;
pub mod key;
pub mod line;
pub mod names;
pub mod pair;
pub mod placeholder;
mod property;
pub mod quote;
pub mod surroundings;
pub mod tie;
mod words;
