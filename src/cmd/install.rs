//! `install`: copies this very program into a folder, for the other containers of a pod.
//!
//! The new file is whole before it has its name, and stays so over a crash: an app that starts meanwhile finds the old one,
//! the new one, or none.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Exit, Refusal, print};

const EXAMPLES: &str = "\
Examples:
  kasm-scrub install /opt/scrub
  kasm-scrub install --name scrub /opt/scrub

For an init container that shares an emptyDir with the app: the app's command then begins with
\"/opt/scrub/kasm-scrub\", \"run\", \"--\".";

/// Copy this program into a folder
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder; it must be there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// What the copy is called
    #[arg(long, value_name = "NAME", default_value = "kasm-scrub")]
    name: PathBuf,
}

pub(super) fn run(args: Args) -> Result<Exit, Refusal> {
    if args.name.file_name() != Some(args.name.as_os_str()) {
        return Err(Refusal(format!(
            "--name {}: write the name of a file, without a folder",
            args.name.display()
        )));
    }
    let target = args.folder.join(&args.name);
    // Not with an older one in the same place, nor with whatever has a name that this one would not clear up.
    let hidden = format!(".{}.{}.new", args.name.display(), std::process::id());
    let draft = args.folder.join(hidden);
    let installed = install(&draft, &target, &args.folder);
    if let Err(error) = installed {
        let _ = fs::remove_file(&draft);
        return Err(Refusal(format!("cannot install {}: {error}", target.display())));
    }
    print(|out| {
        out.write_all(target.as_os_str().as_bytes())?;
        out.write_all(b"\n")
    })?;
    Ok(Exit::Done)
}

fn install(draft: &Path, target: &Path, folder: &Path) -> io::Result<()> {
    // The system's own name for it works without a path, and when the file was replaced since.
    let mut from = File::open("/proc/self/exe").or_else(|_| File::open(std::env::current_exe()?))?;
    // What a copy that was cut off has left behind: in a container each process has the same number.
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut to = File::options().write(true).create_new(true).open(draft)?;
    io::copy(&mut from, &mut to)?;
    to.flush()?;
    to.set_permissions(fs::Permissions::from_mode(0o755))?;
    to.sync_all()?;
    drop(to);
    fs::rename(draft, target)?;
    File::open(folder)?.sync_all()
}
