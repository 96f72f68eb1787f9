//! Headers on their way up: what an application says in them is scrubbed, credentials and tenants go as they came.

use kasm_scrub::otlp::Signal;

use super::client::{Ask, Wire, check};
use super::holds;
use super::replies::taking;
use super::requests::{Pack, clean};
use super::stage::{PLANTED, Spoken, Stage, secret};

fn ask(wire: Wire) -> Ask {
    Ask::new(wire, Signal::Logs, Pack::None, &clean(wire, Signal::Logs, "session is created"))
}

#[tokio::test]
async fn what_an_application_says_is_scrubbed() {
    for spoken in Spoken::ALL {
        let stage = Stage::new(spoken, taking(), &[]).await;
        let said = |number: usize| {
            let secret = secret(number);
            [
                ("baggage", format!("zone=default,password={secret},tenant=kasm"), "zone=default"),
                ("tracestate", format!("kasm=t61rcWkgMzE,password={secret}"), "kasm=t61rcWkgMzE"),
                ("referer", format!("https://kasm.example.com/zones?token={secret}"), "kasm.example.com"),
                ("cookie", format!("theme=dark; session_token={secret}"), "theme="),
                ("user-agent", format!("agent/1.27 (password={secret})"), "agent/1.27"),
                ("x-forwarded-uri", format!("/zones?token={secret}"), "/zones"),
                ("x-original-url", format!("https://kasm.example.com/zones?token={secret}"), "/zones"),
                ("forwarded", format!("for=192.0.2.60;proto=http;by=\"password={secret}\""), "192.0.2.60"),
                ("ot-baggage-note", format!("zone=default,password={secret}"), "zone=default"),
                ("uberctx-note", format!("zone=default,password={secret}"), "zone=default"),
                // By its name alone, and where nobody knows the name.
                ("baggage-password", secret.clone(), ""),
                ("ot-baggage-password", secret.clone(), ""),
                ("uberctx-api_key", secret.clone(), ""),
                ("cookie", format!("session={secret}"), ""),
                ("jaeger-baggage", format!("zone=default,password={secret}"), "zone=default"),
                ("x-envoy-original-path", format!("/zones?token={secret}"), "/zones"),
                ("x-anything", format!("/zones?password={secret}"), "/zones"),
                // What only begins like the name of a tenant.
                ("x-account-password", secret.clone(), ""),
                ("x-project-url", format!("/zones?password={secret}"), "/zones"),
            ]
        };
        for wire in Wire::ALL {
            for (name, value, harmless) in said(1) {
                assert!(stage.send(&ask(wire).with(name, &value)).await.is_taken(wire), "{name}");
                let came = stage.upstream.last();
                let value = came.header(name);
                assert!(value.contains(harmless), "{spoken:?} {wire:?} {name}: {value}");
                assert!(!value.contains(PLANTED), "{spoken:?} {wire:?} {name}: {value}");
            }
        }
        stage.close().await;
    }
}

/// They are not true of a body that has changed, and a short secret can be guessed from them.
#[tokio::test]
async fn hashes_of_the_body_do_not_go_on() {
    for spoken in Spoken::ALL {
        let stage = Stage::new(spoken, taking(), &[]).await;
        for name in ["content-md5", "digest", "content-digest", "repr-digest"] {
            let ask = ask(Wire::Protobuf).with(name, "sha-256=:DeadBeefDeadBeef:");
            assert!(stage.send(&ask).await.is_taken(Wire::Protobuf));
            assert_eq!(stage.upstream.last().header(name), "");
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn each_of_several_is_scrubbed() {
    let stage = Stage::new(Spoken::Http, taking(), &[]).await;
    let mut ask = ask(Wire::Grpc);
    for number in 0..3 {
        let value = format!("zone={number},password={}", secret(number));
        ask.headers.append("baggage", value.parse().expect("a value"));
    }
    assert!(stage.send(&ask).await.is_taken(Wire::Grpc));
    let came = format!("{:?}", stage.upstream.last().headers);
    assert!((0..3).all(|number| holds(came.as_bytes(), format!("zone={number}").as_bytes())), "{came}");
    stage.close().await;
}

#[tokio::test]
async fn what_is_clean_goes_as_it_came() {
    let own = [
        ("authorization", "Bearer DeadDeadDeadDeadDeadDead"),
        ("x-tenant", "password=DeadDeadDead"),
        ("x-api-key", "DeadDeadDeadDeadDead"),
        ("x-tenant-id", "password=DeadDeadDead"),
        ("x-scope-orgid", "password=DeadDeadDead"),
        ("dd-api-key", "DeadDeadDeadDeadDead"),
        ("x-honeycomb-team", "DeadDeadDeadDeadDead"),
        ("x-otlp-version", "1.11"),
        ("traceparent", "00-5b8efff798038103d269b633813fc60c-eee19b7ec3c1b174-01"),
        ("tracestate", "kasm=t61rcWkgMzE,other=00f067aa0ba902b7"),
        ("baggage", "zone=default,user.tier=gold"),
        ("user-agent", "OTel-OTLP-Exporter-Python/1.27.0"),
    ];
    for spoken in Spoken::ALL {
        let stage = Stage::new(spoken, taking(), &[]).await;
        for wire in Wire::BOTH {
            let ask = own.iter().fold(ask(wire), |ask, (name, value)| ask.with(name, value));
            assert!(stage.send(&ask).await.is_taken(wire));
            let came = stage.upstream.last();
            for (name, value) in own {
                assert_eq!(came.header(name), value, "{spoken:?} {wire:?} {name}");
            }
        }
        stage.close().await;
    }
}

#[tokio::test]
async fn what_may_stand_once_may_not_stand_twice() {
    let stage = Stage::new(Spoken::Http, taking(), &[]).await;
    for (wire, name, more) in [
        (Wire::Protobuf, "content-type", "application/json"),
        (Wire::Protobuf, "content-type", "application/x-protobuf"),
        (Wire::Json, "content-type", "text/plain"),
        (Wire::Grpc, "content-type", "application/grpc"),
        (Wire::Protobuf, "content-encoding", "gzip"),
        (Wire::Json, "content-encoding", "identity"),
        (Wire::Grpc, "grpc-encoding", "gzip"),
    ] {
        let mut ask = ask(wire);
        if !ask.headers.contains_key(name) {
            ask = ask.with(name, "identity");
        }
        ask.headers.append(hyper::header::HeaderName::from_static(name), more.parse().expect("a value"));
        check(&format!("{name} {more}"), wire, &stage.send(&ask).await, (3, 400));
    }
    assert_eq!(stage.upstream.begun(), 0);
    stage.close().await;
}
