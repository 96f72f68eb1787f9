//! What the fuzz targets check; `tests/properties` checks the same on its own inputs and on saved ones.
//!
//! A check returns what was wrong, in words; it never panics by itself, so a panic is always the engine's.

use std::sync::Arc;

use kasm_scrub::audit::{self as trail, Verifier, Wanted};
use kasm_scrub::learned::{Learned, Named};
use kasm_scrub::otlp::{self, Answer, Encoding, Malformed, Policy, Refused, Scrubbed, Signal};
use kasm_scrub::rules::anchor::{Anchor, Reach};
use kasm_scrub::rules::byte_set::ByteSet;
use kasm_scrub::sanitize::{Key, Parts};
use kasm_scrub::scan::{Format, Hit, Prefilter};
use kasm_scrub::{RuleFile, Ruleset, Sanitizer, Scrubber, Work};
use serde_json::Value;

/// `text` as it comes out, cut at these places (in any order, beyond the end taken as the end).
fn clean(sanitizer: &Sanitizer, text: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut cuts: Vec<usize> = cuts.iter().map(|&cut| cut.min(text.len())).collect();
    cuts.sort_unstable();
    let mut out = Vec::new();
    let mut scrubber = Scrubber::new(sanitizer);
    let mut from = 0;
    for cut in cuts {
        scrubber.push(&text[from..cut], &mut out);
        from = cut;
    }
    scrubber.push(&text[from..], &mut out);
    scrubber.finish(&mut out);
    out
}

/// Cuts change nothing, and twice is once.
/// # Errors
/// Which of the two did not hold.
pub(crate) fn stream(sanitizer: &Sanitizer, text: &[u8], cuts: &[usize]) -> Result<(), String> {
    let whole = clean(sanitizer, text, &[]);
    if clean(sanitizer, text, cuts) != whole {
        return Err(format!("other bytes came out when cut at {cuts:?}"));
    }
    if clean(sanitizer, &whole, &[]) != whole {
        return Err("cleaning twice is not cleaning once".to_owned());
    }
    Ok(())
}

/// What stands for a learned value.
const MARKER: &[u8] = b"[REDACTED:learned-secret]";

/// A line of values to learn, and a text: what was learned is not in what comes out, as it is or spelled in ways that logs
/// have, and the rest is as with any stream.
/// # Errors
/// What came out, in words.
pub(crate) fn learned(input: &[u8], cuts: &[usize]) -> Result<(), String> {
    let (values, text) = input.split_at(position_of(b'\n', input).unwrap_or(input.len()));
    let values: Vec<&[u8]> = values.split(|&byte| byte == b'\t').take(4).collect();
    let named = values.iter().map(|value| Named { name: "value".to_owned(), value: value.to_vec().into() });
    let learned = Learned::new(named, 8);
    let is_whole = learned.refused().is_empty();
    let mut rules = Ruleset::default();
    rules.add_learned();
    let parts = Parts { rules, learned: Some(learned), format: Format::Text, ..Parts::default() };
    let sanitizer = Sanitizer::new(parts).map_err(|error| error.to_string())?;
    stream(&sanitizer, text, cuts)?;
    // A value may be a part of the marker, too.
    let is_of_marker =
        |value: &[u8]| value.is_empty() || MARKER.windows(value.len()).any(|part| part == value);
    let told = |value: &&&[u8]| !value.contains(&b'[') && !value.contains(&b']') && !is_of_marker(value);
    for value in values.iter().filter(|value| is_whole && told(value)) {
        let percent: String = value.iter().map(|byte| format!("%{byte:02x}")).collect();
        let quoted = Value::String(String::from_utf8_lossy(value).into_owned()).to_string();
        let is_text = std::str::from_utf8(value).is_ok();
        let spellings = [&value[..], percent.as_bytes(), quoted.as_bytes()];
        for spelling in spellings.iter().take(if is_text { 3 } else { 2 }) {
            let out = clean(&sanitizer, &[text, b" ~", spelling, b"~ "].concat(), cuts);
            let inner =
                spelling.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(spelling);
            if out.windows(inner.len()).any(|part| part == inner) {
                return Err("a learned value came out".to_owned());
            }
        }
    }
    Ok(())
}

fn position_of(byte: u8, text: &[u8]) -> Option<usize> {
    text.iter().position(|&other| other == byte)
}

/// A document stays one, with its keys and its shape. What is no document on one line is not looked at.
/// # Errors
/// Where it changed.
pub(crate) fn json(sanitizer: &Sanitizer, text: &[u8]) -> Result<(), String> {
    let text = text.trim_ascii();
    let Ok(before @ (Value::Object(_) | Value::Array(_))) = serde_json::from_slice::<Value>(text) else {
        return Ok(());
    };
    if text.contains(&b'\n') {
        return Ok(());
    }
    let out = clean(sanitizer, text, &[]);
    let after =
        serde_json::from_slice::<Value>(&out).map_err(|error| format!("no document came out: {error}"))?;
    same_shape(sanitizer, &before, &after)
}

