//! In which order rotated files were written, going by their names.
//!
//! Dates rise. Numbers fall where each rotation counts up those that are there, as logrotate and Python do, so that the last one
//! is `.1`; and they rise where each file gets the next number, as Log4j may do. Which it is, those that are known already tell:
//! they were written before. Without them the times of the files do, if they rise with the numbers throughout.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::listing::Found;
use super::naming::number;

/// Sorts what is told of rotated files, the oldest first. `of` gives the path that one was written at, and the file; `known` the
/// least and the greatest number of the files of a path that were known before.
pub(super) fn sort<T>(
    files: &mut [T],
    of: impl Fn(&T) -> (&Path, &Found),
    known: impl Fn(&Path) -> Option<(i64, i64)>,
) {
    let mut groups: HashMap<&Path, Vec<(i64, Option<SystemTime>)>> = HashMap::new();
    for (before, found) in files.iter().map(&of) {
        let number = number(&found.path).map(|number| (number, found.modified));
        groups.entry(before).or_default().extend(number);
    }
    let rise = |(before, mut numbers): (&Path, Vec<(i64, Option<SystemTime>)>)| {
        numbers.sort_unstable();
        let (least, greatest) = (numbers.first()?.0, numbers.last()?.0);
        let rises = match known(before) {
            Some((_, most)) if least > most => true,
            Some((fewest, _)) if greatest < fewest => false,
            _ => {
                numbers.is_sorted_by_key(|(_, time)| *time)
                    && numbers.first().is_some_and(|first| first.1 < numbers.last().and_then(|last| last.1))
            }
        };
        rises.then(|| before.to_owned())
    };
    let rising: HashSet<PathBuf> = groups.into_iter().filter_map(rise).collect();
    files.sort_by_cached_key(|file| {
        let (before, found) = of(file);
        match number(&found.path) {
            Some(number) if rising.contains(before) => (number, PathBuf::new()),
            Some(number) => (-number, PathBuf::new()),
            None => (0, found.path.clone()),
        }
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pod::tail::identity::Inode;
    use crate::pod::tail::naming::Origin;

    /// Names in order, of files that were written so many seconds after one another.
    fn check(times: &[(&str, u64)], known: Option<(i64, i64)>, want: &[&str]) {
        let found = |&(name, seconds): &(&str, u64)| Found {
            path: name.into(),
            inode: Inode { device: 0, number: 0 },
            born: None,
            modified: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)),
            size: 0,
            origin: Origin::Behind,
        };
        let mut files: Vec<Found> = times.iter().map(found).collect();
        sort(&mut files, |found| (Path::new("l"), found), |_| known);
        let names: Vec<_> = files.iter().map(|found| found.path.to_string_lossy()).collect();
        assert_eq!(names, want, "{known:?}");
    }

    #[test]
    fn rotated_files_by_age() {
        check(&[("l.2", 2), ("l.10", 1), ("l.1", 3)], None, &["l.10", "l.2", "l.1"]);
        check(&[("l.20240301-1", 1), ("l.20240229-2", 1)], None, &["l.20240229-2", "l.20240301-1"]);
        check(&[("l.20240229-2", 1), ("l.20240229-1", 1)], None, &["l.20240229-1", "l.20240229-2"]);
        // Counted on, by their times alone.
        check(&[("l.2", 1), ("l.10", 3), ("l.3", 1)], None, &["l.2", "l.3", "l.10"]);
        // Times that tell nothing.
        check(&[("l.2", 1), ("l.3", 1)], None, &["l.3", "l.2"]);
        check(&[("l.1", 1), ("l.2", 3), ("l.3", 2)], None, &["l.3", "l.2", "l.1"]);
        // What is known tells more than clocks, which may be set.
        check(&[("l.1", 1), ("l.2", 2)], Some((3, 5)), &["l.2", "l.1"]);
        check(&[("l.6", 2), ("l.7", 1)], Some((3, 5)), &["l.6", "l.7"]);
    }
}
