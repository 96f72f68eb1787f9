//! Measures kasm-scrub and others that look for secrets in text, in one run, on the same files.
//!
//! Read `peers` (the rows) first, then `prepare` (what they work on), `measure` (how), `results`, `table`, `bars`.

mod bars;
// The root's tests and benches use other parts of these.
#[path = "../../../tests/corpus/mod.rs"]
mod corpus;
mod measure;
mod pace;
mod patterns;
mod peers;
mod prepare;
mod results;
mod rounds;
mod table;
#[allow(dead_code)]
#[path = "../../texts.rs"]
mod texts;
mod vectorscan;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use serde_json::Value;

const EXAMPLES: &str = "\
Examples:
  benches/peers/run                                  install what is missing, build, measure all
  peers --mib 64 --rounds 3 --only kasm-scrub,vectorscan-lines
  peers --file app.log --skip-missing
  peers --format json > peers.json
  peers --list

Each row's best and, in brackets, median speed is printed for each text. What is missing is an error unless
--skip-missing is given.";

/// Measure kasm-scrub and its peers side by side
#[derive(Debug, Parser)]
#[command(name = "peers", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    options: rounds::Options,
}

/// What the bench runs as processes of their own.
#[derive(Debug, clap::Subcommand)]
enum Part {
    /// Look at a file with a library; print one line of JSON
    #[command(hide = true)]
    Worker(worker::Args),
    /// Fill a folder with texts and lists of patterns
    #[command(hide = true)]
    Prepare(prepare::Args),
    /// Say what a rewriter has left: of the corpus, or of the secrets planted in a text
    #[command(hide = true)]
    Judge {
        out: PathBuf,
        #[arg(long)]
        planted: Option<PathBuf>,
    },
    /// Write lines to a filter at a steady rate and time them
    #[command(hide = true)]
    Pace(pace::Args),
}

fn main() -> ExitCode {
    let Cli { part, options } = Cli::parse();
    let done = match part {
        Some(part) => run(part).map(|told| println!("{told}")),
        None => rounds::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(part: Part) -> Result<Value, String> {
    let read = |path: &PathBuf| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    match part {
        Part::Worker(args) => worker::run(&args),
        Part::Prepare(args) => prepare::prepare(&args),
        Part::Judge { out, planted: None } => Ok(prepare::judge_corpus(&read(&out)?)),
        Part::Judge { out, planted: Some(text) } => Ok(prepare::judge_planted(&read(&text)?, &read(&out)?)),
        Part::Pace(args) => pace::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        let options = |args: &[&str]| Cli::try_parse_from([&["peers"], args].concat()).map(|cli| cli.options);
        let all = options(&["--only", "cat,kasm-scrub", "--mib", "8", "--skip-missing"]).expect("options");
        assert_eq!((all.only.len(), all.mib, all.skip_missing), (2, 8, true));
        assert!(options(&["--only", "nobody"]).is_err());
        assert!(options(&["--mib", "0"]).is_err());
    }
}
