//! Keys of one map stay distinct where they were, however many of them hold a secret; and with pseudonyms, series stay what
//! they were.

use std::sync::Arc;

use kasm_scrub::otlp::{Encoding, Policy, Scrubbed, Scrubber, Signal};
use kasm_scrub::sanitize::Parts;
use kasm_scrub::{Action, HashKey, Profile, Ruleset, Sanitizer};
use proptest::prelude::*;
use serde_json::Value;

use super::planted::{Planted, as_pairs, list_of, pair, shapes, text};
use super::tree::{self, Field, Style};
use super::{SANITIZER, SIGNALS, forwarded, holds};

fn hashing() -> Arc<Sanitizer> {
    let rules = Ruleset::builtin().into_profile(Profile::Default, |_| true);
    let actions = vec![Some(Action::Hash); rules.rules().len()];
    let key = HashKey::new("k1", b"0123456789abcdef0123456789abcdef").expect("a key");
    let parts = Parts { rules, actions, key: Some(key), ..Parts::default() };
    Arc::new(Sanitizer::new(parts).expect("a key is given"))
}

/// What keys are: harmless, with secrets, and as ours are when they were scrubbed.
const KEYS: [&str; 20] = [
    "",
    "zone.name",
    "password=hunter2",
    "password=hunter3",
    "password=hunter4",
    "password=[REDACTED:password]",
    "password=[REDACTED:password]#2",
    "password=[REDACTED:password]#3",
    "login password=hunter2 ok",
    "login password=hunter3 ok",
    "login password=[REDACTED:password] ok#2",
    "https://x/vnc.html?password=hunter2&autoconnect=1",
    "https://x/vnc.html?password=hunter3&autoconnect=1",
    "jane.doe@example.com",
    "john.doe@example.com",
    "{\"user\":\"x\",\"password\":\"hunter2\"}",
    "{\"user\":\"x\",\"password\":\"hunter3\"}",
    "größe password=größe",
    "größe password=grösse",
    "Bearer abcdef1234567890",
];

/// The keys of each list of pairs, in order, the outermost first.
fn keys(value: &Value) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    match value {
        Value::Array(list) => {
            let own = list.iter().filter(|pair| pair.get("value").is_some());
            let own = own.map(|pair| pair.get("key").and_then(Value::as_str).unwrap_or_default().to_owned());
            let own: Vec<String> = own.collect();
            if !own.is_empty() {
                all.push(own);
            }
            all.extend(list.iter().flat_map(keys));
        }
        Value::Object(members) => all.extend(members.values().flat_map(keys)),
        _ => {}
    }
    all
}

/// The same of the last lists alone: others are on the way to them.
fn last_keys(value: &Value, count: usize) -> Vec<Vec<String>> {
    let mut all = keys(value);
    all.split_off(all.len().saturating_sub(count))
}

/// A request as it is written, and what can be read of it again.
fn written(signal: Signal, encoding: Encoding, fields: &[Field]) -> Vec<u8> {
    match encoding {
        Encoding::Protobuf => tree::wire(fields),
        Encoding::Json => {
            let escapes = matches!(signal, Signal::Logs);
            tree::json(fields, Style { escapes, ..Style::default() })
        }
    }
}

fn read(signal: Signal, encoding: Encoding, body: &[u8]) -> Value {
    let json = match encoding {
        Encoding::Protobuf => tree::json(&tree::read(tree::root(signal), body), Style::default()),
        Encoding::Json => body.to_vec(),
    };
    serde_json::from_slice(&json).expect("JSON")
}

const ENCODINGS: [Encoding; 2] = [Encoding::Protobuf, Encoding::Json];

fn pairs_of(keys: &[&str]) -> Vec<Vec<Field>> {
    keys.iter().enumerate().map(|(i, key)| pair(key, text(&format!("zone {i}")))).collect()
}

