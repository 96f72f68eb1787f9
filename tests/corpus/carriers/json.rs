//! JSON in all its disguises: fields, arrays, numbers, escapes, JSON inside JSON strings, name/value pairs.

use super::super::random::Random;
use super::super::slots::line;
use super::super::text::{Text, keep};
use super::fields::{Field, fields, message};
use super::{
    Carrier, Fits, JsonEscape, Secret, Spelling, bare, escapable, free, join, json_string, kept, mix,
    one_line, percent, unicode_escape,
};

pub(super) const CARRIERS: &[Carrier] = &[
    row("json", "json", escapable, json),
    row("json-spaced", "json", escapable, json_spaced),
    row("json-nested", "json", escapable, json_nested),
    row("json-array", "json", escapable, json_array),
    row("json-number", "json", number, json_number),
    row("json-escapes", "json", escapable, json_escapes),
    row("json-message", "json", message_holds, json_message),
    row("json-docker", "json", message_holds, json_docker),
    Carrier { json: false, ..row("json-in-text", "json", escapable, json_in_text) },
    row("json-in-json-1", "json in json", escapable, json_in_json_1),
    row("json-in-json-2", "json in json", escapable, json_in_json_2),
    row("json-in-json-3", "json in json", escapable, json_in_json_3),
    row("json-in-json-4", "json in json", escapable, json_in_json_4),
    row("json-query", "json", query, json_query),
    row("pair-name-first", "pairs", pair_holds, pair_name_first),
    row("pair-value-first", "pairs", pair_holds, pair_value_first),
    row("pair-otlp", "pairs", pair_holds, pair_otlp),
    row("pair-array", "pairs", pair_holds, pair_array),
    row("pair-in-json", "pairs", pair_holds, pair_in_json),
];

const fn row(
    name: &'static str,
    group: &'static str,
    holds: fn(&Secret, &str) -> bool,
    carry: fn(&mut Random, &Secret) -> Text,
) -> Carrier {
    Carrier { name, group, json: true, holds, carry }
}

/// A number that JSON can write and every reader keeps exact.
fn number(secret: &Secret, shown: &str) -> bool {
    free(secret, shown)
        && !shown.starts_with('0')
        && shown.bytes().all(|b| b.is_ascii_digit())
        && shown.len() < 20
}

/// Inside a message the value stands bare behind its key, or by itself if it needs none.
fn message_holds(secret: &Secret, shown: &str) -> bool {
    bare(secret, shown) || (!secret.needs_key && secret.fits == Fits::Prose && one_line(secret, shown))
}

fn query(secret: &Secret, shown: &str) -> bool {
    secret.fits == Fits::Query || (free(secret, shown) && one_line(secret, shown))
}

fn pair_holds(secret: &Secret, shown: &str) -> bool {
    secret.fits != Fits::Prose && escapable(secret, shown)
}

/// Spacing of a JSON writer: after the colon, after the comma.
type Spacing = (&'static str, &'static str);

const COMPACT: Spacing = (":", ",");
const SPACED: Spacing = (": ", ", ");

fn neighbours(random: &mut Random, low: usize, high: usize, (colon, _): Spacing) -> Vec<Text> {
    let members = fields(random, low, high).into_iter().map(|Field { key, value, scalar }| {
        if scalar { format!("\"{key}\"{colon}{value}") } else { format!("\"{key}\"{colon}\"{value}\"") }
    });
    kept(members.collect())
}

/// An object of the member and its neighbours, in random order.
fn object(random: &mut Random, member: Text, spacing: Spacing) -> Text {
    let others = neighbours(random, 1, 4, spacing);
    join(mix(random, others, member), spacing.1).within("{", "}")
}

fn member(random: &mut Random, secret: &Secret, (colon, _): Spacing) -> Text {
    let key = secret.spelled(random);
    json_string(random, secret.value.clone()).within(&format!("\"{key}\"{colon}"), "")
}

fn json(random: &mut Random, secret: &Secret) -> Text {
    let member = member(random, secret, COMPACT);
    object(random, member, COMPACT)
}

