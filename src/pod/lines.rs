//! One stream of an input, scrubbed into batches: as [`Scrubber`] does it, with the rules replaced while it goes on, and
//! with a panic held.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::batch::Batch;
use super::house::House;
use crate::sanitize::Sanitizer;
use crate::stream::Scrubber;

/// What stands for bytes in which scrubbing panicked.
const UNDECIDED: &[u8] = b"[REDACTED:undecided]";

/// One stream of an input.
#[derive(Debug)]
pub struct Lines {
    sanitizer: Arc<Sanitizer>,
    scrubber: Scrubber<Arc<Sanitizer>>,
}

impl Lines {
    /// A new stream, by the rules in use.
    pub fn new(house: &House) -> Self {
        Self::by(house.sanitizer())
    }

    /// A new stream, by these rules.
    pub fn by(sanitizer: Arc<Sanitizer>) -> Self {
        Self { scrubber: Scrubber::new(sanitizer.clone()), sanitizer }
    }

    /// The rules that it works by.
    pub fn sanitizer(&self) -> &Arc<Sanitizer> {
        &self.sanitizer
    }

    /// Whether the stream could as well begin here: no line has begun, and nothing that a line before has opened can still
    /// make a finding. A checkpoint must not be anywhere else: who goes on from there knows nothing of what came before.
    pub fn is_settled(&self) -> bool {
        self.scrubber.is_settled()
    }

    /// Goes over to the rules in use, if it is settled. The batch it fills must be empty.
    pub fn follow(&mut self, house: &House) {
        let sanitizer = house.sanitizer();
        if !Arc::ptr_eq(&sanitizer, &self.sanitizer) && self.is_settled() {
            self.scrubber = Scrubber::new(sanitizer.clone());
            self.sanitizer = sanitizer;
        }
    }

    /// Scrubs the next bytes of the stream; lines that are whole now are in `batch`.
    pub fn push(&mut self, chunk: &[u8], batch: &mut Batch, house: &House) {
        self.held(batch, house, |scrubber, batch| scrubber.push(chunk, batch));
    }

    /// Ends the stream: what is left of its last line is in `batch`, too, as a record of its own. It can begin again.
    pub fn finish(&mut self, batch: &mut Batch, house: &House) {
        let scrubber = mem::replace(&mut self.scrubber, Scrubber::new(self.sanitizer.clone()));
        self.held(batch, house, |_, batch| scrubber.finish(batch));
        if batch.is_in_record() {
            batch.end_record(Default::default());
        }
    }

    /// What was written before a panic is clean. What came with it, and after it up to the end of its chunk, is gone, and a
    /// record says so.
    fn held(
        &mut self,
        batch: &mut Batch,
        house: &House,
        work: impl FnOnce(&mut Scrubber<Arc<Sanitizer>>, &mut Batch),
    ) {
        let worked = catch_unwind(AssertUnwindSafe(|| work(&mut self.scrubber, &mut *batch)));
        if worked.is_err() {
            house.event("panicked");
            self.scrubber = Scrubber::new(self.sanitizer.clone());
            if batch.is_in_record() {
                batch.end_record(Default::default());
            }
            crate::stream::Out::write(batch, UNDECIDED);
            batch.end_record(Default::default());
        }
    }
}
