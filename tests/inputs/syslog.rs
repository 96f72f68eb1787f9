//! Syslog from sockets of all kinds.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::lines::{are_all, line};
use super::process::{Process, Start, until};
use crate::relay::stage::secret;

/// Sends messages to a sidecar.
enum Client {
    Udp(UdpSocket),
    Datagram(UnixDatagram),
    Tcp(TcpStream),
    Stream(UnixStream),
}

const KINDS: [&str; 4] = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0", "unix:@log", "unix-stream:@log"];

impl Client {
    fn of(process: &Process) -> Self {
        let address = process.address("syslog").expect("an address");
        let (kind, at) = address.split_once(':').expect("a kind");
        match kind {
            "udp" => {
                let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
                socket.connect(at).expect("an address");
                Self::Udp(socket)
            }
            "tcp" => Self::Tcp(TcpStream::connect(at).expect("a connection")),
            "unix" => {
                let socket = UnixDatagram::unbound().expect("a socket");
                socket.connect(at).expect("a socket");
                Self::Datagram(socket)
            }
            _ => Self::Stream(UnixStream::connect(at).expect("a connection")),
        }
    }

    /// Sends one message, in streams with its length in front of it.
    fn send(&mut self, message: &[u8]) {
        let counted = || [format!("{} ", message.len()).as_bytes(), message].concat();
        match self {
            Self::Udp(socket) => drop(socket.send(message).expect("a socket")),
            Self::Datagram(socket) => drop(socket.send(message).expect("a socket")),
            Self::Tcp(stream) => stream.write_all(&counted()).expect("a connection"),
            Self::Stream(stream) => stream.write_all(&counted()).expect("a connection"),
        }
    }
}

fn start(kind: &str) -> Process {
    Start::with(&["--syslog", kind]).start()
}

/// The labels of a record that have these names.
fn shown(record: &Value) -> String {
    let names = ["severity", "message", "host.name", "syslog.facility", "syslog.appname", "syslog.procid"];
    let more = ["syslog.msgid", "syslog.structured_data"];
    let shown = names.iter().chain(&more).filter_map(|name| record[*name].as_str());
    shown.collect::<Vec<_>>().join(" | ")
}

#[test]
fn messages_of_every_form_come_by_every_way() {
    let secret = secret(1);
    let table: [(Vec<u8>, &str); 8] = [
        (
            b"<34>1 2003-10-11T22:14:15.003Z host su - ID47 - 'su root' failed".to_vec(),
            "ERROR | 'su root' failed | host | auth | su | ID47",
        ),
        (
            format!("<165>1 - h app 7 - [a@1 password=\"{secret}\"] text").into_bytes(),
            "INFO | text | h | local4 | app | 7 | [a@1 password=\"[REDACTED:password]\"]",
        ),
        (
            format!("<13>Oct 11 22:14:15 host app[7]: password={secret} was wrong").into_bytes(),
            "INFO | password=[REDACTED:password] was wrong | host | user | app | 7",
        ),
        (
            format!("<14>Traceback (most recent call last):\n  File \"x\"\npassword={secret}\0").into_bytes(),
            "INFO | Traceback (most recent call last):\n  File \"x\"\npassword=[REDACTED:password] | user",
        ),
        (
            format!("<15>{{\"asctime\": \"x\", \"password\": \"{secret}\"}}\0").into_bytes(),
            "DEBUG | {\"asctime\": \"x\", \"password\": \"[REDACTED:password]\"} | user",
        ),
        (
            format!("<13>Oct 11 22:14:15 host password: {secret}").into_bytes(),
            "INFO | [REDACTED:password] | host | user | password",
        ),
        (b"<13>\xEF\xBB\xBFtext \xFF".to_vec(), "INFO | text \u{FFFD} | user"),
        (format!("<999>no header token={secret}").into_bytes(), "<999>no header token=[REDACTED:token]"),
    ];
    for kind in KINDS {
        let mut process = start(kind);
        let mut client = Client::of(&process);
        for (number, (message, want)) in table.iter().enumerate() {
            // A stream tells a count by the priority behind it.
            let is_stream = matches!(client, Client::Tcp(_) | Client::Stream(_));
            if is_stream && !want.contains(" | ") {
                continue;
            }
            client.send(message);
            until("it is there", || process.records().len() > number);
            assert_eq!(&shown(&process.records()[number]), want, "{kind}");
        }
        assert_eq!(process.records()[0]["time"], "2003-10-11T22:14:15.003000000Z");
        assert!(process.records().iter().all(|record| record["input"] == "syslog"));
        drop(client);
        process.end(0);
    }
}