/// Says what the keys of a list become, wherever it stands.
#[track_caller]
fn become_keys(before: &[&str], after: &[&str]) {
    for signal in SIGNALS {
        let all = as_pairs(signal, &pairs_of(before));
        assert!(!all.is_empty());
        for Planted { what, fields, .. } in all {
            for encoding in ENCODINGS {
                let body = written(signal, encoding, &fields);
                let mut scrubber = Scrubber::new(SANITIZER.clone(), Policy::default());
                let out = forwarded(&mut scrubber, signal, encoding, &body).expect("valid");
                assert_eq!(last_keys(&read(signal, encoding, &out), 1), [after], "{what} {encoding:?}");
                assert_eq!(scrubber.scrub(signal, encoding, &out), Ok(Scrubbed::Clean), "{what}");
            }
        }
    }
}

#[test]
fn keys_that_would_become_alike_get_endings() {
    become_keys(
        &["password=hunter2", "zone", "password=hunter3", "password=hunter4"],
        &[
            "password=[REDACTED:password]",
            "zone",
            "password=[REDACTED:password]#2",
            "password=[REDACTED:password]#3",
        ],
    );
    // One that is there already, wherever it stands.
    become_keys(
        &[
            "password=hunter2",
            "password=[REDACTED:password]",
            "password=[REDACTED:password]#3",
            "password=a9",
        ],
        &[
            "password=[REDACTED:password]#2",
            "password=[REDACTED:password]",
            "password=[REDACTED:password]#3",
            "password=[REDACTED:password]#4",
        ],
    );
    // What was one key stays one.
    become_keys(
        &["password=hunter2", "password=hunter3", "password=hunter2", "password=hunter3"],
        &[
            "password=[REDACTED:password]",
            "password=[REDACTED:password]#2",
            "password=[REDACTED:password]",
            "password=[REDACTED:password]#2",
        ],
    );
    become_keys(&["password=hunter2", "zone"], &["password=[REDACTED:password]", "zone"]);
}

/// Neighbouring maps are maps of their own; what is around a map is none of it.
#[test]
fn each_message_has_a_map_of_its_own() {
    let inner = || list_of(pairs_of(&["password=hunter2", "password=hunter3"]));
    let outer = vec![pair("password=hunter4", inner()), pair("password=hunter5", inner())];
    let pair_of = ["password=[REDACTED:password]", "password=[REDACTED:password]#2"];
    for Planted { signal, what, fields } in as_pairs(Signal::Logs, &outer) {
        for encoding in ENCODINGS {
            let mut scrubber = Scrubber::new(SANITIZER.clone(), Policy::default());
            let body = written(signal, encoding, &fields);
            let out = forwarded(&mut scrubber, signal, encoding, &body).expect("valid");
            assert_eq!(last_keys(&read(signal, encoding, &out), 3), [pair_of; 3], "{what} {encoding:?}");
        }
    }
}

