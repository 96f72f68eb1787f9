//! What scrubbing costs a hop: the relay between a load and an upstream on loopback, scrubbing beside not scrubbing.
//!
//! `cargo bench --bench hop`. The relay is a process of its own on one core; the load and the upstream are on the others,
//! and as cheap as can be. `KASM_SCRUB_BENCH_SECONDS` is how long each row is measured (4), `KASM_SCRUB_BENCH_CLIENTS` how
//! many requests are under way at once (8). `cargo bench --bench hop -- soak` sends requests of 512 KiB for
//! `KASM_SCRUB_BENCH_MINUTES` (10) and prints the relay's memory.
//!
//! Rows are ratios within one run: requests a second, and requests by each second of the relay's processor. The latter is
//! what one core could do where load and upstream have less than a core left.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "hop/load.rs"]
mod load;
#[allow(dead_code)]
mod measure;
#[path = "../tests/otlp/payload.rs"]
mod payload;
#[path = "hop/relay.rs"]
mod relay;
#[path = "hop/sink.rs"]
mod sink;

use std::time::Duration;

use kasm_scrub::otlp::Signal;
use kasm_scrub::relay::UpstreamProtocol;
use load::{Load, Pace};
use measure::setting;
use payload::{Dice, request};
use relay::{Relay, Told};

/// How many different requests are sent in turn.
const DIFFERENT: usize = 64;

fn main() {
    if let Some(told) = Told::of_environment() {
        return relay::child(told);
    }
    relay::pin(&[0]);
    let is_soak = std::env::args().any(|word| word == "soak");
    if is_soak { soak() } else { rows() }
}

fn rows() {
    let seconds = Duration::from_secs(setting("KASM_SCRUB_BENCH_SECONDS", 4) as u64);
    let clients = setting("KASM_SCRUB_BENCH_CLIENTS", 8);
    println!(
        "{:<5} {:>4} {:<9} {:>9} {:>9} {:>6} {:>7} {:>10} {:>10} {:>8}",
        "hop",
        "KiB",
        "secret in",
        "off req/s",
        "on req/s",
        "ratio",
        "by cpu",
        "off p99 ms",
        "on p99 ms",
        "RSS MiB"
    );
    for protocol in [UpstreamProtocol::Http, UpstreamProtocol::Grpc] {
        for (kib, every) in [(1, None), (16, None), (128, None), (512, None), (16, Some(100))] {
            row(protocol, kib, every, clients, seconds);
        }
    }
}

/// Requests of logs, all different.
fn requests(kib: usize, every: Option<usize>) -> Vec<Vec<u8>> {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let count = DIFFERENT.max(4096 / kib).min(1024);
    (0..count).map(|_| request(Signal::Logs, kib << 10, every, &mut dice)).collect()
}

fn row(protocol: UpstreamProtocol, kib: usize, every: Option<usize>, clients: usize, seconds: Duration) {
    let requests = requests(kib, every);
    let upstream = sink::start(protocol);
    let mut results = Vec::new();
    let mut rss = 0.0;
    for scrubs in [false, true] {
        let relay = Relay::start(protocol, upstream, scrubs);
        let load = Load { protocol, port: relay.port, requests: &requests, clients };
        load.run(Pace::Full, Duration::from_millis(500));
        let cpu = relay.cpu();
        let full = load.run(Pace::Full, seconds);
        let cpu = relay.cpu() - cpu;
        rss = relay.most_memory();
        results.push((
            relay,
            full.count as f64 / full.took.as_secs_f64(),
            full.count as f64 / cpu.as_secs_f64(),
        ));
    }
    // Half of what the scrubbing one takes, for both.
    let pace = Pace::PerSecond(results[1].1 / 2.0);
    let waits: Vec<f64> = results
        .iter()
        .map(|(relay, ..)| {
            let load = Load { protocol, port: relay.port, requests: &requests, clients };
            load.run(pace, seconds).percentile(0.99).as_secs_f64() * 1e3
        })
        .collect();
    println!(
        "{:<5} {kib:>4} {:<9} {:>9.0} {:>9.0} {:>6.2} {:>7.2} {:>10.2} {:>10.2} {rss:>8.1}",
        if protocol == UpstreamProtocol::Grpc { "grpc" } else { "http" },
        every.map_or("none".to_owned(), |every| format!("1 of {every}")),
        results[0].1,
        results[1].1,
        results[1].1 / results[0].1,
        results[1].2 / results[0].2,
        waits[0],
        waits[1],
    );
}

fn soak() {
    let minutes = setting("KASM_SCRUB_BENCH_MINUTES", 10);
    let clients = setting("KASM_SCRUB_BENCH_CLIENTS", 8);
    let requests = requests(512, Some(100));
    let relay = Relay::start(UpstreamProtocol::Grpc, sink::start(UpstreamProtocol::Grpc), true);
    let load = Load { protocol: UpstreamProtocol::Grpc, port: relay.port, requests: &requests, clients };
    println!("{:>6} {:>9} {:>8} {:>9}", "minute", "requests", "RSS MiB", "peak MiB");
    for minute in 1..=minutes {
        let done = load.run(Pace::Full, Duration::from_secs(60));
        println!("{minute:>6} {:>9} {:>8.1} {:>9.1}", done.count, relay.memory(), relay.most_memory());
    }
}
