//! The rows: who is measured, on what, and how it is run.

use std::path::{Path, PathBuf};

use crate::measure::{Input, Job, Output};
use crate::prepare::text_name;
use crate::worker::Kind;

/// What is said where the bench was built without VRL.
pub const NO_VRL: &str = "this build is without VRL; build it with: cargo run --release --features vrl";

/// How a peer is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// A filter from a file to `/dev/null`.
    Filter,
    /// A filter behind `cat`.
    Piped,
    /// A program that is given the file's name.
    Named,
    /// A library, in a process of this bench.
    Worker(Kind),
}

/// The program of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    Cat,
    KasmScrub,
    ScourSecrets,
    Kingfisher,
    /// This bench itself.
    Peers,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub id: &'static str,
    pub what: &'static str,
    pub tool: Tool,
    pub how: How,
    /// Arguments; `{dir}` is the folder of texts and lists.
    pub args: &'static [&'static str],
    /// It writes the text without the secrets.
    pub rewrites: bool,
    /// It is given so many times less text, for it is slow.
    pub part: usize,
    /// Needs gitleaks' rules.
    pub gitleaks: bool,
    /// Needs Vectorscan.
    pub vectorscan: bool,
    pub fine: &'static [i32],
}

const FILTER: Peer = Peer {
    id: "",
    what: "",
    tool: Tool::KasmScrub,
    how: How::Filter,
    args: &["filter"],
    rewrites: true,
    part: 1,
    gitleaks: false,
    vectorscan: false,
    fine: &[0],
};

const LIBRARY: Peer = Peer { tool: Tool::Peers, rewrites: false, args: &[], ..FILTER };

/// All rows, in the order of the table.
pub const PEERS: [Peer; 16] = [
    Peer { id: "cat", what: "cat, file to /dev/null", tool: Tool::Cat, args: &[], rewrites: false, ..FILTER },
    Peer {
        id: "cat-cat",
        what: "cat | cat",
        tool: Tool::Cat,
        how: How::Piped,
        args: &[],
        rewrites: false,
        ..FILTER
    },
    Peer { id: "kasm-scrub", what: "kasm-scrub, file to /dev/null", ..FILTER },
    Peer { id: "kasm-scrub-pipe", what: "cat | kasm-scrub", how: How::Piped, ..FILTER },
    Peer {
        id: "kasm-scrub-scan",
        what: "kasm-scrub's scanner alone",
        how: How::Worker(Kind::Scan),
        ..LIBRARY
    },
    Peer {
        id: "vectorscan-lines",
        what: "Vectorscan, our regexes, line by line",
        how: How::Worker(Kind::VectorscanLines),
        args: &["--list", "{dir}/builtin.vectorscan.json", "--database", "{dir}/builtin.vectorscan.db"],
        vectorscan: true,
        ..LIBRARY
    },
    Peer {
        id: "vectorscan-literals",
        what: "Vectorscan, our literals",
        how: How::Worker(Kind::VectorscanLiterals),
        args: &["--list", "{dir}/literals.json", "--database", "{dir}/literals.vectorscan.db"],
        vectorscan: true,
        ..LIBRARY
    },
    Peer {
        id: "aho-corasick",
        what: "aho-corasick DFA, our literals",
        how: How::Worker(Kind::AhoCorasick),
        args: &["--list", "{dir}/literals.json"],
        ..LIBRARY
    },
    Peer {
        id: "regex-set",
        what: "regex::RegexSet, our regexes, line by line",
        how: How::Worker(Kind::RegexSet),
        args: &["--list", "{dir}/builtin.regex-set.json"],
        part: 16,
        ..LIBRARY
    },
    Peer {
        id: "vrl",
        what: "VRL redact, our regexes",
        how: How::Worker(Kind::Vrl),
        args: &["--list", "{dir}/builtin.vrl.json"],
        rewrites: true,
        part: 64,
        ..LIBRARY
    },
    Peer {
        id: "scour-secrets",
        what: "scour-secrets, its own rules",
        tool: Tool::ScourSecrets,
        args: &["--quiet", "--progress=off", "--threads=1", "--no-structured-handoff"],
        // It holds all of its input, and many times that where it finds much.
        part: 16,
        ..FILTER
    },
    Peer {
        id: "kingfisher",
        what: "Kingfisher, its own rules",
        tool: Tool::Kingfisher,
        how: How::Named,
        args: &[
            "scan",
            "--jobs=1",
            "--no-validate",
            "--git-history=none",
            "--no-update-check",
            "--max-file-size=0",
            "--rule-cache-dir={dir}/kingfisher-cache",
            "--quiet",
            "--format=jsonl",
        ],
        rewrites: false,
        // 200 and 205: it has found something.
        fine: &[0, 200, 205],
        ..FILTER
    },
    Peer {
        id: "kasm-scrub-gitleaks",
        what: "kasm-scrub, gitleaks' rules only",
        args: &["filter", "--no-builtin", "--rules", "{dir}/gitleaks.toml"],
        gitleaks: true,
        ..FILTER
    },
    Peer {
        id: "vectorscan-gitleaks",
        what: "Vectorscan, gitleaks' regexes, line by line",
        how: How::Worker(Kind::VectorscanLines),
        args: &["--list", "{dir}/gitleaks.vectorscan.json", "--database", "{dir}/gitleaks.vectorscan.db"],
        gitleaks: true,
        vectorscan: true,
        ..LIBRARY
    },
    Peer {
        id: "kasm-scrub-strict",
        what: "kasm-scrub, profile strict",
        args: &["filter", "--profile", "strict"],
        ..FILTER
    },
    Peer {
        id: "kasm-scrub-1000",
        what: "kasm-scrub and 1,000 user rules",
        args: &["filter", "--rules", "{dir}/user-rules.toml"],
        ..FILTER
    },
];

