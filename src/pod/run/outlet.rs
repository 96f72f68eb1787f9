//! Our own stdout or stderr: blocks of whole lines in turn, and what we say ourselves between them.
//!
//! Invariants:
//! - What is handed over is written: what fails is tried again, and whoever writes waits. Only a reader that has gone ends
//!   that, or who writes.
//! - Nothing of ours is written within a line of the program, and nobody waits for saying something.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// How long to wait before what has failed is tried again, at first and at most.
const WAITS: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];
/// The most messages of ours that wait for the end of a line.
const MESSAGES: usize = 64;
/// How long the last of them wait for room.
const LAST: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Why nothing more is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// Who read this has gone.
    Gone,
    /// It cannot be written now, and is not to be tried again.
    GivenUp,
}

/// Who writes: told of what failed, and asked whether it is to be tried again.
pub(super) trait Writer {
    /// Something has failed. Whether it is to be tried again.
    fn failed(&mut self, error: &io::Error) -> bool;

    /// It waits for room. Whether it is to wait on.
    fn waits(&mut self) -> bool;
}

/// A file that lines are written to.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) file: File,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Someone writes.
    is_busy: bool,
    /// The last line has not ended.
    is_in_line: bool,
    /// What we have to say.
    messages: VecDeque<Vec<u8>>,
}

impl Outlet {
    pub(super) fn new(file: File) -> Self {
        Self { file, state: Mutex::default(), freed: Condvar::new() }
    }

