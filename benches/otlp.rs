//! How fast requests of OTLP are scrubbed, beside decoding and encoding the same ones.
//!
//! `cargo bench --bench otlp`. Requests are generated, as SDKs and the components of Kasm Workspaces send them: all
//! different, but with the resources, keys and values that are the same in all of them. `KASM_SCRUB_BENCH_MIB` is how
//! much of them (32), `KASM_SCRUB_BENCH_RUNS` the number of runs (5). `cargo bench --bench otlp -- logs` is for one signal
//! and leaves out the comparison.
#![allow(clippy::print_stdout, clippy::disallowed_methods, clippy::disallowed_types)]

#[allow(dead_code)]
mod measure;
#[path = "../tests/otlp/payload.rs"]
mod payload;

use std::hint::black_box;
use std::sync::Arc;

use kasm_scrub::Sanitizer;
use kasm_scrub::otlp::{Encoding, Policy, Scrubbed, Scrubber, Signal};
use measure::{runs, setting};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use payload::{Dice, request};
use prost::Message;

fn main() {
    let total = setting("KASM_SCRUB_BENCH_MIB", 32) << 20;
    let times = setting("KASM_SCRUB_BENCH_RUNS", 5);
    let sanitizer = Arc::new(Sanitizer::builtin());
    println!(
        "{:<8} {:>8} {:<12} {:>10} {:>10} {:>8}",
        "signal", "KiB", "secret in", "scrub MB/s", "prost MB/s", "changed"
    );
    let only = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let is_wanted =
        |signal: &Signal| only.as_ref().is_none_or(|only| format!("{signal:?}").eq_ignore_ascii_case(only));
    for signal in [Signal::Traces, Signal::Logs, Signal::Metrics].into_iter().filter(is_wanted) {
        for (kib, every) in [(1, None), (16, None), (512, None), (16, Some(100)), (512, Some(100))] {
            let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
            let (mut requests, mut bytes) = (Vec::new(), 0);
            while bytes < total {
                let body = request(signal, kib << 10, every, &mut dice);
                bytes += body.len();
                requests.push(body);
            }
            let mut scrubber = Scrubber::new(sanitizer.clone(), Policy::default());
            let mut changed = 0;
            let ours = runs(times, || {
                changed = 0;
                for body in &requests {
                    match scrubber.scrub(signal, Encoding::Protobuf, black_box(body)) {
                        Ok(Scrubbed::Clean) => {}
                        Ok(Scrubbed::Changed(new)) => changed += black_box(new).findings.len(),
                        Err(refused) => panic!("{refused}"),
                    }
                }
            });
            assert!(every.is_some() || changed == 0, "clean requests must stay clean");
            let recoded = if only.is_none() { &requests[..] } else { &[] };
            let prost = runs(times.min(2), || recoded.iter().for_each(|body| recode(signal, body)));
            println!(
                "{:<8} {kib:>8} {:<12} {:>10.0} {:>10.0} {changed:>8}",
                format!("{signal:?}"),
                every.map_or("none".to_owned(), |every| format!("1 of {every}")),
                ours.best(bytes),
                prost.best(if only.is_none() { bytes } else { 0 }),
            );
        }
    }
}

fn recode(signal: Signal, body: &[u8]) {
    fn one<M: Message + Default>(body: &[u8]) {
        let decoded = M::decode(black_box(body)).expect("valid");
        black_box(black_box(decoded).encode_to_vec());
    }
    match signal {
        Signal::Traces => one::<ExportTraceServiceRequest>(body),
        Signal::Logs => one::<ExportLogsServiceRequest>(body),
        _ => one::<ExportMetricsServiceRequest>(body),
    }
}
