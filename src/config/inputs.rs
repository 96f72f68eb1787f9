//! The sections `inputs` and `output` of a configuration: where records come from, and where they go. Only the sidecar uses
//! them.
//!
//! Addresses and URLs may name variables of the environment, `${NAME}` or `${NAME:-default}`. They are resolved by who knows
//! the environment; anywhere else `${` is a fault.

use std::sync::Arc;

use saphyr::{Scalar, YamlData};

use super::reader::{Node, Reader, line, text};
use crate::rules::{Fault, Faults, unknown};

/// The kinds of inputs.
pub const INPUT_KEYS: [&str; 5] = ["tail", "cri", "fifo", "syslog", "otlp"];
/// The keys of `tail` and `cri`.
pub const TAIL_KEYS: [&str; 6] =
    ["paths", "exclude", "follow_links", "from_start", "checkpoint", "remove_rotated"];
/// The item that `cri` is named by.
const CRI: &str = "inputs.cri";
/// The keys of `fifo`.
pub const FIFO_KEYS: [&str; 2] = ["path", "mode"];
/// The keys of `syslog`.
pub const SYSLOG_KEYS: [&str; 1] = ["address"];
/// The keys of `otlp` among the inputs.
pub const OTLP_INPUT_KEYS: [&str; 2] = ["grpc", "http"];

/// An input.
#[derive(Clone, Debug)]
pub enum Input {
    /// Files that grow.
    Tail(Tail),
    /// Files that grow, as container runtimes write them.
    Cri(Tail),
    /// A FIFO.
    Fifo {
        /// Where it is.
        path: String,
        /// Who may read and write it.
        mode: Option<u32>,
    },
    /// A socket for syslog.
    Syslog {
        /// Where it is; none: where Python's handlers send.
        address: Option<Address>,
    },
    /// Ports for OTLP.
    Otlp {
        /// Where OTLP/gRPC is taken.
        grpc: Option<Address>,
        /// Where OTLP/HTTP is taken.
        http: Option<Address>,
    },
}

/// Files that grow. What is `None` is not said.
#[derive(Clone, Debug)]
pub struct Tail {
    /// Which files.
    pub paths: Vec<Words>,
    /// Which of them not, beside those that are never read.
    pub exclude: Vec<Words>,
    /// Folders into which links may lead.
    pub follow_links: Vec<String>,
    /// Whether they are read from their beginning at the very first start.
    pub from_start: Option<bool>,
    /// The file that says how far each has been delivered.
    pub checkpoint: Option<String>,
    /// Whether files that rotation has put aside are removed once they have been delivered.
    pub remove_rotated: Option<bool>,
}

/// What is written somewhere, and where, for who finds a fault in it later.
#[derive(Clone, Debug)]
pub struct Words {
    /// The text.
    pub text: String,
    line: u32,
    item: String,
    file: Arc<str>,
}

impl Words {
    /// A fault of it.
    pub fn fault(&self, what: impl std::fmt::Display) -> Faults {
        Faults(vec![Fault {
            file: self.file.clone(),
            line: self.line,
            item: self.item.clone(),
            what: what.to_string(),
            source: String::new(),
        }])
    }
}

/// An address or a URL, as it is written.
#[derive(Clone, Debug)]
pub struct Address(Words);