fn json_spaced(random: &mut Random, secret: &Secret) -> Text {
    let spacing = random.pick(&[SPACED, (" : ", " , "), (":  ", ", "), (":\t", ",\t")]);
    let member = member(random, secret, spacing);
    object(random, member, spacing)
}

fn json_nested(random: &mut Random, secret: &Secret) -> Text {
    let mut text = json(random, secret);
    for key in ["request", "args", "connection"].iter().take(random.between(1, 3)) {
        text = object(random, text.within(&format!("\"{key}\":"), ""), COMPACT);
    }
    text
}

fn json_array(random: &mut Random, secret: &Secret) -> Text {
    let key = secret.spelled(random);
    let value = json_string(random, secret.value.clone());
    let (open, close) =
        random.pick(&[("[", "]"), ("[ ", " ]"), ("[null,", "]"), ("[\"\", ", "]"), ("[", ",null]")]);
    object(random, value.within(&format!("\"{key}\":{open}"), close), COMPACT)
}

fn json_number(random: &mut Random, secret: &Secret) -> Text {
    let key = secret.spelled(random);
    let spacing = random.pick(&[COMPACT, SPACED]);
    let member = if random.chance(70) {
        secret.value.clone().within(&format!("\"{key}\"{}", spacing.0), "")
    } else {
        secret.value.clone().within(&format!("\"{key}\"{}[null,", spacing.0), "]")
    };
    object(random, member, spacing)
}

/// Letters of key and value as `\uXXXX`, slashes as `\/`.
fn json_escapes(random: &mut Random, secret: &Secret) -> Text {
    let hide = |random: &mut Random, piece: &str, percent: usize| {
        let mut out = String::new();
        for c in piece.chars() {
            match c {
                '/' => out.push_str("\\/"),
                c if random.chance(percent) => unicode_escape(c, &mut out),
                c => out.push_str(&JsonEscape::Least.escape(c.encode_utf8(&mut [0; 4]))),
            }
        }
        out
    };
    let key = secret.spelled(random);
    let key = if random.chance(50) { hide(random, &key, 25) } else { key };
    let percent = random.pick(&[5, 20, 100]);
    let value = secret.value.clone().map(|piece| hide(random, piece, percent));
    object(random, value.within(&format!("\"{key}\":\""), "\""), COMPACT)
}

/// What a message says of the secret: its key and value, or the value alone.
fn spoken(random: &mut Random, secret: &Secret) -> Text {
    let start = message(random);
    if secret.fits == Fits::Prose || (!secret.needs_key && random.chance(50)) {
        return secret.value.clone().within(&format!("{start}: "), "");
    }
    let key = secret.spelled(random);
    let operator = random.pick(&["=", ": ", " = "]);
    let end = random.pick(&["", " (attempt 2)", ", zone=default"]);
    secret.value.clone().within(&format!("{start}: {key}{operator}"), end)
}

fn json_message(random: &mut Random, secret: &Secret) -> Text {
    let spacing = random.pick(&[COMPACT, SPACED]);
    let text = spoken(random, secret);
    let member = json_string(random, text).within(&format!("\"message\"{}", spacing.0), "");
    object(random, member, spacing)
}

/// A line as Docker's json-file driver keeps it.
fn json_docker(random: &mut Random, secret: &Secret) -> Text {
    let text = spoken(random, secret).and("\n");
    let end = line(random, ",\"stream\":\"stderr\",\"time\":\"~cri~\"}");
    json_string(random, text).within("{\"log\":", &end)
}

fn json_in_text(random: &mut Random, secret: &Secret) -> Text {
    let start = line(random, "~py~ [DEBUG] client_api_server: request body: ");
    let end = random.pick(&["", " (200)", " took 12 ms"]);
    json_spaced(random, secret).within(&start, end)
}

fn json_in_json(random: &mut Random, secret: &Secret, depth: usize) -> Text {
    let mut text = json(random, secret);
    for key in ["data", "body", "payload", "message"].iter().rev().take(depth) {
        let string = json_string(random, text).within(&format!("\"{key}\":"), "");
        text = object(random, string, COMPACT);
    }
    text
}

fn json_in_json_1(random: &mut Random, secret: &Secret) -> Text {
    json_in_json(random, secret, 1)
}

