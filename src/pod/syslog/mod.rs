//! Syslog: datagrams and streams, from the network and from Unix sockets, scrubbed message by message.
//!
//! One thread for each address, connections included: it reads what is there, and gives it to the output before it reads on.
//! Streams are held up by that; datagrams of UDP are dropped by the system when its buffer is full, and counted here.

mod connection;
mod frame;
mod header;
mod socket;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use connection::Connection;
use frame::Frame;
use socket::{Datagrams, Drops, Socket, Streams, readied};

use super::batch::{Batch, Details, Origin};
use super::house::House;
use super::inputs::Unfinished;
use super::time::now;
use super::whole::{Piece, Whole};
use crate::sanitize::Sanitizer;

/// Where syslog is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogAddress {
    /// Datagrams of UDP at HOST:PORT.
    Udp(String),
    /// Streams of TCP at HOST:PORT.
    Tcp(String),
    /// Datagrams at a Unix socket, as `/dev/log` takes them.
    Unix(PathBuf),
    /// Streams at a Unix socket.
    UnixStream(PathBuf),
}

impl Default for SyslogAddress {
    /// Where Python's handlers send, and whatever else is told nothing.
    fn default() -> Self {
        Self::Udp("127.0.0.1:514".to_owned())
    }
}

impl FromStr for SyslogAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "write udp:HOST:PORT, tcp:HOST:PORT, unix:/PATH or unix-stream:/PATH";
        let (kind, rest) = text.split_once(':').ok_or(FORM)?;
        let path = || if rest.starts_with('/') { Ok(PathBuf::from(rest)) } else { Err(FORM) };
        let host = || {
            let (host, port) = rest.rsplit_once(':').ok_or(FORM)?;
            let is_bare = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
            let is_one = !host.is_empty() && !is_bare && !host.contains('/') && port.parse::<u16>().is_ok();
            if is_one { Ok(rest.to_owned()) } else { Err(FORM) }
        };
        match kind {
            "udp" => host().map(Self::Udp),
            "tcp" => host().map(Self::Tcp),
            "unix" => path().map(Self::Unix),
            "unix-stream" => path().map(Self::UnixStream),
            _ => Err(FORM),
        }
    }
}

impl fmt::Display for SyslogAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(host) => write!(f, "udp:{host}"),
            Self::Tcp(host) => write!(f, "tcp:{host}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::UnixStream(path) => write!(f, "unix-stream:{}", path.display()),
        }
    }
}

/// What a socket for syslog is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyslogSettings {
    /// Where it is.
    pub address: SyslogAddress,
}

/// A socket that is open.
#[derive(Debug)]
pub struct Syslog {
    socket: Socket,
    transport: &'static str,
}

/// A batch is given to the output when it has so many bytes, or nothing more is there.
const FULL: usize = 256 << 10;
/// While draining: how long nothing may have come before it is taken that nothing will.
const QUIET: Duration = Duration::from_millis(500);
/// How long it is waited for something.
const LOOK: Duration = Duration::from_millis(200);
/// How often it is asked what the system has dropped.
const DROPS: Duration = Duration::from_secs(2);

impl Syslog {
    /// Listens.
    /// # Errors
    /// It cannot, and what to do.
    pub fn open(settings: SyslogSettings) -> Result<Self, String> {
        let socket = Socket::bind(&settings.address).map_err(|error| {
            let hint = match error.kind() {
                std::io::ErrorKind::PermissionDenied => {
                    ": ports below 1024 need CAP_NET_BIND_SERVICE; take 5514, or set the pod's sysctl \
                     net.ipv4.ip_unprivileged_port_start to 514"
                }
                _ => "",
            };
            format!("syslog {}: cannot listen there: {error}{hint}", settings.address)
        })?;
        let transport = match settings.address {
            SyslogAddress::Udp(_) => "udp",
            SyslogAddress::Tcp(_) => "tcp",
            SyslogAddress::Unix(_) | SyslogAddress::UnixStream(_) => "unix",
        };
        tracing::info!(listener = "syslog", address = %socket.address(&settings.address), "listening");
        Ok(Self { socket, transport })
    }

    /// Takes messages until it is told to end, and then until none come any more.
    /// # Errors
    /// The time to drain is over.
    pub fn run(self, house: &House) -> Result<(), Unfinished> {
        let mut taker = Taker::new(house, self.transport);
        match self.socket {
            Socket::Datagrams(datagrams) => run_datagrams(&datagrams, &mut taker, house),
            Socket::Streams(streams) => run_streams(&streams, &mut taker, house),
        }
    }
}

fn run_datagrams(socket: &Datagrams, taker: &mut Taker, house: &House) -> Result<(), Unfinished> {
    let mut buffer = vec![0; socket::MOST_DATAGRAM];
    let mut drops = Drops::of(socket);
    let (mut last, mut asked) = (Instant::now(), Instant::now());
    loop {
        while let Some(len) = socket.receive(&mut buffer) {
            last = Instant::now();
            let is_cut = len == buffer.len();
            taker.take(None, Frame { text: &buffer[..len], is_cut, is_counted: true }, house);
            if taker.batch.len() >= FULL {
                break;
            }
        }
        let is_full = taker.batch.len() >= FULL;
        taker.deliver(house)?;
        if asked.elapsed() >= DROPS {
            asked = Instant::now();
            drops.tell(house);
        }
        let is_draining = house.stopping.is_draining();
        let is_late = house.stopping.is_late();
        if is_late || (is_draining && !is_full && last.elapsed() >= QUIET) {
            drops.tell(house);
            // More is there than could be taken in time.
            return if is_late && is_full { Err(Unfinished::Stopped) } else { Ok(()) };
        }
        if !is_full {
            readied(&[socket.as_fd()], if is_draining { QUIET / 5 } else { LOOK });
        }
    }
}

