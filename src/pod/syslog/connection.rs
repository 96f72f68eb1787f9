//! A connection of a client of syslog: what has come of its stream.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

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
}

impl Connection {
    pub(super) fn new(stream: Box<dyn Stream>, house: &House) -> Self {
        Self { stream, frames: Frames::default(), whole: Whole::new(house.sanitizer()) }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
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
                let Self { frames, whole, .. } = self;
                frames.push(&chunk[..len], |frame| taker.take(Some(&mut *whole), frame, house));
                return true;
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return true;
            }
            // It broke; what came before is whole.
            Err(_) => {}
        }
        self.finish(taker, house);
        false
    }

    /// Takes what has come of a message that was torn off.
    pub(super) fn finish(&mut self, taker: &mut Taker, house: &House) {
        let Self { frames, whole, .. } = self;
        if frames.finish(|frame| taker.take(Some(whole), frame, house)) {
            house.event("syslog_torn");
        }
    }
}
