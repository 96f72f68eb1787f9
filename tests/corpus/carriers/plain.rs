//! Plain text, `key=value` and its kin, logfmt, and ANSI-coloured text.

use super::super::random::Random;
use super::super::slots::prefix;
use super::super::text::{Text, keep};
use super::fields::{Field, fields, message};
use super::{
    Carrier, Fits, Secret, backslashed, bare, bare_keyless, escapable, free, join, kept, mix, one_line,
    quotable,
};

pub(super) const CARRIERS: &[Carrier] = &[
    row("text-start", "text", keyless_one_line, text_start),
    row("text-middle", "text", keyless_one_line, text_middle),
    row("text-end", "text", keyless_one_line, text_end),
    row("text-sentence", "text", bare_keyless, text_sentence),
    row("text-brackets", "text", bare_keyless, text_brackets),
    row("text-quoted", "text", keyless_quotable, text_quoted),
    row("text-after-junk", "text", bare_keyless, text_after_junk),
    row("equals", "k=v", bare, equals),
    row("equals-spaced", "k=v", bare, equals_spaced),
    row("equals-quoted", "k=v", escapable, equals_quoted),
    row("equals-list", "k=v", bare, equals_list),
    row("equals-braces", "k=v", bare, equals_braces),
    row("colon", "k: v", bare, colon),
    row("colon-end", "k: v", colon_end_holds, colon_end),
    row("colon-quoted", "k: v", quotable, colon_quoted),
    row("arrow", "k => v", quotable, arrow),
    row("arrow-bare", "k => v", bare, arrow_bare),
    row("logfmt", "logfmt", one_line, logfmt),
    row("ansi-key", "ansi", bare, ansi_key),
    row("ansi-value", "ansi", bare, ansi_value),
    row("ansi-text", "ansi", bare_keyless, ansi_text),
];

const fn row(
    name: &'static str,
    group: &'static str,
    holds: fn(&Secret, &str) -> bool,
    carry: fn(&mut Random, &Secret) -> Text,
) -> Carrier {
    Carrier { name, group, json: false, holds, carry }
}

fn keyless_one_line(secret: &Secret, shown: &str) -> bool {
    !secret.needs_key && secret.fits != Fits::Header && one_line(secret, shown)
}

fn keyless_quotable(secret: &Secret, shown: &str) -> bool {
    !secret.needs_key && secret.fits != Fits::Header && quotable(secret, shown)
}

/// To the end of the line anything goes, if the key says so or the value is plain.
fn colon_end_holds(secret: &Secret, shown: &str) -> bool {
    secret.fits == Fits::Header
        || bare(secret, shown)
        || (free(secret, shown) && secret.family == "passphrase")
}

/// The front of a line, the text, and nothing else.
fn at_line(random: &mut Random, text: Text) -> Text {
    keep(prefix(random)).then(text)
}

fn text_start(random: &mut Random, secret: &Secret) -> Text {
    let rest =
        random.pick(&[" was rejected by upstream", " is not known here", ": 403 Forbidden", " -> 10.2.0.7"]);
    secret.value.clone().and(rest)
}

fn text_middle(random: &mut Random, secret: &Secret) -> Text {
    let (before, after) = random.pick(&[
        ("received ", " from client"),
        ("cannot use ", " for this zone"),
        ("found ", " in workspace home, skipped"),
        ("handing ", " to worker 3 (of 8)"),
    ]);
    at_line(random, secret.value.clone().within(before, after))
}

fn text_end(random: &mut Random, secret: &Secret) -> Text {
    let before = random.pick(&["starting with ", "giving up on ", "argument was ", "seen before: "]);
    at_line(random, secret.value.clone().within(before, ""))
}

fn text_sentence(random: &mut Random, secret: &Secret) -> Text {
    let after = random.pick(&[".", "!", ", which is wrong.", "; ask an admin.", "?"]);
    at_line(random, secret.value.clone().within("The server did not accept ", after))
}

fn text_brackets(random: &mut Random, secret: &Secret) -> Text {
    let (open, close) = random.pick(&[("[", "]"), ("(", ")"), ("<", ">"), ("{", "}"), ("((", "))")]);
    let text = secret.value.clone().within(open, close);
    at_line(random, text.within("no match for ", " in cache"))
}

fn text_quoted(random: &mut Random, secret: &Secret) -> Text {
    let quote = random.pick(&["\"", "'", "`"]);
    let text = secret.value.clone().within(quote, quote);
    at_line(random, text.within("cannot parse ", " as a number"))
}

/// Behind bytes that are not UTF-8, letters beyond ASCII, tabs and control characters.
fn text_after_junk(random: &mut Random, secret: &Secret) -> Text {
    let (before, after) = random.pick(&[
        ("\u{fffd}\u{fffd} ", " \u{fffd}"),
        ("größe → ", " ✓ fertig"),
        ("\t\u{1}\u{2}\t", "\t\u{0}"),
        ("日志：", "。"),
    ]);
    secret.value.clone().within(before, after)
}

fn pairs(random: &mut Random, low: usize, high: usize, separator: &str) -> Vec<String> {
    fields(random, low, high)
        .into_iter()
        .map(|Field { key, value, .. }| format!("{key}{separator}{value}"))
        .collect()
}

fn equals(random: &mut Random, secret: &Secret) -> Text {
    let pair = secret.value.clone().within(&format!("{}=", secret.spelled(random)), "");
    let neighbours = kept(pairs(random, 0, 3, "="));
    let all = mix(random, neighbours, pair);
    let start = format!("{}: ", message(random));
    at_line(random, join(all, " ").within(&start, ""))
}

