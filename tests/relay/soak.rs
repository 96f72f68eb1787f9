//! A load of everything at once: it comes out whole, nothing is left behind.

use std::collections::HashSet;

use super::client::{Ask, Wire};
use super::replies::taking;
use super::requests::{Pack, clean, dirty};
use super::stage::{Spoken, Stage, secret};
use super::{SIGNALS, until};

const CLIENTS: usize = 8;

/// Each client sends so many requests; numbers begin at `from`.
async fn load(stage: &Stage, from: usize, each: usize) {
    let mut tasks = Vec::new();
    for client in 0..CLIENTS {
        let wire = Wire::ALL[client % 3];
        let mut connection = stage.connect(wire).await;
        tasks.push(tokio::spawn(async move {
            for number in (from..).skip(client * each).take(each) {
                let (signal, pack) = (SIGNALS[number % 3], Pack::ALL[number / 3 % 3]);
                let words = format!("request {number} is here");
                let message = match number % 2 {
                    0 => clean(wire, signal, &words),
                    _ => dirty(wire, signal, &words, &secret(number)),
                };
                let answer =
                    connection.send(&Ask::new(wire, signal, pack, &message)).await.expect("an answer");
                assert!(answer.is_taken(wire), "{number}: {answer:?}");
            }
        }));
    }
    for task in tasks {
        task.await.expect("no panic");
    }
}

#[tokio::test]
async fn two_thousand_requests_from_eight_clients() {
    let stage = Stage::new(Spoken::Http, taking(), &[]).await;
    let at_rest = async || {
        // Connections that were closed are let go of a little later.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        (stage.sidecar.descriptors(), stage.sidecar.resident())
    };
    load(&stage, 0, 125).await;
    let first = at_rest().await;
    load(&stage, 1000, 125).await;
    until("descriptors are closed", async || at_rest().await.0 <= first.0 + 4).await;
    let memory = stage.sidecar.resident();
    assert!(memory < first.1 + (16 << 10) && memory < 128 << 10, "{memory} KiB, {} KiB half way", first.1);

    let numbers = stage.upstream.seen().into_iter().map(|seen| {
        let message = String::from_utf8_lossy(&seen.message()).into_owned();
        let (_, rest) = message.split_once("request ").expect("a number");
        rest.split_once(' ').expect("a number").0.parse().expect("a number")
    });
    let numbers: Vec<usize> = numbers.collect();
    assert_eq!(numbers.len(), 2000);
    assert_eq!(numbers.into_iter().collect::<HashSet<_>>(), (0..2000).collect());
    let metrics = stage.sidecar.metrics().await;
    let of = |outcome: &str| -> u64 {
        let lines = metrics
            .lines()
            .filter(|line| line.starts_with("kasm_scrub_requests_total{") && line.contains(outcome));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    };
    assert_eq!((of("clean"), of("changed"), of("refused"), of("rejected")), (1000, 1000, 0, 0), "{metrics}");
    assert_eq!(stage.sidecar.count("kasm_scrub_in_flight_bytes").await, 0);
    stage.close().await;
}
