//! A connection, to a client or an upstream, that ends where the other side does not keep up.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::early::Early;
use super::headtime::HeadTime;
use super::stall::Stall;

/// A stream whose first bytes must be there in time (which version of HTTP it speaks is told by them), and whose other
/// side must read.
pub(super) struct Punctual<S> {
    stream: S,
    /// How many of the first bytes are still to come.
    missing: usize,
    until: Option<Pin<Box<Sleep>>>,
    stall: Stall,
    /// Who is told that bytes have come.
    head: Option<HeadTime>,
    /// Of an upstream's stream.
    early: Option<Early>,
}

/// The length of HTTP/2's preface.
const PREFACE: usize = 24;

impl<S> Punctual<S> {
    /// A client's stream: its first bytes are waited for so long, and writes that make no progress.
    pub(super) fn downward(stream: S, within: Duration, stall: Duration, head: HeadTime) -> Self {
        let until = Some(Box::pin(sleep(within)));
        Self { stream, missing: PREFACE, until, stall: Stall::new(stall), head: Some(head), early: None }
    }

    /// An upstream's stream: it says nothing before it is asked, but maybe before it has heard all.
    pub(super) fn upward(stream: S, stall: Duration) -> Self {
        let early = Some(Early::default());
        Self { stream, missing: 0, until: None, stall: Stall::new(stall), head: None, early }
    }

    /// What a write or flush gave, or what is made of it.
    fn watch<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let polled = self.stall.watch(context, polled);
        match &mut self.early {
            Some(early) => early.hold_back(context, polled),
            None => polled,
        }
    }
}

impl<S> Connection for Punctual<S> {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Punctual<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let came = buffer.filled().len() - before;
        if let Some(head) = self.head.as_ref().filter(|_| came > 0) {
            head.came();
        }
        if self.missing > 0 {
            self.missing = self.missing.saturating_sub(came);
            let is_late = |until: &mut Pin<Box<Sleep>>| until.as_mut().poll(context).is_ready();
            if self.missing > 0 && polled.is_pending() && self.until.as_mut().is_some_and(is_late) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Punctual<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.stall.watch(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.watch(context, polled)
    }
}
