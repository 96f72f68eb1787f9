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
#[cfg(feature = "pod")]
mod inputs;
mod leaks;
mod otlp;
mod properties;
#[cfg(feature = "otlp")]
mod relay;
mod rules;
#[cfg(all(feature = "pod", target_os = "linux"))]
mod run;
mod structure;
#[cfg(feature = "pod")]
mod tail;
