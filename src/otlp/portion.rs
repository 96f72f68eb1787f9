//! How much of a request is noted before it is judged. A request may have millions of leaves in few bytes, and they take
//! more room than the bytes do; so they are judged in portions, wherever nothing is open that the next ones belong to.

use super::leaves::Leaves;
use super::refused::Refused;
use super::seen::Seen;

/// How much makes a portion: enough for one pass of the prefilter, and little enough to stay in the processor's cache.
pub(super) const PORTION: usize = 4 << 10;
/// The most that is noted where no portion can end: in one attribute, list, resource or scope.
const MOST: usize = 1 << 20;

/// Ends portions.
pub(super) struct Portions<'p> {
    /// How much makes one.
    pub(super) size: usize,
    /// Decides about the leaves, and forgets them.
    pub(super) judge: &'p mut dyn FnMut(&mut Leaves, &mut Seen) -> Result<(), Refused>,
}

impl Portions<'_> {
    /// Ends the portion if it is one. `is_open`: what was noted last is not whole yet.
    #[inline(always)]
    pub(super) fn check(
        &mut self,
        is_open: bool,
        leaves: &mut Leaves,
        seen: &mut Seen,
    ) -> Result<(), Refused> {
        if leaves.count() < self.size { Ok(()) } else { self.end(is_open, leaves, seen) }
    }

    #[cold]
    fn end(&mut self, is_open: bool, leaves: &mut Leaves, seen: &mut Seen) -> Result<(), Refused> {
        if !is_open {
            return (self.judge)(leaves, seen);
        }
        if leaves.count() > MOST { Err(Refused::TooMany { most: MOST }) } else { Ok(()) }
    }
}