fn equals_spaced(random: &mut Random, secret: &Secret) -> Text {
    let (operator, end) = random.pick(&[(" = ", ""), (" := ", ""), ("= ", ""), (" = ", " # from env")]);
    let key = secret.spelled(random);
    at_line(random, secret.value.clone().within(&format!("{key}{operator}"), end))
}

fn equals_quoted(random: &mut Random, secret: &Secret) -> Text {
    let shown = secret.value.shown();
    let quote = if shown.contains(['\'', '\\', '\n']) || random.chance(60) { '"' } else { '\'' };
    let value = backslashed(secret.value.clone(), quote);
    let key = secret.spelled(random);
    let pair = value.within(&format!("{key}={quote}"), &quote.to_string());
    let neighbours = kept(pairs(random, 0, 2, "="));
    let all = mix(random, neighbours, pair);
    at_line(random, join(all, " "))
}

fn equals_list(random: &mut Random, secret: &Secret) -> Text {
    let separator = random.pick(&[", ", "; ", ",", ";", " | "]);
    let pair = secret.value.clone().within(&format!("{}=", secret.spelled(random)), "");
    let neighbours = kept(pairs(random, 1, 3, "="));
    let all = mix(random, neighbours, pair);
    at_line(random, join(all, separator))
}

/// What Java's `toString` and Go's `%+v` print.
fn equals_braces(random: &mut Random, secret: &Secret) -> Text {
    let (open, operator, separator, close) = random.pick(&[
        ("Settings{", "=", ", ", "}"),
        ("Config(", "=", ", ", ")"),
        ("&{", ":", " ", "}"),
        ("Map[", "=", ", ", "]"),
    ]);
    let pair = secret.value.clone().within(&format!("{}{operator}", secret.spelled(random)), "");
    let neighbours = kept(pairs(random, 1, 3, operator));
    let all = mix(random, neighbours, pair);
    at_line(random, join(all, separator).within(open, close))
}

fn colon(random: &mut Random, secret: &Secret) -> Text {
    let after = random.pick(&[", status: 200", " (attempt 2)", "; retrying", " | zone: default"]);
    let key = secret.spelled(random);
    let separator = random.pick(&[": ", ":", ": "]);
    at_line(random, secret.value.clone().within(&format!("{key}{separator}"), after))
}

fn colon_end(random: &mut Random, secret: &Secret) -> Text {
    let key = secret.spelled(random);
    at_line(random, secret.value.clone().within(&format!("{key}: "), ""))
}

fn colon_quoted(random: &mut Random, secret: &Secret) -> Text {
    let quote = random.pick(&["\"", "'"]);
    let key = secret.spelled(random);
    let after = random.pick(&["", ", zone: 'default'", " (attempt 2)"]);
    at_line(random, secret.value.clone().within(&format!("{key}: {quote}"), &format!("{quote}{after}")))
}

fn arrow(random: &mut Random, secret: &Secret) -> Text {
    let key = secret.spelled(random);
    let (open, middle, close) = random.pick(&[
        ("{:", "=>\"", "\", :status=>200}"),
        ("[\"", "\" => \"", "\", \"status\" => 200]"),
        ("'", "' => '", "'"),
    ]);
    at_line(random, secret.value.clone().within(&format!("{open}{key}{middle}"), close))
}

fn arrow_bare(random: &mut Random, secret: &Secret) -> Text {
    let key = secret.spelled(random);
    let (arrow, after) = (random.pick(&[" => ", "=>", " -> "]), random.pick(&["", ", status => 200"]));
    at_line(random, secret.value.clone().within(&format!("{key}{arrow}"), after))
}

fn logfmt(random: &mut Random, secret: &Secret) -> Text {
    let shown = secret.value.shown();
    let plain = shown.chars().all(|c| c > ' ' && !"\"=\\".contains(c));
    let value =
        if plain { secret.value.clone() } else { backslashed(secret.value.clone(), '"').within("\"", "\"") };
    let pair = value.within(&format!("{}=", secret.spelled(random)), "");
    let neighbours = kept(pairs(random, 1, 4, "="));
    let all = mix(random, neighbours, pair);
    let start = format!("time=2026-07-07T10:00:00Z level=info msg=\"{}\" ", message(random));
    join(all, " ").within(&start, "")
}

const COLOURS: &[&str] = &["\x1b[36m", "\x1b[1;31m", "\x1b[33m", "\x1b[38;5;208m"];

/// A coloured key, as zerolog and logrus print it.
fn ansi_key(random: &mut Random, secret: &Secret) -> Text {
    let (colour, key) = (random.pick(COLOURS), secret.spelled(random));
    let before =
        if random.chance(50) { format!("{colour}{key}=\x1b[0m") } else { format!("{colour}{key}\x1b[0m=") };
    let start = format!("\x1b[32mINFO\x1b[0m[0042] {} ", message(random));
    secret.value.clone().within(&before, " \x1b[36mstatus=\x1b[0m200").within(&start, "")
}

fn ansi_value(random: &mut Random, secret: &Secret) -> Text {
    let (colour, key) = (random.pick(COLOURS), secret.spelled(random));
    let separator = random.pick(&["=", ": "]);
    let value = secret.value.clone().within(colour, "\x1b[0m");
    at_line(random, value.within(&format!("{key}{separator}"), ""))
}

fn ansi_text(random: &mut Random, secret: &Secret) -> Text {
    let colour = random.pick(COLOURS);
    let value = secret.value.clone().within(colour, "\x1b[0m");
    at_line(random, value.within("cannot use ", " here"))
}
