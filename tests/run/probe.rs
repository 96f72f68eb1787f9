//! What a kubelet is told.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::thread;

use super::{CANARY, Ran};

fn probe(words: &[&str]) -> Ran {
    Command::new(env!("CARGO_BIN_EXE_kasm-scrub")).arg("probe").args(words).output().expect("run").into()
}

/// Answers once; what it was asked.
fn answers(with: &'static str) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("port");
    let address = listener.local_addr().expect("address").to_string();
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut some = [0; 256];
            let len = stream.read(&mut some).expect("request");
            request.extend_from_slice(&some[..len]);
        }
        // Answers come in pieces.
        for piece in with.as_bytes().chunks(5) {
            let _ = stream.write_all(piece);
        }
        String::from_utf8(request).expect("text")
    });
    (address, asked)
}

#[test]
fn statuses_become_exit_codes() {
    let check = |with: &'static str, want: i32| {
        let (address, asked) = answers(with);
        let ran = probe(&["livez", "--admin", &address, "--timeout", "20s"]);
        assert_eq!((ran.code, &*ran.out), (Some(want), ""), "{with}: {}", ran.err);
        assert_eq!(ran.err.is_empty(), want == 0);
        assert!(!ran.err.contains(CANARY));
        let asked = asked.join().expect("request");
        assert!(
            asked.starts_with("GET /livez HTTP/1.1\r\n") && asked.contains(&format!("Host: {address}\r\n"))
        );
    };
    check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 0);
    check("HTTP/1.1 503 Service Unavailable\r\n\r\nDeadCanary7Xq9ZBeef42", 1);
    check("DeadCanary7Xq9ZBeef42\r\n", 1);
    check("", 1);
}

#[test]
fn an_address_can_be_named() {
    let (address, asked) = answers("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(probe(&[&format!("http://{address}/a?b")]).code, Some(0));
    assert!(asked.join().expect("request").starts_with("GET /a?b HTTP/1.1\r\n"));
}

#[test]
fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("port");
    let address = listener.local_addr().expect("address").to_string();
    // Nobody answers.
    let ran = probe(&["readyz", "--admin", &address, "--timeout", "200ms"]);
    assert!(ran.code == Some(1) && ran.err.contains("no answer in time"), "{ran:?}");
    drop(listener);
    assert_eq!(probe(&["readyz", "--admin", &address]).code, Some(1));
    assert_eq!(probe(&["healthz"]).code, Some(2));
}
