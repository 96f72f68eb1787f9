//! Pseudoterminals, for programs that hold back what they write when they see no terminal.
//!
//! The program's side is raw: it changes no byte. It is nobody's controlling terminal, so no key reaches the program through
//! it; stdin stays what it was.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{OptionalActions, Winsize, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

/// What a terminal is taken to be where there is none.
const USUAL: Winsize = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };

/// Opens one: our side and the program's.
pub(super) fn open() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags)?;
    unlockpt(&ours)?;
    let theirs = ioctl_tiocgptpeer(&ours, flags)?;
    let mut mode = tcgetattr(&theirs)?;
    mode.make_raw();
    tcsetattr(&theirs, OptionalActions::Now, &mode)?;
    Ok((ours, theirs))
}

/// The size of the first that is a terminal.
pub(super) fn size(of: &[&dyn AsFd]) -> Winsize {
    of.iter().find_map(|fd| tcgetwinsize(fd.as_fd()).ok()).unwrap_or(USUAL)
}

/// Gives a terminal a size. That it cannot be done is no reason to stop.
pub(super) fn resize(ours: &OwnedFd, size: Winsize) {
    let _ = tcsetwinsize(ours, size);
}