fn json_in_json_2(random: &mut Random, secret: &Secret) -> Text {
    json_in_json(random, secret, 2)
}

fn json_in_json_3(random: &mut Random, secret: &Secret) -> Text {
    json_in_json(random, secret, 3)
}

fn json_in_json_4(random: &mut Random, secret: &Secret) -> Text {
    json_in_json(random, secret, 4)
}

/// nginx's JSON access log: the query stands in `request` and again in `query_string`.
fn json_query(random: &mut Random, secret: &Secret) -> Text {
    let value = secret.value.clone().map(|piece| percent(piece, false));
    let query = value.within(&format!("{}=", Spelling::Snake.spell(&secret.key)), "&zone=default");
    let start = line(
        random,
        "{\"body_bytes_sent\": \"~n~\",\"upstream_response_time\": \"0.0~d2~\",\"request\":\"GET /api/kasm_connect?",
    );
    let end = line(random, "\",\"upstream_response_time\": \"0.0~d2~\",\"request_id\": \"~h32~\"}");
    query.clone().within(&start, " HTTP/1.1\",\"query_string\": \"").then(query).and(&end)
}

/// The two words that name a pair's halves.
const PAIR_WORDS: &[(&str, &str)] =
    &[("name", "value"), ("key", "value"), ("Name", "Value"), ("field", "value")];

fn pair_key(random: &mut Random, secret: &Secret) -> String {
    if random.chance(50) && secret.fits != Fits::Header {
        return Spelling::Upper.spell(&secret.key);
    }
    secret.spelled(random)
}

fn pair_name_first(random: &mut Random, secret: &Secret) -> Text {
    let ((name, value), key) = (random.pick(PAIR_WORDS), pair_key(random, secret));
    let (colon, comma) = random.pick(&[COMPACT, SPACED]);
    let between = random.pick(&["", "\"type\":\"text\","]);
    let text = json_string(random, secret.value.clone());
    let pair = text.within(&format!("{{\"{name}\"{colon}\"{key}\"{comma}{between}\"{value}\"{colon}"), "}");
    pair.within("{\"env\":[{\"name\":\"TZ\",\"value\":\"UTC\"},", "]}")
}

fn pair_value_first(random: &mut Random, secret: &Secret) -> Text {
    let ((name, value), key) = (random.pick(PAIR_WORDS), pair_key(random, secret));
    let (colon, comma) = random.pick(&[COMPACT, SPACED]);
    let text = json_string(random, secret.value.clone());
    let pair = text.within(&format!("{{\"{value}\"{colon}"), &format!("{comma}\"{name}\"{colon}\"{key}\"}}"));
    pair.within("{\"env\":[{\"value\":\"UTC\",\"name\":\"TZ\"},", "]}")
}

/// An attribute as the Collector's debug and file exporters write it.
fn pair_otlp(random: &mut Random, secret: &Secret) -> Text {
    let key = pair_key(random, secret);
    let id = line(random, "~h32~");
    let text = json_string(random, secret.value.clone());
    let pair = text.within(&format!("{{\"key\":\"{key}\",\"value\":{{\"stringValue\":"), "}}");
    pair.within(
        "{\"attributes\":[{\"key\":\"kasm.workspace\",\"value\":{\"stringValue\":\"desktop\"}},",
        &format!("],\"traceId\":\"{id}\"}}"),
    )
}

/// A list of two-element lists, as header dumps have it.
fn pair_array(random: &mut Random, secret: &Secret) -> Text {
    let key = pair_key(random, secret);
    let text = json_string(random, secret.value.clone());
    text.within(
        &format!("{{\"headers\":[[\"Accept\",\"*/*\"],[\"{key}\","),
        "],[\"Host\",\"kasm.internal\"]]}",
    )
}

fn pair_in_json(random: &mut Random, secret: &Secret) -> Text {
    let pair =
        if random.chance(50) { pair_name_first(random, secret) } else { pair_value_first(random, secret) };
    let string = json_string(random, pair).within("\"body\":", "");
    keep("{\"level\":\"debug\",").then(string).and("}")
}
