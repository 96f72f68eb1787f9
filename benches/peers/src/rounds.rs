//! The whole run: what is there, the texts, the rounds, what is left of secrets, and the print.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, RangedU64ValueParser};
use serde_json::{Value, json};

use crate::measure::{self, Input, Job, Output, Sample};
use crate::peers::{PEERS, Peer, Tool, Tools};
use crate::prepare::text_name;
use crate::results::Row;
use crate::{bars, table};

/// The texts, and what stands above their columns.
const TEXTS: [(&str, &str); 5] = [
    ("log", "log"),
    ("json", "JSON"),
    ("hundredth", "secret in 1 of 100"),
    ("every", "in every line"),
    ("file", "file"),
];

/// How the result is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Shown {
    #[default]
    Text,
    Json,
}

#[derive(Debug, clap::Args)]
pub struct Options {
    /// The size of each text; slow peers get the first sixteenth or 64th of it
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = RangedU64ValueParser::<usize>::new().range(1..=4096))]
    pub mib: usize,
    /// How often each row is run on each text
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pub rounds: usize,
    /// Only these rows (--list shows them)
    #[arg(long, value_name = "ROW", value_delimiter = ',', value_parser = PossibleValuesParser::new(PEERS.map(|peer| peer.id)))]
    pub only: Vec<String>,
    /// A log of your own as one more text, repeated up to --mib
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// For people, or all that was measured as one JSON object
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Shown,
    /// Leave rows out whose peer is missing, and say so
    #[arg(long)]
    pub skip_missing: bool,
    /// The kasm-scrub binary [default: beside this program, else target/release of the project]
    #[arg(long, value_name = "PATH")]
    pub kasm_scrub: Option<PathBuf>,
    /// Where benches/peers/run has put other peers [default: the folder `peers` beside this program's]
    #[arg(long, value_name = "DIR")]
    pub tools: Option<PathBuf>,
    /// List the rows and end
    #[arg(long)]
    pub list: bool,
}

/// A folder that is gone when the run is over.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("peers: cannot remove {}: {error}", self.0.display());
        }
    }
}

pub fn run(options: &Options) -> Result<(), String> {
    if options.list {
        PEERS.iter().for_each(|peer| println!("{:<20}  {}", peer.id, peer.what));
        return Ok(());
    }
    let tools = tools(options)?;
    let is_wanted = |peer: &Peer| options.only.is_empty() || options.only.iter().any(|id| id == peer.id);
    let mut rows: Vec<Row> =
        PEERS.into_iter().filter(is_wanted).map(|peer| Row::new(peer, peer.missing(&tools))).collect();
    let missing: Vec<String> = rows
        .iter()
        .filter_map(|row| row.missing.as_ref().map(|why| format!("  {}: {why}", row.peer.id)))
        .collect();
    if !missing.is_empty() && !options.skip_missing {
        return Err(format!(
            "these peers are missing; benches/peers/run installs them, --skip-missing leaves them out:\n{}",
            missing.join("\n")
        ));
    }
    let folder = Folder(std::env::temp_dir().join(format!("kasm-scrub-peers-{}", std::process::id())));
    let dir = &folder.0;
    std::fs::create_dir_all(dir).map_err(|error| format!("cannot make {}: {error}", dir.display()))?;
    let vectorscan = rows.iter().any(|row| row.peer.vectorscan && row.missing.is_none());
    let told = prepare(options, &tools, dir, vectorscan)?;
    measure_starts(&mut rows, options.rounds, &tools, dir)?;
    let texts: Vec<(&str, &str)> =
        TEXTS.into_iter().filter(|(name, _)| told["bytes"].get(name).is_some()).collect();
    for (text, _) in &texts {
        measure_text(&mut rows, text, options.rounds, &tools, dir)?;
    }
    for row in rows.iter_mut().filter(|row| row.missing.is_none() && row.peer.rewrites) {
        eprintln!("left: {}", row.peer.id);
        row.left = Some(left(&row.peer, &tools, dir)?);
    }
    let paced = |id: &str| rows.iter().any(|row| row.peer.id == id && row.missing.is_none());
    let pace = |id: &str, command: &[&str]| {
        paced(id).then(|| {
            eprintln!("pace: {id}");
            pace(&tools, dir, command)
        })
    };
    let cat = pace("cat", &["cat"]).transpose()?;
    let program = tools.kasm_scrub.display().to_string();
    let ours = pace("kasm-scrub", &[&program, "filter"]).transpose()?;
    let bars = bars::bars(&rows, ours.as_ref(), cat.as_ref());
    let floor = measure::own_rss_kib() as f64 / 1024.0;
    match options.format {
        Shown::Json => {
            let all = json!({
                "mib": options.mib,
                "rounds": options.rounds,
                "prepared": told,
                "rows": rows.iter().map(Row::to_json).collect::<Vec<_>>(),
                "pace": {"kasm-scrub": ours, "cat": cat},
                "bars": bars.iter().map(bars::Bar::to_json).collect::<Vec<_>>(),
                "least_rss_mib": floor,
            });
            println!("{all:#}");
        }
        Shown::Text => {
            print!("{}", table::table(&rows, &texts));
            println!("\n{}", notes(options, &told, floor));
            print!("{}", bars::shown(&bars));
        }
    }
    Ok(())
}

