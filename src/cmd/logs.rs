//! Our own log, on stderr: what we say of ourselves, as text or JSON lines. Each line is scrubbed like any other before it
//! is written, and only our own parts are heard: libraries may tell of headers.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;

use crate::sanitize::{Key, Sanitizer};
use crate::scan::Work;

/// The rules that our log is scrubbed by. Before there are any, nothing has been scanned that could be in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Scrubbed(Arc<RwLock<Option<Arc<Sanitizer>>>>);

impl Scrubbed {
    /// Scrubs by these rules from now on.
    pub(super) fn by(&self, sanitizer: Arc<Sanitizer>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(sanitizer);
    }

    fn clean(&self, line: &[u8]) -> Vec<u8> {
        let sanitizer = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        match sanitizer {
            Some(sanitizer) => sanitizer.clean(Key::None, line, &mut Work::default()).into_owned(),
            None => line.to_vec(),
        }
    }
}

/// Writes what an event is written as, a line at once.
pub(super) struct Line<W: Write> {
    scrubbed: Scrubbed,
    out: W,
}

impl<W: Write> Write for Line<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.out.write_all(&self.scrubbed.clean(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<'w> MakeWriter<'w> for Scrubbed {
    type Writer = Line<io::Stderr>;

    fn make_writer(&'w self) -> Self::Writer {
        Line { scrubbed: self.clone(), out: io::stderr() }
    }
}

static IS_STARTED: AtomicBool = AtomicBool::new(false);

/// Whether this process has a log, in which everything it says is to be.
pub(super) fn is_started() -> bool {
    IS_STARTED.load(Ordering::Relaxed)
}

/// Starts the log of this process.
pub(super) fn start(format: &str, level: &str, scrubbed: Scrubbed) {
    let level: Level = level.parse().unwrap_or(Level::INFO);
    let only_ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level);
    let layer = tracing_subscriber::fmt::layer().with_writer(scrubbed).with_target(false);
    let registry = tracing_subscriber::registry().with(only_ours);
    // A second log is none of ours to stop: there is one for the process.
    let _ = match format {
        "json" => registry.with(layer.json().flatten_event(true)).try_init(),
        _ => registry.with(layer.with_ansi(false)).try_init(),
    };
    IS_STARTED.store(true, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_scrubbed() {
        let scrubbed = Scrubbed::default();
        scrubbed.by(Arc::new(Sanitizer::builtin()));
        let mut line = Line { scrubbed, out: Vec::new() };
        line.write_all(b"{\"level\":\"INFO\",\"message\":\"password=hunter2 was refused\"}\n")
            .expect("memory");
        let text = String::from_utf8(line.out).expect("text");
        assert_eq!(text, "{\"level\":\"INFO\",\"message\":\"password=[REDACTED:password] was refused\"}\n");
    }
}
