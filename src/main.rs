//! The binary: parses the command line, runs the command, turns its end into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    kasm_scrub::cmd::main()
}
