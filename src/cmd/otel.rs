//! The variables that exporters of OpenTelemetry are told by, and what they say of an upstream
//! (opentelemetry.io/docs/specs/otel/protocol/exporter). One of a signal beats the general one; an empty one says nothing.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue, TE,
    TRANSFER_ENCODING,
};
use percent_encoding::percent_decode_str;

use super::Refusal;
use crate::otlp::Signal;
use crate::relay::{Compression, Upstream, UpstreamCompression, UpstreamProtocol, Url};

/// Headers that say what is sent: another value would be untrue.
const OURS: [HeaderName; 10] = [
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    HOST,
    TE,
    TRANSFER_ENCODING,
    HeaderName::from_static("grpc-accept-encoding"),
    HeaderName::from_static("grpc-encoding"),
    HeaderName::from_static("grpc-timeout"),
];

const PREFIX: &str = "OTEL_EXPORTER_OTLP_";

/// Variables by their names behind the prefix.
pub(super) struct Variables(HashMap<String, String>);

/// The variables as they count for a signal.
pub(super) struct OfSignal<'v> {
    all: &'v Variables,
    signal: &'static str,
}

impl Variables {
    pub(super) fn new(all: impl Iterator<Item = (String, String)>) -> Self {
        let ours = all.filter_map(|(name, value)| {
            let name = name.strip_prefix(PREFIX)?.to_owned();
            (!value.trim().is_empty()).then(|| (name, value.trim().to_owned()))
        });
        Self(ours.collect())
    }

    /// Those that the process was started with.
    pub(super) fn of_process() -> Self {
        // What is no UTF-8 is no value of any of them, and is told as such.
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self::new(std::env::vars_os().map(|(name, value)| (text(name), text(value))))
    }

    pub(super) fn of(&self, signal: Signal) -> OfSignal<'_> {
        let signal = match signal {
            Signal::Traces => "TRACES_",
            Signal::Logs => "LOGS_",
            Signal::Metrics => "METRICS_",
            Signal::Profiles => "PROFILES_",
        };
        OfSignal { all: self, signal }
    }
}

/// A value, and the whole name of the variable it is of.
struct Found<'v> {
    name: String,
    value: &'v str,
    is_of_signal: bool,
}

impl Found<'_> {
    /// Values are not told: they may be credentials.
    fn wrong(&self, why: impl std::fmt::Display) -> Refusal {
        Refusal(format!("{}: {why}", self.name))
    }
}

impl OfSignal<'_> {
    fn find(&self, name: &str) -> Option<Found<'_>> {
        let own = format!("{}{name}", self.signal);
        [(own, true), (name.to_owned(), false)].into_iter().find_map(|(name, is_of_signal)| {
            let value = self.all.0.get(&name)?;
            Some(Found { name: format!("{PREFIX}{name}"), value, is_of_signal })
        })
    }

    pub(super) fn protocol(&self) -> Result<Option<UpstreamProtocol>, Refusal> {
        let Some(found) = self.find("PROTOCOL") else { return Ok(None) };
        match found.value {
            "grpc" => Ok(Some(UpstreamProtocol::Grpc)),
            "http/protobuf" => Ok(Some(UpstreamProtocol::Http)),
            _ => Err(found.wrong("write grpc or http/protobuf")),
        }
    }

    /// Where requests go.
    pub(super) fn upstream(
        &self,
        signal: Signal,
        protocol: UpstreamProtocol,
    ) -> Result<Option<Upstream>, Refusal> {
        let Some(found) = self.find("ENDPOINT") else { return Ok(None) };
        let is_insecure = self.find("INSECURE").is_some_and(|found| found.value.eq_ignore_ascii_case("true"));
        let has_scheme = found.value.contains("://") || found.value.starts_with("unix:");
        let scheme = match (has_scheme, is_insecure) {
            (true, _) => "",
            (false, true) => "http://",
            (false, false) => "https://",
        };
        let url: Url = format!("{scheme}{}", found.value).parse().map_err(|bad| found.wrong(bad))?;
        let mut upstream = Upstream::at(&url, signal, protocol);
        // As it is. A socket has none.
        if found.is_of_signal && !url.path.is_empty() {
            upstream.path = url.path;
        }
        Ok(Some(upstream))
    }

    pub(super) fn compression(&self) -> Result<Option<UpstreamCompression>, Refusal> {
        let Some(found) = self.find("COMPRESSION") else { return Ok(None) };
        match Compression::by_name(found.value) {
            Some(compression) => Ok(Some(UpstreamCompression::Always(compression))),
            None => Err(found.wrong("write gzip, zstd or none")),
        }
    }

    pub(super) fn timeout(&self) -> Result<Option<Duration>, Refusal> {
        let Some(found) = self.find("TIMEOUT") else { return Ok(None) };
        match found.value.parse() {
            Ok(millis @ 1..) => Ok(Some(Duration::from_millis(millis))),
            _ => Err(found.wrong("write milliseconds, 1 or more")),
        }
    }

    pub(super) fn ca(&self) -> Option<PathBuf> {
        self.find("CERTIFICATE").map(|found| found.value.into())
    }

    pub(super) fn identity(&self) -> Result<Option<(PathBuf, PathBuf)>, Refusal> {
        match (self.find("CLIENT_CERTIFICATE"), self.find("CLIENT_KEY")) {
            (Some(cert), Some(key)) => Ok(Some((cert.value.into(), key.value.into()))),
            (None, None) => Ok(None),
            (Some(one), None) => Err(one.wrong("needs OTEL_EXPORTER_OTLP_CLIENT_KEY beside it")),
            (None, Some(one)) => Err(one.wrong("needs OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE beside it")),
        }
    }

    /// `name=value,name=value`, values percent-encoded.
    pub(super) fn headers(&self) -> Result<HeaderMap, Refusal> {
        let mut headers = HeaderMap::new();
        let Some(found) = self.find("HEADERS") else { return Ok(headers) };
        for item in found.value.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let header = item.split_once('=').and_then(|(name, value)| {
                let name = HeaderName::try_from(name.trim()).ok().filter(|name| !OURS.contains(name))?;
                let value: Vec<u8> = percent_decode_str(value.trim()).collect();
                let mut value = HeaderValue::from_bytes(&value).ok()?;
                value.set_sensitive(true);
                Some((name, value))
            });
            let why = "write name=value,name=value; host, te, grpc-… and names of contents are set by us";
            let (name, value) = header.ok_or_else(|| found.wrong(why))?;
            headers.append(name, value);
        }
        Ok(headers)
    }
}
