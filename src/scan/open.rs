//! What a line leaves open for those after it: a private key whose end has not come, and a name whose value stands on
//! the next line. All else that is found in a line depends on that line alone.

use super::{Scanner, confirm, pem};
use crate::carrier::key::Key;
use crate::carrier::line::Line;
use crate::carrier::pair;
use crate::finding::{Finding, RuleIndex};

/// What is open.
#[derive(Clone, Debug, Default)]
pub(super) struct Open {
    /// A private key: it goes on until its last line, for so many lines.
    pub(super) key: Option<(RuleIndex, pem::Open)>,
    /// A name: it lapses after the next line.
    pub(super) name: Option<Box<Name>>,
}

/// A sensitive name that its line ends with: `- name: DB_PASSWORD`.
#[derive(Clone, Debug)]
pub(super) struct Name {
    text: Box<[u8]>,
    key: Key,
    column: usize,
}

impl Name {
    /// `key`, if its line ends with it and calls it a name.
    pub(super) fn at_end(line: &[u8], key: Key) -> Option<Box<Self>> {
        pair::named_at_end(line, &key).map(|column| {
            let (text, key) = key.alone(line);
            Box::new(Self { text, key, column })
        })
    }
}

impl Open {
    /// Whether the next line can be decided without what came before.
    pub(super) fn is_nothing(&self) -> bool {
        self.key.is_none() && self.name.is_none()
    }

    /// Opens what `new` has open, too.
    pub(super) fn add(&mut self, new: Self) {
        let Self { key, name } = new;
        self.key = key.or(self.key);
        if name.is_some() {
            self.name = name;
        }
    }

