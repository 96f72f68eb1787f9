//! The section `allow`: what is left as it is, and why.

use saphyr::YamlData;

use super::reader::{Node, Reader, line, text};
use super::{ALLOW_KEYS, Config, Date};
use crate::rules::allow::{Allowlist, Target};
use crate::rules::pattern::Pattern;
use crate::rules::re2;

impl Reader {
    pub(super) fn allow(&mut self, node: &Node<'_>, config: &mut Config) {
        let YamlData::Sequence(entries) = &node.data else {
            return self.fault(node, "allow", "is a list");
        };
        for entry in entries {
            let entries = self.known_entries(entry, "allow", &ALLOW_KEYS);
            let mut list = Allowlist::default();
            let (mut rules, mut reason, mut conditions) = (Vec::new(), None, 0);
            for (key, value) in entries {
                match key {
                    "value" => {
                        conditions += 1;
                        let exact = self
                            .string(value, "allow.value")
                            .map(|v| format!(r"\A(?:{})\z", regex_syntax::escape(&v)));
                        list.regexes
                            .extend(exact.and_then(|exact| self.pattern(value, "allow.value", &exact)));
                    }
                    "regex" => {
                        conditions += 1;
                        let source = self.string(value, "allow.regex");
                        list.regexes
                            .extend(source.and_then(|source| self.pattern(value, "allow.regex", &source)));
                    }
                    "stopwords" => {
                        conditions += 1;
                        let words = self.names(value, "allow.stopwords");
                        list.stopwords =
                            words.iter().map(|w| w.name.to_ascii_lowercase().into_bytes().into()).collect();
                    }
                    "target" => {
                        let named =
                            [("secret", Target::Secret), ("match", Target::Match), ("line", Target::Line)];
                        if let Some((_, target)) =
                            self.choice(value, "allow.target", &named, |(name, _)| name)
                        {
                            list.target = target;
                        }
                    }
                    "rules" => rules = self.names(value, "allow.rules"),
                    "expires" => match text(value).and_then(Date::parse) {
                        Some(date) => config.expires.push((date, line(value))),
                        None => self.fault(value, "allow.expires", "is a day of the calendar, as 2026-12-31"),
                    },
                    _ => reason = self.string(value, "allow.reason"),
                }
            }
            if conditions != 1 {
                self.fault(entry, "allow", "has exactly one of value, regex and stopwords");
            }
            if reason.is_none() {
                self.fault(entry, "allow", "needs a reason: say why this may pass");
            }
            config.allow.push((rules, list));
        }
    }

    fn pattern(&mut self, node: &Node<'_>, item: &str, source: &str) -> Option<Pattern> {
        re2::read(source, Some(0), false)
            .map(|read| read.pattern)
            .map_err(|why| self.fault(node, item, why))
            .ok()
    }
}
