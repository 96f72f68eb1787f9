//! From options and files to a sanitizer: the part that all commands with rules share.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use zeroize::Zeroizing;

use super::learn::LearnOptions;
use super::{Refusal, say};
#[cfg(feature = "pod")]
use crate::config::Learn;
use crate::config::{Choice, Config, Date, MAX_KEEP};
use crate::learned::{Learned, Named};
use crate::rules::{Action, Profile, RuleFile, Ruleset};
use crate::sanitize::Parts;
use crate::scan::Format;
use crate::{HashKey, Sanitizer};

/// The largest rule file or configuration that is read.
const MAX_FILE: u64 = 16 << 20;
/// The largest key file that is read.
pub(super) const MAX_KEY: u64 = 64 << 10;

/// Which rules.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct RuleOptions {
    /// How much is looked for [default: default; a configuration may say otherwise]
    #[arg(short, long, value_name = "PROFILE", value_parser = profiles())]
    pub(super) profile: Option<Profile>,
    /// A rule file (this project's or gitleaks' format), on top of the built-in rules; may be given more than once
    #[arg(short, long, value_name = "FILE")]
    pub(super) rules: Vec<PathBuf>,
    /// Leave the built-in rules out
    #[arg(long)]
    pub(super) no_builtin: bool,
}

/// What is done with findings.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SanitizerOptions {
    #[command(flatten)]
    pub(super) rules: RuleOptions,
    /// A configuration file (YAML); options given here beat it
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// What stands in place of every finding, whatever the rules and the configuration say
    #[arg(long, value_name = "ACTION", value_parser = actions())]
    pub(super) action: Option<Action>,
    /// The key of pseudonyms for the action hash: a file with at least 16 bytes
    #[arg(long, value_name = "FILE")]
    pub(super) hash_key: Option<PathBuf>,
    /// The id of that key, part of each pseudonym [default: k1, or what --config says]
    #[arg(long, value_name = "ID")]
    pub(super) hash_key_id: Option<String>,
    #[command(flatten)]
    pub(super) learn: LearnOptions,
}

fn profiles() -> impl TypedValueParser<Value = Profile> {
    PossibleValuesParser::new(Profile::ALL.map(Profile::name))
        .map(|name| Profile::by_name(&name).unwrap_or_default())
}

fn actions() -> impl TypedValueParser<Value = Action> {
    PossibleValuesParser::new(Action::NAMES).map(|name| match &*name {
        "mask" => Action::Mask { keep: MAX_KEEP },
        "hash" => Action::Hash,
        "remove" => Action::Remove,
        _ => Action::Replace,
    })
}

/// A time as it is written on the command line: `10s`, `500ms`, `2m`, `1h`.
#[cfg(feature = "otlp")]
pub(super) fn duration(text: &str) -> Result<std::time::Duration, String> {
    let at = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let wrong = || "write a number and s, ms, m or h: 10s".to_owned();
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    match millis {
        Some(millis @ 1..=86_400_000) => Ok(std::time::Duration::from_millis(millis)),
        Some(_) => Err("a time is between 1ms and 24h".to_owned()),
        None => Err(wrong()),
    }
}

/// What records are taken to be, by name.
pub(super) fn formats() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::ALL.map(Format::name))
        .map(|name| Format::ALL.into_iter().find(|f| f.name() == name).unwrap_or_default())
}

impl RuleOptions {
    /// The built-in rules and those of the files, of every profile.
    pub(super) fn load(&self) -> Result<Ruleset, Refusal> {
        load(!self.no_builtin, &self.rules)
    }
}