    /// Takes from `line` what belongs to what is open.
    pub(super) fn next(&mut self, scanner: &Scanner, line: &[u8], found: &mut Vec<Finding>) {
        if let Some((rule, key)) = self.key {
            let open = key.next(line, &mut |body| found.push(confirm::pem_finding(rule, body)));
            self.key = open.map(|open| (rule, open));
        }
        let Some(name) = self.name.take() else { return };
        let line = Line::new(line);
        if let Some((key, tie)) = pair::value_of_line(&line, name.column) {
            scanner.keys.rules_for(&name.text, &name.key, usize::MAX, |rule| {
                confirm::keyed(
                    scanner,
                    &line,
                    &key,
                    tie,
                    rule,
                    &mut |finding| found.push(finding),
                    &mut |_| {},
                );
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::{Profile, Ruleset};
    use crate::scan::{Format, Scanner, Work};

    /// Scans in one block and line by line.
    fn check(text: &str, want: &[&str]) {
        let rules = Ruleset::builtin().into_profile(Profile::Secrets, |_| true);
        let scanner = Scanner::new(rules, Vec::new(), Format::Auto);
        let got: Vec<&str> = scanner
            .scan_block(text.as_bytes(), &mut Work::default())
            .iter()
            .map(|finding| &text[finding.range()])
            .collect();
        assert_eq!(got, want, "{text}");
        let mut work = Work::default();
        let mut by_line = Vec::new();
        for line in text.split_inclusive('\n') {
            by_line.extend(scanner.scan_block(line.as_bytes(), &mut work).iter().map(|f| &line[f.range()]));
        }
        assert_eq!(by_line, want, "{text}");
    }

    #[test]
    fn a_value_on_the_line_after_its_name() {
        check("- name: DB_PASSWORD\n  value: dead1\n", &["dead1"]);
        check("  - name: 'DB_PASSWORD'\r\n    value: \"dead 1\"\r\n", &["dead 1"]);
        check("{\n  \"name\": \"db.password\",\n  \"value\": \"dead1\"\n}\n", &["dead1"]);
        check(
            "- name: DB_PASSWORD\n  value: dead1\n- name: B_PASSWORD\n  value: dead2\n",
            &["dead1", "dead2"],
        );
        check("- name: DB_PASSWORD\n  value: dead1", &["dead1"]);
    }

    #[test]
    fn a_name_lapses() {
        check("- name: DB_PASSWORD\n\n  value: dead1\n", &[]);
        check("- name: DB_PASSWORD\n  valueFrom:\n    value: dead1\n", &[]);
        check("    - name: DB_PASSWORD\n  value: dead1\n", &[]);
        check("- name: DB_HOST\n  value: dead1\n", &[]);
        check("- name: DB_PASSWORD\n  value:\n", &[]);
        check("- name: DB_PASSWORD\n  value: |\n", &[]);
        check("the name: DB_PASSWORD\n  value: dead1\n", &[]);
        check("kind: DB_PASSWORD\n  value: dead1\n", &[]);
    }

    #[test]
    fn a_name_inside_a_key_ends_neither() {
        let body = "DEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdead";
        let text =
            format!("-----BEGIN PRIVATE KEY-----\n{body}\n- name: DB_PASSWORD\n  value: dead1\n{body}\n");
        check(&text, &[body, "dead1", body]);
    }

    #[test]
    fn a_private_key_with_more_in_its_lines() {
        let body = "DEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdead";
        let text = format!(
            "-----BEGIN PRIVATE KEY----- host=a\n{body} host=a\nDEADdead12 host=a\n-----END PRIVATE KEY----- host=a\n"
        );
        check(&text, &[body, "DEADdead12"]);
        check("a -----BEGIN PRIVATE KEY----- is wanted\nnone here\nnor here\n{body}\n", &[]);
    }

    #[test]
    fn a_private_key_in_records() {
        let body = "DEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdead";
        let record = |text: &str| format!("{{\"level\":\"info\",\"message\":\"{text}\"}}\n");
        let (begin, end) = ("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----");
        let key: String = [begin, body, "aw0=", end].map(record).concat();
        check(&key, &[body, "aw0="]);
        // Behind the name of the service, with the line's end, coloured, and its slashes escaped.
        let lines = [begin, body, "DEADdead", end].map(|line| record(&format!("tls: {line}\\n")));
        check(&lines.concat(), &[body, "DEADdead"]);
        let lines = [begin, body, "aw0=", end].map(|line| record(&format!("\\u001b[32m{line}\\u001b[0m")));
        check(&lines.concat(), &[body, "aw0="]);
        let slashed = format!("{body}\\/+aD");
        check(&[begin, &slashed, "aw0="].map(record).concat(), &[&slashed, "aw0="]);
        // A record in a record, and numbers that get longer before it.
        let log = |text: &str| format!(r#"{{\"n\":1,\"msg\":\"{text}\"}}\n"#);
        let lines = [begin, body, "aw0=", end].map(|line| format!("{{\"log\":\"{}\"}}\n", log(line)));
        check(&lines.concat(), &[body, "aw0="]);
        let numbered: String = [begin, body, "aw0="]
            .iter()
            .zip(9..)
            .map(|(line, n)| format!("{{\"n\":{n},\"m\":\"{line}\"}}\n"))
            .collect();
        check(&numbered, &[body, "aw0="]);
    }

    #[test]
    fn records_behind_an_open_key() {
        let body = "DEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdead";
        let path = "/usr/local/lib/python3/distPackages/KasmClientApi/handlers";
        let begin = "-----BEGIN PRIVATE KEY-----";
        let others = format!(
            "{{\"k\":\"x\",\"path\":\"{path}\"}}\n\
             {{\"level\":\"info\",\"message\":\"a\"}}\n\
             {{\"level\":\"warn\",\"trace\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"message\":\"b\"}}\n\
             {{\"authenticated\":\"yes\"}}\n\
             {{\"name\":\"ThisIsTheNameOfSomeVeryLongClassFactory\"}}\n\
             web | {{\"authenticated\":\"yes\",\"path\":\"{path}\"}}\n\
             loading {path}\n"
        );
        check(&format!("{{\"msg\":\"cannot parse key: {begin}\"}}\n{others}"), &[]);
        check(&format!("{begin}\n{others}"), &[]);
        check(&format!("{begin}\n{{\"k\":\"x\",\"run\":\"{body}\"}}\n{others}"), &[body]);
        check(&format!("{begin}\nweb | {{\"a\":\"{body}\"}}\n{others}"), &[body]);
        // The same key once more: words are no body.
        check(
            &format!("{begin}\n{{\"msg\":\"{body}\"}}\n{{\"msg\":\"done\"}}\n{{\"msg\":\"Started\"}}\n"),
            &[body],
        );
        check(&format!("{begin}\n{{\"{body}\":\"{body}\"}}\n"), &[body]);
        // What a record has behind the end.
        check(
            &format!(
                "{begin}\n{{\"m\":\"{body}\"}}\n{{\"m\":\"aw0=-----END PRIVATE KEY-----\",\"x\":\"{body}\"}}\n"
            ),
            &[body, "aw0="],
        );
    }

    #[test]
    fn the_private_lines_of_a_putty_key() {
        let body = "DEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdeadDEADdead";
        let text = format!("Public-Lines: 1\n{body}\nPrivate-Lines: 2\n{body}\nDEAD12==\nDEADdead\n");
        check(&text, &[body, "DEAD12=="]);
    }
}
