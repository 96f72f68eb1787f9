//! Work that several threads do, each piece by one of them, taken back in order.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What the threads share.
struct State<T> {
    /// The piece that is begun next, and how many were taken back.
    next: usize,
    taken: usize,
    done: BTreeMap<usize, T>,
    is_over: bool,
}

/// Has `make` called for each of `count` pieces by `threads` threads, and `take` in order by this one, until it wants no
/// more. No piece is begun that is `window` or more ahead of the one that is taken next.
pub(super) fn in_order<T: Send>(
    count: usize,
    threads: usize,
    window: usize,
    make: &(dyn Fn(usize) -> T + Sync),
    take: &mut dyn FnMut(usize, T) -> bool,
) {
    if threads <= 1 || count <= 1 {
        let _ = (0..count).all(|index| take(index, make(index)));
        return;
    }
    let state = Mutex::new(State { next: 0, taken: 0, done: BTreeMap::new(), is_over: false });
    let turned = Condvar::new();
    let lock = || -> MutexGuard<'_, State<T>> { state.lock().unwrap_or_else(PoisonError::into_inner) };
    let wait = |guard| turned.wait(guard).unwrap_or_else(PoisonError::into_inner);
    let work = || {
        loop {
            let mut guard = lock();
            while !guard.is_over && guard.next < count && guard.next >= guard.taken.saturating_add(window) {
                guard = wait(guard);
            }
            if guard.is_over || guard.next >= count {
                return;
            }
            let index = guard.next;
            guard.next += 1;
            drop(guard);
            let failing = Failing { state: &state, turned: &turned };
            let made = make(index);
            drop(failing);
            lock().done.insert(index, made);
            turned.notify_all();
        }
    };
    thread::scope(|scope| {
        let start = |_| {
            let thread = thread::Builder::new().name("files".to_owned()).stack_size(8 << 20);
            thread.spawn_scoped(scope, work).ok()
        };
        let started = (0..threads.min(count)).map_while(start).count();
        for index in 0..count {
            let mut guard = lock();
            let made = loop {
                if let Some(made) = guard.done.remove(&index) {
                    break made;
                }
                // A thread has failed: the scope tells.
                if guard.is_over {
                    return;
                }
                // Without any thread this one does it all.
                guard = if started == 0 {
                    guard.done.insert(index, make(index));
                    guard
                } else {
                    wait(guard)
                };
            };
            guard.taken = index + 1;
            drop(guard);
            turned.notify_all();
            if !take(index, made) {
                lock().is_over = true;
                turned.notify_all();
                return;
            }
        }
    });
}

/// Ends the work of all if a thread fails.
struct Failing<'s, T> {
    state: &'s Mutex<State<T>>,
    turned: &'s Condvar,
}

impl<T> Drop for Failing<'_, T> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
            self.turned.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_ends_all() {
        let work = || in_order(50, 3, 4, &|index| assert!(index < 20), &mut |_, ()| true);
        assert!(std::panic::catch_unwind(work).is_err());
    }

    #[test]
    fn pieces_come_back_in_order() {
        for threads in 1..5 {
            for window in [1, 3, usize::MAX] {
                let mut got = Vec::new();
                in_order(50, threads, window, &|index| index * 2, &mut |index, made| {
                    got.push((index, made));
                    got.len() < 40
                });
                assert_eq!(got, (0..40).map(|i| (i, i * 2)).collect::<Vec<_>>());
            }
        }
    }
}