impl SanitizerOptions {
    /// The files that the sanitizer is made of, as far as they can be told now.
    #[cfg(feature = "pod")]
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files = self.rules.rules.clone();
        files.extend(self.hash_key.clone());
        let (mut learn, mut base) = (Learn::default(), Path::new(""));
        if let Some(path) = &self.config {
            files.push(path.clone());
            let text = read_text("configuration", path).unwrap_or_default();
            if let Ok(config) = Config::read(&path.display().to_string(), &text) {
                base = path.parent().unwrap_or(base);
                files.extend(config.rules.iter().chain(&config.key_file).map(|file| base.join(file)));
                learn = config.learn;
            }
        }
        files.extend(self.learn.files(&learn, base));
        files
    }

    /// Those that values are learned from, as a configuration says that was read before.
    #[cfg(feature = "pod")]
    pub(super) fn learned_files(&self, learn: &Learn) -> Vec<PathBuf> {
        self.learn.files(learn, self.base())
    }

    /// What the configuration says, if one is named.
    #[cfg(feature = "pod")]
    pub(super) fn configuration(&self) -> Result<Config, Refusal> {
        let Some(path) = &self.config else { return Ok(Config::default()) };
        Ok(Config::read(&path.display().to_string(), &read_text("configuration", path)?)?)
    }

    /// The sanitizer, and the profile it works by: for who makes it once.
    pub(super) fn sanitizer(&self, format: Option<Format>) -> Result<(Sanitizer, Profile), Refusal> {
        let texts = self.read()?;
        let learn = texts.config()?.learn;
        let named = self.learn.read_all(&learn, self.base())?;
        let Made { sanitizer, profile, notes, refused } = self.make(&texts, format, named, Dates::Checked)?;
        self.learn.require(&learn, &refused).map_err(Refusal)?;
        notes.iter().for_each(|note| say(note));
        Ok((sanitizer, profile))
    }

    /// Where paths in the configuration are relative to.
    pub(super) fn base(&self) -> &Path {
        self.config.as_deref().and_then(Path::parent).unwrap_or(Path::new(""))
    }

    /// Reads all files but those that values are learned from.
    pub(super) fn read(&self) -> Result<Texts, Refusal> {
        let text = match &self.config {
            Some(path) => Some((path.display().to_string(), read_text("configuration", path)?)),
            None => None,
        };
        let mut texts = Texts { config: text, rules: Vec::new(), key: None };
        let config = texts.config()?;
        let base = self.base();
        let files: Vec<PathBuf> =
            config.rules.iter().map(|file| base.join(file)).chain(self.rules.rules.iter().cloned()).collect();
        texts.rules = read_rule_files(&files)?;
        let key_file = self.hash_key.clone().or_else(|| config.key_file.as_ref().map(|file| base.join(file)));
        if let Some(file) = key_file {
            texts.key = Some((read("hash key file", &file, MAX_KEY)?, file));
        }
        Ok(texts)
    }

    /// Makes a sanitizer of what was read before.
    pub(super) fn make(
        &self,
        texts: &Texts,
        format: Option<Format>,
        named: Vec<Named>,
        dates: Dates,
    ) -> Result<Made, Refusal> {
        let config = texts.config()?;
        if dates == Dates::Checked {
            config.check_dates(today())?;
        }
        let mut notes = Vec::new();
        let builtin = !self.rules.no_builtin && config.builtin.unwrap_or(true);
        let mut rules = load_texts(builtin, &texts.rules, &mut notes)?;
        let is_asked = self.learn.is_asked(&config.learn) || !named.is_empty();
        let learned = is_asked.then(|| Learned::new(named, self.learn.least(&config.learn)));
        if learned.is_some() {
            rules.add_learned();
        }
        let refused = learned.iter().flat_map(|learned| learned.refused());
        // What is not in use any more was told when it was.
        let refused = refused.filter(|refused| !refused.name.ends_with(REPLACED));
        let refused: Vec<String> = refused.map(ToString::to_string).collect();
        notes.extend(refused.iter().map(|refused| format!("note: {refused}")));
        let key_id =
            self.hash_key_id.clone().or_else(|| config.key_id.clone()).unwrap_or_else(|| "k1".to_owned());
        let profile = self.rules.profile.or(config.profile).unwrap_or_default();
        let choice = Choice { profile: Some(profile), action: self.action, format };
        let parts = config.into_parts(rules, choice)?;
        if parts.rules.rules().is_empty() {
            return Err(Refusal(format!(
                "no rules are left in profile {profile}; nothing would be scrubbed"
            )));
        }
        if self.action == Some(Action::Hash) && texts.key.is_none() {
            return Err(Refusal("--action hash needs a hash key; add --hash-key FILE".to_owned()));
        }
        let key = texts.key.as_ref().map(|(bytes, file)| hash_key(bytes, file, &key_id)).transpose()?;
        let sanitizer = Sanitizer::new(Parts { key, learned, ..parts })?;
        if self.hash_key.is_some() && !sanitizer.hashes() {
            notes.push("note: --hash-key is not used: nothing has the action hash".to_owned());
        }
        Ok(Made { sanitizer, profile, notes, refused })
    }
}

