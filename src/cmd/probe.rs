//! `probe`: asks a sidecar how it is, for kubelets: its admin port is on loopback, where they are not, and its image has
//! no shell. Nothing of an answer but its status is read, and nothing of it is told.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::setup::duration;
use super::{Exit, Refusal, say};
use crate::relay::Address;

const EXAMPLES: &str = "\
Examples:
  kasm-scrub probe readyz
  kasm-scrub probe livez --admin 127.0.0.1:9465 --timeout 500ms
  kasm-scrub probe http://127.0.0.1:8080/healthz

As a probe of a pod: exec: {command: [/kasm-scrub, probe, readyz]}

Exit codes: 0 if the status is 200 to 399, 1 if it is another or there is no answer.";

/// The most bytes of an answer's first line.
const MOST: usize = 256;

/// Ask a sidecar whether it lives or is ready
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// livez, readyz, or another address: http://HOST:PORT/PATH
    #[arg(value_name = "WHAT", default_value = "readyz")]
    what: String,
    /// Where the sidecar's admin port is: HOST:PORT or unix:/PATH
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9464")]
    admin: Address,
    /// How long all of it may take
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1s")]
    timeout: Duration,
}

pub(super) fn run(args: Args) -> Result<Exit, Refusal> {
    let (address, path) = target(&args)?;
    let until = Instant::now() + args.timeout;
    match ask(&address, &path, until) {
        Ok(200..=399) => Ok(Exit::Done),
        Ok(status) => {
            say(&format!("{address}{path} answers {status}"));
            Ok(Exit::Found)
        }
        Err(error) => {
            let why = match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => "no answer in time; try --timeout".to_owned(),
                _ => error.to_string(),
            };
            say(&format!("cannot ask {address}{path}: {why}"));
            Ok(Exit::Found)
        }
    }
}

/// Where to ask, and for what.
fn target(args: &Args) -> Result<(Address, String), Refusal> {
    let wrong = || Refusal(format!("{}: write livez, readyz or http://HOST:PORT/PATH", args.what));
    if let "livez" | "readyz" = args.what.as_str() {
        return Ok((args.admin.clone(), format!("/{}", args.what)));
    }
    let rest = args.what.strip_prefix("http://").ok_or_else(wrong)?;
    // What would end the request's line or begin another is no part of a URL.
    if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong());
    }
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let host = if has_port { host.to_owned() } else { format!("{host}:80") };
    let address = host.parse().map_err(|_| wrong())?;
    Ok((address, if path.is_empty() { "/".to_owned() } else { path.to_owned() }))
}

/// The status of an answer.
fn ask(address: &Address, path: &str, until: Instant) -> io::Result<u16> {
    match address {
        Address::Tcp(host) => {
            let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
            for socket in host.to_socket_addrs()? {
                let connected = TcpStream::connect_timeout(&socket, left(until)?);
                match connected {
                    Ok(stream) => {
                        let wait = |stream: &TcpStream| {
                            let left = Some(left(until)?);
                            stream.set_read_timeout(left)?;
                            stream.set_write_timeout(left)
                        };
                        return talk(stream, host, path, wait);
                    }
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
        #[cfg(unix)]
        Address::Unix(socket) => {
            let wait = |stream: &UnixStream| {
                let left = Some(left(until)?);
                stream.set_read_timeout(left)?;
                stream.set_write_timeout(left)
            };
            talk(UnixStream::connect(socket)?, "localhost", path, wait)
        }
        #[cfg(not(unix))]
        Address::Unix(_) => Err(ErrorKind::Unsupported.into()),
    }
}

fn left(until: Instant) -> io::Result<Duration> {
    match until.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

/// Sends the request and reads the first line of what comes back.
fn talk<S: Read + Write>(
    mut stream: S,
    host: &str,
    path: &str,
    wait: impl Fn(&S) -> io::Result<()>,
) -> io::Result<u16> {
    wait(&stream)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut line = Vec::new();
    while !line.contains(&b'\n') && line.len() < MOST {
        wait(&stream)?;
        let mut some = [0; MOST];
        match stream.read(&mut some[..MOST - line.len()]) {
            Ok(0) => break,
            Ok(len) => line.extend_from_slice(&some[..len]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    status(&line).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "the answer is not HTTP"))
}

/// The status in `HTTP/1.1 200 OK`.
fn status(line: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(line.split(|&byte| byte == b'\r' || byte == b'\n').next()?).ok()?;
    let mut words = line.split(' ');
    words.next().filter(|word| word.starts_with("HTTP/1."))?;
    words.next().filter(|word| word.len() == 3)?.parse().ok().filter(|status| *status >= 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read() {
        let check = |line: &str, want: Option<u16>| assert_eq!(status(line.as_bytes()), want, "{line}");
        check("HTTP/1.1 200 OK\r\nx: y", Some(200));
        check("HTTP/1.0 503", Some(503));
        check("HTTP/1.1 99 x", None);
        check("HTTP/2 200", None);
        check("SSH-2.0-x", None);
        check("", None);
    }

    #[test]
    fn what_is_asked() {
        let check = |what: &str, want: Option<(&str, &str)>| {
            let admin = Address::Tcp("127.0.0.1:9464".to_owned());
            let args = Args { what: what.to_owned(), admin, timeout: Duration::from_secs(1) };
            let got = target(&args).ok().map(|(address, path)| (address.to_string(), path));
            assert_eq!(got.as_ref().map(|(address, path)| (&**address, &**path)), want, "{what}");
        };
        check("livez", Some(("127.0.0.1:9464", "/livez")));
        check("http://localhost/x?y", Some(("localhost:80", "/x?y")));
        check("http://[::1]:1", Some(("[::1]:1", "/")));
        check("https://a", None);
        check("http://a/\r\nb: c", None);
        check("healthz", None);
    }
}