fn same_shape(sanitizer: &Sanitizer, before: &Value, after: &Value) -> Result<(), String> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            // Two keys that are secrets may become one.
            let are_clean = before.keys().all(|key| is_clean(sanitizer, key));
            if !are_clean {
                return Ok(());
            }
            if !before.keys().eq(after.keys()) {
                return Err("the keys of an object changed".to_owned());
            }
            before
                .values()
                .zip(after.values())
                .try_for_each(|(before, after)| same_shape(sanitizer, before, after))
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            before.iter().zip(after).try_for_each(|(before, after)| same_shape(sanitizer, before, after))
        }
        (before, after) if before == after => Ok(()),
        (Value::Object(_) | Value::Array(_), _) => Err("an object or array became something else".to_owned()),
        (_, Value::String(text)) if text.contains("REDACTED:") => Ok(()),
        (_, _) => Err("a scalar changed that is not redacted".to_owned()),
    }
}

/// Whether a key has nothing in it that is secret by its shape, with its slashes as they are and escaped.
fn is_clean(sanitizer: &Sanitizer, key: &str) -> bool {
    let quoted = Value::String(key.to_owned()).to_string();
    let mut work = Work::default();
    let mut is_left = |text: &str| {
        matches!(sanitizer.clean(Key::None, text.as_bytes(), &mut work), std::borrow::Cow::Borrowed(_))
    };
    is_left(&quoted) && is_left(&quoted.replace('/', "\\/"))
}

/// A rule file loads or is refused; what loads can scan. A mistake is a panic.
pub(crate) fn rules(file: &str, text: &[u8]) {
    let Ok(rules) = Ruleset::load(false, &[RuleFile { name: "fuzz.toml", text: file }]) else { return };
    if let Ok(sanitizer) = Sanitizer::new(Parts { rules, ..Parts::default() }) {
        let mut work = Work::default();
        sanitizer.scan_block(text, &mut work);
        let _ = clean(&sanitizer, text, &[text.len() / 2]);
    }
}

/// The anchors that the first bytes of `input` spell, and the rest of it: a byte for how many, then for each anchor one that
/// says how many sets it has and whether something is asked of what is in front of it or behind, and one for each set.
fn anchors(mut input: &[u8]) -> (Vec<Anchor>, &[u8]) {
    let mut next = || {
        let (&byte, rest) = input.split_first()?;
        input = rest;
        Some(byte)
    };
    let letters = ByteSet::NONE.with_range(b'a', b'z').with_range(b'A', b'Z');
    let digits = ByteSet::NONE.with_range(b'0', b'9');
    let kinds = [
        letters,
        digits,
        letters.union(digits),
        letters.union(digits).with(b'_').with(b'-'),
        letters.complement(),
        ByteSet::of_each(b"=:\"' "),
        ByteSet::of_each(b"\n\r"),
        ByteSet::ANY,
    ];
    // A byte beyond ASCII is a kind of bytes, a capital is a letter in either case, any other stands for itself.
    let set = |byte: u8| match byte {
        0x80.. => kinds[usize::from(byte) % kinds.len()],
        b'A'..=b'Z' => ByteSet::caseless(byte),
        _ => ByteSet::of(byte),
    };
    let mut all = Vec::new();
    for _ in 0..next().unwrap_or(0) % 16 {
        let Some(shape) = next() else { break };
        let sets: Vec<ByteSet> = (0..=shape % 16).map_while(|_| next()).map(set).collect();
        if sets.is_empty() {
            break;
        }
        let mut one = Anchor::new(sets);
        if shape & 0x10 != 0 {
            one.before = Some(letters.union(digits).complement());
        }
        if shape & 0x20 != 0 {
            one.reach = Some(Box::new(Reach::new(letters.union(digits), ByteSet::of(b'.'))));
        }
        all.push(one);
    }
    (all, input)
}

/// What every reader of text finds is what comparing each anchor at each byte finds.
/// # Errors
/// Which reader found something else.
pub(crate) fn prefilter(input: &[u8]) -> Result<(), String> {
    let (anchors, text) = anchors(input);
    let prefilter = Prefilter::new(anchors.iter().map(Anchor::as_ref).collect());
    let count = prefilter.anchors().count() as u32;
    let places = (0..text.len()).flat_map(|at| (0..count).map(move |anchor| Hit { at, anchor }));
    let want: Vec<Hit> = places.filter(|hit| prefilter.stands_at(hit.anchor, text, hit.at)).collect();
    match prefilter.scan_in_each_way(text).into_iter().find(|(_, hits)| *hits != want) {
        Some((reader, hits)) => Err(format!("{reader} found {hits:?}, not {want:?}")),
        None => Ok(()),
    }
}