#[test]
fn many_keys_are_kept_apart() {
    let names: Vec<String> = (0..20_000).map(|i| format!("password=hunter{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let all = as_pairs(Signal::Logs, &pairs_of(&names));
    for encoding in ENCODINGS {
        let body = written(Signal::Logs, encoding, &all[0].fields);
        let mut scrubber = Scrubber::new(SANITIZER.clone(), Policy::default());
        let out = forwarded(&mut scrubber, Signal::Logs, encoding, &body).expect("valid");
        let mut keys = keys(&read(Signal::Logs, encoding, &out)).remove(0);
        assert_eq!((keys.len(), keys[19_999].as_str()), (20_000, "password=[REDACTED:password]#20000"));
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 20_000);
    }
}

/// What tells a data point's series: secrets of several kinds, in all shapes of a value.
fn point(user: usize, shape: usize) -> Vec<Vec<Field>> {
    let mail = format!("user{}@example.com", user % 7);
    vec![
        pair("http.route", text("/api/get_zones")),
        pair("user", shapes(&mail)[shape].clone()),
        pair("db.password", text(&format!("DeadBeef77{}", user / 7))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn distinct_keys_stay_distinct(
        names in prop::collection::vec(prop::sample::select(&KEYS[..]), 1..12),
        inner in prop::collection::vec(prop::sample::select(&KEYS[..]), 1..6),
        at: prop::sample::Index, signal in prop::sample::select(&SIGNALS[..]), is_hash: bool,
    ) {
        let mut pairs = pairs_of(&names);
        let at = at.index(pairs.len());
        pairs[at] = pair(names[at], list_of(pairs_of(&inner)));
        let before = [&names[..], &inner[..]];
        let sanitizer = if is_hash { hashing() } else { SANITIZER.clone() };
        let mut scrubber = Scrubber::new(sanitizer, Policy::default());
        for Planted { what, fields, .. } in as_pairs(signal, &pairs) {
            for encoding in ENCODINGS {
                let body = written(signal, encoding, &fields);
                let out = forwarded(&mut scrubber, signal, encoding, &body).expect("valid");
                let after = last_keys(&read(signal, encoding, &out), 2);
                prop_assert_eq!(after.len(), 2, "{}", &what);
                for (before, after) in before.iter().zip(&after) {
                    prop_assert_eq!(before.len(), after.len());
                    for (i, (old, new)) in before.iter().zip(after).enumerate() {
                        for (other_old, other_new) in before.iter().zip(after).take(i) {
                            let is_apart = old == other_old || new != other_new;
                            prop_assert!(is_apart, "{} {:?} {:?} {:?}", &what, encoding, before, after);
                        }
                    }
                }
                let again = scrubber.scrub(signal, encoding, &out);
                prop_assert_eq!(again, Ok(Scrubbed::Clean), "{} {:?} {:?}", &what, encoding, after);
            }
        }
    }

    #[test]
    fn pseudonyms_keep_series_apart_and_together(
        users in prop::collection::vec((0usize..20, 0usize..6), 2..8),
    ) {
        const SERIES: [(&str, &str); 5] = [
            ("gauge", "Gauge"),
            ("sum", "Sum"),
            ("histogram", "Histogram"),
            ("exponentialHistogram", "ExponentialHistogram"),
            ("summary", "Summary"),
        ];
        let package = |name: &str| format!(".opentelemetry.proto.metrics.v1.{name}");
        let field = |message: &str, name: &str, fields: Vec<Field>| {
            tree::named(&package(message), name, tree::Holds::Fields(fields))
        };
        // Each scrubbed by somebody else.
        let mut scrubbers = [0; 2].map(|_| Scrubber::new(hashing(), Policy::default()));
        for (name, message) in SERIES {
            let kind = match message {
                "Gauge" | "Sum" => "NumberDataPoint".to_owned(),
                other => format!("{other}DataPoint"),
            };
            let points = users.iter().map(|&(user, shape)| {
                let pairs = point(user, shape).into_iter().map(|pair| field(&kind, "attributes", pair));
                field(message, "dataPoints", pairs.collect())
            });
            let metric = vec![field("Metric", name, points.collect())];
            let scope = field("ResourceMetrics", "scopeMetrics", vec![field("ScopeMetrics", "metrics", metric)]);
            let root = tree::root(Signal::Metrics);
            let request = vec![tree::named(root, "resourceMetrics", tree::Holds::Fields(vec![scope]))];
            let mut seen: Vec<Value> = Vec::new();
            for (encoding, scrubber) in ENCODINGS.into_iter().zip(&mut scrubbers) {
                let body = written(Signal::Metrics, encoding, &request);
                let out = forwarded(scrubber, Signal::Metrics, encoding, &body).expect("valid");
                prop_assert!(!holds(&out, b"@example") && !holds(&out, b"DeadBeef"));
                let read: Value = read(Signal::Metrics, encoding, &out);
                let points = &read["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0][name]["dataPoints"];
                seen.extend(points.as_array().expect("points").iter().map(|point| point["attributes"].clone()));
            }
            prop_assert_eq!(seen.len(), 2 * users.len());
            for (i, one) in seen.iter().enumerate() {
                for (j, other) in seen.iter().enumerate().take(i) {
                    let is_same = users[i % users.len()] == users[j % users.len()];
                    prop_assert_eq!(one == other, is_same, "{} {} {}", name, one, other);
                }
            }
        }
    }
}
