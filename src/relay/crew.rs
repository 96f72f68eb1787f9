//! The threads on which large messages are scrubbed, so that small ones need not wait for them. Always the same few: each
//! keeps what it has allocated for the next message, and a thread more would keep as much again.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Threads that wait for work.
#[derive(Clone, Debug)]
pub(super) struct Crew(Sender<Job>);

impl Crew {
    /// So many threads. They end with the last clone of this.
    pub(super) fn start(threads: usize) -> io::Result<Self> {
        let (jobs, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads {
            let waiting = waiting.clone();
            thread::Builder::new().name("scrub".to_owned()).spawn(move || work(&waiting))?;
        }
        Ok(Self(jobs))
    }

    /// Does a piece of work when a thread is free, in the order of asking. `None`: it panicked.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (done, result) = oneshot::channel();
        let job = move || {
            // Who asked may have gone away.
            let _ = done.send(job());
        };
        self.0.send(Box::new(job)).ok()?;
        result.await.ok()
    }
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A panic ends the work, not the thread; who asked sees that there is no result.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_the_work_not_the_thread() {
        let crew = Crew::start(1).expect("a thread");
        assert_eq!(
            crew.work(|| if true {
                panic!("as the engine might")
            })
            .await,
            None
        );
        let names: Vec<Option<String>> = vec![
            crew.work(|| thread::current().name().map(str::to_owned)).await.flatten(),
            crew.work(|| thread::current().name().map(str::to_owned)).await.flatten(),
        ];
        assert_eq!(names, [Some("scrub".to_owned()), Some("scrub".to_owned())]);
    }
}
