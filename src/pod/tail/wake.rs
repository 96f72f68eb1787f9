//! What wakes a tail: inotify on the folders of its files, where there is such a thing, and time.
//!
//! inotify is asked directly, with no thread between: while the tail is busy, events wait in the system, and those that are
//! alike become one. Whatever it loses, listing all files now and then makes up for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::pod::house::Stopping;

/// How long the word to stop may go unnoticed.
const LOOK: Duration = Duration::from_millis(100);

/// What has happened.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// Files that were written to.
    pub(super) written: Vec<PathBuf>,
    /// Whether names came, went or changed, or events were lost.
    pub(super) names_changed: bool,
}

/// Tells when something happens in folders.
#[derive(Debug)]
pub(super) struct Wake {
    #[cfg(target_os = "linux")]
    inotify: Option<std::os::fd::OwnedFd>,
    folders: HashMap<i32, PathBuf>,
    watches: HashMap<PathBuf, i32>,
    buffer: Vec<std::mem::MaybeUninit<u8>>,
    /// Whether a folder could not be watched: said once.
    has_failed: bool,
}

#[cfg(target_os = "linux")]
impl Wake {
    pub(super) fn new() -> Self {
        use rustix::fs::inotify::{CreateFlags, init};
        let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK);
        if let Err(error) = &inotify {
            tracing::warn!(%error, "inotify is not there; files are looked at by the clock alone");
        }
        Self {
            inotify: inotify.ok(),
            folders: HashMap::new(),
            watches: HashMap::new(),
            buffer: vec![std::mem::MaybeUninit::uninit(); 32 << 10],
            has_failed: false,
        }
    }

    /// Watches a folder from now on. One that is there already is nothing to do, unless it is another of the same name.
    pub(super) fn watch(&mut self, folder: &Path) {
        use rustix::fs::inotify::{WatchFlags, add_watch};
        let Some(inotify) = &self.inotify else { return };
        let flags = WatchFlags::MODIFY
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::ONLYDIR;
        match add_watch(inotify, folder, flags) {
            Ok(watch) => {
                if self.watches.get(folder) != Some(&watch) {
                    self.watches.insert(folder.to_owned(), watch);
                    self.folders.insert(watch, folder.to_owned());
                }
            }
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
            Err(error) => {
                if !self.has_failed {
                    tracing::warn!(%error, "a folder cannot be watched; its files are looked at by the clock alone");
                }
                self.has_failed = true;
            }
        }
    }

    /// What has happened since this was asked last.
    pub(super) fn events(&mut self) -> Events {
        use rustix::fs::inotify::{ReadFlags, Reader};
        use std::os::unix::ffi::OsStrExt;
        let mut events = Events::default();
        let Some(inotify) = &self.inotify else { return events };
        let mut reader = Reader::new(inotify, &mut self.buffer);
        let mut gone = Vec::new();
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => break,
            };
            let flags = event.events();
            if flags.contains(ReadFlags::IGNORED) {
                gone.push(event.wd());
            }
            match (self.folders.get(&event.wd()), event.file_name()) {
                (Some(folder), Some(name)) if flags == ReadFlags::MODIFY => {
                    let path = folder.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
                    // The same as just before.
                    if events.written.last() != Some(&path) {
                        events.written.push(path);
                    }
                }
                _ => events.names_changed = true,
            }
        }
        for watch in gone {
            if let Some(folder) = self.folders.remove(&watch)
                && self.watches.get(&folder) == Some(&watch)
            {
                self.watches.remove(&folder);
            }
        }
        events
    }

    /// Waits until something happens, or the word to stop may have been said, for no longer than `most`.
    pub(super) fn wait(&self, most: Duration, stopping: &Stopping) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let Some(inotify) = &self.inotify else { return stopping.wait(most) };
        let most = Timespec::try_from(most.min(LOOK)).ok();
        // A signal ends it early, which does no harm.
        let _ = poll(&mut [PollFd::new(inotify, PollFlags::IN)], most.as_ref());
    }
}

#[cfg(not(target_os = "linux"))]
impl Wake {
    pub(super) fn new() -> Self {
        let (folders, watches) = (HashMap::new(), HashMap::new());
        Self { folders, watches, buffer: Vec::new(), has_failed: false }
    }

    pub(super) fn watch(&mut self, _folder: &Path) {}

    pub(super) fn events(&mut self) -> Events {
        Events { written: Vec::new(), names_changed: true }
    }

    pub(super) fn wait(&self, most: Duration, stopping: &Stopping) {
        stopping.wait(most.min(LOOK));
    }
}
