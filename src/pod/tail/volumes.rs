//! How full the volumes are that files are on: one that is full takes no more lines, and nobody but the application is told.

use std::collections::HashSet;
use std::path::Path;

/// How full the fullest volume of these folders is, in millionths. One in memory counts by its limit, as any other; what only
/// the superuser may still write to counts as full.
#[cfg(target_os = "linux")]
pub(super) fn fullest<'p>(folders: impl Iterator<Item = &'p Path>) -> u64 {
    let mut seen = HashSet::new();
    let volumes = folders.filter(|folder| seen.insert(*folder)).filter_map(|folder| {
        let volume = rustix::fs::statvfs(folder).ok()?;
        let used = volume.f_blocks.saturating_sub(volume.f_bavail);
        used.saturating_mul(1_000_000).checked_div(volume.f_blocks)
    });
    volumes.max().unwrap_or(0)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn fullest<'p>(_folders: impl Iterator<Item = &'p Path>) -> u64 {
    0
}
