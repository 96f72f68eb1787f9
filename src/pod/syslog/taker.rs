//! Makes records of messages: the text is the record's, and what a header says are its labels.

use std::sync::Arc;

use super::frame::Frame;
use super::header;
use crate::pod::batch::{Batch, Details, Origin};
use crate::pod::house::House;
use crate::pod::inputs::Unfinished;
use crate::pod::time::now;
use crate::pod::whole::{Piece, Whole};
use crate::sanitize::Sanitizer;

/// A batch is given to the output when it takes so much memory or has so many records, or nothing more is there.
const FULL: usize = 512 << 10;
const MOST_RECORDS: usize = 8 << 10;

/// Makes records of messages.
pub(super) struct Taker {
    transport: &'static str,
    whole: Whole,
    batch: Batch,
    stopped: bool,
}

impl Taker {
    pub(super) fn new(house: &House, transport: &'static str) -> Self {
        let whole = Whole::new(house.sanitizer());
        let batch = batch(transport, whole.sanitizer().clone());
        Self { transport, whole, batch, stopped: false }
    }

    /// Whether it is time to give the batch to the output.
    pub(super) fn is_full(&self) -> bool {
        self.batch.weight() >= FULL || self.batch.count() >= MOST_RECORDS
    }

    #[cfg(test)]
    pub(super) fn texts(&self) -> Vec<String> {
        self.batch.records().map(|(_, text)| String::from_utf8_lossy(text).into_owned()).collect()
    }

    /// Takes a message. `own`: what has gone before it in the same stream counts.
    pub(super) fn take(&mut self, own: Option<&mut Whole>, frame: Frame<'_>, house: &House) {
        let message = header::read(frame.text, now());
        let facility = message.facility.map(|facility| ("syslog.facility".into(), facility.to_owned()));
        let details = Details {
            time: message.time,
            severity: message.severity,
            labels: facility.into_iter().collect(),
        };
        let fields = [
            ("host.name", message.host),
            ("syslog.appname", message.app),
            ("syslog.procid", message.process),
            ("syslog.msgid", message.id),
            ("syslog.structured_data", message.structured),
        ];
        let there = fields.into_iter().filter(|(_, field)| !field.is_empty());
        let piece = Piece {
            line: message.line,
            text: message.place(message.text),
            fields: there.map(|(name, field)| (name, message.place(field))).collect(),
            head: message.place(if message.is_behind_app { message.app } else { &[] }),
            goes_on: own.is_some() && !frame.is_counted,
            is_cut: frame.is_cut,
        };
        if frame.is_cut {
            house.event("record_cut");
        }
        let by = own.as_deref().unwrap_or(&self.whole).sanitizer().clone();
        if !Arc::ptr_eq(&by, &self.batch.sanitizer) {
            // A stream that is in the middle of something goes on by the rules that it began with.
            self.give(house);
            self.batch = batch(self.transport, by);
        }
        own.unwrap_or(&mut self.whole).push(&piece, details, &mut self.batch, house);
    }

    /// Gives what there is to the output, and goes over to the rules in use.
    pub(super) fn deliver(&mut self, house: &House) -> Result<(), Unfinished> {
        self.give(house);
        if self.stopped {
            return Err(Unfinished::Stopped);
        }
        self.whole.follow(house);
        Ok(())
    }

    pub(super) fn give(&mut self, house: &House) {
        self.stopped |= house.deliver(&mut self.batch).is_err();
    }
}

