//! `files`: what goes in as a tree or an archive comes out as one, scrubbed, whole or not at all.

mod audited;
mod forms;
mod mixed;
mod names;
mod outputs;
mod property;
mod refused;
mod stage;
