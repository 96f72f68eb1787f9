//! A limit on writes that make no progress: a peer that does not read would hold a connection, and what is to be written to
//! it, for ever.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// Since when a stream takes nothing.
#[derive(Debug)]
pub(super) struct Stall {
    most: Duration,
    until: Option<Pin<Box<Sleep>>>,
}

impl Stall {
    /// Nothing is waited for longer than `most`.
    pub(super) fn new(most: Duration) -> Self {
        Self { most, until: None }
    }

    /// What a write, flush or shutdown gave; an error if it, and those before it, were waited for too long.
    pub(super) fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.until = None;
            return polled;
        }
        let until = self.until.get_or_insert_with(|| Box::pin(sleep(self.most)));
        if until.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_makes_no_progress_is_an_error() {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut patient = Stall::new(Duration::from_secs(3600));
        let mut hasty = Stall::new(Duration::from_millis(1));
        for stall in [&mut patient, &mut hasty] {
            assert!(stall.watch::<()>(&mut context, Poll::Pending).is_pending());
        }
        sleep(Duration::from_millis(50)).await;
        assert!(patient.watch::<()>(&mut context, Poll::Pending).is_pending());
        // Progress, and it begins anew.
        assert!(hasty.watch(&mut context, Poll::Ready(Ok(1))).is_ready());
        assert!(hasty.watch::<()>(&mut context, Poll::Pending).is_pending());
        sleep(Duration::from_millis(50)).await;
        let late = hasty.watch::<()>(&mut context, Poll::Pending);
        assert!(matches!(late, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::TimedOut));
    }
}
