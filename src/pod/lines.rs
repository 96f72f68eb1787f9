//! One stream of an input, scrubbed into batches, with the rules replaced while it goes on, and with a panic held.

use std::sync::Arc;

use super::batch::{Batch, Origin};
use super::guard::Guard;
use super::house::House;
use crate::sanitize::Sanitizer;

/// One stream of an input.
#[derive(Debug)]
pub struct Lines {
    guard: Guard,
}

impl Lines {
    /// A new stream, by the rules in use.
    pub fn new(house: &House) -> Self {
        Self::by(house.sanitizer())
    }

    /// A new stream, by these rules.
    pub fn by(sanitizer: Arc<Sanitizer>) -> Self {
        Self { guard: Guard::new(sanitizer) }
    }

    /// The rules that it works by.
    pub fn sanitizer(&self) -> &Arc<Sanitizer> {
        self.guard.sanitizer()
    }

    /// Whether the stream could as well begin here: no line has begun, and nothing that a line before has opened can still
    /// make a finding. A checkpoint must not be anywhere else: who goes on from there knows nothing of what came before.
    pub fn is_settled(&self) -> bool {
        self.guard.is_settled()
    }

    /// Goes over to the rules in use, if it is settled. The batch it fills must be empty.
    pub fn follow(&mut self, house: &House) {
        let sanitizer = house.sanitizer();
        if !Arc::ptr_eq(&sanitizer, self.sanitizer()) && self.is_settled() {
            self.guard = Guard::new(sanitizer);
        }
    }

    /// Scrubs the next bytes of the stream; lines that are whole now are in `batch`.
    pub fn push(&mut self, chunk: &[u8], batch: &mut Batch, house: &House) {
        if !self.guard.push(chunk, batch) {
            house.event("panicked");
        }
    }

    /// The line that has begun is cut off here, and may have gone on: a marker takes the place of its last bytes, which may be
    /// half a secret. It still has to be ended.
    pub fn cut(&mut self, batch: &mut Batch, house: &House) {
        if !self.guard.cut(batch) {
            house.event("panicked");
        }
    }

    /// The stream begins where nobody knows what came before, which may be the beginning of a private key: lines that look
    /// like the rest of one are taken for it.
    pub fn begin_unknown(&mut self, origin: &Arc<Origin>, house: &House) {
        let mut nowhere = Batch::new(origin.clone(), self.sanitizer().clone());
        self.push(b"-----BEGIN PRIVATE KEY-----\n", &mut nowhere, house);
    }

    /// Ends the stream: what is left of its last line is in `batch`, too, as a record of its own. It can begin again.
    pub fn finish(&mut self, batch: &mut Batch, house: &House) {
        if !self.guard.finish(batch) {
            house.event("panicked");
        }
        if batch.is_in_record() {
            batch.end_record(Default::default());
        }
    }
}
