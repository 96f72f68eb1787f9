//! Standard output: what a container runtime keeps as the logs of this container.

use std::io;
use std::sync::{Mutex, PoisonError};

use super::patient::{Broken, write_all};
use super::{Format, line};
use crate::pod::batch::Batch;
use crate::pod::house::{Output, Stopped, Stopping};
use crate::pod::metrics::Metrics;
use crate::pod::time::now;

/// Standard output. Records of one batch stay together.
#[derive(Debug)]
pub struct Stdout {
    format: Format,
    metrics: Metrics,
    /// Whose turn it is to write.
    turn: Mutex<Turn>,
}

#[derive(Debug, Default)]
struct Turn {
    /// What is written.
    text: Vec<u8>,
    /// The time was over before all of it was: nothing may stand behind half a record.
    is_over: bool,
}

impl Stdout {
    /// Writes records so.
    pub fn new(format: Format, metrics: Metrics) -> Self {
        Self { format, metrics, turn: Mutex::default() }
    }
}

impl Output for Stdout {
    fn deliver(&self, batch: &Batch, stopping: &Stopping) -> Result<(), Stopped> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if turn.is_over {
            return Err(Stopped);
        }
        turn.text.clear();
        line::write(self.format, batch, now(), &mut turn.text);
        match write_all(io::stdout(), "stdout", &turn.text, stopping, &self.metrics) {
            Ok(()) => Ok(()),
            Err(Broken::Stopped) => {
                turn.is_over = true;
                Err(Stopped)
            }
            Err(Broken::Gone(error)) => {
                if !stopping.is_over() {
                    tracing::error!(%error, "nobody reads stdout any more; ending");
                    self.metrics.event("output_gone");
                }
                stopping.give_up();
                Err(Stopped)
            }
        }
    }
}
