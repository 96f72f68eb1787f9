//! Where something listens or is reached: `host:port`, `unix:/path`, and the URLs of upstreams.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use hyper::Uri;
use hyper::http::uri::Authority;

/// A place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host and a port, as the system resolves them.
    Tcp(String),
    /// A Unix socket.
    Unix(PathBuf),
}

/// Why something is no address: a message that says what one looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadAddress(pub(super) &'static str);

impl fmt::Display for BadAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for BadAddress {}

const LISTEN: &str = "write HOST:PORT or unix:/PATH";
const UPSTREAM: &str = "write http://HOST:PORT, https://HOST:PORT or unix:/PATH";
const PORT: &str =
    "the port of an upstream is a number from 1 to 65535; leave :PORT out for 80, or 443 with https";

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(text) => f.write_str(text),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// The path of `unix:/path` or `unix:///path`.
fn unix_path(text: &str) -> Option<Result<PathBuf, BadAddress>> {
    let path = text.strip_prefix("unix:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let is_absolute = path.starts_with('/') && path.len() > 1;
    Some(if is_absolute { Ok(PathBuf::from(path)) } else { Err(BadAddress("a socket's path begins with /")) })
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if let Some(path) = unix_path(text) {
            return path.map(Self::Unix);
        }
        let (host, port) = text.rsplit_once(':').ok_or(BadAddress(LISTEN))?;
        let is_bare = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        if host.is_empty() || is_bare || host.contains('/') || port.parse::<u16>().is_err() {
            return Err(BadAddress(LISTEN));
        }
        Ok(Self::Tcp(text.to_owned()))
    }
}

/// How an upstream is reached, without what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A host and a port.
    Tcp {
        /// A name or an address, without brackets.
        host: String,
        /// The port.
        port: u16,
        /// Whether TLS is spoken there.
        tls: bool,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// The URL of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// How it is reached.
    pub place: Place,
    /// Its path, as it was written: what is in front of `/v1/traces`, or all of one signal's. OTLP/gRPC has none.
    pub path: String,
}

/// The port that is named, or `usual` where none is. One that is no port must not pass for none: requests would go elsewhere.
fn port(authority: &Authority, usual: u16) -> Result<u16, BadAddress> {
    let behind_host = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    let Some(digits) = behind_host.strip_prefix(':') else { return Ok(usual) };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|&port| is_number && port > 0).ok_or(BadAddress(PORT))
}

impl FromStr for Url {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if let Some(path) = unix_path(text) {
            return Ok(Self { place: Place::Unix(path?), path: String::new() });
        }
        let uri: Uri = text.parse().map_err(|_| BadAddress(UPSTREAM))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(BadAddress(UPSTREAM)),
        };
        let authority = uri.authority().ok_or(BadAddress(UPSTREAM))?;
        if authority.as_str().contains('@') {
            return Err(BadAddress("credentials do not belong in a URL; set OTEL_EXPORTER_OTLP_HEADERS"));
        }
        if uri.query().is_some() {
            return Err(BadAddress("the URL of an upstream has no query"));
        }
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(BadAddress(UPSTREAM));
        }
        let port = port(authority, if tls { 443 } else { 80 })?;
        let path = uri.path().to_owned();
        Ok(Self { place: Place::Tcp { host, port, tls }, path })
    }
}

impl Place {
    /// What stands in `Host` or `:authority`.
    pub(super) fn authority(&self) -> String {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port, .. } => format!("{host}:{port}"),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }

    /// The URL of a path there, as the HTTP client takes it; a socket's path is not in it.
    pub(super) fn uri(&self, path: &str) -> Result<Uri, BadAddress> {
        let scheme = if matches!(self, Self::Tcp { tls: true, .. }) { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.authority()).parse().map_err(|_| BadAddress(UPSTREAM))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { tls, .. } => {
                write!(f, "{}://{}", if *tls { "https" } else { "http" }, self.authority())
            }
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["127.0.0.1:4317", "[::1]:4317", "localhost:0", "0.0.0.0:65535"] {
            assert_eq!(good.parse(), Ok(Address::Tcp(good.to_owned())));
        }
        for good in ["unix:/run/otlp.sock", "unix:///run/otlp.sock"] {
            assert_eq!(good.parse(), Ok(Address::Unix("/run/otlp.sock".into())));
        }
        for bad in
            ["", "4317", ":4317", "::1:4317", "localhost:", "localhost:99999", "unix:", "unix:run/x", "a/b:1"]
        {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[test]
    fn urls() {
        let check = |text: &str, place: &str, path: &str| {
            let url: Url = text.parse().expect(text);
            assert_eq!((url.place.to_string().as_str(), url.path.as_str()), (place, path), "{text}");
        };
        check("http://gateway:4317", "http://gateway:4317", "/");
        check("https://gateway", "https://gateway:443", "/");
        check("http://[::1]:4318/otlp/", "http://[::1]:4318", "/otlp/");
        check("http://[::1]", "http://[::1]:80", "/");
        check("https://gateway:65535", "https://gateway:65535", "/");
        check("unix:///run/otlp.sock", "unix:/run/otlp.sock", "");
        for bad in
            ["", "gateway:4317", "ftp://gateway", "http://", "http://me:pw@gateway", "http://gateway/?a=b"]
        {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
        for bad in ["http://gateway:99999", "https://[::1]:65536", "http://gateway:0", "http://gateway:/"] {
            assert_eq!(bad.parse::<Url>(), Err(BadAddress(PORT)), "{bad}");
        }
    }
}
