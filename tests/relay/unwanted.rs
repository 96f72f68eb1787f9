//! Clients of HTTP/1.1 that are still sending when it is clear that their request is not wanted: they see the answer, and
//! no broken pipe.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::PATIENCE;
use super::certificates::write;
use super::client::open;
use super::replies::taking;
use super::stage::{Spoken, Stage};

const MIB: usize = 1 << 20;
/// The most that is thrown away for a client to see its answer, with a limit of 1 MiB.
const LENS: [usize; 3] = [MIB + 1, 3 * MIB / 2, 2 * MIB];

/// A head with these lines more.
fn head(path: &str, lines: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n\r\n")
}

/// Writes all before it reads anything: the first line of the answer.
async fn status(stage: &Stage, head: &str, body: &[u8]) -> String {
    let mut stream = open(&stage.sidecar.http).await.expect("a connection");
    let spoken = async {
        stream.write_all(head.as_bytes()).await.expect("a head");
        stream.write_all(body).await.expect("a body, all of it");
        stream.flush().await.expect("a body, all of it");
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.expect("an answer");
        String::from_utf8_lossy(&first).into_owned()
    };
    tokio::time::timeout(PATIENCE, spoken).await.expect("an answer")
}

/// What is not wanted: a path, lines of a head, and what it is answered with.
const UNWANTED: [(&str, &str, &str); 2] = [
    ("/v1/zones", "content-type: application/x-protobuf", "HTTP/1.1 404"),
    ("/v1/logs", "content-type: text/plain", "HTTP/1.1 415"),
];
const WITHOUT_TOKEN: (&str, &str, &str) =
    ("/v1/logs", "content-type: application/x-protobuf", "HTTP/1.1 401");

#[tokio::test]
async fn one_that_sends_too_much_is_told() {
    let stage = Stage::new(Spoken::Http, taking(), &["--max-request", "1"]).await;
    for len in LENS {
        let sized = format!("content-type: application/x-protobuf\r\ncontent-length: {len}");
        assert_eq!(status(&stage, &head("/v1/logs", &sized), &vec![0; len]).await, "HTTP/1.1 413", "{len}");
        let chunked = "content-type: application/x-protobuf\r\ntransfer-encoding: chunked";
        let body = [format!("{len:x}\r\n").as_bytes(), &vec![0; len], b"\r\n0\r\n\r\n"].concat();
        assert_eq!(status(&stage, &head("/v1/logs", chunked), &body).await, "HTTP/1.1 413", "{len}");
    }
    assert_eq!(stage.upstream.begun(), 0);
    stage.close().await;
}

#[tokio::test]
async fn one_that_is_not_let_in_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let tokens = write(folder.path(), "tokens", "DeadDeadDeadDeadDead\n");
    let stage = Stage::new(Spoken::Http, taking(), &["--max-request", "1", "--bearer-tokens", &tokens]).await;
    for len in LENS {
        for (path, lines, want) in UNWANTED.into_iter().chain([WITHOUT_TOKEN]) {
            let sized = format!("{lines}\r\ncontent-length: {len}");
            assert_eq!(status(&stage, &head(path, &sized), &vec![0; len]).await, want, "{path} {len}");
        }
    }
    assert_eq!(stage.upstream.begun(), 0);
    stage.close().await;
}

#[tokio::test]
async fn one_that_asks_first_is_told_before_it_sends() {
    let folder = tempfile::tempdir().expect("a folder");
    let tokens = write(folder.path(), "tokens", "DeadDeadDeadDeadDead\n");
    let stage = Stage::new(Spoken::Http, taking(), &["--bearer-tokens", &tokens]).await;
    for (path, lines, want) in UNWANTED.into_iter().chain([WITHOUT_TOKEN]) {
        let asking = format!("{lines}\r\nexpect: 100-continue\r\ncontent-length: {MIB}");
        assert_eq!(status(&stage, &head(path, &asking), b"").await, want, "{path}");
    }
    assert_eq!(stage.upstream.begun(), 0);
    stage.close().await;
}
