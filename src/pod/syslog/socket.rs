//! Sockets for syslog, as the system has them: bound, read without waiting, and asked for what was dropped.

use std::fs;
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt;

use super::SyslogAddress;
use crate::pod::house::House;
use crate::relay::{Bound, SOCKET_MODE};

/// Room for the largest datagram of UDP, and for more than Unix sockets usually take.
pub(super) const MOST_DATAGRAM: usize = 256 << 10;
/// What the system is to hold of datagrams while the output is slow. It gives what `net.core.rmem_max` allows.
const BUFFER: usize = 8 << 20;
/// How long a client of TCP may say nothing before it is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// A socket that is bound.
#[derive(Debug)]
pub(super) enum Socket {
    Datagrams(Datagrams),
    Streams(Streams),
}

/// A socket for datagrams. Its path goes first: once it is closed, another may be the same file.
#[derive(Debug)]
pub(super) enum Datagrams {
    Udp(UdpSocket),
    Unix { _bound: Bound, socket: UnixDatagram },
}

/// A socket for connections, in the same order.
#[derive(Debug)]
pub(super) enum Streams {
    Tcp(TcpListener),
    Unix { _bound: Bound, listener: UnixListener },
}

/// A connection's stream.
pub(super) trait Stream: Read + AsFd + Send {}

impl Stream for TcpStream {}
impl Stream for UnixStream {}

/// Listens at an address. The name `localhost` is both of its addresses: which of them a client takes first is up to its
/// system, and what is sent where nobody listens is lost. A system without IPv6 has only one.
pub(super) fn bind_all(address: &SyslogAddress) -> io::Result<Vec<Socket>> {
    let (kind, host): (fn(String) -> SyslogAddress, _) = match address {
        SyslogAddress::Udp(host) => (SyslogAddress::Udp, host),
        SyslogAddress::Tcp(host) => (SyslogAddress::Tcp, host),
        _ => return Ok(vec![Socket::bind(address)?]),
    };
    let port = match host.rsplit_once(':') {
        Some((name, port)) if name.eq_ignore_ascii_case("localhost") => port,
        _ => return Ok(vec![Socket::bind(address)?]),
    };
    let first = Socket::bind(&kind(format!("127.0.0.1:{port}")))?;
    // The one that the system has chosen, if that was left to it.
    let port = first.port().map_or_else(|| port.to_owned(), |port| port.to_string());
    match Socket::bind(&kind(format!("[::1]:{port}"))) {
        Ok(second) => Ok(vec![first, second]),
        Err(error) if has_no_ipv6(&error) => {
            tracing::info!(%address, "this system has no IPv6; listening at 127.0.0.1 alone");
            Ok(vec![first])
        }
        Err(error) => Err(error),
    }
}

fn has_no_ipv6(error: &io::Error) -> bool {
    let none = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL, Errno::PROTONOSUPPORT];
    none.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

impl Socket {
    fn port(&self) -> Option<u16> {
        let at = match self {
            Self::Datagrams(Datagrams::Udp(socket)) => socket.local_addr(),
            Self::Streams(Streams::Tcp(listener)) => listener.local_addr(),
            _ => return None,
        };
        at.ok().map(|at| at.port())
    }

    /// Listens at an address.
    fn bind(address: &SyslogAddress) -> io::Result<Self> {
        Ok(match address {
            SyslogAddress::Udp(host) => {
                let socket = UdpSocket::bind(host.as_str())?;
                socket.set_nonblocking(true)?;
                // As much as there is, then.
                let _ = sockopt::set_socket_recv_buffer_size(&socket, BUFFER);
                Self::Datagrams(Datagrams::Udp(socket))
            }
            SyslogAddress::Tcp(host) => {
                let listener = TcpListener::bind(host.as_str())?;
                listener.set_nonblocking(true)?;
                Self::Streams(Streams::Tcp(listener))
            }
            SyslogAddress::Unix(path) => {
                remove_left(path, |path| UnixDatagram::unbound()?.connect(path))?;
                let socket = UnixDatagram::bind(path)?;
                socket.set_nonblocking(true)?;
                let _ = sockopt::set_socket_recv_buffer_size(&socket, BUFFER);
                Self::Datagrams(Datagrams::Unix { socket, _bound: Bound::of(path, SOCKET_MODE)? })
            }
            SyslogAddress::UnixStream(path) => {
                remove_left(path, |path| UnixStream::connect(path).map(drop))?;
                let listener = UnixListener::bind(path)?;
                listener.set_nonblocking(true)?;
                Self::Streams(Streams::Unix { listener, _bound: Bound::of(path, SOCKET_MODE)? })
            }
        })
    }

    /// Where it is; with the port that the system has chosen.
    pub(super) fn address(&self, told: &SyslogAddress) -> SyslogAddress {
        match self {
            Self::Datagrams(Datagrams::Udp(socket)) => {
                socket.local_addr().map_or_else(|_| told.clone(), |at| SyslogAddress::Udp(at.to_string()))
            }
            Self::Streams(Streams::Tcp(listener)) => {
                listener.local_addr().map_or_else(|_| told.clone(), |at| SyslogAddress::Tcp(at.to_string()))
            }
            _ => told.clone(),
        }
    }
}

