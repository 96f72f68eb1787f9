//! Bearer tokens of clients: which are taken.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use hyper::header::HeaderValue;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The largest file of tokens that is read.
const MOST: u64 = 64 << 10;
/// The shortest token that is taken from a file.
const SHORTEST: usize = 16;

type Hash = [u8; 32];

/// The tokens of a file, by their hashes: comparing these tells nothing about a token by the time it takes.
pub(super) struct Tokens {
    file: PathBuf,
    hashes: RwLock<Vec<Hash>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Reads a file with one token a line; empty lines do not count.
    pub(super) fn read(file: &Path) -> Result<Self, String> {
        let hashes = RwLock::new(hashes(file)?);
        Ok(Self { file: file.to_owned(), hashes })
    }

    /// Reads the file again. What is wrong with it leaves the old tokens in use.
    pub(super) fn reread(&self) -> Result<(), String> {
        let new = hashes(&self.file)?;
        *self.hashes.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// Whether a request with this `authorization` is taken.
    pub(super) fn take(&self, authorization: Option<&HeaderValue>) -> bool {
        let Some((scheme, token)) = authorization.and_then(|value| value.as_bytes().split_at_checked(7))
        else {
            return false;
        };
        let hash: Hash = Sha256::digest(token.trim_ascii()).into();
        scheme.eq_ignore_ascii_case(b"bearer ")
            && self.hashes.read().unwrap_or_else(PoisonError::into_inner).contains(&hash)
    }
}

fn hashes(file: &Path) -> Result<Vec<Hash>, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("token file {}: {why}", file.display());
    let size = std::fs::metadata(file).map_err(|error| wrong(&error))?.len();
    if size > MOST {
        return Err(wrong(&format_args!("is larger than {MOST} bytes")));
    }
    let text = Zeroizing::new(std::fs::read(file).map_err(|error| wrong(&error))?);
    let mut hashes = Vec::new();
    for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
        let token = line.trim_ascii();
        match token.len() {
            0 => {}
            len if len < SHORTEST => {
                return Err(wrong(&format_args!("line {number}: a token has at least {SHORTEST} bytes")));
            }
            _ => hashes.push(Sha256::digest(token).into()),
        }
    }
    if hashes.is_empty() {
        return Err(wrong(&"has no token; write one a line"));
    }
    Ok(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_taken_and_rotate() {
        let file = tempfile::NamedTempFile::new().expect("file");
        let write = |text: &str| std::fs::write(file.path(), text).expect("file");
        write("DeadDeadDeadDead1\n\n  DeadDeadDeadDead2 \n");
        let tokens = Tokens::read(file.path()).expect("tokens");
        let takes = |text: &'static str| tokens.take(Some(&HeaderValue::from_static(text)));
        assert!(takes("Bearer DeadDeadDeadDead1") && takes("bearer DeadDeadDeadDead2"));
        assert!(!takes("Bearer ") && !takes("Basic DeadDeadDeadDead1") && !takes("DeadDeadDeadDead1"));
        assert!(!takes("Bearer DeadDeadDeadDead") && !tokens.take(None));
        write("short\n");
        let message = tokens.reread().expect_err("too short");
        assert!(message.contains("line 1") && !message.contains("short\n"), "{message}");
        assert!(takes("Bearer DeadDeadDeadDead1"), "the old ones are in use");
        write("DeadDeadDeadDead3");
        tokens.reread().expect("good");
        assert!(!takes("Bearer DeadDeadDeadDead1") && takes("Bearer DeadDeadDeadDead3"));
        write("\n");
        assert!(tokens.reread().is_err());
    }
}