/// How long to wait when the system has no descriptor for a connection.
const NO_DESCRIPTOR: Duration = Duration::from_millis(50);
/// How many connections there may be.
const MOST_CONNECTIONS: usize = 256;

fn run_streams(socket: &Streams, taker: &mut Taker, house: &House) -> Result<(), Unfinished> {
    let mut connections: Vec<Connection> = Vec::new();
    let mut last = Instant::now();
    let mut is_full = false;
    loop {
        let is_draining = house.stopping.is_draining();
        let mut sockets = vec![socket.as_fd()];
        sockets.extend(connections.iter().map(Connection::as_fd));
        let ready = readied(&sockets, if is_draining { QUIET / 5 } else { LOOK });
        if ready.iter().any(|&ready| ready) {
            last = Instant::now();
        }
        let mut at = 0;
        connections.retain_mut(|connection| {
            at += 1;
            if !ready[at] {
                return true;
            }
            let is_open = connection.read(taker, house);
            // What is read of one is with the output before the next is read, when it is much.
            if taker.batch.len() >= FULL {
                taker.give(house);
            }
            is_open
        });
        if ready[0] {
            is_full = take_connections(socket, &mut connections, is_full, house);
        }
        taker.deliver(house)?;
        if house.stopping.is_late() || (is_draining && last.elapsed() >= QUIET) {
            connections.iter_mut().for_each(|connection| connection.finish(taker, house));
            return taker.deliver(house);
        }
    }
}

/// Takes the connections that wait; gives whether there is no place for more.
fn take_connections(
    socket: &Streams,
    connections: &mut Vec<Connection>,
    was_full: bool,
    house: &House,
) -> bool {
    let (mut is_full, mut has_come) = (false, false);
    while let Some(stream) = socket.accept() {
        has_come = true;
        if connections.len() < MOST_CONNECTIONS {
            connections.push(Connection::new(stream, house));
            continue;
        }
        is_full = true;
        house.event("syslog_refused");
        if !was_full {
            tracing::warn!(most = MOST_CONNECTIONS, "too many connections of syslog; new ones are closed");
        }
    }
    if !has_come {
        // It has gone again, or there is no descriptor for it: others may end meanwhile.
        house.stopping.wait(NO_DESCRIPTOR);
    }
    is_full
}

/// Makes records of messages.
struct Taker {
    transport: &'static str,
    whole: Whole,
    batch: Batch,
    stopped: bool,
}

impl Taker {
    fn new(house: &House, transport: &'static str) -> Self {
        let whole = Whole::new(house.sanitizer());
        let batch = batch(transport, whole.sanitizer().clone());
        Self { transport, whole, batch, stopped: false }
    }

    /// Takes a message. `own`: what has gone before it in the same stream counts.
    fn take(&mut self, own: Option<&mut Whole>, frame: Frame<'_>, house: &House) {
        let message = header::read(frame.text, now());
        let mut labels = Vec::new();
        let mut label = |name: &'static str, text: &[u8]| {
            if !text.is_empty() {
                labels.push((name.into(), self.whole.label(text, house)));
            }
        };
        label("syslog.facility", message.facility.unwrap_or_default().as_bytes());
        label("host.name", message.host);
        label("syslog.appname", message.app);
        label("syslog.procid", message.process);
        label("syslog.msgid", message.id);
        label("syslog.structured_data", message.structured);
        let details = Details { time: message.time, severity: message.severity, labels };
        let head = if message.is_behind_app { message.app } else { &[] };
        let goes_on = own.is_some() && !frame.is_counted;
        let piece = Piece { head, text: message.text, goes_on, is_cut: frame.is_cut };
        if frame.is_cut {
            house.event("record_cut");
        }
        let by = own.as_deref().unwrap_or(&self.whole).sanitizer().clone();
        if !Arc::ptr_eq(&by, &self.batch.sanitizer) {
            // A stream that is in the middle of something goes on by the rules that it began with.
            self.give(house);
            self.batch = batch(self.transport, by);
        }
        own.unwrap_or(&mut self.whole).push(piece, details, &mut self.batch, house);
    }

    /// Gives what there is to the output, and goes over to the rules in use.
    fn deliver(&mut self, house: &House) -> Result<(), Unfinished> {
        self.give(house);
        if self.stopped {
            return Err(Unfinished::Stopped);
        }
        self.whole.follow(house);
        Ok(())
    }

    fn give(&mut self, house: &House) {
        self.stopped |= house.deliver(&mut self.batch).is_err();
    }
}

fn batch(transport: &'static str, sanitizer: Arc<Sanitizer>) -> Batch {
    let labels = vec![("network.transport".into(), transport.to_owned())];
    Batch::new(Arc::new(Origin { input: "syslog", labels }), sanitizer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for text in ["udp:127.0.0.1:514", "tcp:[::1]:5514", "unix:/dev/log", "unix-stream:/run/log"] {
            let address: SyslogAddress = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
        }
        assert_eq!(SyslogAddress::default().to_string(), "udp:127.0.0.1:514");
        for bad in ["", "514", "127.0.0.1:514", "udp:514", "udp::514", "tcp:::1:514", "unix:log", "tls:a:1"] {
            assert!(bad.parse::<SyslogAddress>().is_err(), "{bad}");
        }
    }
}
