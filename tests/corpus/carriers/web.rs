//! What HTTP carries: query strings, referers, form bodies, header dumps, Basic credentials.

use super::super::checksum::base64;
use super::super::random::Random;
use super::super::slots::line;
use super::super::text::{Text, encoded_secret, keep};
use super::{
    Carrier, Fits, Secret, Spelling, backslashed, bare, escapable, free, json_string, one_line, python_repr,
};

pub(super) const CARRIERS: &[Carrier] = &[
    row("query-nginx", "query", query, query_nginx),
    row("query-cherrypy", "query", query, query_cherrypy),
    row("query-url", "query", query, query_url),
    row("query-twice", "query", query, query_twice),
    row("query-fragment", "query", query, query_fragment),
    row("referer", "query", query, referer),
    row("form", "query", query, form),
    row("header-curl", "headers", header, header_curl),
    row("header-lines", "headers", header, header_lines),
    row("header-flag", "headers", header_quotable, header_flag),
    row("header-python", "headers", header, header_python),
    Carrier { json: true, ..row("header-json", "headers", header, header_json) },
    Carrier { json: true, ..row("header-json-list", "headers", header, header_json_list) },
    row("basic-header", "basic", credential, basic_header),
    Carrier { json: true, ..row("basic-json", "basic", credential, basic_json) },
    row("basic-curl", "basic", credential, basic_curl),
];

const fn row(
    name: &'static str,
    group: &'static str,
    holds: fn(&Secret, &str) -> bool,
    carry: fn(&mut Random, &Secret) -> Text,
) -> Carrier {
    Carrier { name, group, json: false, holds, carry }
}

fn query(secret: &Secret, shown: &str) -> bool {
    secret.fits == Fits::Query || (free(secret, shown) && !shown.contains(['\n', '\r']))
}

/// Header values are ASCII on one line; passwords and numbers go in headers of their key's name.
fn header(secret: &Secret, shown: &str) -> bool {
    match secret.fits {
        Fits::Header => one_line(secret, shown),
        Fits::Bearer => true,
        Fits::Any => secret.needs_key && bare(secret, shown),
        Fits::Query | Fits::Prose => false,
    }
}

fn header_quotable(secret: &Secret, shown: &str) -> bool {
    header(secret, shown) && !shown.contains(['"', '\'', '$', '!', '`'])
}

/// What people put behind a user name: passwords and tokens.
fn credential(secret: &Secret, shown: &str) -> bool {
    free(secret, shown)
        && secret.value.is_one_secret()
        && shown.len() < 300
        && escapable(secret, shown)
        && (secret.fits == Fits::Bearer || secret.key.contains("pass"))
}

/// Percent-encoding of all but unreserved characters; a space as `+` where that is wanted.
pub(crate) fn percent(text: &str, plus: bool) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b' ' if plus => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// `key=value` between harmless parameters, encoded as browsers or forms do.
fn parameters(random: &mut Random, secret: &Secret) -> Text {
    let plus = random.chance(30);
    let key = match (secret.fits, random.below(10)) {
        (Fits::Query, _) => secret.key.clone(),
        (_, 0..=4) => Spelling::Snake.spell(&secret.key),
        (_, 5..=7) => Spelling::Camel.spell(&secret.key),
        (_, 8) => Spelling::Kebab.spell(&secret.key),
        _ => {
            // A letter of the key hidden: `%70assword`.
            let key = Spelling::Snake.spell(&secret.key);
            format!("%{:02X}{}", key.as_bytes()[0], &key[1..])
        }
    };
    let lower = random.chance(20);
    let value = secret.value.clone().map(|piece| {
        let encoded = percent(piece, plus);
        if lower { lower_escapes(&encoded) } else { encoded }
    });
    let pair = value.within(&format!("{key}="), "");
    let id = line(random, "kasm_id=~uuid~");
    let before = random.pick(&["", "zone=default&", "video_quality=2&autoconnect=1&", "page=3&sort=asc&"]);
    let after = random.pick(&["", "", "&zone=default", "&path=desktop%2Fvnc&resize=remote"]);
    let before = if random.chance(30) { format!("{id}&{before}") } else { before.to_owned() };
    pair.within(&before, after)
}

fn lower_escapes(encoded: &str) -> String {
    let mut out = String::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        out.push_str(&rest[at..at + 3].to_ascii_lowercase());
        rest = &rest[at + 3..];
    }
    out + rest
}

fn query_nginx(random: &mut Random, secret: &Secret) -> Text {
    let start = line(random, "~ip~ - - [~clf~] \"POST /api/kasm_session_log?");
    let end = line(random, " HTTP/1.1\" 200 ~n~ \"-\" \"curl/7.68.0\" \"~ip~\"");
    parameters(random, secret).within(&start, &end)
}

fn query_cherrypy(random: &mut Random, secret: &Secret) -> Text {
    let start = line(
        random,
        "~py~ [INFO] cherrypy.access.1~d14~: ~ip~ - - [~cherry~] \"GET /api/set_kasm_session_status?",
    );
    parameters(random, secret).within(&start, " HTTP/1.1\" 200 - \"\" \"curl/7.68.0\"")
}

