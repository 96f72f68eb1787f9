//! An upstream may answer before it has read a request, and close: what is still written then fails, though the answer is
//! there to be read. So a write that fails is told a little later, and what was answered comes first.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// How long an answer may take to be read when writing has failed. It has come by then, or the end of the connection has.
const WAIT: Duration = Duration::from_secs(1);

/// Since when nothing can be written any more.
#[derive(Debug, Default)]
pub(super) struct Early(Option<(io::ErrorKind, Pin<Box<Sleep>>)>);

impl Early {
    /// What a write or flush gave; that the other side takes no more is held back.
    pub(super) fn hold_back<T>(
        &mut self,
        context: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let kind = match &polled {
            Poll::Ready(Err(error)) if is_closed(error.kind()) => error.kind(),
            _ => return polled,
        };
        let (kind, until) = self.0.get_or_insert_with(|| (kind, Box::pin(sleep(WAIT))));
        ready!(until.as_mut().poll(context));
        Poll::Ready(Err((*kind).into()))
    }
}

/// Whether the other side has closed.
fn is_closed(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_that_the_other_side_has_closed_is_told_later() {
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut early = Early::default();
        let failed = |kind: io::ErrorKind| Poll::Ready(Err::<(), _>(kind.into()));
        assert!(early.hold_back(&mut context, Poll::Ready(Ok(1))).is_ready());
        assert!(early.hold_back(&mut context, failed(io::ErrorKind::TimedOut)).is_ready());
        assert!(early.hold_back(&mut context, failed(io::ErrorKind::ConnectionReset)).is_pending());
        sleep(WAIT + Duration::from_millis(50)).await;
        // Later ones say less of why.
        let told = early.hold_back(&mut context, failed(io::ErrorKind::BrokenPipe));
        assert!(matches!(told, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset));
    }
}