/// A request has one outcome, whatever was seen before it, and what comes out is clean.
/// # Errors
/// What was wrong.
pub(crate) fn otlp(sanitizer: &Arc<Sanitizer>, signal: u8, is_json: bool, body: &[u8]) -> Result<(), String> {
    let signal = [Signal::Traces, Signal::Logs, Signal::Metrics][usize::from(signal) % 3];
    let encoding = if is_json { Encoding::Json } else { Encoding::Protobuf };
    let mut scrubber = otlp::Scrubber::new(sanitizer.clone(), Policy::default());
    let first = scrubber.scrub(signal, encoding, body);
    for _ in 0..3 {
        if scrubber.scrub(signal, encoding, body) != first {
            return Err("what was seen before changed the outcome".to_owned());
        }
    }
    let Ok(Scrubbed::Changed(changed)) = first else { return Ok(()) };
    match scrubber.scrub(signal, encoding, &changed.body) {
        Ok(Scrubbed::Clean) => Ok(()),
        other => Err(format!("what came out is not clean: {other:?}")),
    }
}

/// An answer has one outcome, what comes out is clean, and what can be read on the wire can be written in JSON.
/// # Errors
/// What was wrong.
pub(crate) fn answer(
    sanitizer: &Arc<Sanitizer>,
    which: u8,
    is_json: bool,
    body: &[u8],
) -> Result<(), String> {
    let answer = match which % 4 {
        0 => Answer::Export(Signal::Traces),
        1 => Answer::Export(Signal::Logs),
        2 => Answer::Export(Signal::Metrics),
        _ => Answer::Status,
    };
    let encoding = if is_json { Encoding::Json } else { Encoding::Protobuf };
    let mut scrubber = otlp::Scrubber::new(sanitizer.clone(), Policy::default());
    let outcome = scrubber.scrub_answer(answer, encoding, body);
    if let Ok(Scrubbed::Changed(changed)) = &outcome
        && scrubber.scrub_answer(answer, encoding, &changed.body) != Ok(Scrubbed::Clean)
    {
        return Err("what came out of an answer is not clean".to_owned());
    }
    if is_json {
        return match otlp::answer_to_protobuf(answer, body) {
            Ok(wire) if scrubber.scrub_answer(answer, Encoding::Protobuf, &wire).is_err() => {
                Err("an answer became what is none in protobuf".to_owned())
            }
            _ => Ok(()),
        };
    }
    otlp::retry_delay(body);
    match otlp::answer_to_json(answer, body) {
        Ok(json) if scrubber.scrub_answer(answer, Encoding::Json, &json).is_err() => {
            Err("an answer became what is none in JSON".to_owned())
        }
        Err(_) if outcome.is_ok() => Err("an answer that can be read was not written in JSON".to_owned()),
        _ => Ok(()),
    }
}

/// What is written in protobuf of a request in JSON is a request, and of one that can be scrubbed in JSON.
/// # Errors
/// What was wrong.
pub(crate) fn transcode(sanitizer: &Arc<Sanitizer>, signal: u8, json: &[u8]) -> Result<(), String> {
    let signal = [Signal::Traces, Signal::Logs, Signal::Metrics][usize::from(signal) % 3];
    let Ok(wire) = otlp::to_protobuf(signal, json) else { return Ok(()) };
    let mut scrubber = otlp::Scrubber::new(sanitizer.clone(), Policy::default());
    for (encoding, body) in [(Encoding::Json, json), (Encoding::Protobuf, &wire)] {
        match scrubber.scrub(signal, encoding, body) {
            // An attribute with many keys is written as it is, and refused where it is looked at.
            Ok(_) | Err(Refused::Malformed { what: Malformed::Keys, .. }) => {}
            Err(refused) => return Err(format!("{encoding:?} of what was written: {refused}")),
        }
    }
    Ok(())
}

/// Whatever an audit trail holds, it is verified or refused; under a key that made none of it, only what has no entry
/// with an HMAC can be a trail, and there is none.
/// # Errors
/// It was taken.
pub(crate) fn audit(text: &[u8]) -> Result<(), String> {
    for key in [None, trail::Key::new("a1", b"the dead key of nobody").ok()] {
        let keys: Vec<trail::Key> = key.into_iter().collect();
        let wanted = Wanted { live: true, part: true, ..Wanted::default() };
        let mut verifier = Verifier::new(&keys, true, wanted);
        verifier.file("0");
        let whole = text.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        let mut lines = text[..whole].split_inclusive(|&b| b == b'\n');
        let is_read = lines.all(|line| verifier.line(line).is_ok());
        let is_taken =
            is_read && verifier.file_end((text.len() - whole) as u64).is_ok() && verifier.finish().is_ok();
        if is_taken && !keys.is_empty() {
            return Err("a trail was taken that nobody with the key has written".to_owned());
        }
    }
    Ok(())
}
