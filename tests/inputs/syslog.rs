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

impl Client {
    /// Writes to a stream as it is.
    fn write(&mut self, text: &str) {
        match self {
            Self::Tcp(stream) => stream.write_all(text.as_bytes()).expect("a connection"),
            Self::Stream(stream) => stream.write_all(text.as_bytes()).expect("a connection"),
            Self::Udp(_) | Self::Datagram(_) => panic!("no stream"),
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
        client.write(&format!("<13>one\n<13>password={}\nthree\n", secret(2)));
        client.write("-----BEGIN RSA PRIVATE");
        let body = "hunterCanary7deadBeef".repeat(3);
        client.write(&format!(" KEY-----\n{body}\n{body}\n-----END RSA PRIVATE KEY-----\nlast\ntorn"));
        drop(client);
        // What is torn off may be half a secret.
        let torn = "[REDACTED:undecided]";
        until("all are there", || process.records().iter().any(|record| record["message"] == torn));
        let messages: Vec<_> = process.records().iter().map(|record| record["message"].clone()).collect();
        assert_eq!(messages[..3], ["one", "password=[REDACTED:password]", "three"]);
        assert_eq!(messages[messages.len() - 2..], ["last", torn]);
        process.end(0);
    }
}

/// Half a secret has no shape to be known by: a count that ends in the middle of one is no count.
#[test]
fn a_wrong_count_does_not_cut_a_secret() {
    for kind in ["tcp:127.0.0.1:0", "unix-stream:@log"] {
        let mut process = start(kind);
        let mut client = Client::of(&process);
        let mut write = |text: &str| client.write(text);
        let message = format!("<13>see https://u:{}@db/ here", secret(2));
        // A whole one whose count is right, with nothing behind it.
        write(&format!("{} {message}", message.len()));
        until("it is there", || process.records().len() == 1);
        // Now one that counts too little.
        write(&format!("24 {message}\n<13>last\n"));
        until("all are there", || process.records().len() == 3);
        let messages: Vec<_> = process.records().iter().map(|record| record["message"].clone()).collect();
        let clean = "see https://u:%5BREDACTED:url-password%5D@db/ here";
        assert_eq!(messages, [clean, clean, "last"], "{kind}");
        drop(client);
        process.end(0);
    }
}

/// As Python's handlers write to a stream: a NUL behind each, and newlines inside.
#[test]
fn messages_that_end_with_nul_are_whole() {
    let mut process = start("tcp:127.0.0.1:0");
    let mut client = Client::of(&process);
    client.write("<11>Traceback (most recent call last):\n  File \"a.py\", line 1\n\nValueError\0");
    until("it is there", || process.records().len() == 1);
    client.write(&format!("<11>one\n  password={}\n\0<11>two\0", secret(3)));
    until("they are there", || process.records().len() == 3);
    let messages: Vec<_> = process.records().iter().map(|record| record["message"].clone()).collect();
    assert_eq!(
        messages,
        [
            "Traceback (most recent call last):\n  File \"a.py\", line 1\n\nValueError",
            "one\n  password=[REDACTED:password]",
            "two"
        ]
    );
    drop(client);
    process.end(0);
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
    // For one more, one that has said nothing for long is closed.
    until("there is a place", || {
        let mut client = Client::of(&process);
        let Client::Stream(stream) = &mut client else { panic!("a stream") };
        let _ = stream.write_all(b"<13>again\n");
        std::thread::sleep(Duration::from_millis(50));
        process.records().iter().any(|record| record["message"] == "again")
    });
    process.says("too many connections");
    drop(clients);
    process.end(0);
}

#[test]
fn unfinished_messages_have_a_limit_together() {
    let mut process = start("unix-stream:@log");
    let Client::Stream(honest) = &mut Client::of(&process) else { panic!("a stream") };
    let mut clients: Vec<_> = (0..40).map(|_| Client::of(&process)).collect();
    let piece = [&b"x".repeat(1000)[..], b" "].concat().repeat(900);
    for client in &mut clients {
        let Client::Stream(stream) = client else { panic!("a stream") };
        stream.write_all(&[b"<13>", &piece[..]].concat()).expect("a reader");
    }
    honest.write_all(b"<13>honest\n").expect("a reader");
    until("it is there", || process.records().iter().any(|record| record["message"] == "honest"));
    process.counts("kasm_scrub_input_events_total{what=\"record_cut\"}", 10);
    process.says("unfinished messages of all connections are too much");
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it is there");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let peak: u64 = peak.trim_end_matches("kB").trim().parse().expect("a number");
    assert!(peak < 140 << 10, "{peak} KiB");
    // What was cut goes on with the next message.
    let Client::Stream(first) = &mut clients[0] else { panic!("a stream") };
    first.write_all(b"the end\n<13>the next\n").expect("a reader");
    until("it is there", || process.records().iter().any(|record| record["message"] == "the next"));
    drop(clients);
    process.end(0);
}

#[test]
fn a_flood_takes_no_memory_and_what_was_received_is_delivered() {
    let options = ["--syslog", "unix:@log", "--output", "stdout", "--drain", "2s"];
    let mut process = Start::with(&options).start();
    let Client::Datagram(socket) = Client::of(&process) else { panic!("datagrams") };
    let is_over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let own = is_over.clone();
    // No text at all, only labels.
    let message = format!("<13>1 - h app 7 - [a@1 k=\"{}\"]", "word ".repeat(1600));
    let flood = std::thread::spawn(move || {
        while !own.load(std::sync::atomic::Ordering::Relaxed) {
            if socket.send(message.as_bytes()).is_err() {
                break;
            }
        }
    });
    process.counts("kasm_scrub_input_records_total{input=\"syslog\"}", 300);
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it is there");
    process.signal(Signal::TERM);
    let code = process.ended();
    is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    flood.join().expect("no panic");
    // Who goes on sending to the end has datagrams that nobody takes.
    assert!(matches!(code, Some(0 | 2)), "{}", process.log());
    assert!(!process.log().contains("records were still undelivered") || code == Some(2));
    assert!(process.records().len() >= 300);
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let peak: u64 = peak.trim_end_matches("kB").trim().parse().expect("a number");
    assert!(peak < 120 << 10, "{peak} KiB");
}

#[test]
fn localhost_is_both_of_its_addresses() {
    let addresses = |process: &Process| -> Vec<String> {
        let log = process.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let said = lines.filter(|line| line["message"] == "listening" && line["listener"] == "syslog");
        said.filter_map(|line| line["address"].as_str().map(str::to_owned)).collect()
    };
    for kind in ["udp", "tcp"] {
        let mut process = start(&format!("{kind}:localhost:0"));
        let all = addresses(&process);
        assert!(all[0].starts_with(&format!("{kind}:127.0.0.1:")), "{all:?}");
        if std::net::UdpSocket::bind("[::1]:0").is_err() {
            process.says("this system has no IPv6");
            process.end(0);
            continue;
        }
        let port = all[0].rsplit(':').next().expect("a port");
        assert_eq!(all[1], format!("{kind}:[::1]:{port}"));
        for (number, address) in all.iter().enumerate() {
            let at = address.split_once(':').expect("a kind").1;
            if kind == "udp" {
                let own = if number == 0 { "127.0.0.1:0" } else { "[::1]:0" };
                UdpSocket::bind(own).expect("a socket").send_to(b"<13>hello", at).expect("a socket");
            } else {
                TcpStream::connect(at).expect("a connection").write_all(b"<13>hello\n").expect("a reader");
            }
            until("it is there", || process.records().len() == number + 1);
        }
        process.end(0);
    }
}

#[test]
fn half_a_secret_of_a_torn_message_does_not_come_out() {
    let token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    for text in [format!("<13>a token {}", &token[..20]), format!("90 <13>a token {}", &token[..20])] {
        let mut process = start("unix-stream:@log");
        let Client::Stream(mut stream) = Client::of(&process) else { panic!("a stream") };
        stream.write_all(text.as_bytes()).expect("a reader");
        drop(stream);
        until("it is there", || process.records().len() == 1);
        assert_eq!(process.records()[0]["message"], "[REDACTED:undecided]");
        process.counts("kasm_scrub_input_events_total{what=\"syslog_torn\"}", 1);
        process.end(0);
    }
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
