//! Files that are read again: rules, learned values, certificates and tokens, on SIGHUP and when they change. What is wrong
//! with one leaves the old in use, is said and counted, and keeps none of the others from being used.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Config, Event, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::admin::Readiness;
use super::auth::Tokens;
use super::companion::Companion;
use super::engine::Engine;
use super::metrics::{self, Metrics};
use super::settings::PerSignal;
use super::tls::Listeners;
use super::upstream::Upstream;
use super::{Reloaded, Rules};
use crate::sanitize::Sanitizer;

/// Everything that is read from files.
pub(super) struct Reload {
    pub(super) rules: Arc<dyn Rules>,
    /// Files beside those of the rules.
    pub(super) others: Vec<PathBuf>,
    pub(super) engine: Arc<Engine>,
    pub(super) tls: Option<Arc<Listeners>>,
    pub(super) tokens: Option<Arc<Tokens>>,
    pub(super) upstreams: Option<PerSignal<Arc<Upstream>>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) readiness: Arc<Readiness>,
    /// What goes by the same rules.
    pub(super) companion: Option<Arc<dyn Companion>>,
}

/// Changes come in bursts: a file is emptied, written, closed.
const BURST: Duration = Duration::from_millis(300);
/// How often files are looked at where the system does not tell.
const POLL: Duration = Duration::from_secs(10);

impl Reload {
    /// Reads everything again; each thing is in use, or said to be wrong.
    fn reload(&self) {
        let Reloaded { sanitizer, mut wrong, notes, is_behind } = self.rules.reload();
        notes.iter().for_each(|note| tracing::warn!("{note}"));
        if let Some(sanitizer) = sanitizer {
            let count = sanitizer.rules().rules().len();
            self.go_by(sanitizer);
            match wrong.is_empty() {
                true => tracing::info!(rules = count, "rules were read again and are in use"),
                false => tracing::warn!(
                    rules = count,
                    "what could be read again is in use, beside what was before"
                ),
            }
        }
        self.readiness.is_behind.store(is_behind, Ordering::Relaxed);
        if let Some(tls) = &self.tls {
            wrong.extend(tls.reread().err().map(|bad| bad.to_string()));
        }
        if let Some(tokens) = &self.tokens {
            wrong.extend(tokens.reread().err());
        }
        for upstream in self.upstreams.iter().flat_map(PerSignal::all) {
            let why = upstream.reread().err().map(|bad| bad.to_string());
            wrong.extend(why.filter(|why| !wrong.contains(why)));
        }
        if wrong.is_empty() {
            self.metrics.event(metrics::Event::Reloaded);
            tracing::info!("all files were read again and are in use");
            return;
        }
        self.metrics.event(metrics::Event::ReloadFailed);
        for why in wrong {
            tracing::error!(%why, "a file was read again and is not used; what was in use stays");
        }
    }

    /// Goes over to other rules.
    fn go_by(&self, sanitizer: Arc<Sanitizer>) {
        self.metrics.rules(&sanitizer);
        self.engine.replace(sanitizer.clone());
        self.companion.iter().for_each(|own| own.replace(sanitizer.clone()));
    }

