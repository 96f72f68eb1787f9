//! `completions`: what a shell needs to complete our commands.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Exit, Refusal, print};

const EXAMPLES: &str = "\
Examples:
  kasm-scrub completions bash > /etc/bash_completion.d/kasm-scrub
  kasm-scrub completions zsh > ~/.zfunc/_kasm-scrub";

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: Args) -> Result<Exit, Refusal> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kasm-scrub", &mut script);
    print(|out| out.write_all(&script))?;
    Ok(Exit::Done)
}