/// What the figures mean, and which patterns were left out.
fn notes(options: &Options, told: &Value, floor: f64) -> String {
    let list = |name: &str| {
        let list = &told["lists"][name];
        let (rules, regexes) = (&list["rules"], &list["regexes"]);
        match list.is_object() {
            true => format!(
                "{name}: {rules} rules, {regexes} regexes; RegexSet takes {}, VRL {}{}",
                list["regex_set"],
                list["vrl"],
                match list["vectorscan_compile_s"].as_f64() {
                    Some(s) => format!(
                        ", Vectorscan {} (compiled in {s:.1} s, not in its start)",
                        list["vectorscan"]
                    ),
                    None => String::new(),
                }
            ),
            false => format!("{name}: not there"),
        }
    };
    format!(
        "best (median) of {} interleaved rounds; {} MiB per text, slow peers a part of it; \
         no RSS below {floor:.1} MiB can be told\n\
         {}\n{}\n{} rules look for keys and have no regex to give; {} literals, {} anchors have none; Vectorscan {}\n",
        options.rounds,
        options.mib,
        list("builtin"),
        list("gitleaks"),
        told["keyed_rules"],
        told["literals"],
        told["anchors_without_literal"],
        told["vectorscan"].as_str().unwrap_or("not asked"),
    )
}

fn tools(options: &Options) -> Result<Tools, String> {
    let peers = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let profile = peers.parent().unwrap_or(Path::new("."));
    let beside = profile.join("kasm-scrub");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/release/kasm-scrub");
    let kasm_scrub = options.kasm_scrub.clone().unwrap_or(if beside.is_file() { beside } else { root });
    let installed =
        options.tools.clone().unwrap_or_else(|| profile.parent().unwrap_or(profile).join("peers"));
    Ok(Tools { peers, kasm_scrub, installed })
}

/// A job of this program itself, and what it says.
fn ask(tools: &Tools, args: Vec<String>) -> Result<Value, String> {
    let job = Job {
        program: tools.find(Tool::Peers)?,
        args,
        env: Vec::new(),
        input: Input::None,
        output: Output::Kept,
        fine: &[0],
    };
    let sample = measure::run(&job)?;
    serde_json::from_slice(&sample.kept).map_err(|error| format!("{}: {error}", job.args.join(" ")))
}

fn prepare(options: &Options, tools: &Tools, dir: &Path, vectorscan: bool) -> Result<Value, String> {
    eprintln!("prepare: texts of {} MiB in {}", options.mib, dir.display());
    let mut args =
        vec!["prepare".to_owned(), dir.display().to_string(), "--mib".to_owned(), options.mib.to_string()];
    let mut give = |name: &str, path: &Path| args.extend([name.to_owned(), path.display().to_string()]);
    if let Some(file) = &options.file {
        give("--file", file);
    }
    if let Ok(rules) = tools.gitleaks() {
        give("--gitleaks", &rules);
    }
    args.extend(vectorscan.then(|| "--vectorscan".to_owned()));
    ask(tools, args)
}

fn measure_starts(rows: &mut [Row], rounds: usize, tools: &Tools, dir: &Path) -> Result<(), String> {
    for round in 0..=rounds {
        for row in rows.iter_mut().filter(|row| row.missing.is_none()) {
            eprintln!("start, round {round} of {rounds}: {}", row.peer.id);
            let sample = told(&row.peer, measure::run(&row.peer.start_job(tools, dir)?))?;
            // The first round fills caches, Kingfisher's own among them.
            if round > 0 {
                row.starts.push(sample);
            }
        }
    }
    Ok(())
}

fn measure_text(
    rows: &mut [Row],
    text: &'static str,
    rounds: usize,
    tools: &Tools,
    dir: &Path,
) -> Result<(), String> {
    for round in 1..=rounds {
        for row in rows.iter_mut().filter(|row| row.missing.is_none()) {
            eprintln!("{text}, round {round} of {rounds}: {}", row.peer.id);
            let path = dir.join(text_name(text, row.peer.part));
            let bytes =
                std::fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?.len();
            let sample = told(&row.peer, measure::run(&row.peer.job(tools, dir, text)?))?;
            row.texts.entry(text).or_insert((bytes, Vec::new())).1.push(sample);
        }
    }
    Ok(())
}

fn told(peer: &Peer, sample: Result<Sample, String>) -> Result<Sample, String> {
    sample.map_err(|error| format!("{}: {error}; leave the row out with --only", peer.id))
}

/// What a rewriter leaves of the planted secrets and of the corpus.
fn left(peer: &Peer, tools: &Tools, dir: &Path) -> Result<(Value, Value), String> {
    let judge = |file: &Path, is_planted: bool| {
        let out = dir.join("out.txt");
        told(peer, measure::run(&peer.rewrite_job(tools, dir, file, &out)?))?;
        let mut args = vec!["judge".to_owned(), out.display().to_string()];
        if is_planted {
            args.extend(["--planted".to_owned(), file.display().to_string()]);
        }
        ask(tools, args)
    };
    Ok((
        judge(&dir.join(text_name("hundredth", peer.part.max(16))), true)?,
        judge(&dir.join("corpus.txt"), false)?,
    ))
}

fn pace(tools: &Tools, dir: &Path, command: &[&str]) -> Result<Value, String> {
    let text = dir.join(text_name("hundredth", 64)).display().to_string();
    let args = ["pace", &text, "--"].into_iter().chain(command.iter().copied());
    ask(tools, args.map(str::to_owned).collect())
}