    /// All files that are watched.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        files(&*self.rules, &self.others)
    }

    /// Reads everything again whenever `changed` says so, or the rules do. A configuration may name other files then, and folders come and
    /// go: what is watched is looked up each time, before anything is read, so that no change falls between the two.
    pub(super) async fn run(self: Arc<Self>, changed: Arc<Notify>, mut watched: Option<Watch>) {
        loop {
            let due = self.rules.due().unwrap_or(Duration::MAX);
            if timeout(due, changed.notified()).await.is_ok() {
                let reload = self.clone();
                // A panic comes again when all is read, and is told then.
                let _ = spawn_blocking(move || reload.rules.learn_more().map(|new| reload.go_by(new))).await;
                sleep(BURST).await;
            }
            // What has changed meanwhile is read now.
            let _ = timeout(Duration::ZERO, changed.notified()).await;
            drop(watched.take());
            watched = watch(self.files(), &changed);
            let reload = self.clone();
            // A panic there is as good as a file that is wrong.
            if spawn_blocking(move || reload.reload()).await.is_err() {
                self.metrics.event(metrics::Event::ReloadFailed);
                self.readiness.is_behind.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// All files that are read again when they change.
pub(super) fn files(rules: &dyn Rules, others: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = rules.files();
    files.extend_from_slice(others);
    files.sort();
    files.dedup();
    files
}

/// Watches files for as long as this is held.
pub struct Watch {
    _watcher: Option<Box<dyn Watcher + Send>>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch")
    }
}

/// Tells `changed` when one of the files changes, or the link that leads to it. `None`: it cannot, and says so.
pub(super) fn watch(files: Vec<PathBuf>, changed: &Arc<Notify>) -> Option<Watch> {
    let changed = changed.clone();
    let watch = watch_files(files, move || changed.notify_one());
    if let Err(error) = &watch {
        tracing::warn!(%error, "files cannot be watched; send SIGHUP when they change");
    }
    watch.ok()
}

/// Calls `changed`, from another thread, when one of the files changes, or the link that leads to it. Changes come in
/// bursts.
/// # Errors
/// They cannot be watched; what the system says.
pub fn watch_files(
    files: Vec<PathBuf>,
    changed: impl Fn() + Clone + Send + 'static,
) -> Result<Watch, String> {
    if files.is_empty() {
        return Ok(Watch { _watcher: None });
    }
    let watcher = watcher(&files, changed).map_err(|error| error.to_string())?;
    Ok(Watch { _watcher: Some(watcher) })
}

fn watcher(
    files: &[PathBuf],
    changed: impl Fn() + Clone + Send + 'static,
) -> notify::Result<Box<dyn Watcher + Send>> {
    let (mut folders, names): (Vec<PathBuf>, Vec<OsString>) = files.iter().map(|file| watched(file)).unzip();
    folders.sort();
    folders.dedup();
    let watched = folders.clone();
    let told = move |event: notify::Result<Event>| {
        // What was missed may have been a change.
        if event.map_or(true, |event| event.need_rescan() || is_of(&event, &watched, &names)) {
            changed();
        }
    };
    let start = |watcher: &mut dyn Watcher| {
        folders.iter().try_for_each(|folder| watcher.watch(folder, RecursiveMode::NonRecursive))
    };
    if let Ok(mut watcher) = RecommendedWatcher::new(told.clone(), Config::default())
        && start(&mut watcher).is_ok()
    {
        return Ok(Box::new(watcher));
    }
    let config = Config::default().with_poll_interval(POLL).with_compare_contents(true);
    let mut watcher = PollWatcher::new(told, config)?;
    start(&mut watcher)?;
    Ok(Box::new(watcher))
}

/// The folder that is watched for a file, and the name that stands for it there. The folder: a file that is replaced is
/// another file, and mounted configuration is a link to a link. One that is not there is waited for in the one above it.
fn watched(file: &Path) -> (PathBuf, OsString) {
    let mut place = folder(file);
    let mut name = file.file_name().unwrap_or_default().to_owned();
    while !place.is_dir()
        && let Some(missing) = place.file_name().map(OsString::from)
    {
        (place, name) = (folder(&place), missing);
    }
    (place, name)
}

fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether an event may be about one of the names in the folders, or about a folder as a whole.
fn is_of(event: &Event, folders: &[PathBuf], names: &[OsString]) -> bool {
    let is_change = match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    };
    is_change
        && event.paths.iter().any(|path| {
            let Some(name) = path.file_name() else { return true };
            // Kubernetes swaps `..data`, to which the links of mounted files lead.
            name.as_encoded_bytes().starts_with(b"..")
                || names.iter().any(|own| own == name)
                || folders.contains(path)
        })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::otlp::Policy;
    use crate::relay::Scrubbing;

    /// Notes how it was read.
    #[derive(Default)]
    struct Noting(Mutex<Vec<&'static str>>, Notify);

    impl Noting {
        fn note(&self, what: &'static str) -> Arc<Sanitizer> {
            self.0.lock().expect("no panic holds it").push(what);
            self.1.notify_one();
            Arc::new(Sanitizer::builtin())
        }
    }

    impl Rules for Noting {
        fn load(&self) -> Result<Arc<Sanitizer>, String> {
            Ok(self.note("all"))
        }

        fn learn_more(&self) -> Option<Arc<Sanitizer>> {
            Some(self.note("values"))
        }

        fn files(&self) -> Vec<PathBuf> {
            Vec::new()
        }
    }

    #[tokio::test]
    async fn values_are_read_before_all_else_is() {
        let (rules, first) = (Arc::new(Noting::default()), Arc::new(Sanitizer::builtin()));
        let engine = Arc::new(Engine::new(first.clone(), Policy::default(), Scrubbing::On));
        let reload = Reload {
            rules: rules.clone(),
            others: Vec::new(),
            engine: engine.clone(),
            tls: None,
            tokens: None,
            upstreams: None,
            metrics: Arc::new(Metrics::new(|_| {})),
            readiness: Arc::default(),
            companion: None,
        };
        let changed = Arc::new(Notify::new());
        let running = tokio::spawn(Arc::new(reload).run(changed.clone(), None));
        changed.notify_one();
        for want in [&["values"][..], &["values", "all"]] {
            rules.1.notified().await;
            assert_eq!(*rules.0.lock().expect("no panic holds it"), want);
        }
        assert!(!Arc::ptr_eq(&engine.sanitizer(), &first), "it is in use");
        running.abort();
    }
}