#[test]
fn lines_in_streams_are_messages_and_keys_over_lines_are_one_secret() {
    for kind in ["tcp:127.0.0.1:0", "unix-stream:@log"] {
        let mut process = start(kind);
        let mut client = Client::of(&process);
        let write = |client: &mut Client, text: &str| match client {
            Client::Tcp(stream) => stream.write_all(text.as_bytes()).expect("a connection"),
            Client::Stream(stream) => stream.write_all(text.as_bytes()).expect("a connection"),
            _ => panic!("a stream"),
        };
        write(&mut client, &format!("<13>one\n<13>password={}\nthree\0", secret(2)));
        write(&mut client, "-----BEGIN RSA PRIVATE");
        let body = "hunterCanary7deadBeef".repeat(3);
        write(&mut client, &format!(" KEY-----\n{body}\n{body}\n-----END RSA PRIVATE KEY-----\nlast\ntorn"));
        drop(client);
        until("all are there", || process.records().iter().any(|record| record["message"] == "torn"));
        let messages: Vec<_> = process.records().iter().map(|record| record["message"].clone()).collect();
        assert_eq!(messages[..3], ["one", "password=[REDACTED:password]", "three"]);
        assert_eq!(messages[messages.len() - 2..], ["last", "torn"]);
        process.end(0);
    }
}

#[test]
fn large_ones_are_whole_and_larger_ones_are_cut() {
    let mut process = start("udp:127.0.0.1:0");
    let mut client = Client::of(&process);
    let text = format!("<13>{} password={}", "long ".repeat(13_000), secret(3));
    client.send(&text.as_bytes()[..text.len()]);
    until("it is there", || process.records().len() == 1);
    let message = process.records()[0]["message"].as_str().expect("text").to_owned();
    assert!(message.ends_with("long  password=[REDACTED:password]"), "{}", message.len());
    process.end(0);

    let mut process = start("tcp:127.0.0.1:0");
    let mut client = Client::of(&process);
    client.send(&[b"<13>", &b"word ".repeat(500_000)[..]].concat());
    client.send(b"<13>next");
    until("both are there", || process.records().len() == 2);
    let len = process.records()[0]["message"].as_str().expect("text").len();
    assert!((1 << 19..1 << 20).contains(&len), "{len}");
    assert_eq!(process.records()[1]["message"], "next");
    process.counts("kasm_scrub_input_events_total{what=\"record_cut\"}", 1);
    process.end(0);
}

#[test]
fn a_burst_is_taken_before_the_end() {
    for kind in ["tcp:127.0.0.1:0", "unix:@log", "unix-stream:@log"] {
        let mut process = Start::with(&["--syslog", kind, "--output", "stdout-raw"]).start();
        let mut client = Client::of(&process);
        for number in 0..5000 {
            client.send(format!("<13>{}", line(number)).as_bytes());
        }
        process.signal(Signal::TERM);
        assert_eq!(process.ended(), Some(0), "{}", process.log());
        are_all(&String::from_utf8(process.out()).expect("text"), 5000);
        process.has_no_leak();
    }
}

#[test]
fn what_the_system_drops_of_datagrams_is_counted() {
    // Nobody reads stdout: the output takes nothing, and the system's buffer fills up.
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut process =
        Start::with(&["--syslog", "udp:127.0.0.1:0", "--output", "stdout-raw"]).stdout(writer).start();
    let mut client = Client::of(&process);
    let message = [b"<13>", &b"word ".repeat(12_000)[..]].concat();
    for _ in 0..2000 {
        client.send(&message);
    }
    let mut reader = reader;
    let drain = std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    process.counts("kasm_scrub_input_events_total{what=\"syslog_dropped\"}", 1);
    process.says("the system dropped some");
    process.end(0);
    drop(process);
    drain.join().expect("no panic").expect("a pipe");
}

#[test]
fn many_connections_have_a_limit_and_idle_ones_hold_up_nothing() {
    let mut process = start("unix-stream:@log");
    let mut clients: Vec<_> = (0..256).map(|_| Client::of(&process)).collect();
    for (number, client) in clients.iter_mut().enumerate().step_by(50) {
        client.send(format!("<13>client {number}").as_bytes());
    }
    until("all are there", || process.records().len() == 6);
    // One more is closed.
    let more = Client::of(&process);
    process.says("too many connections");
    drop((more, clients.pop()));
    until("there is a place again", || {
        let mut client = Client::of(&process);
        let Client::Stream(stream) = &mut client else { panic!("a stream") };
        let _ = stream.write_all(b"<13>again\n");
        std::thread::sleep(Duration::from_millis(50));
        process.records().iter().any(|record| record["message"] == "again")
    });
    process.end(0);
}

#[test]
fn a_socket_that_was_left_is_taken_over_and_one_in_use_is_not() {
    let mut process = start("unix:@log");
    let (code, said) = Start::with(&["--syslog", "unix:@log"]).like(&process).refused();
    assert_eq!(code, Some(2));
    assert!(said.contains("cannot listen there"), "{said}");
    process.kill();
    let mut next = Start::with(&["--syslog", "unix:@log"]).like(&process).start();
    Client::of(&next).send(b"<13>hello");
    until("it is there", || next.records().len() == 1);
    next.end(0);
}