fn query_url(random: &mut Random, secret: &Secret) -> Text {
    let start = line(
        random,
        "~py~ [DEBUG] __main__.handler: Sending manager request (https://proxy:443/manager_api/api/v1/heartbeat?",
    );
    parameters(random, secret).within(&start, ")")
}

/// A URL inside a parameter: the secret's parameter is encoded twice over.
fn query_twice(random: &mut Random, secret: &Secret) -> Text {
    let inner = parameters(random, secret).within("/desktop?", "");
    let inner = inner.map(|piece| percent(piece, false));
    let start = line(random, "~ip~ - - [~clf~] \"GET /login?next=");
    inner.within(&start, "&lang=en HTTP/1.1\" 302 0 \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\"")
}

fn query_fragment(random: &mut Random, secret: &Secret) -> Text {
    let start = line(random, "~iso~ redirect to https://~host~/callback#");
    parameters(random, secret).within(&start, "")
}

fn referer(random: &mut Random, secret: &Secret) -> Text {
    let start = line(
        random,
        "~ip~ - - [~clf~] \"GET /desktop/~uuid~/vnc/app.js HTTP/1.1\" 200 ~n~ \"https://~host~/desktop/vnc.html?",
    );
    parameters(random, secret).within(&start, "\" \"Mozilla/5.0 (Windows NT 10.0; Win64; x64)\" \"-\"")
}

fn form(random: &mut Random, secret: &Secret) -> Text {
    let start = random.pick(&["body: ", "Request Payload: ", "DEBUG urllib3 send: b'", ""]);
    let end = if start.ends_with('\'') { "'" } else { "" };
    parameters(random, secret).within(start, end)
}

fn header_curl(random: &mut Random, secret: &Secret) -> Text {
    let (name, value) = secret.as_header(random);
    let mark = if secret.key == "Set-Cookie" { "< " } else { "> " };
    value.within(&format!("{mark}{name}: "), "")
}

/// A request or response as sent.
fn header_lines(random: &mut Random, secret: &Secret) -> Text {
    let (name, value) = secret.as_header(random);
    let end = random.pick(&["\r\n", "\n"]);
    let top = if secret.key == "Set-Cookie" { "HTTP/1.1 200 OK" } else { "GET /api/kasms HTTP/1.1" };
    let start = format!("{top}{end}Accept: */*{end}{name}: ");
    value.within(&start, &format!("{end}Content-Length: 12{end}"))
}

fn header_flag(random: &mut Random, secret: &Secret) -> Text {
    let (name, value) = secret.as_header(random);
    let (flag, quote) = (random.pick(&["-H", "--header"]), random.pick(&["\"", "'"]));
    let text = value.within(&format!("{name}: "), "");
    text.within(&format!("+ curl -sS {flag} {quote}"), &format!("{quote} https://proxy:443/api/kasms"))
}

fn header_python(random: &mut Random, secret: &Secret) -> Text {
    let (name, value) = secret.as_header(random);
    let start =
        line(random, &format!("~py~ [DEBUG] __main__.handler: headers {{'Accept': '*/*', '{name}': "));
    python_repr(value, random.chance(20)).within(&start, ", 'Content-Length': '12'}")
}

fn header_json(random: &mut Random, secret: &Secret) -> Text {
    let (name, value) = secret.as_header(random);
    let value = json_string(random, value);
    value.within(
        &format!("{{\"headers\":{{\"accept\":\"*/*\",\"{name}\":"),
        ",\"content-length\":\"12\"},\"status\":200}",
    )
}

fn header_json_list(random: &mut Random, secret: &Secret) -> Text {
    let (name, value) = secret.as_header(random);
    let value = json_string(random, value);
    value.within(&format!("{{\"request\":{{\"headers\":{{\"{name}\":["), "],\"Accept\":[\"*/*\"]}}}")
}

/// `user:value` in base64: one secret, whatever stands in it.
fn basic(random: &mut Random, secret: &Secret) -> Text {
    let (user, value) = (random.pick(&["kasm_user", "admin", "svc-agent"]), secret.value.shown());
    encoded_secret(base64(format!("{user}:{value}").as_bytes()), &[&value]).within("Basic ", "")
}

fn basic_header(random: &mut Random, secret: &Secret) -> Text {
    let name = random.pick(&["Authorization", "authorization", "Proxy-Authorization"]);
    let (before, after) = random.pick(&[("> ", ""), ("", ""), ("upstream header: \"", "\"")]);
    basic(random, secret).within(&format!("{before}{name}: "), after)
}

fn basic_json(random: &mut Random, secret: &Secret) -> Text {
    let text = basic(random, secret);
    let name = random.pick(&["Authorization", "authorization"]);
    json_string(random, text).within(&format!("{{\"headers\":{{\"{name}\":"), "},\"status\":401}")
}

fn basic_curl(random: &mut Random, secret: &Secret) -> Text {
    let text = backslashed(basic(random, secret), '"');
    keep("+ curl -H \"Authorization: ").then(text).and("\" https://proxy:443/api/kasms")
}
