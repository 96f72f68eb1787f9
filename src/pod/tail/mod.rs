//! Files that grow: read as they are written, through rotation, restarts and kills.

mod settings;

use std::sync::Arc;

pub use settings::{CannotStart, Format, TailSettings};

use super::house::House;

/// Reads files until the word to stop is said, and drains them then. Blocks; give it a thread of its own.
/// # Errors
/// What is wrong with the settings or the checkpoint, before anything was read.
pub fn run(settings: TailSettings, house: Arc<House>) -> Result<(), CannotStart> {
    let _ = (settings, house);
    Ok(())
}