    /// Writes some pieces and waits until they are taken.
    pub(super) fn write(
        &self,
        pieces: &mut [IoSlice<'_>],
        ends_line: bool,
        writer: &mut dyn Writer,
    ) -> Result<(), Closed> {
        let mut state = self.lock();
        while state.is_busy {
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_busy = true;
        let messages = if state.is_in_line { VecDeque::new() } else { mem::take(&mut state.messages) };
        drop(state);
        let said = messages.iter().try_for_each(|text| self.put(&mut [IoSlice::new(text)], writer));
        let written = said.and_then(|()| self.put(pieces, writer));
        let mut state = self.lock();
        state.is_busy = false;
        state.is_in_line = !ends_line;
        self.say_what_waits(&mut state, Timespec::default());
        drop(state);
        self.freed.notify_one();
        written
    }

    /// Says something, now or at the end of the line that is being written.
    pub(super) fn say(&self, message: &str) {
        let mut state = self.lock();
        if state.messages.len() < MESSAGES {
            state.messages.push_back(format!("kasm-scrub: {message}\n").into_bytes());
        }
        self.say_what_waits(&mut state, Timespec::default());
    }

    /// Says what is left to say when nothing more will be written: a line that has not ended is ended by us.
    pub(super) fn say_last(&self) {
        let mut state = self.lock();
        if mem::take(&mut state.is_in_line) && !state.messages.is_empty() {
            state.messages.push_front(b"\n".to_vec());
        }
        self.say_what_waits(&mut state, LAST);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes messages as far as there is room for them: a pipe that is ready takes a few kilobytes at once.
    fn say_what_waits(&self, state: &mut State, most: Timespec) {
        if state.is_busy || state.is_in_line {
            return;
        }
        while let Some(message) = state.messages.front_mut() {
            let mut ends = [PollFd::new(&self.file, PollFlags::OUT)];
            if !poll(&mut ends, Some(&most)).is_ok_and(|ready| ready > 0) {
                return;
            }
            match (&self.file).write(message) {
                Ok(written) if written < message.len() => drop(message.drain(..written)),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                    return;
                }
                // Written; or it cannot be, and nothing can be said of that.
                Ok(_) | Err(_) => drop(state.messages.pop_front()),
            }
        }
    }

    fn put(&self, mut pieces: &mut [IoSlice<'_>], writer: &mut dyn Writer) -> Result<(), Closed> {
        let [first, longest] = WAITS;
        let mut wait = first;
        // Pieces that are empty are passed over: a write of nothing is no failure.
        IoSlice::advance_slices(&mut pieces, 0);
        while !pieces.is_empty() {
            let error = match (&self.file).write_vectored(pieces) {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(written) => {
                    IoSlice::advance_slices(&mut pieces, written);
                    wait = first;
                    continue;
                }
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::Interrupted => {}
                // Someone has made it non-blocking for all who have it.
                ErrorKind::WouldBlock if writer.waits() => {
                    let _ = poll(&mut [PollFd::new(&self.file, PollFlags::OUT)], Some(&LAST));
                }
                ErrorKind::WouldBlock => return Err(Closed::GivenUp),
                _ if self.is_gone(&error) => return Err(Closed::Gone),
                _ if writer.failed(&error) => {
                    thread::sleep(wait);
                    wait = longest.min(wait * 2);
                }
                _ => return Err(Closed::GivenUp),
            }
        }
        Ok(())
    }

    /// Whether an error says that it will never be otherwise.
    fn is_gone(&self, error: &io::Error) -> bool {
        match Errno::from_io_error(error) {
            Some(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN | Errno::BADF | Errno::NXIO) => true,
            // A terminal that was hung up.
            Some(Errno::IO) => rustix::termios::isatty(&self.file),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// Tries so often again.
    struct Tries(usize);

    impl Writer for Tries {
        fn failed(&mut self, _: &io::Error) -> bool {
            self.0 = self.0.saturating_sub(1);
            self.0 > 0
        }

        fn waits(&mut self) -> bool {
            true
        }
    }

    fn write(outlet: &Outlet, text: &str) -> Result<(), Closed> {
        outlet.write(&mut [IoSlice::new(text.as_bytes())], text.ends_with('\n'), &mut Tries(3))
    }

    fn outlet() -> (io::PipeReader, Outlet) {
        let (reader, writer) = io::pipe().expect("pipe");
        (reader, Outlet::new(File::from(std::os::fd::OwnedFd::from(writer))))
    }

    #[test]
    fn messages_stand_between_lines() {
        let (mut reader, outlet) = outlet();
        write(&outlet, "a\nb").expect("open");
        outlet.say("one");
        write(&outlet, "c\n").expect("open");
        outlet.say("two");
        write(&outlet, "d").expect("open");
        outlet.say("three");
        outlet.say_last();
        drop(outlet);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("text");
        assert_eq!(text, "a\nbc\nkasm-scrub: one\nkasm-scrub: two\nd\nkasm-scrub: three\n");
    }

    #[test]
    fn saying_does_not_wait() {
        let (mut reader, outlet) = outlet();
        rustix::io::ioctl_fionbio(&outlet.file, true).expect("non-blocking");
        while (&outlet.file).write(&[b'x'; 4096]).is_ok() {}
        rustix::io::ioctl_fionbio(&outlet.file, false).expect("blocking");
        outlet.say("one");
        thread::scope(|scope| {
            scope.spawn(|| write(&outlet, "a\n").expect("open"));
            let mut text = Vec::new();
            while !text.ends_with(b"a\n") {
                let mut some = [0; 4096];
                let len = reader.read(&mut some).expect("text");
                text.extend_from_slice(&some[..len]);
            }
            assert!(text.ends_with(b"xkasm-scrub: one\na\n"));
        });
    }

    #[test]
    fn a_reader_that_has_gone_ends_it() {
        let (reader, outlet) = outlet();
        drop(reader);
        assert_eq!(write(&outlet, "a\n"), Err(Closed::Gone));
        assert_eq!(write(&outlet, "b\n"), Err(Closed::Gone));
    }

    #[test]
    fn what_fails_is_tried_until_it_is_given_up() {
        let outlet = Outlet::new(File::options().write(true).open("/dev/full").expect("a full device"));
        assert_eq!(write(&outlet, "a\n"), Err(Closed::GivenUp));
    }
}
