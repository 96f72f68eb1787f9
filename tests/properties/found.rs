//! What the properties have found, as the smallest inputs that showed it.

use kasm_scrub::Sanitizer;
use serde_json::Value;

use super::regressions::checks;
use super::{DEFAULT, STRICT, clean, show};

/// Neither word of the value may survive.
fn gone(line: &str) {
    let out = clean(&DEFAULT, line.as_bytes());
    assert!(!out.windows(8).any(|window| window == b"Q7AAAAAA"), "{line} became {}", show(&out));
}

fn stable(text: &str) {
    stable_with(&DEFAULT, text);
}

fn strict_is_stable(text: &str) {
    stable_with(&STRICT, text);
}

fn stable_with(sanitizer: &Sanitizer, text: &str) {
    let once = clean(sanitizer, text.as_bytes());
    assert_eq!(show(&clean(sanitizer, &once)), show(&once), "{text}");
}

fn keeps_shape(text: &str) {
    let result = checks::json(&DEFAULT, text.as_bytes());
    assert!(result.is_ok(), "{text}: {result:?}");
}

/// A document inside a document's `message` is still one.
fn keeps_inner(inner: &str) {
    let text = serde_json::json!({ "message": inner }).to_string();
    let out: Value = serde_json::from_slice(&clean(&DEFAULT, text.as_bytes())).expect("a document came out");
    let inner = out["message"].as_str().expect("a string");
    assert!(serde_json::from_str::<Value>(inner).is_ok(), "{text} became {out}");
}

