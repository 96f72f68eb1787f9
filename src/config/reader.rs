//! What sections are read with: nodes of YAML to strings, lists and choices, or faults that name the line.

use std::sync::Arc;

use saphyr::{MarkedYaml, Scalar, YamlData};

use super::Named;
use crate::rules::{Fault, known, unknown};

pub(super) type Node<'t> = MarkedYaml<'t>;

/// The text of a scalar that is a string.
pub(super) fn text<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    match &node.data {
        YamlData::Value(Scalar::String(text)) => Some(text),
        _ => None,
    }
}

pub(super) fn line(node: &Node<'_>) -> u32 {
    u32::try_from(node.span.start.line()).unwrap_or(u32::MAX)
}

/// Reads nodes of the document, and notes what is wrong with them.
pub(super) struct Reader {
    pub(super) file: Arc<str>,
    pub(super) faults: Vec<Fault>,
}

impl Reader {
    pub(super) fn fault(&mut self, node: &Node<'_>, item: &str, what: impl Into<String>) {
        self.fault_at(node.span.start.line(), item, what);
    }

    pub(super) fn fault_at(&mut self, line: usize, item: &str, what: impl Into<String>) {
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        let (item, what) = (item.to_owned(), what.into());
        self.faults.push(Fault { file: self.file.clone(), line, item, what, source: String::new() });
    }

    /// The entries of a mapping, whatever their keys.
    pub(super) fn entries<'n, 't>(
        &mut self,
        node: &'n Node<'t>,
        item: &str,
    ) -> Vec<(&'n Node<'t>, &'n str, &'n Node<'t>)> {
        let YamlData::Mapping(mapping) = &node.data else {
            self.fault(node, item, "is a mapping of keys to values");
            return Vec::new();
        };
        let mut entries = Vec::new();
        for (key, value) in mapping {
            match text(key) {
                Some(name) => entries.push((key, name, value)),
                None => self.fault(key, item, "has a key that is not a string; put it in quotes"),
            }
        }
        entries
    }

    pub(super) fn known_entries<'n, 't>(
        &mut self,
        node: &'n Node<'t>,
        item: &str,
        known: &[&str],
    ) -> Vec<(&'n str, &'n Node<'t>)> {
        let mut entries = self.entries(node, item);
        entries.retain(|(at, name, _)| {
            let is_known = known.contains(name);
            if !is_known {
                self.fault(at, item, unknown(name, "key", known));
            }
            is_known
        });
        entries.into_iter().map(|(_, name, value)| (name, value)).collect()
    }

    pub(super) fn string(&mut self, node: &Node<'_>, item: &str) -> Option<String> {
        let found = text(node).filter(|text| !text.is_empty());
        if found.is_none() {
            self.fault(node, item, "is a string that is not empty; put it in quotes");
        }
        found.map(str::to_owned)
    }

    pub(super) fn names(&mut self, node: &Node<'_>, item: &'static str) -> Vec<Named> {
        let YamlData::Sequence(entries) = &node.data else {
            self.fault(node, item, "is a list of strings");
            return Vec::new();
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(self.string(entry, item).map(|name| Named { name, line: line(entry), item }));
        }
        names
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        node: &Node<'_>,
        item: &str,
        all: &[T],
        name: fn(T) -> &'static str,
    ) -> Option<T> {
        let Some(got) = text(node) else {
            let names: Vec<_> = all.iter().map(|&one| name(one)).collect();
            self.fault(node, item, format!("is one of {}", names.join(", ")));
            return None;
        };
        known(got, "choice here", all, name).map_err(|why| self.fault(node, item, why)).ok()
    }
}
