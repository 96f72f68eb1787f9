//! Where a sanitizer comes from while a command goes on: rules and learned values, read when it starts and again when files
//! change.
//!
//! Invariants:
//! - What is wrong with rules keeps no new value from being found, and what is wrong with a value keeps no new rule from
//!   being used: of each, what was read last without a fault is in use.
//! - A value that another has taken the place of is found for a while longer: programs that were started with it still write
//!   it, and so do files that lag behind. Then it is wiped.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::setup::{Dates, Made, REPLACED, SanitizerOptions, Texts};
use super::{Refusal, say};
use crate::Sanitizer;
use crate::config::{Config, Learn};
use crate::learned::Named;
use crate::relay::Reloaded;
use crate::scan::Format;

/// Rules and learned values that are read more than once.
pub(super) struct Source {
    options: SanitizerOptions,
    format: Option<Format>,
    state: Mutex<State>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("options", &self.options).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    /// What is in use.
    texts: Option<Texts>,
    values: Values,
}

/// What was read for the first time.
pub(super) struct Loaded {
    pub(super) sanitizer: Arc<Sanitizer>,
    /// What was said of it.
    pub(super) notes: Vec<String>,
}

impl Source {
    /// Reads nothing yet.
    pub(super) fn new(options: SanitizerOptions, format: Option<Format>) -> Self {
        Self { options, format, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads everything for the first time.
    pub(super) fn load(&self) -> Result<Loaded, Refusal> {
        let mut state = self.state();
        let texts = self.options.read()?;
        let learn = texts.config()?.learn;
        let named = self.options.learn.read_all(&learn, self.options.base())?;
        state.values.take(named, self.options.learn.keep(&learn), Instant::now());
        let Made { sanitizer, profile: _, notes, refused } =
            self.options.make(&texts, self.format, state.values.all(), Dates::Checked)?;
        self.options.learn.require(&learn, &refused).map_err(Refusal)?;
        notes.iter().for_each(|note| say(note));
        state.texts = Some(texts);
        Ok(Loaded { sanitizer: Arc::new(sanitizer), notes })
    }

    /// Reads everything again.
    pub(super) fn reload(&self) -> Reloaded {
        let mut state = self.state();
        let mut reloaded = Reloaded::default();
        let config = self.options.configuration().ok();
        let config = config.or_else(|| state.texts.as_ref()?.config().ok());
        let learn = config.map(|config: Config| config.learn).unwrap_or_default();
        self.read_values(&learn, &mut state, &mut reloaded);
        let fresh = self.options.read().and_then(|texts| {
            let made = self.options.make(&texts, self.format, state.values.all(), Dates::Checked)?;
            Ok((texts, made))
        });
        match fresh {
            Ok((texts, made)) => {
                state.texts = Some(texts);
                self.use_made(&learn, made, &mut reloaded);
            }
            Err(Refusal(why)) => {
                reloaded.wrong.push(why);
                self.make_again(&learn, &state, &mut reloaded);
            }
        }
        reloaded
    }

    /// Reads the values again; the rules stay as they are.
    #[cfg(target_os = "linux")]
    pub(super) fn relearn(&self) -> Reloaded {
        let mut state = self.state();
        let mut reloaded = Reloaded::default();
        let learn = Self::learn_in_use(&state);
        self.read_values(&learn, &mut state, &mut reloaded);
        self.make_again(&learn, &state, &mut reloaded);
        reloaded
    }

    /// Rules and values in use, and all values that are there now. What is half written is one of them, and takes nobody's
    /// place; what is wrong is told when all is read again. `None`: nothing can be made of them.
    pub(super) fn learn_more(&self) -> Option<Arc<Sanitizer>> {
        let mut state = self.state();
        let learn = Self::learn_in_use(&state);
        let (new, _) = self.options.learn.read(&learn, self.options.base()).ok()?;
        state.values.more(new);
        let all = [state.values.all(), state.values.early.clone()].concat();
        let made = self.options.make(state.texts.as_ref()?, self.format, all, Dates::AsTheyWere).ok()?;
        Some(Arc::new(made.sanitizer))
    }

    fn learn_in_use(state: &State) -> Learn {
        let config = state.texts.as_ref().and_then(|texts| texts.config().ok());
        config.map(|config| config.learn).unwrap_or_default()
    }

    /// Reads the values; those that cannot be read stay as they were.
    fn read_values(&self, learn: &Learn, state: &mut State, reloaded: &mut Reloaded) {
        let now = Instant::now();
        state.values.expire(now);
        match self.options.learn.read(learn, self.options.base()) {
            Ok((mut named, wrong)) => {
                if !wrong.is_empty() {
                    reloaded.wrong.extend(wrong);
                    reloaded.is_behind = true;
                    let unread = |old: &Named| named.iter().all(|new| new.name != old.name);
                    let unread: Vec<Named> = state.values.last_seen().filter(unread).collect();
                    named.extend(unread);
                }
                state.values.take(named, self.options.learn.keep(learn), now);
            }
            Err(Refusal(why)) => {
                reloaded.wrong.push(why);
                reloaded.is_behind = true;
                let last = state.values.last_seen().collect();
                state.values.take(last, self.options.learn.keep(learn), now);
            }
        }
    }

    /// Makes a sanitizer of the rules in use and the values that are known now.
    fn make_again(&self, learn: &Learn, state: &State, reloaded: &mut Reloaded) {
        let Some(texts) = &state.texts else { return };
        match self.options.make(texts, self.format, state.values.all(), Dates::AsTheyWere) {
            Ok(made) => self.use_made(learn, made, reloaded),
            // It was made of the same rules before.
            Err(Refusal(why)) => {
                reloaded.wrong.push(why);
                reloaded.is_behind = true;
            }
        }
    }

    fn use_made(&self, learn: &Learn, made: Made, reloaded: &mut Reloaded) {
        let Made { sanitizer, profile: _, notes, refused } = made;
        reloaded.notes.extend(notes);
        if let Err(why) = self.options.learn.require(learn, &refused) {
            reloaded.wrong.push(why);
            reloaded.is_behind = true;
        }
        reloaded.sanitizer = Some(Arc::new(sanitizer));
    }

    /// All files that are read. Of a configuration with a mistake nothing can be told; then those count that the one in use
    /// names.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut files = self.options.files();
        files.extend(self.learned_files());
        files
    }

    /// The files that values are learned from.
    pub(super) fn learned_files(&self) -> Vec<PathBuf> {
        self.options.learned_files(&Self::learn_in_use(&self.state()))
    }

    /// When the next value is to be forgotten.
    pub(super) fn due(&self) -> Option<Duration> {
        self.state().values.due(Instant::now())
    }
}

/// The most sets of values that were replaced; beyond it the oldest goes before its time.
const MOST_REPLACED: usize = 16;

/// Values, and those that they have taken the place of.
#[derive(Debug, Default)]
struct Values {
    now: Vec<Named>,
    /// Those that were seen since, perhaps half written.
    early: Vec<Named>,
    /// Until when they are found.
    replaced: Vec<(Instant, Vec<Named>)>,
}

impl Values {
    /// Takes new values; those that are not among them are found for a while longer.
    fn take(&mut self, new: Vec<Named>, keep: Duration, now: Instant) {
        self.early.clear();
        let mut old = std::mem::replace(&mut self.now, new);
        old.retain(|old| self.now.iter().all(|new| *new.value != *old.value));
        if old.is_empty() || keep.is_zero() {
            return;
        }
        old.iter_mut().for_each(|old| old.name.push_str(REPLACED));
        if self.replaced.len() == MOST_REPLACED {
            self.replaced.remove(0);
        }
        self.replaced.push((now + keep, old));
    }