#[test]
fn what_stands_on_another_view_of_a_line_hides_no_key() {
    gone("password\":aaaaaaacorrect horse battery staple123456\u{e4}%70assword%3DQ7AAAAAAAA");
    gone(r#"{"_":"\"Cookie': '=a\"","password":"Q7AAAAAAAA"}"#);
    gone("\u{1b}[://u:Q7AAAAAAAA@h+sid=abcDEF123456; Path=/; HttpOnly");
    stable(
        "\u{1b}[eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLXRoYXQtaXMtZGVhZA: [kasm_api]",
    );
}

#[test]
fn a_value_that_is_a_line_end_is_none() {
    stable("Authorization=\r2026-03-01T12:00:00.123Z ");
}

#[test]
fn brackets_at_both_ends_make_no_document() {
    gone(
        "[2026-11-20 16:54:23] [c 987] running ['agent', '--user-pass', 'nwh Q7AAAAAAAA', '--zone', 'default']",
    );
}

#[test]
fn what_follows_a_cookie_that_was_cleaned_is_none() {
    stable("Cookie=Basic YWRtaW46aHVudGVyMg==0Basic YWRtaW46aHVudGVyMg==");
    strict_is_stable("Cookie=Bearer abcDEF123456ghiJKL789status=200 status=200 ");
}

#[test]
fn a_line_of_a_key_that_was_cleaned_has_no_body() {
    stable(
        "-----BEGIN PRIVATE KEY-----\n\
         MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKjX-Api-KeyBearer abcDEF123456ghiJKL789\n",
    );
}

#[test]
fn marks_in_a_pair_s_value_are_no_structure() {
    gone(r#"{"value":"Q7AAAAAAAA<Q7AAAAAAAA","name":"password"}"#);
    gone(r#"{"value":"Q7AAAAAAAA{Q7AAAAAAAA","name":"password"}"#);
    gone(r#"{"name":"password","x":"a}b","value":"Q7AAAAAAAA"}"#);
    gone(r#"{"value":"Q7AAAAAAAA{}Q7AAAAAAAA","name":"password"}"#);
    gone(r#"{"name":"password","x":{},"y":{"z":1},"value":"Q7AAAAAAAA"}"#);
}

#[test]
fn encoded_marks_do_not_end_a_value() {
    gone("/login?p%61ssword=Q7AAAAAAAA%20Q7AAAAAAAA");
    gone("/login?p%61ssword=Q7AAAAAAAA%3CQ7AAAAAAAA");
    gone("/login?p%61ssword=Q7AAAAAAAA%26Q7AAAAAAAA");
    gone("/login?p%2561ssword=Q7AAAAAAAA%2526Q7AAAAAAAA&next=/");
    gone("\u{1b}[32mINFO\u{1b}[0m /login?p%61ssword=Q7AAAAAAAA%27Q7AAAAAAAA");
    gone("\u{1b}[32mINFO\u{1b}[0m GET /login?user=x&password=Q7AAAAAAAA%3CQ7AAAAAAAA HTTP/1.1");
}

#[test]
fn a_marker_is_an_edge_to_its_neighbours_from_the_start() {
    stable(
        "AKIAIOSFODNN7EXAMPLEeyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLXRoYXQtaXMtZGVhZA",
    );
    stable(
        "jane.doe@example.comeyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLXRoYXQtaXMtZGVhZA",
    );
    stable("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJlLXRoYXQtaXMtZGVhZA+14155552671");
    stable("jane.doe@example.com--password hunter2 ");
    strict_is_stable(
        r#"password': '":"': 'Digest username="u", response="6629fae49393a05397450978507c4ef1""#,
    );
    stable("postgres://kasm:hunter2@db:5432/kasmpassword:password('password', 'hunter2')");
    stable("session_token\\n=passwd=\"status=200 ");
    stable("postgres://kasm:hunter2@db:5432/kasmpassword:[\":\"");
    stable("://u:p@h[REDACTED:password]password=@");
    stable("://u:p@h[email:k1:0123456789abcdef01234567]jane.doe@example.comtoken");
    strict_is_stable("\u{1b}hvs.AAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAA2026-03-01T12:00:00.123Z ");
    strict_is_stable("postgres://kasm:hunter2@db:5432/kasmDB_PASSWORD:Bearer abcDEF123456ghiJKL789");
    strict_is_stable("Authorization=apiKeyssn 078-05-1120hunter2");
    strict_is_stable(r#"client_secret=":"Digest username="u", response="6629fae49393a05397450978507c4ef1""#);
    strict_is_stable(concat!(
        "%70assword%3Dhunter2;MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj",
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\\a[REDACTED:password]"
    ));
    stable("md: map[authorization:[Bearer abcDEF123456ghiJKL789] user-agent:[grpc-go/1.60.1]]");
    strict_is_stable(
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKjSet-Cookie\\n2026-03-01T12:00:00Z =a",
    );
    stable("hvs.AAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAsid=abcDEF123456; Path=/; HttpOnly");
}

#[test]
fn a_value_ends_with_the_string_it_is_in() {
    keeps_shape(r#"{"password":[null,null]}"#);
    keeps_shape(r#"{"password":["\"\u001b[\""],"Password":null}"#);
    keeps_shape(r#"{"password":{"Cookie":"password=(","x\ty":null}}"#);
    keeps_shape(r#"{"password":{"Cookie":",4111111111111111,"}}"#);
    keeps_shape(r#"{"password":{"password":"password': '","Password":null}}"#);
    keeps_shape(r#"{"password":{"password":{"password":"Cookie': '"},"Password":"=x","passwd":null}}"#);
    keeps_inner(r#"{"password":[{},null]}"#);
    keeps_inner(r#"{"password":{"password":["\\",0]}}"#);
    keeps_inner(r#"{"password":["=%22"],"Password":null}"#);
    keeps_inner(r#"{"password":{"password":"p%61ssword': '"}}"#);
    keeps_inner(r#"{"password":{"password":"session_token\\n"}}"#);
}

#[test]
fn a_key_inside_what_is_cut_off_has_its_value() {
    gone(r#"{"Cookie":"--password","Password":[null,"Q7AAAAAAAA"]}"#);
    gone(r#"{"_":"<password>Q7AAAAAAAA", "Password": null}"#);
    stable("session_token\\n\":\"%70assword%3Dhunter2");
    // A quote of the list that is gone with what is found in it.
    stable("sid: [ ` +sid:Dead0001`JMJ] [ ` -gQQKE");
}

#[test]
fn characters_stay_whole() {
    keeps_inner(
        "{\"password\":[\"\\\\u0022\"],\"P\":{\"password\":{\"password\":\"\\\\'\"},\"a\":\"' #\u{d85}\"}}",
    );
}

#[test]
fn an_object_in_an_array_speaks_for_itself() {
    let out = clean(&DEFAULT, br#"{"api_key":[null,{"s":null,"password":-1000000000000}]}"#);
    assert_eq!(show(&out), show(br#"{"api_key":[null,{"s":null,"password":"[REDACTED:password]"}]}"#));
    let text = br#"{"password":{"_":["<password>",null]}}"#;
    assert_eq!(show(&clean(&DEFAULT, text)), show(text));
}

#[test]
fn an_escape_between_a_key_and_its_value_hides_neither() {
    gone(r"cmd --password \n Q7AAAAAA");
    gone(r"run --token\tQ7AAAAAA");
    gone(r"run --pass\u0020Q7AAAAAA");
    gone(r#"{"m":"Password\uff1a Q7AAAAAA1"}"#);
    gone(r#"x "Admin Password\uff1a\"Q7AAAAAA1\"""#);
    gone(r"samba lm password\0=>Q7AAAAAA");
    gone(r"password\v=\fQ7AAAAAA");
    gone(r#"{"m":"{\"password\"\t:\"Q7AAAAAA\"}"}"#);
    gone(r#"{"m":"{\"password\":\r\n  \"Q7AAAAAA\"}"}"#);
    gone(r#"{"m":"{\"password\" \t: \n\"Q7AAAAAA\"}"}"#);
    gone(r#"{"m":"{\\\"password\\\"\\n:\\t\\\"Q7AAAAAA\\\"}"}"#);
}
