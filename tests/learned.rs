//! Learned secrets: each spelling of a value is found wherever it stands, and nothing else is touched.

#[path = "learned/cli.rs"]
mod cli;
#[path = "learned/model.rs"]
mod model;
#[cfg(feature = "otlp")]
#[path = "learned/otlp.rs"]
mod otlp;
#[path = "learned/properties.rs"]
mod properties;
#[path = "learned/spelling.rs"]
pub(crate) mod spelling;
#[path = "learned/text.rs"]
mod text;
