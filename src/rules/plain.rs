//! The plain part of TOML in which the built-in files are written, read in a small part of the time a parser for all of it
//! takes: tables under the three headers there are, a key to a line, strings without escapes, lists of them.
//!
//! A value that is anything else is parsed as TOML. Where the file itself is not plain, nothing is read, and it is left to
//! the parser as a whole. That the two agree about the built-in files, a test asks of each.

use std::borrow::Cow;

use memchr::memmem;
use toml::de::DeValue;

use super::document::{Content, Field, Table, Value};

/// The tables of a file that is plain.
pub(super) fn read(text: &'static str) -> Option<Table<'static>> {
    let mut cursor = Cursor { text, at: 0 };
    let (mut top, mut rules, mut lists) = (Vec::new(), Vec::new(), Vec::new());
    // Where the table being read belongs.
    let mut fields: &mut Vec<Field<'static>> = &mut top;
    loop {
        let at = cursor.at;
        match cursor.first() {
            None => break,
            Some(b'\n') => cursor.at += 1,
            Some(b'#') => cursor.skip_line(),
            Some(b'[') => {
                let tables = match cursor.line() {
                    "[[rules]]" => &mut rules,
                    "[[allowlists]]" => &mut lists,
                    "[[rules.allowlists]]" => lists_of(rules.last_mut()?)?,
                    _ => return None,
                };
                fields = new_table(tables, at)?;
                cursor.skip_line();
            }
            Some(_) => {
                let field = cursor.field()?;
                fields.push(field);
            }
        }
    }
    for (key, tables) in [("rules", rules), ("allowlists", lists)] {
        if let Some(Value { at, .. }) = tables.first() {
            top.push(Field {
                at: *at,
                key: key.into(),
                value: Value { at: *at, content: Content::Array(tables) },
            });
        }
    }
    Some(Table(top))
}

/// Adds a table to those of an array.
fn new_table<'v>(tables: &'v mut Vec<Value<'static>>, at: usize) -> Option<&'v mut Vec<Field<'static>>> {
    // As many fields as rules have.
    tables.push(Value { at, content: Content::Table(Table(Vec::with_capacity(12))) });
    match &mut tables.last_mut()?.content {
        Content::Table(Table(fields)) => Some(fields),
        _ => None,
    }
}

/// The allowlists of a rule.
fn lists_of<'v>(rule: &'v mut Value<'static>) -> Option<&'v mut Vec<Value<'static>>> {
    let Content::Table(Table(fields)) = &mut rule.content else { return None };
    if fields.last()?.key != "allowlists" {
        let (at, content) = (rule.at, Content::Array(Vec::new()));
        fields.push(Field { at, key: "allowlists".into(), value: Value { at, content } });
    }
    match &mut fields.last_mut()?.value.content {
        Content::Array(lists) => Some(lists),
        _ => None,
    }
}

/// A place in a file.
struct Cursor {
    text: &'static str,
    at: usize,
}

impl Cursor {
    fn first(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// What is left of the line.
    fn line(&self) -> &'static str {
        let rest = &self.text[self.at..];
        memchr::memchr(b'\n', rest.as_bytes()).map_or(rest, |end| &rest[..end])
    }

    fn skip_line(&mut self) {
        self.at = (self.at + self.line().len() + 1).min(self.text.len());
    }

    /// Whether `what` is next; it is passed then.
    fn takes(&mut self, what: &str) -> bool {
        let takes = self.text.as_bytes()[self.at..].starts_with(what.as_bytes());
        self.at += if takes { what.len() } else { 0 };
        takes
    }

    fn field(&mut self) -> Option<Field<'static>> {
        let (at, rest) = (self.at, &self.text[self.at..]);
        let key = &rest[..rest.bytes().take_while(u8::is_ascii_alphabetic).count()];
        self.at += key.len();
        let is_pair = !key.is_empty() && self.takes(" = ");
        let value = if is_pair { self.value(key) } else { None }?;
        self.takes("\n").then_some(Field { at, key: key.into(), value })
    }

    /// To the end of the line, or of the line that closes what this one opens.
    fn skip_value(&mut self) -> Option<()> {
        if self.line().ends_with('[') {
            self.at += memmem::find(&self.text.as_bytes()[self.at..], b"\n]")? + 1;
        }
        self.at += self.line().len();
        Some(())
    }

    fn value(&mut self, key: &str) -> Option<Value<'static>> {
        let at = self.at;
        if key == "examples" {
            // Half of all text: only who tries them needs them.
            self.skip_value()?;
            return Some(Value { at, content: Content::Later(&self.text[at..self.at]) });
        }
        let content = match self.first()? {
            b'[' => self.strings().map(Content::Array),
            _ => self.string().map(Content::Text),
        };
        if let Some(content) = content.filter(|_| self.first() == Some(b'\n')) {
            return Some(Value { at, content });
        }
        self.at = at;
        self.skip_value()?;
        Some(Value::of(DeValue::parse(&self.text[at..self.at]).ok()?, at))
    }

    /// A string on one line that says what it means.
    fn string(&mut self) -> Option<Cow<'static, str>> {
        let rest = &self.text[self.at..];
        let bytes = rest.as_bytes();
        let (from, len) = match bytes {
            [b'\'', b'\'', b'\'', text @ ..] => {
                (3, memchr::memchr_iter(b'\'', text).find(|&i| text[i..].starts_with(b"'''"))?)
            }
            [b'\'', text @ ..] => (1, memchr::memchr(b'\'', text)?),
            [b'"', text @ ..] => (1, memchr::memchr2(b'"', b'\\', text).filter(|&i| text[i] == b'"')?),
            _ => return None,
        };
        let text = &rest[from..from + len];
        self.at += 2 * from + len;
        (from == 1 || memchr::memchr(b'\n', text.as_bytes()).is_none()).then_some(text.into())
    }

    /// An array of such strings.
    fn strings(&mut self) -> Option<Vec<Value<'static>>> {
        self.at += 1;
        let mut strings = Vec::with_capacity(4);
        loop {
            let at = self.at;
            match self.first()? {
                b' ' | b'\n' | b',' => self.at += 1,
                b'#' => self.skip_line(),
                b']' => {
                    self.at += 1;
                    return Some(strings);
                }
                _ => strings.push(Value { at, content: Content::Text(self.string()?) }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::builtin::BUILTIN;
    use crate::rules::load;

    #[test]
    fn the_built_in_files_are_plain_and_say_what_toml_says() {
        for (name, text) in BUILTIN {
            assert!(read(text).is_some(), "{name} is not plain; patterns/README.md says what is");
            let read = [load::read_builtin(name, text), load::read(name, text)];
            let [plain, toml] = read.map(|file| format!("{file:#?}"));
            if let Some((plain, toml)) = plain.lines().zip(toml.lines()).find(|(plain, toml)| plain != toml) {
                panic!("{name}: {plain} is {toml}");
            }
            assert_eq!(plain.len(), toml.len(), "{name}");
        }
    }
}