/// Where programs are.
#[derive(Clone, Debug)]
pub struct Tools {
    pub peers: PathBuf,
    pub kasm_scrub: PathBuf,
    /// Where `benches/peers/run` puts what it installs.
    pub installed: PathBuf,
}

impl Tools {
    /// The program, or how to get it.
    pub fn find(&self, tool: Tool) -> Result<PathBuf, String> {
        let installed = |below: &str, name: &str, how: &str| {
            let here = self.installed.join(below).join("bin").join(name);
            if here.is_file() {
                return Ok(here);
            }
            on_path(name).ok_or_else(|| {
                format!("{name} is neither at {} nor on PATH; install it with: {how}", here.display())
            })
        };
        let root = self.installed.display();
        match tool {
            Tool::Peers => Ok(self.peers.clone()),
            Tool::Cat => on_path("cat").ok_or_else(|| "cat is not on PATH".to_owned()),
            Tool::KasmScrub if self.kasm_scrub.is_file() => Ok(self.kasm_scrub.clone()),
            Tool::KasmScrub => Err(format!(
                "{} is not there; build it with: cargo build --release --locked, or name one with --kasm-scrub",
                self.kasm_scrub.display()
            )),
            Tool::ScourSecrets => installed(
                "scour-secrets",
                "scour-secrets",
                &format!("cargo install --locked scour-secrets --root {root}/scour-secrets"),
            ),
            Tool::Kingfisher => installed(
                "kingfisher",
                "kingfisher",
                &format!(
                    "python3 -m venv {root}/kingfisher && {root}/kingfisher/bin/pip install kingfisher-bin"
                ),
            ),
        }
    }

    /// gitleaks' configuration, or how to get it.
    pub fn gitleaks(&self) -> Result<PathBuf, String> {
        let path = self.installed.join("gitleaks.toml");
        if path.is_file() {
            return Ok(path);
        }
        Err(format!(
            "{} is not there; write it with: (cd deploy/e2e/gitleaks && go run .) > {0}",
            path.display()
        ))
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let dirs = std::env::var_os("PATH")?;
    std::env::split_paths(&dirs).map(|dir| dir.join(name)).find(|path| path.is_file())
}

impl Peer {
    /// The row with that id.
    #[cfg(test)]
    pub fn by_id(id: &str) -> Option<Self> {
        PEERS.into_iter().find(|peer| peer.id == id)
    }