/// What the files hold that a sanitizer is made of.
pub(super) struct Texts {
    /// The name of the configuration, and its text.
    config: Option<(String, String)>,
    rules: Vec<(String, String)>,
    key: Option<(Zeroizing<Vec<u8>>, PathBuf)>,
}

impl Texts {
    /// What the configuration says, if there is one.
    pub(super) fn config(&self) -> Result<Config, Refusal> {
        match &self.config {
            Some((name, text)) => Ok(Config::read(name, text)?),
            None => Ok(Config::default()),
        }
    }
}

/// Whether entries of a configuration that have expired are faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dates {
    /// They are.
    Checked,
    /// They were looked at when the configuration was read: it is in use.
    #[cfg(feature = "pod")]
    AsTheyWere,
}

/// A sanitizer, and what is to be said of it.
pub(super) struct Made {
    pub(super) sanitizer: Sanitizer,
    pub(super) profile: Profile,
    pub(super) notes: Vec<String>,
    /// Values in use that were not learned, and why.
    pub(super) refused: Vec<String>,
}

/// Stands behind the name of a value that another has taken the place of.
pub(super) const REPLACED: &str = " (replaced)";

/// The day in UTC. A clock that stands before 1970 tells nothing: then all that can expire has.
fn today() -> Date {
    Date::at(SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs()))
}

/// Loads rules; says what was skipped.
pub(super) fn load(builtin: bool, files: &[PathBuf]) -> Result<Ruleset, Refusal> {
    let mut notes = Vec::new();
    let rules = load_texts(builtin, &read_rule_files(files)?, &mut notes)?;
    notes.iter().for_each(|note| say(note));
    Ok(rules)
}

fn load_texts(
    builtin: bool,
    texts: &[(String, String)],
    notes: &mut Vec<String>,
) -> Result<Ruleset, Refusal> {
    let files: Vec<RuleFile<'_>> = texts.iter().map(|(name, text)| RuleFile { name, text }).collect();
    let rules = Ruleset::load(builtin, &files)?;
    notes.extend(rules.skipped().iter().map(|skipped| format!("note: {skipped}")));
    Ok(rules)
}

/// Names and texts of rule files.
pub(super) fn read_rule_files(files: &[PathBuf]) -> Result<Vec<(String, String)>, Refusal> {
    files.iter().map(|path| Ok((path.display().to_string(), read_text("rule file", path)?))).collect()
}

fn hash_key(bytes: &[u8], path: &Path, id: &str) -> Result<HashKey, Refusal> {
    HashKey::new(id, bytes).map_err(|bad| match bad {
        crate::BadKey::TooShort => Refusal(format!("hash key file {}: {bad}", path.display())),
        crate::BadKey::BadId => Refusal(format!("hash key id {id:?}: {bad}")),
    })
}

fn read_text(what: &str, path: &Path) -> Result<String, Refusal> {
    String::from_utf8(std::mem::take(&mut *read(what, path, MAX_FILE)?))
        .map_err(|_| Refusal(format!("{what} {}: is not UTF-8 text", path.display())))
}

/// Reads a file that may hold a secret: what was read is wiped when dropped, also where it could not be read to its end.
pub(super) fn read(what: &str, path: &Path, most: u64) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let file = File::open(path);
    read_from(what, path, file, most)
}

/// The same of a file that was opened, or could not be.
pub(super) fn read_from(
    what: &str,
    path: &Path,
    file: std::io::Result<File>,
    most: u64,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let cannot = |error: std::io::Error| Refusal(format!("cannot read {what} {}: {error}", path.display()));
    let file = file.map_err(cannot)?;
    let mut file = file.take(most + 1);
    // Room for all of it at once, and a byte to see that it ends: a list that grows would leave parts behind. Files that
    // do not tell their size get room in steps, each wiped when it is outgrown.
    let size = file.get_ref().metadata().map_or(0, |m| m.len().min(most)) as usize;
    let mut bytes = Zeroizing::new(Vec::with_capacity(size + 1));
    loop {
        if bytes.len() == bytes.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(2 * bytes.len() + 4096));
            larger.extend_from_slice(&bytes);
            bytes = larger;
        }
        let (len, room) = (bytes.len(), bytes.capacity());
        bytes.resize(room, 0);
        let read = file.read(&mut bytes[len..]);
        bytes.truncate(len + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(cannot(error)),
        }
    }
    if bytes.len() as u64 > most {
        return Err(Refusal(format!("{what} {}: is larger than {} KiB", path.display(), most >> 10)));
    }
    Ok(bytes)
}