    /// Notes values that were seen early.
    fn more(&mut self, mut new: Vec<Named>) {
        new.retain(|new| self.now.iter().all(|old| *old.value != *new.value));
        self.early.retain(|old| new.iter().all(|new| new.name != old.name));
        self.early.append(&mut new);
    }

    /// The last value that was seen of each name.
    fn last_seen(&self) -> impl Iterator<Item = Named> {
        let is_early = |old: &&Named| self.early.iter().any(|new| new.name == old.name);
        self.early.iter().chain(self.now.iter().filter(move |old| !is_early(old))).cloned()
    }

    /// Forgets those whose time is over.
    fn expire(&mut self, now: Instant) {
        self.replaced.retain(|(until, _)| *until > now);
    }

    /// How long until the next one is to be forgotten.
    fn due(&self, now: Instant) -> Option<Duration> {
        self.replaced.iter().map(|(until, _)| until.saturating_duration_since(now)).min()
    }

    /// All that are to be found.
    fn all(&self) -> Vec<Named> {
        self.now.iter().chain(self.replaced.iter().flat_map(|(_, old)| old)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(value: &str) -> Named {
        Named { name: "file a".to_owned(), value: value.as_bytes().to_vec().into() }
    }

    fn check(values: &Values, want: &[&str]) {
        let all = values.all();
        let got: Vec<_> = all.iter().map(|named| std::str::from_utf8(&named.value).expect("text")).collect();
        assert_eq!(got, want);
    }

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: SanitizerOptions,
    }

    #[test]
    fn what_is_half_written_takes_nobodys_place() {
        use clap::Parser;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("password");
        let write = |value: &str| std::fs::write(&file, value).expect("a file");
        let found = |sanitizer: &Sanitizer| {
            let holds =
                |value: &&str| !sanitizer.scan_block(value.as_bytes(), &mut Default::default()).is_empty();
            ["Dead77Beef12x", "Dead88Beef13y"].iter().filter(|value| holds(value)).count()
        };
        let path = file.display().to_string();
        let line = Line::parse_from(["scrub", "--learn-file", &path, "--learn-keep", "0s"]);
        let source = Source::new(line.options, None);
        write("Dead77Beef12x\n");
        assert_eq!(found(&source.load().map_err(|Refusal(why)| why).expect("a value").sanitizer), 1);
        write("");
        assert_eq!(source.learn_more().map(|more| found(&more)), Some(1), "it may come again");
        write("Dead88Beef13y\n");
        assert_eq!(source.learn_more().map(|more| found(&more)), Some(2), "both may be in use");
        std::fs::remove_file(&file).expect("a file");
        assert_eq!(source.reload().sanitizer.map(|all| found(&all)), Some(1), "the last one stays in use");
        write("Dead99Beef14z\n");
        assert_eq!(source.reload().sanitizer.map(|all| found(&all)), Some(0));
    }

    #[test]
    fn replaced_values_are_found_for_a_while() {
        let (mut values, now, hour) = (Values::default(), Instant::now(), Duration::from_secs(3600));
        values.take(vec![named("DeadBeef1"), named("stays")], hour, now);
        values.take(vec![named("DeadBeef2"), named("stays")], hour, now);
        check(&values, &["DeadBeef2", "stays", "DeadBeef1"]);
        values.take(vec![named("DeadBeef3")], hour, now + hour / 2);
        values.expire(now + hour);
        check(&values, &["DeadBeef3", "DeadBeef2", "stays"]);
        assert_eq!(values.due(now + hour), Some(hour / 2));
        values.expire(now + 2 * hour);
        check(&values, &["DeadBeef3"]);
        assert_eq!(values.due(now), None);
        values.take(Vec::new(), Duration::ZERO, now);
        check(&values, &[]);
        for number in 0..2 * MOST_REPLACED {
            values.take(vec![named(&number.to_string())], hour, now);
        }
        assert_eq!(values.all().len(), MOST_REPLACED + 1);
    }
}
