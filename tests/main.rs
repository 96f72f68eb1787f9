//! All integration tests, as one binary: it links once.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tests read the tree, start the program and fail loudly"
)]

mod allocations;
mod audit;
mod clean_log;
mod cli;
mod corpus;
mod example_log;
mod leaks;
mod learned;
mod otlp;
mod properties;
#[cfg(feature = "otlp")]
mod relay;
mod rules;
mod structure;
