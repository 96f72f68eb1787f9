//! An upstream that quotes what it was sent in every field of its answers, in headers and in trailers, over every wire and
//! under every compression: nothing of it reaches a client.

use std::collections::BTreeSet;
use std::sync::Arc;

use kasm_scrub::otlp::Signal;

use super::SIGNALS;
use super::client::{Answer, Ask, Wire};
use super::planted::{BLIND, Canaries, canaries, readings, readings_of_json};
use super::replies::{Pieces, Reply, answering, map, response};
use super::requests::{Pack, base64, clean, frame};
use super::stage::{Spoken, Stage, is_leak};
use super::upstream::Seen;
use crate::otlp::planted::{Planted, in_responses};
use crate::otlp::tree::{self, Field, Holds, Style};

/// What an upstream may answer with.
#[derive(Clone, Debug)]
enum What {
    /// That it has taken the request, and something more.
    Response(Vec<Field>),
    /// A `google.rpc.Status`: its message, and a detail of a kind.
    Status { message: String, detail: Option<(&'static str, Vec<Field>)> },
    /// Nothing but a header, or a trailer.
    Header(&'static str, String),
}

/// How an upstream writes its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// All in the head.
    GrpcHead,
    GrpcTrailers,
    Protobuf,
    Json,
}

impl Manner {
    const ALL: [Self; 4] = [Self::GrpcHead, Self::GrpcTrailers, Self::Protobuf, Self::Json];

    fn spoken(self) -> Spoken {
        match self {
            Self::GrpcHead | Self::GrpcTrailers => Spoken::Grpc,
            Self::Protobuf | Self::Json => Spoken::Http,
        }
    }
}

fn numbered(number: u32, name: &str, holds: Holds) -> Field {
    Field { number, name: name.to_owned(), is_repeated: false, holds }
}

/// Where a string stands: fields by number and name, from the outermost.
type Place = [(u32, &'static str)];

/// The strings that kinds of details have (google/rpc/error_details.proto).
const DETAILS: &[(&str, &[&Place])] = &[
    (
        "ErrorInfo",
        &[
            &[(1, "reason")],
            &[(2, "domain")],
            &[(3, "metadata"), (1, "key")],
            &[(3, "metadata"), (2, "value")],
        ],
    ),
    ("RetryInfo", &[&[(9, "note")]]),
    ("DebugInfo", &[&[(1, "stackEntries")], &[(2, "detail")]]),
    ("QuotaFailure", &[&[(1, "violations"), (1, "subject")], &[(1, "violations"), (2, "description")]]),
    (
        "PreconditionFailure",
        &[
            &[(1, "violations"), (1, "type")],
            &[(1, "violations"), (2, "subject")],
            &[(1, "violations"), (3, "description")],
        ],
    ),
    (
        "BadRequest",
        &[
            &[(1, "fieldViolations"), (1, "field")],
            &[(1, "fieldViolations"), (2, "description")],
            &[(1, "fieldViolations"), (3, "reason")],
            &[(1, "fieldViolations"), (4, "localizedMessage"), (1, "locale")],
            &[(1, "fieldViolations"), (4, "localizedMessage"), (2, "message")],
        ],
    ),
    ("RequestInfo", &[&[(1, "requestId")], &[(2, "servingData")]]),
    (
        "ResourceInfo",
        &[&[(1, "resourceType")], &[(2, "resourceName")], &[(3, "owner")], &[(4, "description")]],
    ),
    ("Help", &[&[(1, "links"), (1, "description")], &[(1, "links"), (2, "url")]]),
    ("LocalizedMessage", &[&[(1, "locale")], &[(2, "message")]]),
];

/// Headers that may come in answers, and what is around what they quote.
const HEADERS: [(&str, &str, &str); 11] = [
    ("www-authenticate", "Bearer realm=\"kasm\", error=\"password=", "\""),
    ("retry-after", "7; password=", ""),
    ("grpc-retry-pushback-ms", "password=", ""),
    ("grpc-message", "cannot store password%3D", " in zone"),
    ("x-note", "cannot store password=", ""),
    ("x-note-bin", "", ""),
    ("set-cookie", "sessionid=", "; Path=/"),
    ("location", "https://kasm.example.com/?token=", ""),
    ("server", "zone (password=", ")"),
    ("content-language", "password=", ""),
    ("etag", "\"password=", "\""),
];

/// All answers, and to what; each holds one canary, the first has number 1. What is no response is the same for all signals.
fn whats() -> Vec<(Signal, What)> {
    let mut canaries = Canaries::default();
    let mut responses = Vec::new();
    for signal in SIGNALS {
        let planted = in_responses(signal, &mut || canaries.next());
        assert!(!planted.is_empty());
        responses.extend(
            planted.into_iter().map(|Planted { signal, fields, .. }| (signal, What::Response(fields))),
        );
    }
    let mut all: Vec<What> = Vec::new();
    let mut quote = || format!("cannot store password={} in zone", canaries.next());
    all.push(What::Status { message: quote(), detail: None });
    for (kind, places) in DETAILS {
        for place in *places {
            let text = Holds::Text(quote());
            let holds = place.iter().rev().fold(text, |holds, (number, name)| match holds {
                // The innermost is the text itself.
                Holds::Text(text) => Holds::Fields(vec![numbered(*number, name, Holds::Text(text))]),
                holds => Holds::Fields(vec![numbered(*number, name, holds)]),
            });
            let Holds::Fields(fields) = holds else { unreachable!("every place has a field") };
            all.push(What::Status { message: String::new(), detail: Some((kind, fields)) });
        }
    }
    // A kind that nobody knows, by its name.
    all.push(What::Status { message: String::new(), detail: Some(("password=", vec![])) });
    if let Some(What::Status { detail: Some((_, fields)), .. }) = all.last_mut() {
        fields.push(numbered(1, "note", Holds::Text(quote())));
    }
    for (name, before, after) in HEADERS {
        let canary = canaries.next();
        let value = match name {
            "x-note-bin" => base64(format!("password={canary}").as_bytes()),
            _ => format!("{before}{canary}{after}"),
        };
        all.push(What::Header(name, value));
    }
    responses.extend(all.into_iter().map(|what| (Signal::Logs, what)));
    assert_eq!(responses.len(), canaries.0);
    responses
}

/// A status on the wire.
fn status(message: &str, detail: Option<&(&str, Vec<Field>)>) -> Vec<u8> {
    let mut fields =
        vec![numbered(1, "code", Holds::Varint(3)), numbered(2, "message", Holds::Text(message.to_owned()))];
    if let Some((kind, detail)) = detail {
        let any = vec![
            numbered(1, "typeUrl", Holds::Text(format!("type.googleapis.com/google.rpc.{kind}"))),
            numbered(2, "value", Holds::Bytes(tree::wire(detail))),
        ];
        fields.push(numbered(3, "details", Holds::Fields(any)));
    }
    tree::wire(&fields)
}

/// A status in JSON.
fn status_json(message: &str, detail: Option<&(&str, Vec<Field>)>) -> Vec<u8> {
    let mut status = serde_json::json!({"code": 3, "message": message});
    if let Some((kind, detail)) = detail {
        let mut any: serde_json::Value =
            serde_json::from_slice(&tree::json(detail, Style::default())).expect("JSON");
        any["@type"] = format!("type.googleapis.com/google.rpc.{kind}").into();
        status["details"] = serde_json::json!([any]);
    }
    status.to_string().into_bytes()
}

/// An answer as an upstream writes it.
fn reply(manner: Manner, pack: Pack, what: &What) -> Reply {
    let is_packed = pack != Pack::None;
    let of_grpc = |message: Option<Vec<u8>>, said: &[(&str, &str)]| {
        let mut head = vec![("content-type", "application/grpc")];
        if is_packed {
            head.push(("grpc-encoding", pack.name()));
        }
        let body =
            message.map_or(Pieces::default(), |message| Pieces::one(frame(&pack.pack(&message), is_packed)));
        if manner == Manner::GrpcHead && body.is_nothing() {
            return response(200, &[&head[..], said].concat(), body);
        }
        response(200, &head, body.with_trailers(said))
    };
    let of_http = |status: u16, body: Vec<u8>| {
        let content_type = if manner == Manner::Json { "application/json" } else { "application/x-protobuf" };
        let mut head = vec![("content-type", content_type)];
        if is_packed {
            head.push(("content-encoding", pack.name()));
        }
        response(status, &head, Pieces::one(pack.pack(&body)))
    };
    Ok(match (manner, what) {
        (Manner::GrpcHead | Manner::GrpcTrailers, What::Response(fields)) => {
            of_grpc(Some(tree::wire(fields)), &[("grpc-status", "0")])
        }
        (Manner::GrpcHead | Manner::GrpcTrailers, What::Status { message, detail }) => {
            let details = base64(&status(message, detail.as_ref()));
            let mut said = vec![("grpc-status", "3"), ("grpc-status-details-bin", details.as_str())];
            if !message.is_empty() {
                said.push(("grpc-message", message));
            }
            of_grpc(None, &said)
        }
        (Manner::GrpcHead | Manner::GrpcTrailers, What::Header(name, value)) => {
            let said = [("grpc-status", "3"), (*name, value.as_str())];
            let mut reply = of_grpc(None, &said);
            if *name != "grpc-message" {
                reply.headers_mut().extend(map(&[(*name, value.as_str())]));
            }
            reply
        }
        (Manner::Protobuf, What::Response(fields)) => of_http(200, tree::wire(fields)),
        (Manner::Json, What::Response(fields)) => of_http(200, tree::json(fields, Style::default())),
        (Manner::Protobuf, What::Status { message, detail }) => {
            of_http(400, status(message, detail.as_ref()))
        }
        (Manner::Json, What::Status { message, detail }) => {
            of_http(400, status_json(message, detail.as_ref()))
        }
        (Manner::Protobuf | Manner::Json, What::Header(name, value)) => {
            let body = if manner == Manner::Json { status_json("no", None) } else { status("no", None) };
            let mut reply = of_http(400, body);
            reply.headers_mut().extend(map(&[(*name, value.as_str())]));
            reply
        }
    })
}

/// The canaries in all that a client gets.
fn came_back(answer: &Answer) -> BTreeSet<usize> {
    let mut all = vec![answer.all(), answer.details()];
    for (_, value) in answer.headers.iter().chain(&answer.trailers) {
        all.extend(readings(value.as_bytes()));
    }
    if let Ok(json) = serde_json::from_slice(&answer.body) {
        all.extend(readings_of_json(&json));
    }
    canaries(&all)
}

/// Has everything answered over all wires; gives which canaries came back to any client, for each manner and compression.
async fn back(options: &[&str], mut each: impl FnMut(&str, Wire, &What, &Answer)) -> Vec<BTreeSet<usize>> {
    let answers = Arc::new(whats());
    let mut all = Vec::new();
    for manner in Manner::ALL {
        let own = answers.clone();
        let behaviour = answering(move |seen: &Seen| {
            let (pack, at) = seen.header("x-want").split_once(' ').expect("two words");
            let pack = Pack::ALL.into_iter().find(|own| own.name() == pack).expect("a name");
            reply(manner, pack, &own[at.parse::<usize>().expect("a number")].1)
        });
        let stage = Stage::new(manner.spoken(), behaviour, options).await;
        for pack in Pack::ALL {
            let mut here = BTreeSet::new();
            for wire in Wire::ALL {
                let mut client = stage.connect(wire).await;
                for (at, (signal, what)) in answers.iter().enumerate() {
                    let message = clean(wire, *signal, "session is created");
                    let ask = Ask::new(wire, *signal, pack, &message);
                    let ask = ask.with("x-want", &format!("{} {at}", pack.name()));
                    let answer = client.send(&ask).await.expect("an answer");
                    let name = format!("{manner:?} {pack:?} {wire:?} {signal:?} {what:?}");
                    here.extend(came_back(&answer));
                    each(&name, wire, what, &answer);
                }
            }
            all.push(here);
        }
        if options.is_empty() {
            stage.close().await;
        }
    }
    all
}

#[tokio::test]
async fn no_answer_brings_a_canary_back() {
    back(&[], |name, wire, what, answer| {
        assert!(came_back(answer).is_empty() && !is_leak(&answer.all()), "{name}: {answer:?}");
        // And it is the answer that was given.
        assert_eq!(answer.is_taken(wire), matches!(what, What::Response(_)), "{name}: {answer:?}");
        if let What::Response(_) = what {
            assert!(!answer.body.is_empty() && answer.body[..] != *b"{}", "{name}: {answer:?}");
        }
    })
    .await;
}

/// Texts of every field do come back where nothing is looked for, and one of the headers that go on.
#[tokio::test]
async fn without_rules_every_quote_is_seen_by_a_client() {
    let came = back(&BLIND, |_, _, _, _| ()).await;
    assert_eq!(came.len(), 4 * 3);
    for (at, (_, what)) in whats().iter().enumerate() {
        let is_everywhere = match what {
            What::Response(_) | What::Status { .. } => true,
            What::Header(name, _) => *name == "www-authenticate",
        };
        let count = came.iter().filter(|numbers| numbers.contains(&(at + 1))).count();
        assert!(!is_everywhere || count == came.len(), "{count} of {}: {what:?}", came.len());
    }
}
