//! The load: requests that were made before, sent as fast as answers come, or at a pace.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::{Body, Bytes, Frame};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kasm_scrub::relay::UpstreamProtocol;

/// What is sent, and where.
pub(crate) struct Load<'r> {
    pub(crate) protocol: UpstreamProtocol,
    pub(crate) port: u16,
    pub(crate) requests: &'r [Vec<u8>],
    /// How many requests are under way at once.
    pub(crate) clients: usize,
}

/// How fast.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// The next when the last was answered.
    Full,
    /// So many, evenly; the wait counts from when a request was due.
    PerSecond(f64),
}

/// What was done.
pub(crate) struct Done {
    pub(crate) count: usize,
    pub(crate) took: Duration,
    waits: Vec<Duration>,
}

impl Done {
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        self.waits.get((self.waits.len() as f64 * share) as usize).copied().unwrap_or_default()
    }
}

/// Tells when the next request is due, and which one it is; `None`: it is over.
struct Plan {
    start: Instant,
    length: Duration,
    pace: Pace,
    next: AtomicUsize,
}

impl Plan {
    fn next(&self) -> Option<(usize, Instant)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = match self.pace {
            Pace::Full => Instant::now(),
            Pace::PerSecond(rate) => self.start + Duration::from_secs_f64(number as f64 / rate),
        };
        (due < self.start + self.length).then_some((number, due))
    }
}

impl Load<'_> {
    pub(crate) fn run(&self, pace: Pace, length: Duration) -> Done {
        let plan = Arc::new(Plan { start: Instant::now(), length, pace, next: AtomicUsize::new(0) });
        let waits = Arc::new(Mutex::new(Vec::new()));
        match self.protocol {
            UpstreamProtocol::Http => std::thread::scope(|scope| {
                for _ in 0..self.clients {
                    scope.spawn(|| self.http(&plan, &waits));
                }
            }),
            UpstreamProtocol::Grpc => self.grpc(&plan, &waits),
        }
        let took = plan.start.elapsed();
        let mut waits = std::mem::take(&mut *waits.lock().expect("waits"));
        waits.sort_unstable();
        Done { count: waits.len(), took, waits }
    }

    fn http(&self, plan: &Plan, waits: &Mutex<Vec<Duration>>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the relay");
        stream.set_nodelay(true).expect("a socket");
        let mut own = Vec::new();
        let mut buffer = [0; 4096];
        while let Some((number, due)) = plan.next() {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let body = &self.requests[number % self.requests.len()];
            let head = format!(
                "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).expect("the relay reads");
            let mut have = 0;
            while !buffer[..have].ends_with(b"\r\n\r\n") {
                match stream.read(&mut buffer[have..]).expect("the relay answers") {
                    0 => panic!("the relay has gone"),
                    read => have += read,
                }
            }
            assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..have]));
            own.push(due.elapsed());
        }
        waits.lock().expect("waits").append(&mut own);
    }

    fn grpc(&self, plan: &Arc<Plan>, waits: &Arc<Mutex<Vec<Duration>>>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let frames: Vec<Bytes> = self.requests.iter().map(|body| frame(body)).collect();
        let frames = Arc::new(frames);
        runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.expect("the relay");
            stream.set_nodelay(true).expect("a socket");
            let mut client = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
            let client = client.max_frame_size(1 << 20);
            let (sender, connection) = client.handshake(TokioIo::new(stream)).await.expect("HTTP/2");
            tokio::spawn(connection);
            let tasks: Vec<_> = (0..self.clients)
                .map(|_| {
                    let (plan, waits, frames, mut sender) =
                        (plan.clone(), waits.clone(), frames.clone(), sender.clone());
                    tokio::spawn(async move {
                        let mut own = Vec::new();
                        while let Some((number, due)) = plan.next() {
                            tokio::time::sleep_until(due.into()).await;
                            let request = Request::post(
                                "http://x/opentelemetry.proto.collector.logs.v1.LogsService/Export",
                            )
                            .header("content-type", "application/grpc")
                            .header("te", "trailers")
                            .body(Once(Some(frames[number % frames.len()].clone())))
                            .expect("a request");
                            let response = sender.send_request(request).await.expect("an answer");
                            let body = response.into_body().collect().await.expect("an answer");
                            let status =
                                body.trailers().and_then(|trailers| trailers.get("grpc-status").cloned());
                            assert_eq!(status.expect("a status"), "0");
                            own.push(due.elapsed());
                        }
                        waits.lock().expect("waits").append(&mut own);
                    })
                })
                .collect();
            for task in tasks {
                task.await.expect("a client");
            }
        });
    }
}

/// A message in its frame.
fn frame(body: &[u8]) -> Bytes {
    let mut frame = vec![0];
    frame.extend_from_slice(&(body.len() as u32).to_be_bytes());
    frame.extend_from_slice(body);
    frame.into()
}

/// A body of one piece.
struct Once(Option<Bytes>);

impl Body for Once {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }
}
