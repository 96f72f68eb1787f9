//! The sidecar from outside: the program is started, and clients and an upstream of the tests' own speak with it.
//!
//! Every test ends with [`stage::Stage::close`], which looks for what was planted in all that came out of the program.

#[path = "relay/answers.rs"]
mod answers;
#[path = "relay/audit.rs"]
mod audit;
#[path = "relay/canary.rs"]
mod canary;
#[path = "relay/certificates.rs"]
mod certificates;
#[path = "relay/client.rs"]
mod client;
#[path = "relay/compression.rs"]
mod compression;
#[path = "relay/connections.rs"]
mod connections;
#[path = "relay/crosses.rs"]
mod crosses;
#[path = "relay/deadlines.rs"]
mod deadlines;
#[path = "relay/drain.rs"]
mod drain;
#[path = "relay/faults.rs"]
mod faults;
#[path = "relay/headers.rs"]
mod headers;
#[path = "relay/identity.rs"]
mod identity;
#[path = "relay/leaks.rs"]
mod leaks;
#[path = "relay/limits.rs"]
mod limits;
#[path = "relay/memory.rs"]
mod memory;
#[path = "relay/operations.rs"]
mod operations;
#[path = "relay/patience.rs"]
mod patience;
#[path = "relay/planted.rs"]
mod planted;
#[path = "relay/quoted.rs"]
mod quoted;
#[path = "relay/redirects.rs"]
mod redirects;
#[path = "relay/refusals.rs"]
mod refusals;
#[path = "relay/reload.rs"]
mod reload;
#[path = "relay/replies.rs"]
pub(crate) mod replies;
#[path = "relay/requests.rs"]
pub(crate) mod requests;
#[path = "relay/sidecar.rs"]
mod sidecar;
#[path = "relay/slow.rs"]
mod slow;
#[path = "relay/soak.rs"]
mod soak;
#[path = "relay/split.rs"]
mod split;
#[path = "relay/stage.rs"]
pub(crate) mod stage;
#[path = "relay/tls.rs"]
mod tls;
#[path = "relay/trailers.rs"]
mod trailers;
#[path = "relay/unwanted.rs"]
mod unwanted;
#[path = "relay/upstream.rs"]
pub(crate) mod upstream;

use std::time::Duration;

use kasm_scrub::otlp::Signal;

const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Logs, Signal::Metrics];

/// How long anything may take that is expected to come at all: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < PATIENCE, "did not happen: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whether `part` is in `text`.
fn holds(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}
