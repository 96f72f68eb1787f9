//! The threads on which large messages are scrubbed, so that small ones need not wait for them. Always the same few: each
//! keeps what it has allocated for the next message, and a thread more would keep as much again.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;

/// What is to be scrubbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    /// The upstream has its request already: a client that waits much longer sends it again.
    Answer,
}

/// A piece of work, of which somebody waits for the result.
trait Job: Send {
    fn work(self: Box<Self>);
    /// Who asked has gone away.
    fn is_unwanted(&self) -> bool;
}

struct Asked<F, T> {
    work: F,
    done: oneshot::Sender<T>,
}

impl<F: FnOnce() -> T + Send, T: Send> Job for Asked<F, T> {
    fn work(self: Box<Self>) {
        let Self { work, done } = *self;
        // Who asked may go away meanwhile.
        let _ = done.send(work());
    }

    fn is_unwanted(&self) -> bool {
        self.done.is_closed()
    }
}

/// What waits for a thread.
#[derive(Default)]
struct Waiting {
    requests: VecDeque<Box<dyn Job>>,
    answers: VecDeque<Box<dyn Job>>,
    /// There is nobody left who could ask.
    is_over: bool,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    more: Condvar,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next piece of work: an answer, if one waits. `None`: there will be none.
    fn next(&self) -> Option<Box<dyn Job>> {
        let mut waiting = self.waiting();
        loop {
            let next = waiting.answers.pop_front().or_else(|| waiting.requests.pop_front());
            if next.is_some() || waiting.is_over {
                return next;
            }
            waiting = self.more.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Drops what nobody waits for any more, and what it holds.
    fn forget(&self) {
        let mut waiting = self.waiting();
        waiting.requests.retain(|job| !job.is_unwanted());
        waiting.answers.retain(|job| !job.is_unwanted());
    }
}

/// Threads that wait for work.
#[derive(Clone, Debug)]
pub(super) struct Crew(Arc<Askers>);

/// All who could ask; when they are gone, it is over.
#[derive(Debug, Default)]
struct Askers(Arc<Queue>);

impl Drop for Askers {
    fn drop(&mut self) {
        self.0.waiting().is_over = true;
        self.0.more.notify_all();
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl Crew {
    /// So many threads. They end with the last clone of this, when what was asked for is done.
    pub(super) fn start(threads: usize) -> io::Result<Self> {
        let askers = Askers::default();
        for _ in 0..threads {
            let queue = askers.0.clone();
            thread::Builder::new().name("scrub".to_owned()).spawn(move || work(&queue))?;
        }
        Ok(Self(Arc::new(askers)))
    }

    /// Does a piece of work when a thread is free: answers first, then in the order of asking. If this is dropped before, it
    /// is not done at all. `None`: it panicked.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        kind: Kind,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (done, result) = oneshot::channel();
        let job = Box::new(Asked { work: job, done });
        let queue = &*self.0.0;
        {
            let mut waiting = queue.waiting();
            match kind {
                Kind::Request => waiting.requests.push_back(job),
                Kind::Answer => waiting.answers.push_back(job),
            }
        }
        queue.more.notify_one();
        // Dropped after what is waited for, so that it finds the work unwanted.
        let _leaving = Leaving(queue);
        result.await.ok()
    }
}

/// Who waits for a result, until it is there or is not wanted any more.
struct Leaving<'q>(&'q Queue);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.forget();
    }
}

fn work(queue: &Queue) {
    while let Some(job) = queue.next() {
        if job.is_unwanted() {
            continue;
        }
        // A panic ends the work, not the thread; who asked sees that there is no result.
        let _ = catch_unwind(AssertUnwindSafe(|| job.work()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn a_panic_ends_the_work_not_the_thread() {
        let crew = Crew::start(1).expect("a thread");
        let panic = || {
            if true {
                panic!("as the engine might")
            }
        };
        assert_eq!(crew.work(Kind::Request, panic).await, None);
        let name = || thread::current().name().map(str::to_owned);
        let names = [crew.work(Kind::Request, name).await, crew.work(Kind::Answer, name).await];
        assert_eq!(names.map(Option::flatten), [Some("scrub".to_owned()), Some("scrub".to_owned())]);
    }

    #[tokio::test]
    async fn answers_go_first_and_what_is_not_wanted_is_dropped_undone() {
        let crew = Crew::start(1).expect("a thread");
        let ((go, gate), (began, begun)) = (channel::<()>(), channel());
        let first = crew.work(Kind::Request, move || {
            began.send(()).expect("somebody waits");
            gate.recv()
        });
        let (say, said) = channel();
        let saying = |word: &'static str| {
            let say = say.clone();
            move || say.send(word)
        };
        // What it holds is given back when it is dropped.
        let held = Arc::new(());
        let own = held.clone();
        let unwanted = crew.work(Kind::Request, move || drop(own));
        let request = crew.work(Kind::Request, saying("request"));
        let answer = crew.work(Kind::Answer, saying("answer"));
        let waiting_for_all = async { tokio::join!(first, request, answer) };
        let meanwhile = async {
            begun.recv().expect("it has begun");
            tokio::select! {
                biased;
                _ = unwanted => panic!("the thread has other work"),
                () = tokio::task::yield_now() => {}
            }
            assert_eq!(Arc::strong_count(&held), 1);
            go.send(()).expect("it waits");
        };
        tokio::join!(waiting_for_all, meanwhile);
        assert_eq!(said.try_iter().collect::<Vec<_>>(), ["answer", "request"]);
    }
}
