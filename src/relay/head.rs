//! The head of a request: what it is, and which of its headers go on.

use hyper::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST,
    HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Version};

use super::answer::Protocol;
use super::compression::Compression;
use super::engine::Values;
use super::fault::Fault;
use super::{grpc, http};
use crate::otlp::{Encoding, Signal};

/// What is spoken at a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    Grpc,
    Http,
}

/// What a request's head says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) signal: Signal,
    pub(super) protocol: Protocol,
    pub(super) compression: Compression,
}

/// In what a client is told of a request that cannot be told apart.
pub(super) fn spoken(port: Port, parts: &Parts) -> Protocol {
    let content_type = parts.headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    match port {
        Port::Grpc if parts.version == Version::HTTP_2 && grpc::is_content_type(content_type) => {
            Protocol::Grpc
        }
        _ => Protocol::Http(http::encoding(content_type).unwrap_or(Encoding::Json)),
    }
}

/// What a request is.
pub(super) fn read(port: Port, parts: &Parts) -> Result<Head, Fault> {
    let header = |name: HeaderName| parts.headers.get(name).map_or(&b""[..], |value| value.as_bytes());
    let path = parts.uri.path();
    // Which of two counts, the upstream might see otherwise.
    let told = [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LENGTH, grpc::ENCODING];
    if told.iter().any(|name| parts.headers.get_all(name).iter().nth(1).is_some()) {
        return Err(Fault::Malformed("a header that may stand once is there twice"));
    }
    if port == Port::Grpc && parts.version != Version::HTTP_2 {
        return Err(Fault::NotGrpc);
    }
    let signal = match port {
        Port::Grpc => grpc::signal(path),
        Port::Http => http::signal(path),
    };
    let signal = signal.ok_or(Fault::NotFound)?;
    if parts.method != Method::POST {
        return Err(Fault::Method);
    }
    let (protocol, name) = match port {
        Port::Grpc if grpc::is_content_type(header(CONTENT_TYPE)) => (Protocol::Grpc, header(grpc::ENCODING)),
        Port::Grpc => return Err(Fault::ContentType),
        Port::Http => {
            let encoding = http::encoding(header(CONTENT_TYPE)).ok_or(Fault::ContentType)?;
            (Protocol::Http(encoding), header(CONTENT_ENCODING))
        }
    };
    if signal == Signal::Profiles {
        return Err(Fault::Profiles);
    }
    let name = std::str::from_utf8(name).unwrap_or("?").trim().to_ascii_lowercase();
    let compression = Compression::by_name(&name).ok_or(Fault::Compression)?;
    Ok(Head { signal, protocol, compression })
}

/// The headers of a client that go on: all but those of this one connection and those that are made anew. A token for us
/// (`has_tokens`) is not for the upstream. Those that name the sender's credentials and tenant go as they came; all others are
/// scrubbed, each as the value of its name.
pub(super) fn forwarded(headers: &HeaderMap, has_tokens: bool, values: &mut Values) -> HeaderMap {
    let mut forwarded = HeaderMap::with_capacity(headers.len());
    let named = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<&str> = named.flat_map(|names| names.split(',')).map(str::trim).collect();
    for (name, value) in headers {
        let is_own = OWN.contains(name)
            || name.as_str().starts_with("proxy-")
            || named.iter().any(|own| name.as_str().eq_ignore_ascii_case(own))
            || (*name == AUTHORIZATION && has_tokens);
        if is_own {
            continue;
        }
        let carried = CARRIED.iter().find_map(|with| name.as_str().strip_prefix(with));
        if carried.is_none() && is_credential(name.as_str()) {
            forwarded.append(name, value.clone());
            continue;
        }
        // Bytes in base64, in which nothing can be seen; but those of a trace are ids.
        if name.as_str().ends_with("-bin") && name != "grpc-trace-bin" {
            continue;
        }
        // What cannot be scrubbed does not go on.
        let scrubbed = values.scrub(carried.unwrap_or(name.as_str()).as_bytes(), value.as_bytes());
        if let Some(value) = scrubbed.and_then(|scrubbed| HeaderValue::from_bytes(&scrubbed).ok()) {
            forwarded.append(name, value);
        }
    }
    forwarded
}

/// Words at the end of names of headers that say who sends: backends and their proxies know clients by these.
const CREDENTIALS: [&str; 19] = [
    "account",
    "api",
    "apikey",
    "auth",
    "authorization",
    "credential",
    "credentials",
    "customer",
    "dataset",
    "key",
    "license",
    "org",
    "orgid",
    "project",
    "secret",
    "team",
    "tenant",
    "tenantid",
    "token",
];

/// Whether the name of a header says that it holds the sender's credentials or tenant: `x-api-key`, `x-scope-orgid`,
/// `x-tenant-id`; `x-account-password` and `x-customer-email` say more than that.
fn is_credential(name: &str) -> bool {
    let mut words = name.rsplit(['-', '_', '.']);
    let last = words.next().filter(|&word| word != "id").or_else(|| words.next());
    last.is_some_and(|word| CREDENTIALS.contains(&word))
}

/// How the names begin of what an application carries along, with other tracers; the rest is the name of the value.
const CARRIED: [&str; 3] = ["baggage-", "ot-baggage-", "uberctx-"];

/// Headers of one connection, and those that are made anew.
/// Hashes of a body are not true of another, and tell of what was in it.
const OWN: [HeaderName; 19] = [
    ACCEPT_ENCODING,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    EXPECT,
    HOST,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    grpc::ENCODING,
    grpc::ACCEPT_ENCODING,
    grpc::TIMEOUT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];
