//! A connection of a client of syslog: what has come of its stream.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::Taker;
use super::frame::Frames;
use super::socket::Stream;
use crate::pod::house::House;
use crate::pod::whole::Whole;

/// What is read at once.
const CHUNK: usize = 64 << 10;

/// A connection.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    frames: Frames,
    /// What a line of it has left open counts for the next.
    whole: Whole,
    /// When something has come.
    last: Instant,
    /// Since when a message has begun and not ended.
    begun: Option<Instant>,
}

impl Connection {
    pub(super) fn new(stream: Box<dyn Stream>, house: &House) -> Self {
        let (frames, whole) = (Frames::default(), Whole::new(house.sanitizer()));
        Self { stream, frames, whole, last: Instant::now(), begun: None }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// How much memory it takes for what has come.
    pub(super) fn weight(&self) -> usize {
        self.frames.weight()
    }

    /// When something has come for the last time.
    pub(super) fn last(&self) -> Instant {
        self.last
    }

    /// Whether a message has begun so long ago, and has not ended.
    pub(super) fn is_overdue(&self, most: Duration) -> bool {
        self.begun.is_some_and(|begun| begun.elapsed() >= most)
    }

    /// Reads once; `false`: it has ended, and all that came is taken.
    pub(super) fn read(&mut self, taker: &mut Taker, house: &House) -> bool {
        let mut chunk = [0; CHUNK];
        match self.stream.read(&mut chunk) {
            Ok(0) => {}
            Ok(len) => {
                if self.whole.is_settled() {
                    self.whole.follow(house);
                }
                self.take(&chunk[..len], taker, house);
                return true;
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return true;
            }
            // It broke: what has not ended will not.
            Err(_) => {}
        }
        self.finish(taker, house);
        false
    }

    fn take(&mut self, chunk: &[u8], taker: &mut Taker, house: &House) {
        let Self { frames, whole, begun, last, .. } = self;
        let mut has_ended = false;
        frames.push(chunk, |frame| {
            has_ended = true;
            taker.take(Some(&mut *whole), frame, house);
        });
        *last = Instant::now();
        *begun = frames.is_in_message().then(|| begun.filter(|_| !has_ended).unwrap_or(*last));
        if let Some(bytes) = frames.skipped() {
            tracing::warn!(bytes, "the end of a message of syslog was skipped: it was cut before");
        }
    }

    /// Whether a message is whole that was not taken.
    pub(super) fn is_waiting(&self) -> bool {
        self.frames.is_waiting()
    }

    /// Takes a message that is whole, if nothing has come behind it for so long.
    pub(super) fn settle(&mut self, most: Duration, taker: &mut Taker, house: &House) {
        let Self { frames, whole, begun, last, .. } = self;
        if last.elapsed() >= most && frames.is_waiting() {
            *begun = None;
            frames.settle(|frame| taker.take(Some(whole), frame, house));
        }
    }

    /// Takes what has come of a message that has not ended, and skips the rest of it.
    pub(super) fn cut(&mut self, why: &'static str, taker: &mut Taker, house: &House) {
        let Self { frames, whole, begun, .. } = self;
        *begun = None;
        if frames.is_in_message() {
            tracing::warn!(why, "a message of syslog is cut; the rest of it is skipped");
            frames.cut(|frame| taker.take(Some(whole), frame, house));
        }
    }

    /// Takes what has come of a message that was torn off.
    pub(super) fn finish(&mut self, taker: &mut Taker, house: &House) {
        let Self { frames, whole, .. } = self;
        if frames.finish(|frame| taker.take(Some(whole), frame, house)) {
            house.event("syslog_torn");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    use super::*;
    use crate::pod::house::Everything;
    use crate::sanitize::Sanitizer;

    #[test]
    fn how_long_a_message_takes_is_counted_from_its_beginning() {
        let house = House::new(Arc::new(Sanitizer::builtin()), Box::new(Everything), Box::new(Everything));
        let mut taker = Taker::new(&house, "unix");
        let (mut client, stream) = UnixStream::pair().expect("a pair");
        let mut connection = Connection::new(Box::new(stream), &house);
        let mut send = |text: &str, connection: &mut Connection, taker: &mut Taker| {
            client.write_all(text.as_bytes()).expect("a reader");
            assert!(connection.read(taker, &house));
        };
        send("<13>one\n", &mut connection, &mut taker);
        assert!(!connection.is_overdue(Duration::ZERO), "nothing has begun");
        send("<13>tw", &mut connection, &mut taker);
        let begun = connection.begun;
        send("o", &mut connection, &mut taker);
        assert!(begun.is_some() && connection.begun == begun && connection.is_overdue(Duration::ZERO));
        send("\n<13>three", &mut connection, &mut taker);
        assert!(connection.begun > begun, "another one");
        connection.cut("as told", &mut taker, &house);
        send(" is skipped\n<13>four\n", &mut connection, &mut taker);
        assert!(!connection.is_overdue(Duration::ZERO));
        assert_eq!(taker.texts(), ["one", "two", "[REDACTED:undecided]", "four"]);
    }
}
