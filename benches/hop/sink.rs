//! The upstream of the measurement: takes everything, keeps nothing.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kasm_scrub::relay::UpstreamProtocol;

/// Starts one on threads of its own; gives its port.
pub(crate) fn start(protocol: UpstreamProtocol) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || match protocol {
        UpstreamProtocol::Grpc => grpc(listener),
        UpstreamProtocol::Http => {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || http(stream));
            }
        }
    });
    port
}

/// HTTP/1.1, as far as requests with a length need it.
fn http(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut buffer = vec![0; 256 << 10];
    let (mut have, mut rest) = (0, 0usize);
    loop {
        while rest == 0 {
            if let Some(end) = buffer[..have].windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
                let len = head.split("content-length: ").nth(1).and_then(|text| text.split("\r\n").next());
                rest = len.and_then(|len| len.parse().ok()).expect("a length");
                rest = rest.saturating_sub(have - end - 4);
                have = 0;
                break;
            }
            match stream.read(&mut buffer[have..]) {
                Ok(0) | Err(_) => return,
                Ok(read) => have += read,
            }
        }
        while rest > 0 {
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(read) => rest = rest.saturating_sub(read),
            }
        }
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}

fn grpc(listener: TcpListener) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    listener.set_nonblocking(true).expect("a socket");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            tokio::spawn(async move {
                let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                server.initial_stream_window_size(1 << 20).initial_connection_window_size(8 << 20);
                server.max_frame_size(1 << 20);
                let _ = server.serve_connection(TokioIo::new(stream), service_fn(take)).await;
            });
        }
    });
}

async fn take(request: Request<Incoming>) -> Result<Response<Frames>, Infallible> {
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from(0))]);
    Ok(Response::new(Frames([Frame::data(Bytes::from_static(&[0; 5])), Frame::trailers(trailers)].into())))
}

/// A body's frames, one after the other.
struct Frames(VecDeque<Frame<Bytes>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}
