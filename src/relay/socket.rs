//! Sockets that are listened at, and who may connect to them.

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream};
use tokio::time::timeout;

use super::address::Address;
use super::authority::Authorities;

/// Who may connect to a Unix socket, when it is not said: whoever reaches its folder, for containers of a pod have users of
/// their own.
pub const SOCKET_MODE: u32 = 0o666;

/// Bytes both ways.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// A socket that is listened at. Its path goes first: once it is closed, another may be the same file.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(Bound, UnixListener),
}

impl Socket {
    /// Listens at an address. `mode`: who may connect to a Unix socket.
    pub(super) async fn bind(address: &Address, mode: u32) -> io::Result<Self> {
        match address {
            Address::Tcp(text) => TcpListener::bind(text).await.map(Self::Tcp),
            Address::Unix(path) => {
                // A socket that nobody listens at any more was left by one that was killed.
                let is_socket =
                    std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
                if is_socket {
                    let asked = timeout(Duration::from_secs(1), UnixStream::connect(path)).await;
                    let is_left = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
                    if asked.is_ok_and(|connected| connected.is_err_and(is_left)) {
                        std::fs::remove_file(path)?;
                    }
                }
                let (bound, listener) = bind_unix(path, mode)?;
                Ok(Self::Unix(bound, listener))
            }
        }
    }

    /// Where it is; with the port that the system has chosen.
    pub(super) fn address(&self) -> io::Result<Address> {
        Ok(match self {
            Self::Tcp(listener) => Address::Tcp(listener.local_addr()?.to_string()),
            Self::Unix(bound, _) => Address::Unix(bound.path.clone()),
        })
    }

    /// The next connection.
    pub(super) async fn accept(&self, keep_alive: Duration) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // A connection that cannot be set up so works all the same.
                let _ = stream.set_nodelay(true);
                ask_if_alive(&stream, keep_alive);
                Ok(Box::new(stream))
            }
            Self::Unix(_, listener) => Ok(Box::new(Authorities::of(listener.accept().await?.0))),
        }
    }
}

/// The path of a Unix socket, which is removed with it, and the file that it is there: another process may have put its own in
/// its place meanwhile.
#[derive(Debug)]
pub(crate) struct Bound {
    path: PathBuf,
    file: (u64, u64),
}

impl Bound {
    /// Sets who may connect to a socket that was just made at `path`. By name, a link that somebody has put in its place would
    /// be followed to a file of ours.
    pub(crate) fn of(path: &Path, mode: u32) -> io::Result<Self> {
        let socket = File::from(rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?);
        let metadata = socket.metadata()?;
        if !metadata.file_type().is_socket() {
            return Err(io::Error::other("somebody has put something else in its place"));
        }
        let bound = Self { path: path.to_owned(), file: id(&metadata) };
        let same = format!("/proc/self/fd/{}", socket.as_raw_fd());
        std::fs::set_permissions(same, Permissions::from_mode(mode))?;
        Ok(bound)
    }
}

fn id(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

impl Drop for Bound {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|there| id(&there) == self.file) {
            // Somebody may have been quicker.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Lets the system ask whether the other side is still there: one that lost its power says nothing.
fn ask_if_alive(stream: &TcpStream, every: Duration) {
    use rustix::net::sockopt;
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, every);
    let _ = sockopt::set_tcp_keepintvl(stream, every);
    let _ = sockopt::set_tcp_keepcnt(stream, 3);
}

/// Connections that may wait to be taken; the system may say less.
const WAITING: u32 = 1024;

/// Listens at a Unix socket. Nobody can connect before it listens, so at no moment more may than `mode` says.
fn bind_unix(path: &Path, mode: u32) -> io::Result<(Bound, UnixListener)> {
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    let bound = Bound::of(path, mode)?;
    let listener = socket.listen(WAITING)?;
    Ok((bound, listener))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_has_the_mode_that_it_was_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let is = || std::fs::symlink_metadata(&path).expect("a socket").permissions().mode() & 0o7777;
        for mode in [0o660, 0o600, 0o666, 0o777, 0] {
            let socket = Socket::bind(&Address::Unix(path.clone()), mode).await.expect("a socket");
            assert_eq!(is(), mode);
            drop(socket);
        }
    }

    #[test]
    fn no_mode_is_set_of_what_is_no_socket() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "").expect("a file");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        let before = std::fs::metadata(&file).expect("a file").permissions().mode();
        assert!(Bound::of(&file, 0o666).is_err() && Bound::of(&link, 0o666).is_err());
        assert_eq!(std::fs::metadata(&file).expect("a file").permissions().mode(), before);
        assert!(file.exists() && link.exists());
    }
}
