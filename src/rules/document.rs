//! A rule file as it is written: tables, keys and values, each with its place.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

/// Keys and their values, in the order of the parser that read them.
#[derive(Debug, Default)]
pub(super) struct Table<'t>(pub(super) Vec<Field<'t>>);

/// A key and its value.
#[derive(Debug)]
pub(super) struct Field<'t> {
    /// Where the key stands in the text.
    pub(super) at: usize,
    pub(super) key: Cow<'t, str>,
    pub(super) value: Value<'t>,
}

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Value<'t> {
    pub(super) at: usize,
    pub(super) content: Content<'t>,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Content<'t> {
    Text(Cow<'t, str>),
    Integer(DeInteger<'t>),
    Float(DeFloat<'t>),
    Array(Vec<Value<'t>>),
    Table(Table<'t>),
    /// An array of strings of a built-in file, to be parsed when it is asked for.
    Later(&'static str),
    /// What no rule file has a use for.
    Other,
}

impl<'t> Table<'t> {
    /// A table that was parsed from a text that starts at `from`.
    pub(super) fn of(table: DeTable<'t>, from: usize) -> Self {
        let field = |(key, value): (Spanned<Cow<'t, str>>, _)| Field {
            at: from + key.span().start,
            key: key.into_inner(),
            value: Value::of(value, from),
        };
        Self(table.into_iter().map(field).collect())
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value<'t>> {
        self.0.iter().find(|field| field.key == key).map(|field| &field.value)
    }
}

impl<'t> Value<'t> {
    /// A value that was parsed from a text that starts at `from`.
    pub(super) fn of(value: Spanned<DeValue<'t>>, from: usize) -> Self {
        let at = from + value.span().start;
        let content = match value.into_inner() {
            DeValue::String(text) => Content::Text(text),
            DeValue::Integer(number) => Content::Integer(number),
            DeValue::Float(number) => Content::Float(number),
            DeValue::Array(values) => {
                Content::Array(values.into_iter().map(|value| Self::of(value, from)).collect())
            }
            DeValue::Table(table) => Content::Table(Table::of(table, from)),
            DeValue::Boolean(_) | DeValue::Datetime(_) => Content::Other,
        };
        Self { at, content }
    }
}
