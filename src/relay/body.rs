//! Bodies of HTTP: read whole within limits, and written whole.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::{Instant, timeout_at};

use super::budget::Share;

/// A body that is all there: up to two pieces, and trailers.
#[derive(Debug, Default)]
pub(super) struct Whole {
    head: Bytes,
    data: Bytes,
    trailers: Option<HeaderMap>,
}

impl Whole {
    /// Without trailers.
    pub(super) fn new(head: Bytes, data: Bytes) -> Self {
        Self { head, data, trailers: None }
    }

    pub(super) fn with_trailers(self, trailers: HeaderMap) -> Self {
        Self { trailers: Some(trailers), ..self }
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        for piece in [&mut this.head, &mut this.data] {
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(piece)))));
            }
        }
        Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.head.is_empty() && self.data.is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.head.len() + self.data.len()) as u64)
    }
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    TooLarge,
    NoRoom,
    Late,
    Broken,
}

/// Tells from the first bytes of a body how long it is, if they say it.
pub(super) type SaidLen = fn(&[u8]) -> Option<usize>;

/// Limits on a body that is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The most bytes.
    pub(super) most: usize,
    /// How long each piece may take.
    pub(super) piece: Duration,
    /// When all of it must be there.
    pub(super) until: Instant,
    /// What the first bytes say of its length, if they say it.
    pub(super) said: SaidLen,
}

/// A body that was read, and its trailers.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) bytes: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

/// The room that is made for a body before its bytes are there, or as much as has come: what a header says of its length costs
/// the sender nothing.
const AHEAD: usize = 16 << 10;

/// Reads a body to its end. Room for it is taken of `share`.
pub(super) async fn read<B>(mut body: B, bounds: Bounds, share: &mut Share) -> Result<Read, Unread>
where
    B: Body<Data = Bytes> + Unpin,
{
    let Bounds { most, piece, until, said } = bounds;
    let hint = body.size_hint();
    if hint.lower() > most as u64 {
        return Err(Unread::TooLarge);
    }
    let mut expected = hint.exact().unwrap_or(0) as usize;
    let (mut first, mut all) = (Bytes::new(), Vec::new());
    let mut trailers = None;
    let mut len = 0;
    loop {
        let by = until.min(Instant::now() + piece);
        let frame = match timeout_at(by, body.frame()).await {
            Err(_) => return Err(Unread::Late),
            Ok(None) => break,
            Ok(Some(Err(_))) => return Err(Unread::Broken),
            Ok(Some(Ok(frame))) => frame,
        };
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                trailers = frame.into_trailers().ok();
                continue;
            }
        };
        len += data.len();
        if len > most {
            return Err(Unread::TooLarge);
        }
        // One piece is taken as it is; more are put together.
        if first.is_empty() && all.is_empty() {
            if !share.grow(data.len()) {
                return Err(Unread::NoRoom);
            }
            if expected == 0 {
                expected = said(&data).unwrap_or(0);
            }
            first = data;
            continue;
        }
        if all.capacity() < len {
            let more = len.max(AHEAD);
            let ahead = if expected >= len { (len + more).min(expected) } else { len.max(2 * all.len()) };
            let wanted = ahead.min(most);
            if !share.grow(wanted - all.capacity()) {
                return Err(Unread::NoRoom);
            }
            all.reserve_exact(wanted - all.len());
        }
        all.extend_from_slice(&std::mem::take(&mut first));
        all.extend_from_slice(&data);
    }
    let bytes = if all.is_empty() { first } else { Bytes::from(all) };
    Ok(Read { bytes, trailers })
}

/// Reads what is left of a body and throws it away, at most so many bytes and until then: a client of HTTP/1.1 that is cut
/// off while it sends sees no answer.
pub(super) async fn drain<B>(mut body: B, most: usize, until: Instant)
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut left = most;
    while let Ok(Some(Ok(frame))) = timeout_at(until, body.frame()).await {
        let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
        left = rest;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::super::budget::Budget;
    use super::*;

    /// A body in pieces, of unknown length.
    struct Pieces(VecDeque<Result<&'static [u8], ()>>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = ();

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, ()>>> {
            let next = self.0.pop_front();
            Poll::Ready(next.map(|piece| piece.map(|bytes| Frame::data(Bytes::from_static(bytes)))))
        }
    }

    fn check(pieces: &[Result<&'static [u8], ()>], most: usize, room: usize, want: Result<&[u8], Unread>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime");
        let budget = Budget::new(room);
        let got = runtime.block_on(async {
            let hour = Duration::from_secs(3600);
            let bounds = Bounds { most, piece: hour, until: Instant::now() + hour, said: |_| Some(6) };
            read(Pieces(pieces.iter().copied().collect()), bounds, &mut budget.share()).await
        });
        assert_eq!(got.as_ref().map(|read| &read.bytes[..]).map_err(|unread| *unread), want);
        assert_eq!(budget.taken(), 0);
    }

    #[test]
    fn pieces_are_put_together_within_limits() {
        let pieces = [Ok(&b"ab"[..]), Ok(b""), Ok(b"cde"), Ok(b"f")];
        check(&pieces, 6, 100, Ok(b"abcdef"));
        check(&pieces[..1], 2, 2, Ok(b"ab"));
        check(&[], 0, 0, Ok(b""));
        check(&pieces, 5, 100, Err(Unread::TooLarge));
        check(&pieces, 6, 4, Err(Unread::NoRoom));
        check(&[Ok(b"ab"), Err(())], 6, 100, Err(Unread::Broken));
    }

    #[test]
    fn a_whole_body_is_read_back() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime");
        let trailers = HeaderMap::from_iter([(super::super::grpc::STATUS, 0.into())]);
        let body =
            Whole::new(Bytes::from_static(b"he"), Bytes::from_static(b"ad")).with_trailers(trailers.clone());
        let minute = Duration::from_secs(60);
        let bounds = Bounds { most: 4, piece: minute, until: Instant::now() + minute, said: |_| None };
        let got = runtime.block_on(read(body, bounds, &mut Budget::new(9).share())).expect("fits");
        assert_eq!((&got.bytes[..], got.trailers), (&b"head"[..], Some(trailers)));
    }
}
