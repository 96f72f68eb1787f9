//! How much memory bodies may take together. What does not fit is not waited for: the client is told to try again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::body::Bytes;

/// Bytes that all requests under way may hold together.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    most: usize,
    taken: Arc<AtomicUsize>,
}

/// What one request holds of a budget. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Budget,
    held: usize,
}

impl Budget {
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// A share of nothing, which can grow.
    pub(super) fn share(&self) -> Share {
        Share { budget: self.clone(), held: 0 }
    }

    /// How much is taken.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Share {
    /// Takes more bytes; `false`: there is no room for them, and nothing was taken.
    #[must_use]
    pub(super) fn grow(&mut self, more: usize) -> bool {
        let Budget { most, taken } = &self.budget;
        let fits = |now: usize| now.checked_add(more).filter(|sum| sum <= most);
        let grown = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        self.held += if grown { more } else { 0 };
        grown
    }

    /// How much it is.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Gives back what it is over this.
    pub(super) fn give_back_to(&mut self, held: usize) {
        let over = self.held.saturating_sub(held);
        self.budget.taken.fetch_sub(over, Ordering::Relaxed);
        self.held -= over;
    }
}

/// Bytes that hold a share for as long as any part of them is there.
struct Held {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Share {
    /// Ties the share to bytes: it is given back with the last of them.
    pub(super) fn hold(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Held { bytes, _share: self })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_given_back() {
        let budget = Budget::new(10);
        let (mut one, mut two) = (budget.share(), budget.share());
        assert!(one.grow(6) && !two.grow(5) && two.grow(4) && !one.grow(1));
        assert_eq!(two.held(), 4);
        two.give_back_to(1);
        two.give_back_to(3);
        assert!(two.held() == 1 && one.grow(3));
        one.give_back_to(6);
        assert!(two.grow(3));
        drop(one);
        assert!(two.grow(6) && !two.grow(usize::MAX));
        drop(two);
        assert_eq!(budget.taken(), 0);
    }

    #[test]
    fn bytes_hold_their_share() {
        let budget = Budget::new(10);
        let mut share = budget.share();
        assert!(share.grow(4));
        let bytes = share.hold(Bytes::from_static(b"held"));
        let part = bytes.slice(1..2);
        drop(bytes);
        assert_eq!(budget.taken(), 4);
        drop(part);
        assert_eq!(budget.taken(), 0);
    }
}
