//! An upstream that sends clients elsewhere: they would go there with what was not scrubbed, so they are not told where.

use kasm_scrub::otlp::Signal;

use super::client::{Ask, Wire, check};
use super::replies::{Pieces, answering, response};
use super::requests::{Pack, clean};
use super::stage::{Spoken, Stage, is_leak, secret};
use super::upstream::Upstream;

fn ask(wire: Wire) -> Ask {
    Ask::new(wire, Signal::Logs, Pack::None, &clean(wire, Signal::Logs, "session is created"))
}

async fn redirecting(spoken: Spoken, status: u16) -> Stage {
    let answer = move |_: &_| {
        let location = format!("https://elsewhere.example.com/v1/logs?token={}", secret(1));
        let headers = [("location", location.as_str()), ("content-type", "text/html")];
        let body = if status == 304 { Pieces::default() } else { Pieces::one(&b"<p>elsewhere</p>"[..]) };
        Ok(response(status, &headers, body))
    };
    Stage::new(spoken, answering(answer), &[]).await
}

#[tokio::test]
async fn a_redirect_goes_no_further() {
    for status in [300, 301, 302, 303, 304, 307, 308, 399] {
        let stage = redirecting(Spoken::Http, status).await;
        for wire in Wire::ALL {
            let answer = stage.send(&ask(wire)).await;
            check(&status.to_string(), wire, &answer, (14, 502));
            assert_eq!(answer.header("location"), "", "{status}: {answer:?}");
            assert!(!is_leak(&answer.all()), "{status}: {answer:?}");
        }
        assert_eq!(stage.upstream.seen().len(), 3, "it is asked once for each, and no one else is");
        let refused = "kasm_scrub_refused_total{signal=\"logs\",reason=\"redirected\"}";
        assert_eq!(stage.sidecar.count(refused).await, 3);
        stage.close().await;
    }
}

#[tokio::test]
async fn a_redirect_of_something_before_grpc_goes_no_further() {
    for status in [301, 307, 308] {
        let stage = redirecting(Spoken::Grpc, status).await;
        for wire in Wire::ALL {
            let answer = stage.send(&ask(wire)).await;
            check(&status.to_string(), wire, &answer, (14, 502));
            assert_eq!(answer.header("location"), "", "{status}: {answer:?}");
            assert!(!is_leak(&answer.all()), "{status}: {answer:?}");
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn another_protocol_is_not_gone_over_to() {
    const SWITCH: &[u8] =
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\nhello";
    let stage = Stage::with(Upstream::start_raw(SWITCH).await, Spoken::Http, &[]).await;
    for wire in Wire::ALL {
        let answer = stage.send(&ask(wire)).await;
        check("101", wire, &answer, (14, 502));
        assert_eq!(answer.header("upgrade"), "", "{answer:?}");
    }
    stage.close().await;
}
