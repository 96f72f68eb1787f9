//! Files that rotation has put aside and that have been delivered are removed, where that was asked for: what is raw is kept no
//! longer than it must be, and a volume in memory does not fill up with it.
//!
//! Names change hands: between a look at a file and its removal, the next one may get its name. So it first gets a name that
//! nobody else gives, and is removed only if it is still the one that was meant.

use std::fs;
use std::io;
use std::path::Path;

use super::identity::Inode;

/// Removes the file at `path` if it is this one. `false`: another is there, or none; it is left.
pub(super) fn remove(path: &Path, inode: Inode) -> io::Result<bool> {
    let aside = path.with_file_name(format!(".kasm-scrub.{}", inode.number));
    let renamed = if aside == path { Ok(()) } else { rename(path, &aside) };
    match renamed {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    }
    if Inode::of(&fs::symlink_metadata(&aside)?) == inode {
        fs::remove_file(&aside)?;
        return Ok(true);
    }
    // Where its name is taken already, it is read under the one that it has now.
    rename(&aside, path).map(|()| false)
}

/// Gives a file another name, unless somebody has it.
#[cfg(target_os = "linux")]
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

#[cfg(not(target_os = "linux"))]
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    fs::remove_file(from)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn folder() -> (tempfile::TempDir, impl Fn(&str) -> PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let base = folder.path().to_owned();
        (folder, move |name: &str| base.join(name))
    }

    fn inode(path: &Path) -> Inode {
        Inode::of(&fs::symlink_metadata(path).expect("there"))
    }

    #[test]
    fn only_the_file_that_is_meant_is_removed() {
        let (folder, path) = folder();
        for name in ["a.log.1", "a.log.2"] {
            fs::write(path(name), name).expect("written");
        }
        let meant = inode(&path("a.log.1"));
        assert!(!remove(&path("a.log.2"), meant).expect("looked at"));
        assert!(!remove(&path("a.log.3"), meant).expect("looked at"));
        assert_eq!(fs::read_dir(&folder).expect("listed").count(), 2);
        // One that was about to be removed when the process was killed.
        let aside = path(&format!(".kasm-scrub.{}", inode(&path("a.log.2")).number));
        fs::rename(path("a.log.2"), &aside).expect("renamed");
        assert!(remove(&aside, inode(&aside)).expect("removed"));
        fs::write(path("a.log.2"), "another").expect("written");
        assert!(remove(&path("a.log.1"), meant).expect("removed"));
        assert!(!path("a.log.1").exists() && path("a.log.2").exists());
        assert_eq!(fs::read_dir(&folder).expect("listed").count(), 1);
    }
}
