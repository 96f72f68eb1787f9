//! The example log: every secret in it goes, everything an operator joins records by stays, and the README shows
//! what really comes out.

use kasm_scrub::{Sanitizer, Scrubber};

const LOG: &str = include_str!("data/kasm.log");
const README: &str = include_str!("../README.md");

/// Each is in the log at least once.
const SECRETS: &[&str] = &[
    "DeadDeadDeadDeadDeadDead26",
    "DeadSecretDeadSecretDeadSecret00",
    "DeadKey00001",
    "Dead%2BDead%2FDead%3D26",
    r#"dead\"quote"#,
    "deadbeefdeadbeef",
    "7d1e5e55-1017-4dea-8dea-0b501e7e0001",
    "eyJhbGci",
    "AAAAAAAAAAAAAAAA",
    "BBBBBBBBBBBBBBBB",
    "DeadBeefDead",
    "4111111111111111",
    "ada@corp.example",
];

/// Each is as often in the cleaned log as in the log.
const STAYS: &[&str] = &[
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "00f067aa0ba902b7",
    "3f1c0de5-7a11-4c0d-9b1e-5ca1ab1e0001",
    "3f1c0de57a114c0d9b1e5ca1ab1e0001",
    "c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0de",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "ssl_stapling",
    "Failed to parse token claims in call to return_rdp_gateway_session_settings",
    "Authentication Error : automatic bind not successful - invalidCredentials",
    "https://proxy:443/manager_api/api/v1/heartbeat",
    "SERVER_PORT=8080",
];

fn cleaned(text: &str) -> String {
    let sanitizer = Sanitizer::builtin();
    let mut scrubber = Scrubber::new(&sanitizer);
    let mut out = Vec::new();
    scrubber.push(text.as_bytes(), &mut out);
    scrubber.finish(&mut out);
    String::from_utf8(out).expect("the example log is UTF-8")
}

#[test]
fn example_log_is_cleaned() {
    let out = cleaned(LOG);
    for secret in SECRETS {
        assert!(LOG.contains(secret), "the log lacks {secret}");
        assert!(!out.contains(secret), "{secret} came through");
    }
    for id in STAYS {
        assert!(LOG.contains(id), "the log lacks {id}");
        assert_eq!(out.matches(id).count(), LOG.matches(id).count(), "{id} did not stay");
    }
    assert_eq!(out.lines().count(), LOG.lines().count(), "a line stays a line");
    assert_eq!(cleaned(&out), out, "cleaning twice equals cleaning once");
}

#[test]
fn example_log_keeps_its_json() {
    let out = cleaned(LOG);
    let mut documents = 0;
    for (before, after) in LOG.lines().zip(out.lines()).filter(|(before, _)| before.starts_with('{')) {
        let before: serde_json::Value = serde_json::from_str(before).expect("the log's JSON is valid");
        let after: serde_json::Value = serde_json::from_str(after).expect("cleaned JSON is valid");
        let keys = |v: &serde_json::Value| v.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>());
        assert_eq!(keys(&before), keys(&after));
        documents += 1;
    }
    assert!(documents > 4, "the log has JSON lines");
}

/// The README has two blocks marked `log`: lines of the example log, and what becomes of them.
#[test]
fn example_in_the_readme_is_real() {
    let mut blocks = README.split("```log\n").skip(1).filter_map(|rest| rest.split("```").next());
    let (before, after) = (blocks.next().expect("a block before"), blocks.next().expect("a block after"));
    for line in before.lines() {
        assert!(LOG.lines().any(|l| l == line), "not a line of the example log: {line}");
    }
    assert_eq!(cleaned(before), after, "the README's second block is what becomes of the first");
}
