//! How long a client of HTTP/1.1 may take for a head: from its first byte to its last. Until then its connection is idle, for
//! which there is a longer time. HTTP's own timer knows only when it began to wait.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt;
use tokio::time::{Sleep, sleep_until};

/// Where a connection is between two heads, as who reads it and who serves it tell.
#[derive(Clone, Debug)]
pub(super) struct HeadTime {
    most: Duration,
    stage: Arc<Mutex<Stage>>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Nothing of the next head is there.
    Idle,
    /// Since when some of a head is there.
    Head(Instant),
    /// The head was read; what comes belongs to its request.
    Request,
}

impl HeadTime {
    /// A head takes no longer than `most`.
    pub(super) fn new(most: Duration) -> Self {
        Self { most, stage: Arc::new(Mutex::new(Stage::Idle)) }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Stage) -> T) -> T {
        work(&mut self.stage.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Bytes have come.
    pub(super) fn came(&self) {
        self.with(|stage| {
            if let Stage::Idle = stage {
                *stage = Stage::Head(Instant::now());
            }
        });
    }

    /// A head was read whole.
    pub(super) fn is_whole(&self) {
        self.with(|stage| *stage = Stage::Request);
    }

    /// When it is too late, if nothing more comes; `idle` is when a connection without a request is.
    fn until(&self, idle: Instant) -> Instant {
        match self.with(|stage| *stage) {
            Stage::Head(since) => since + self.most,
            Stage::Idle | Stage::Request => idle,
        }
    }
}

/// The timer of a connection of HTTP/1.1, which times nothing but heads.
impl rt::Timer for HeadTime {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, idle: Instant) -> Pin<Box<dyn rt::Sleep>> {
        // It is asked for one when the request before has been answered. Of the first head there may be something already.
        self.with(|stage| {
            if let Stage::Request = stage {
                *stage = Stage::Idle;
            }
        });
        let sleep = Box::pin(sleep_until(idle.into()));
        Box::pin(Waiting { time: self.clone(), idle, sleep })
    }
}

/// Ends when a head takes too long, or when there was none for too long.
struct Waiting {
    time: HeadTime,
    idle: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl rt::Sleep for Waiting {}

impl Future for Waiting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // It is asked again whenever something has come.
        let until = self.time.until(self.idle).into();
        if self.sleep.deadline() != until {
            self.sleep.as_mut().reset(until);
        }
        self.sleep.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use hyper::rt::Timer;

    use super::*;

    #[test]
    fn a_head_is_timed_from_its_first_byte() {
        let time = HeadTime::new(Duration::from_secs(10));
        let (start, idle) = (Instant::now(), Instant::now() + Duration::from_secs(180));
        let is_timed = || time.until(idle) < start + Duration::from_secs(60);
        assert!(!is_timed(), "nothing has come");
        time.came();
        let until = time.until(idle);
        time.came();
        assert!(is_timed() && until == time.until(idle), "bytes that come later are no first ones");
        time.is_whole();
        time.came();
        assert!(!is_timed(), "what belongs to the request");
    }

    #[tokio::test]
    async fn the_next_head_is_timed_when_the_request_is_answered() {
        let time = HeadTime::new(Duration::from_millis(20));
        let idle = Instant::now() + Duration::from_secs(3600);
        time.came();
        // Asked for after the first bytes were read.
        time.sleep_until(idle).await;
        time.is_whole();
        let mut next = time.sleep_until(idle);
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(next.as_mut().poll(&mut context).is_pending());
        time.came();
        next.await;
        assert!(Instant::now() < idle);
    }
}
