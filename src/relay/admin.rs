//! What operators ask: whether it lives, whether it is ready, and its counts. Plain HTTP, meant for loopback.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::body::Whole;
use super::budget::Budget;
use super::listen::Handler;
use super::metrics::Metrics;
use crate::audit::Trail;

/// Why it is not ready, if it is not.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    /// All ports are open, and the first canary was scrubbed.
    pub(super) started: AtomicBool,
    pub(super) draining: AtomicBool,
    pub(super) canary_failed: AtomicBool,
    /// Secrets may have changed that are not found.
    pub(super) is_behind: AtomicBool,
}

impl Readiness {
    /// `Err`: why not.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.draining.load(Ordering::Relaxed) {
            Err("draining")
        } else if !self.started.load(Ordering::Relaxed) {
            Err("starting")
        } else if self.canary_failed.load(Ordering::Relaxed) {
            Err("the canary came out or did not arrive")
        } else if self.is_behind.load(Ordering::Relaxed) {
            Err("learned secrets may have changed and cannot be used; the log says why")
        } else {
            Ok(())
        }
    }
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Answers `/livez`, `/readyz` and `/metrics`.
pub(super) fn handler(
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    budget: Budget,
    audit: Option<Arc<Trail>>,
) -> Handler {
    Arc::new(move |request: Request<Incoming>| {
        let ready = readiness.check();
        let (status, content_type, text) = match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/livez") => (StatusCode::OK, TEXT, "alive\n".to_owned()),
            (&Method::GET | &Method::HEAD, "/readyz") => match ready {
                Ok(()) => (StatusCode::OK, TEXT, "ready\n".to_owned()),
                Err(why) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("not ready: {why}\n")),
            },
            (&Method::GET | &Method::HEAD, "/metrics") => {
                metrics.in_flight_bytes.set(budget.taken() as i64);
                if let Some(trail) = &audit {
                    metrics.audited(trail);
                }
                (StatusCode::OK, OPEN_METRICS, metrics.text(ready.is_ok()))
            }
            (&Method::GET | &Method::HEAD, _) => {
                (StatusCode::NOT_FOUND, TEXT, "try /livez, /readyz or /metrics\n".to_owned())
            }
            _ => (StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET is taken\n".to_owned()),
        };
        let mut response = Response::new(Whole::new(Bytes::new(), text.into()));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        Box::pin(std::future::ready(response))
    })
}
