//! Syslog: datagrams and streams, from the network and from Unix sockets, scrubbed message by message.
//!
//! One thread for each input, connections included: it reads what is there, and gives it to the output before it reads on.
//! Streams are held up by that; datagrams of UDP are dropped by the system when its buffer is full, and counted here.

mod connection;
mod datagrams;
mod frame;
mod header;
mod socket;
mod streams;
mod taker;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use socket::Socket;
use taker::Taker;

use super::house::House;
use super::inputs::Unfinished;

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
        Self::Udp("localhost:514".to_owned())
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

/// The sockets of an address, open.
#[derive(Debug)]
pub struct Syslog {
    sockets: Vec<Socket>,
    transport: &'static str,
}

/// While draining: how long nothing may have come before it is taken that nothing will.
const QUIET: Duration = Duration::from_millis(500);
/// How long it is waited for something.
const LOOK: Duration = Duration::from_millis(200);

impl Syslog {
    /// Listens.
    /// # Errors
    /// It cannot, and what to do.
    pub fn open(settings: SyslogSettings) -> Result<Self, String> {
        let SyslogSettings { address } = settings;
        let sockets = socket::bind_all(&address).map_err(|error| {
            let hint = match error.kind() {
                std::io::ErrorKind::PermissionDenied => {
                    ": ports below 1024 need CAP_NET_BIND_SERVICE; take 5514, or set the pod's sysctl \
                     net.ipv4.ip_unprivileged_port_start to 514"
                }
                _ => "",
            };
            format!("syslog {address}: cannot listen there: {error}{hint}")
        })?;
        let transport = match address {
            SyslogAddress::Udp(_) => "udp",
            SyslogAddress::Tcp(_) => "tcp",
            SyslogAddress::Unix(_) | SyslogAddress::UnixStream(_) => "unix",
        };
        for socket in &sockets {
            tracing::info!(listener = "syslog", address = %socket.address(&address), "listening");
        }
        Ok(Self { sockets, transport })
    }

    /// Takes messages until it is told to end, and then until none come any more.
    /// # Errors
    /// The time to drain is over.
    pub fn run(self, house: &House) -> Result<(), Unfinished> {
        let mut taker = Taker::new(house, self.transport);
        let (mut datagrams, mut streams) = (Vec::new(), Vec::new());
        for socket in self.sockets {
            match socket {
                Socket::Datagrams(socket) => datagrams.push(socket),
                Socket::Streams(socket) => streams.push(socket),
            }
        }
        // An address is one or the other.
        if streams.is_empty() {
            datagrams::run(&datagrams, &mut taker, house)
        } else {
            streams::run(&streams, &mut taker, house)
        }
    }
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
        assert_eq!(SyslogAddress::default().to_string(), "udp:localhost:514");
        for bad in ["", "514", "127.0.0.1:514", "udp:514", "udp::514", "tcp:::1:514", "unix:log", "tls:a:1"] {
            assert!(bad.parse::<SyslogAddress>().is_err(), "{bad}");
        }
    }
}