impl Address {
    /// The address, with what the variables that it names stand for.
    /// # Errors
    /// A variable that is not set and has no default. No value is told.
    pub fn resolve(&self, variable: impl Fn(&str) -> Option<String>) -> Result<String, Faults> {
        let mut out = String::new();
        let mut rest = &*self.0.text;
        while let Some((before, name, default, behind)) = placeholder(rest) {
            out.push_str(before);
            match variable(name).filter(|value| !value.is_empty()).or(default.map(str::to_owned)) {
                Some(value) => out.push_str(&value),
                None => {
                    let what =
                        format!("the variable {name} is not set; set it, or write ${{{name}:-default}}");
                    return Err(self.fault(what));
                }
            }
            rest = behind;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// A fault of this address.
    pub fn fault(&self, what: impl std::fmt::Display) -> Faults {
        self.0.fault(what)
    }
}

/// What is in front of the next variable, its name, its default, and what is behind it.
fn placeholder(text: &str) -> Option<(&str, &str, Option<&str>, &str)> {
    let (before, rest) = text.split_once("${")?;
    let (inside, behind) = rest.split_once('}')?;
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    Some((before, name, default, behind))
}

fn is_well_formed(mut text: &str) -> bool {
    while text.contains("${") {
        let Some((_, name, _, behind)) = placeholder(text) else { return false };
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if name.is_empty()
            || name.starts_with(|first: char| first.is_ascii_digit())
            || !name.chars().all(is_letter)
        {
            return false;
        }
        text = behind;
    }
    true
}

impl Reader {
    pub(super) fn inputs(&mut self, node: &Node<'_>) -> Vec<Input> {
        let YamlData::Sequence(entries) = &node.data else {
            self.fault(node, "inputs", "is a list of inputs, as `- fifo: {path: /run/logs}`");
            return Vec::new();
        };
        entries.iter().filter_map(|entry| self.input(entry)).collect()
    }

    fn input(&mut self, node: &Node<'_>) -> Option<Input> {
        let entries = self.entries(node, "inputs");
        let [(at, kind, value)] = entries[..] else {
            if !entries.is_empty() {
                self.fault(node, "inputs", "has more than one kind; begin each input with `- `");
            }
            return None;
        };
        match kind {
            "tail" => self.tail(value, "inputs.tail").map(Input::Tail),
            "cri" => self.tail(value, CRI).map(Input::Cri),
            "fifo" => self.fifo(value),
            "syslog" => {
                let mut address = None;
                for (_, value) in self.section(value, "inputs.syslog", &SYSLOG_KEYS) {
                    address = self.address(value, "inputs.syslog.address");
                }
                Some(Input::Syslog { address })
            }
            "otlp" => {
                let (mut grpc, mut http) = (None, None);
                for (key, value) in self.section(value, "inputs.otlp", &OTLP_INPUT_KEYS) {
                    match key {
                        "grpc" => grpc = self.address(value, "inputs.otlp.grpc"),
                        _ => http = self.address(value, "inputs.otlp.http"),
                    }
                }
                Some(Input::Otlp { grpc, http })
            }
            _ => {
                self.fault(at, "inputs", unknown(kind, "input", &INPUT_KEYS));
                None
            }
        }
    }

    fn tail(&mut self, node: &Node<'_>, item: &'static str) -> Option<Tail> {
        let mut tail = Tail {
            paths: Vec::new(),
            exclude: Vec::new(),
            follow_links: Vec::new(),
            from_start: None,
            checkpoint: None,
            remove_rotated: None,
        };
        let mut has_paths = false;
        for (key, value) in self.section(node, item, &TAIL_KEYS) {
            match key {
                "paths" => {
                    has_paths = true;
                    let read =
                        |reader: &mut Self, node: &Node<'_>, item: &str| reader.words(node, item, true);
                    tail.paths = self.list(value, &format!("{item}.paths"), read);
                }
                "exclude" => {
                    let read =
                        |reader: &mut Self, node: &Node<'_>, item: &str| reader.words(node, item, false);
                    tail.exclude = self.list(value, &format!("{item}.exclude"), read);
                }
                "follow_links" => {
                    tail.follow_links = self.list(value, &format!("{item}.follow_links"), Self::path);
                }
                "from_start" => tail.from_start = self.boolean(value, &format!("{item}.from_start")),
                "remove_rotated" if item == CRI => {
                    self.fault(
                        value,
                        item,
                        "files of container runtimes are theirs to remove; leave `remove_rotated` out",
                    );
                }
                "remove_rotated" => {
                    tail.remove_rotated = self.boolean(value, &format!("{item}.remove_rotated"));
                }
                _ => tail.checkpoint = self.path(value, &format!("{item}.checkpoint")),
            }
        }
        if !has_paths {
            self.fault(node, item, "needs paths");
        }
        (!tail.paths.is_empty()).then_some(tail)
    }

    /// A list that is not empty.
    fn list<T>(
        &mut self,
        node: &Node<'_>,
        item: &str,
        read: impl Fn(&mut Self, &Node<'_>, &str) -> Option<T>,
    ) -> Vec<T> {
        match &node.data {
            YamlData::Sequence(entries) if !entries.is_empty() => {
                entries.iter().filter_map(|entry| read(self, entry, item)).collect()
            }
            _ => {
                self.fault(node, item, "is a list of strings, and not empty");
                Vec::new()
            }
        }
    }

    /// A string in which no variable may be named, and where it stands.
    fn words(&mut self, node: &Node<'_>, item: &str, is_path: bool) -> Option<Words> {
        let text = if is_path { self.path(node, item) } else { self.plain(node, item) }?;
        Some(Words { text, line: line(node), item: item.to_owned(), file: self.file.clone() })
    }

    fn fifo(&mut self, node: &Node<'_>) -> Option<Input> {
        let (mut path, mut mode, mut has_path) = (None, None, false);
        for (key, value) in self.section(node, "inputs.fifo", &FIFO_KEYS) {
            match key {
                "path" => (path, has_path) = (self.path(value, "inputs.fifo.path"), true),
                _ => mode = self.mode(value, "inputs.fifo.mode"),
            }
        }
        if !has_path {
            self.fault(node, "inputs.fifo", "needs a path");
        }
        Some(Input::Fifo { path: path?, mode })
    }

    /// The entries of a mapping that may be left empty.
    pub(super) fn section<'n, 't>(
        &mut self,
        node: &'n Node<'t>,
        item: &str,
        known: &[&str],
    ) -> Vec<(&'n str, &'n Node<'t>)> {
        match node.data {
            YamlData::Value(Scalar::Null) => Vec::new(),
            _ => self.known_entries(node, item, known),
        }
    }

    pub(super) fn address(&mut self, node: &Node<'_>, item: &'static str) -> Option<Address> {
        let text = self.string(node, item)?;
        if !is_well_formed(&text) {
            self.fault(node, item, "has a `${` that is no variable; write ${NAME} or ${NAME:-default}");
            return None;
        }
        Some(Address(Words { text, line: line(node), item: item.to_owned(), file: self.file.clone() }))
    }

    /// A string in which no variable may be named.
    pub(super) fn plain(&mut self, node: &Node<'_>, item: &str) -> Option<String> {
        let text = self.string(node, item)?;
        if text.contains("${") {
            self.fault(node, item, "names a variable; only addresses and URLs may");
            return None;
        }
        Some(text)
    }

    /// An absolute path: what a relative one would be relative to is not to be guessed.
    pub(super) fn path(&mut self, node: &Node<'_>, item: &str) -> Option<String> {
        let path = self.plain(node, item)?;
        if !path.starts_with('/') {
            self.fault(node, item, "is a path that begins with /");
            return None;
        }
        Some(path)
    }

    /// The mode of a file: three octal digits, in quotes since YAML 1.1 and 1.2 read `0622` differently.
    fn mode(&mut self, node: &Node<'_>, item: &str) -> Option<u32> {
        let mode = text(node).filter(|text| matches!(text.len(), 3 | 4));
        let mode = mode.and_then(|text| u32::from_str_radix(text, 8).ok()).filter(|mode| *mode <= 0o777);
        if mode.is_none() {
            self.fault(node, item, "is a mode in quotes, as \"0622\"");
        }
        mode
    }

    pub(super) fn boolean(&mut self, node: &Node<'_>, item: &str) -> Option<bool> {
        match node.data {
            YamlData::Value(Scalar::Boolean(on)) => Some(on),
            _ => {
                self.fault(node, item, "is true or false");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        let item = "inputs.syslog.address".to_owned();
        Address(Words { text: text.to_owned(), line: 7, item, file: "c.yaml".into() })
    }

    #[test]
    fn every_mistake_is_named_with_its_line() {
        let check = |text: &str, want: &[&str]| {
            let faults = crate::config::Config::read("c.yaml", text).err();
            let got = faults.map_or(Vec::new(), |faults| faults.0.iter().map(Fault::to_string).collect());
            assert_eq!(got, want, "{text}");
        };
        check(
            "inputs:\n- fifo: {path: /a, mode: \"0622\"}\n- syslog:\n- tail: {paths: [/a]}\noutput: stdout\n",
            &[],
        );
        check("inputs: {}", &["c.yaml:1: inputs: is a list of inputs, as `- fifo: {path: /run/logs}`"]);
        check("inputs:\n- fif: {path: /a}", &["c.yaml:2: inputs: `fif` is no input; did you mean `fifo`?"]);
        check(
            "inputs:\n- fifo: {path: /a}\n  syslog:\n",
            &["c.yaml:2: inputs: has more than one kind; begin each input with `- `"],
        );
        check("inputs:\n- fifo: {}\n", &["c.yaml:2: inputs.fifo: needs a path"]);
        check(
            "inputs:\n- fifo:\n    path: a\n    mode: 622\n    pat: x\n",
            &[
                "c.yaml:5: inputs.fifo: `pat` is no key; did you mean `path`?",
                "c.yaml:3: inputs.fifo.path: is a path that begins with /",
                "c.yaml:4: inputs.fifo.mode: is a mode in quotes, as \"0622\"",
            ],
        );
        check(
            "inputs:\n- fifo: {path: '/a/${HOSTNAME}'}\n",
            &["c.yaml:2: inputs.fifo.path: names a variable; only addresses and URLs may"],
        );
        check(
            "inputs:\n- tail: {paths: [l/*.log, /a]}\n- cri:\n    paths: [/a]\n    follow_links: [b]\n",
            &[
                "c.yaml:2: inputs.tail.paths: is a path that begins with /",
                "c.yaml:5: inputs.cri.follow_links: is a path that begins with /",
            ],
        );
        check(
            "inputs:\n- syslog: {address: 'udp:${HOST:514'}\n",
            &[
                "c.yaml:2: inputs.syslog.address: has a `${` that is no variable; write ${NAME} or ${NAME:-default}",
            ],
        );
        check(
            "inputs:\n- tail: {paths: []}\n- cri:\n",
            &[
                "c.yaml:2: inputs.tail.paths: is a list of strings, and not empty",
                "c.yaml:3: inputs.cri: needs paths",
            ],
        );
        check(
            "output: nowhere\n",
            &["c.yaml:1: output: is `stdout` or `otlp`, or one of `stdout`, `otlp` and `file` with its keys"],
        );
        check("output: {stdot: }\n", &["c.yaml:1: output: `stdot` is no output; did you mean `stdout`?"]);
        check(
            "output:\n  file:\n    path: /a\n    max_size: 1023\n    keep: 0\n    format: xml\n    sync: 1\n",
            &[
                "c.yaml:4: output.file.max_size: is a number of bytes, or of KiB, MiB or GiB (as 100MiB), and at least 1KiB",
                "c.yaml:5: output.file.keep: is a whole number from 1 to 1000",
                "c.yaml:6: output.file.format: `xml` is no choice here; known: json, raw",
                "c.yaml:7: output.file.sync: is true or false",
            ],
        );
        check("output: {otlp: {give_up_after: 5m}}\n", &[]);
        check(
            "output: {otlp: {give_up_after: 5}}\n",
            &["c.yaml:1: output.otlp.give_up_after: is a time, as 30s, 5m or 1h"],
        );
        check(
            "output: {stdout: , file: {path: /a}}\n",
            &["c.yaml:1: output: has more than one kind; there is one output"],
        );
    }

    #[test]
    fn variables_in_addresses() {
        let known = |name: &str| (name == "HOST").then(|| "db".to_owned());
        let check = |text: &str, want: &str| {
            assert!(is_well_formed(text), "{text}");
            assert_eq!(address(text).resolve(known).expect(text), want);
        };
        check("udp:127.0.0.1:514", "udp:127.0.0.1:514");
        check("http://${HOST}:${PORT:-4317}/", "http://db:4317/");
        check("${OTHER:-}${HOST:-x}", "db");
        check("$HOST {x}", "$HOST {x}");
        let fault = address("http://${OTHER}").resolve(known).expect_err("not set").to_string();
        assert!(fault.contains("c.yaml:7: inputs.syslog.address: the variable OTHER is not set"), "{fault}");
        for bad in ["${", "${}", "${A-B}", "${1A}", "${A} ${", "${A:-${B}"] {
            assert_eq!(is_well_formed(bad), bad == "${A:-${B}", "{bad}");
        }
    }
}