    /// Why the row cannot be measured.
    pub fn missing(&self, tools: &Tools) -> Option<String> {
        let vectorscan = || match self.vectorscan {
            true => crate::vectorscan::Vectorscan::load().err(),
            false => None,
        };
        let gitleaks = || self.gitleaks.then(|| tools.gitleaks().err()).flatten();
        let vrl = || (self.id == "vrl" && !cfg!(feature = "vrl")).then(|| NO_VRL.to_owned());
        tools.find(self.tool).err().or_else(gitleaks).or_else(vectorscan).or_else(vrl)
    }

    /// A run on a text of `dir`.
    pub fn job(&self, tools: &Tools, dir: &Path, text: &str) -> Result<Job, String> {
        Ok(self.job_on(tools.find(self.tool)?, dir, &dir.join(text_name(text, self.part))))
    }

    /// A run on one line.
    pub fn start_job(&self, tools: &Tools, dir: &Path) -> Result<Job, String> {
        Ok(self.job_on(tools.find(self.tool)?, dir, &dir.join("line.txt")))
    }

    /// A run on a file, whose output is written to `out`.
    pub fn rewrite_job(&self, tools: &Tools, dir: &Path, file: &Path, out: &Path) -> Result<Job, String> {
        let mut job = self.job_on(tools.find(self.tool)?, dir, file);
        match self.how {
            How::Worker(_) => job.args.extend(["--out".to_owned(), out.display().to_string()]),
            _ => job.output = Output::File(out.to_owned()),
        }
        Ok(job)
    }

    fn job_on(&self, program: PathBuf, dir: &Path, file: &Path) -> Job {
        let dir = dir.display().to_string();
        let mut args: Vec<String> = self.args.iter().map(|arg| arg.replace("{dir}", &dir)).collect();
        let name = file.display().to_string();
        let (mut input, mut output) = (Input::None, Output::Null);
        // Where some keep files of their own.
        let env = ["HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"].map(|name| (name.to_owned(), dir.clone()));
        match self.how {
            How::Filter => input = Input::File(file.to_owned()),
            How::Piped => input = Input::Cat(file.to_owned()),
            How::Named => args.push(name),
            How::Worker(kind) => {
                output = Output::Kept;
                let kind = clap::ValueEnum::to_possible_value(&kind).map(|kind| kind.get_name().to_owned());
                let worker = ["worker".to_owned(), kind.unwrap_or_default(), name];
                args.splice(0..0, worker);
            }
        }
        Job { program, args, env: env.into(), input, output, fine: self.fine }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools() -> Tools {
        Tools { peers: "/p/peers".into(), kasm_scrub: "/p/kasm-scrub".into(), installed: "/p/tools".into() }
    }

    #[test]
    fn ids_are_told_apart() {
        for (i, peer) in PEERS.iter().enumerate() {
            assert_eq!(PEERS.iter().position(|other| other.id == peer.id), Some(i), "{}", peer.id);
        }
    }

    #[test]
    fn workers_are_this_program() {
        let peer = Peer::by_id("vectorscan-lines").expect("row");
        let job = peer.job_on("/p/peers".into(), Path::new("/w"), Path::new("/w/log.txt"));
        assert_eq!(
            job.args,
            [
                "worker",
                "vectorscan-lines",
                "/w/log.txt",
                "--list",
                "/w/builtin.vectorscan.json",
                "--database",
                "/w/builtin.vectorscan.db"
            ]
        );
    }

    #[test]
    fn what_is_missing_says_how_to_get_it() {
        let mut tools = tools();
        let missing =
            |id: &str, tools: &Tools| Peer::by_id(id).expect("row").missing(tools).expect("missing");
        assert!(missing("kasm-scrub", &tools).contains("cargo build --release"));
        assert!(
            missing("kasm-scrub-gitleaks", &Tools { kasm_scrub: "/bin/sh".into(), ..tools.clone() })
                .contains("go run")
        );
        tools.installed = "/nowhere".into();
        if on_path("kingfisher").is_none() {
            assert!(missing("kingfisher", &tools).contains("pip install kingfisher-bin"));
        }
        assert_eq!(Peer::by_id("cat").expect("row").missing(&tools), None);
    }
}
