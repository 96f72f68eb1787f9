//! Requests of OTLP: every string of every message is scrubbed, in every encoding, and nothing else changes.

#[path = "otlp/answers.rs"]
mod answers;
#[path = "otlp/canary.rs"]
mod canary;
#[path = "otlp/composites.rs"]
mod composites;
#[path = "otlp/differential.rs"]
mod differential;
#[path = "otlp/maps.rs"]
mod maps;
#[path = "otlp/memory.rs"]
mod memory;
#[path = "otlp/model.rs"]
mod model;
#[path = "otlp/payload.rs"]
pub(crate) mod payload;
#[path = "otlp/planted.rs"]
pub(crate) mod planted;
#[path = "otlp/records.rs"]
mod records;
#[path = "otlp/split.rs"]
mod split;
#[path = "otlp/transcode.rs"]
mod transcode;
#[path = "otlp/traps.rs"]
mod traps;
#[path = "otlp/tree.rs"]
pub(crate) mod tree;

use std::sync::{Arc, LazyLock};

use kasm_scrub::Sanitizer;
use kasm_scrub::otlp::{Encoding, Policy, Refused, Scrubbed, Scrubber, Signal};

static SANITIZER: LazyLock<Arc<Sanitizer>> = LazyLock::new(|| Arc::new(Sanitizer::builtin()));

const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Logs, Signal::Metrics];

fn scrubber() -> Scrubber {
    Scrubber::new(SANITIZER.clone(), Policy::default())
}

/// What is to be forwarded of a request.
fn forwarded(
    scrubber: &mut Scrubber,
    signal: Signal,
    encoding: Encoding,
    body: &[u8],
) -> Result<Vec<u8>, Refused> {
    Ok(match scrubber.scrub(signal, encoding, body)? {
        Scrubbed::Clean => body.to_vec(),
        Scrubbed::Changed(changed) => changed.body,
    })
}

/// Whether `part` is in `text`.
fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