/// Removes a socket that nobody listens at any more: one that was killed has left it.
fn remove_left(path: &Path, connect: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let is_left = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    if is_socket && connect(path).is_err_and(is_left) {
        fs::remove_file(path)?;
    }
    Ok(())
}

impl Datagrams {
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Udp(socket) => socket.as_fd(),
            Self::Unix { socket, .. } => socket.as_fd(),
        }
    }

    /// The next datagram; `None`: there is none now.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> Option<usize> {
        for _ in 0..16 {
            let received = match self {
                Self::Udp(socket) => socket.recv(buffer),
                Self::Unix { socket, .. } => socket.recv(buffer),
            };
            match received {
                Ok(len) => return Some(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                // Of a datagram that was sent before, or an interruption: the next may be there.
                Err(_) => {}
            }
        }
        None
    }
}

impl Streams {
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix { listener, .. } => listener.as_fd(),
        }
    }

    /// The next connection that waits; `None`: there is none now, or no descriptor for it.
    pub(super) fn accept(&self) -> Option<Box<dyn Stream>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().ok()?;
                stream.set_nonblocking(true).ok()?;
                // One that cannot be asked may stay for ever.
                let _ = sockopt::set_socket_keepalive(&stream, true);
                let _ = sockopt::set_tcp_keepidle(&stream, KEEP_ALIVE);
                Some(Box::new(stream))
            }
            Self::Unix { listener, .. } => {
                let (stream, _) = listener.accept().ok()?;
                stream.set_nonblocking(true).ok()?;
                Some(Box::new(stream))
            }
        }
    }
}

/// Waits until one of these can be read, but not for long. Which of them can.
pub(super) fn readied(sockets: &[BorrowedFd<'_>], most: Duration) -> Vec<bool> {
    let most = Timespec { tv_sec: most.as_secs() as i64, tv_nsec: most.subsec_nanos().into() };
    let mut polled: Vec<_> = sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
    match poll(&mut polled, Some(&most)) {
        Ok(_) => polled.iter().map(|polled| !polled.revents().is_empty()).collect(),
        // Interrupted: each is asked the next time.
        Err(_) => vec![false; sockets.len()],
    }
}

/// What the system has dropped of datagrams of UDP, because its buffer was full.
#[derive(Debug)]
pub(super) struct Drops {
    /// What `/proc/net/udp` calls the socket.
    inode: Option<u64>,
    told: u64,
}

impl Drops {
    pub(super) fn of(socket: &Datagrams) -> Self {
        let inode = match socket {
            Datagrams::Udp(_) => rustix::fs::fstat(socket.as_fd()).ok().map(|socket| socket.st_ino),
            // Who sends there waits.
            Datagrams::Unix { .. } => None,
        };
        Self { inode, told: 0 }
    }

    /// Says and counts what was dropped since the last time.
    pub(super) fn tell(&mut self, house: &House) {
        let Some(inode) = self.inode else { return };
        let tables = ["/proc/self/net/udp", "/proc/self/net/udp6"];
        let mut tables = tables.into_iter().filter_map(|table| fs::read_to_string(table).ok());
        let Some(now) = tables.find_map(|table| dropped(&table, inode)) else { return };
        if now > self.told {
            let dropped = now - self.told;
            tracing::warn!(
                dropped,
                "datagrams of syslog came faster than the output takes them; the system dropped some"
            );
            house.events("syslog_dropped", dropped);
            self.told = now;
        }
    }
}

/// The last column of a socket's line, by its inode in the tenth.
fn dropped(table: &str, inode: u64) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_ascii_whitespace();
        let own: u64 = columns.nth(9)?.parse().ok()?;
        if own == inode { columns.last()?.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_another_has_put_in_its_place_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        for stream in [false, true] {
            let address = || match stream {
                false => SyslogAddress::Unix(path.clone()),
                true => SyslogAddress::UnixStream(path.clone()),
            };
            let ours = Socket::bind(&address()).expect("a socket");
            fs::remove_file(&path).expect("it is there");
            let theirs = Socket::bind(&address()).expect("a socket");
            drop(ours);
            assert!(path.exists(), "theirs stays");
            drop(theirs);
            assert!(!path.exists(), "and is removed by whose it is");
        }
    }

    #[test]
    fn the_table_of_sockets_is_read() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
                      22: 0100007F:158A 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0000000000000000 17\n";
        assert_eq!(dropped(table, 4711), Some(17));
        assert_eq!(dropped(table, 4712), None);
        // Our own line is there.
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let inode = rustix::fs::fstat(&socket).expect("a socket").st_ino;
        if let Ok(table) = fs::read_to_string("/proc/self/net/udp") {
            assert_eq!(dropped(&table, inode), Some(0));
        }
    }
}
