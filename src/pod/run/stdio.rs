//! Our own stdout and stderr, put behind pipes.
//!
//! Not only the program gets the pipes, this process has them in place of its stdout and stderr, too: who opens
//! `/proc/1/fd/1` is scrubbed like the program. So nothing but [`Outlet`]s may be written to; what does by mistake is
//! scrubbed.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::stdio::{dup2_stderr, dup2_stdout};

use super::outlet::Outlet;
use super::stream::Inlet;
use super::{Pty, terminal};

/// What stdout and stderr are now.
#[derive(Debug)]
pub(super) struct Stdio {
    /// What they were.
    pub(super) outlets: [Arc<Outlet>; 2],
    /// Our sides of terminals.
    terminals: Vec<OwnedFd>,
    /// What they are when the program has gone.
    nothing: File,
}

impl Stdio {
    /// Puts both behind pipes. What comes out of these is read through the inlets, until `stop` is readable at the latest.
    pub(super) fn redirect(pty: Pty, stop: &Arc<OwnedFd>) -> io::Result<(Self, [Inlet; 2])> {
        let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let err = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        // Where both are one, blocks take turns.
        let is_one = is_same(&out, &err)?;
        let out = Arc::new(Outlet::new(out));
        let err = if is_one { out.clone() } else { Arc::new(Outlet::new(err)) };
        let nothing = File::options().write(true).open("/dev/null")?;
        let (our_out, their_out) = pair(pty != Pty::None)?;
        let (our_err, their_err) = pair(pty == Pty::Both)?;
        let mut terminals = Vec::new();
        for (ours, is_terminal) in [(&our_out, pty != Pty::None), (&our_err, pty == Pty::Both)] {
            rustix::io::ioctl_fionbio(ours, true)?;
            if is_terminal {
                terminals.push(ours.try_clone()?);
            }
        }
        let stdio = Self { outlets: [out, err], terminals, nothing };
        stdio.resize();
        dup2_stdout(&their_out)?;
        if let Err(error) = dup2_stderr(&their_err) {
            stdio.restore();
            return Err(error.into());
        }
        let inlets = [our_out, our_err].map(|ours| Inlet::new(File::from(ours), stop.clone()));
        Ok((stdio, inlets))
    }

    /// Whether the program has a terminal of ours.
    pub(super) fn has_terminal(&self) -> bool {
        !self.terminals.is_empty()
    }

    /// Gives the program's terminals the size of ours.
    pub(super) fn resize(&self) {
        let [out, err] = &self.outlets;
        let size = terminal::size(&[&out.file, &err.file, &io::stdin()]);
        self.terminals.iter().for_each(|ours| terminal::resize(ours, size));
    }

    /// Lets go of the pipes: they end when nobody else has them. Nothing raw gets past them.
    pub(super) fn release(&self) {
        // The descriptors are there, so this cannot fail; if it did, the wait for the end is bounded.
        let _ = dup2_stdout(&self.nothing);
        let _ = dup2_stderr(&self.nothing);
    }

    /// Takes both back. Only for when nothing has been started.
    pub(super) fn restore(&self) {
        let [out, err] = &self.outlets;
        let _ = dup2_stdout(&out.file);
        let _ = dup2_stderr(&err.file);
    }
}

/// Our end and the program's.
fn pair(is_terminal: bool) -> io::Result<(OwnedFd, OwnedFd)> {
    if is_terminal {
        return Ok(terminal::open()?);
    }
    let (ours, theirs) = io::pipe()?;
    Ok((ours.into(), theirs.into()))
}

fn is_same(one: &File, other: &File) -> io::Result<bool> {
    let [one, other] = [rustix::fs::fstat(one)?, rustix::fs::fstat(other)?];
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}