fn batch(transport: &'static str, sanitizer: Arc<Sanitizer>) -> Batch {
    let labels = vec![("network.transport".into(), transport.to_owned())];
    Batch::new(Arc::new(Origin { input: "syslog", labels }), sanitizer)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::pod::house::Everything;
    use crate::rules::{Profile, Ruleset};
    use crate::sanitize::Parts;
    use crate::stream::Scrubber;

    /// What becomes of messages: of each its labels but for facility, and its text. `is_stream`: they are lines of one.
    fn taken(sanitizer: &Arc<Sanitizer>, messages: &[&str], is_stream: bool) -> Vec<String> {
        let house = House::new(sanitizer.clone(), Box::new(Everything), Box::new(Everything));
        let mut taker = Taker::new(&house, "udp");
        let mut own = Whole::new(sanitizer.clone());
        for message in messages {
            let frame = Frame { text: message.as_bytes(), is_cut: false, is_counted: !is_stream };
            taker.take(is_stream.then_some(&mut own), frame, &house);
        }
        let shown = |(record, text): (&crate::pod::Record, &[u8])| {
            let labels = record.details.labels.iter().filter(|(name, _)| name != "syslog.facility");
            let labels = labels.map(|(_, value)| format!("{value} | "));
            labels.chain([String::from_utf8_lossy(text).into_owned()]).collect::<String>()
        };
        taker.batch.records().map(shown).collect()
    }

    fn check(message: &str, want: &str) {
        let sanitizer = Arc::new(Sanitizer::builtin());
        assert_eq!(taken(&sanitizer, &[message], false), [want], "{message}");
        assert_eq!(taken(&sanitizer, &[message], true), [want], "{message}, in a stream");
    }

    #[test]
    fn a_header_is_split_off_only_where_that_hides_nothing() {
        check(
            "<13>Oct 11 22:14:15 host app[7]: password=deadBeef7dead1",
            "host | app | 7 | password=[REDACTED:password]",
        );
        check(
            "<13>1 - h app 7 - [a@1 password=\"deadBeef7dead1\"] hi",
            "h | app | 7 | [a@1 password=\"[REDACTED:password]\"] | hi",
        );
        check("<13>Oct 11 22:14:15 host password: deadBeef7dead1", "host | password | [REDACTED:password]");
        check(
            "<13>Oct 11 22:14:15 host password[7]: deadBeef7dead1",
            "host | password | 7 | [REDACTED:password]",
        );
        check(
            "<13>Oct 11 22:14:15 host app: {\"pin\": 471147}",
            "host | app | {\"pin\": \"[REDACTED:one-time-code]\"}",
        );
        // Words that read as fields of a header, and are keys of what follows.
        check(
            "<13>Oct 11 22:14:15 Bearer abcdEFGH1234ijklMNOP5678qrst",
            "Oct 11 22:14:15 Bearer [REDACTED:bearer-token]",
        );
        check("<13>1 - h Password: deadBeef7dead1 - - hi", "1 - h Password: [REDACTED:password] - - hi");
        check("<13>1 - h api_key= deadBeef7dead1 - - hi", "1 - h api_key= [REDACTED:api-key] - - hi");
    }

    #[test]
    fn a_key_over_lines_with_headers_is_one_secret() {
        let body = "DEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdead";
        let lines = ["-----BEGIN PRIVATE KEY-----", body, body, "-----END PRIVATE KEY-----", "after"];
        for head in ["", "<13>Oct 11 22:14:15 host app: ", "<13>1 - host app 7 - - "] {
            let lines: Vec<String> = lines.iter().map(|line| format!("{head}{line}")).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let got = taken(&Arc::new(Sanitizer::builtin()), &lines, true);
            assert!(!got.concat().contains(body), "{got:?}");
            assert!(got[4].ends_with("after"), "{got:?}");
        }
    }

    /// Words of a message: of headers, of what makes a secret of the next word, and secrets.
    fn word() -> impl Strategy<Value = String> {
        const WORDS: [&str; 36] = [
            "1 - ",
            "1 2003-10-11T22:14:15Z ",
            "Oct 11 22:14:15 ",
            "2026-10-11T22:14:15+00:00 ",
            "- ",
            "h ",
            "host.name ",
            "app: ",
            "app[7]: ",
            "[7]: ",
            "[a@1 k=\"",
            "\"] ",
            "[",
            "]",
            "Bearer ",
            "Authorization: ",
            "Basic ",
            "Password: ",
            "password=",
            "api_key= ",
            "token ",
            "--password ",
            "secret: ",
            "X-Api-Key: ",
            "{\"pin\": ",
            "}",
            "\"",
            "'",
            ": ",
            "=",
            " ",
            "https://user:",
            "@host/ ",
            "text ",
            "\u{feff}",
            "passwd[1]: ",
        ];
        prop_oneof![3 => prop::sample::select(&WORDS[..]).prop_map(str::to_owned), 1 => Just("\0".to_owned())]
    }

    /// Every built-in rule.
    static STRICT: LazyLock<Arc<Sanitizer>> = LazyLock::new(|| {
        let rules = Ruleset::builtin().into_profile(Profile::Strict, |_| true);
        Arc::new(Sanitizer::new(Parts { rules, ..Parts::default() }).expect("no rule hashes"))
    });

    const SECRETS: [&str; 4] = [
        "abcdEFGH1234ijklMNOP5678qrst",
        "deadBeef7dead1",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "4711471147",
    ];

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        #[test]
        fn what_is_found_in_a_line_is_in_no_part_of_it(words in prop::collection::vec(word(), 1..14), is_stream: bool) {
            let mut secrets = SECRETS.iter();
            let line: String =
                words.iter().map(|word| if word == "\0" { secrets.next().unwrap_or(&"") } else { word.as_str() }).collect();
            let mut clean = Vec::new();
            let mut scrubber = Scrubber::new(STRICT.clone());
            scrubber.push(line.as_bytes(), &mut clean);
            scrubber.finish(&mut clean);
            let clean = String::from_utf8_lossy(&clean);
            let got = taken(&STRICT, &[&format!("<13>{line}")], is_stream).concat();
            for secret in SECRETS {
                if !clean.contains(secret) {
                    prop_assert!(!got.contains(secret), "{line}\n{clean}\n{got}");
                }
            }
        }
    }
}
