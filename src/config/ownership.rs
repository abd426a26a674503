//! Whether a file can be trusted to say what is run: who owns it, and who can write it or replace it.
//!
//! Refused are files and directories above them that belong to neither us nor root, or that everybody can
//! write; a directory with the sticky bit (`/tmp`) may be world-writable, because there only owners replace
//! files. `examine(path, host)` is empty for a file that passes.

use super::diagnostic::Severity;
use crate::model::Host;
use crate::model::host::Ownership;
use std::path::Path;

const STICKY: u32 = 0o1000;
const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITES: u32 = 0o020;

/// One reason not to trust a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Whether it is refused.
    pub severity: Severity,
    /// What is wrong, after `cannot be trusted: ` or by itself.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

/// Returns what speaks against a file, following symbolic links to where it really is.
#[must_use]
pub fn examine(path: &Path, host: &dyn Host) -> Vec<Doubt> {
    let real = host.canonical(path).unwrap_or_else(|_| path.to_path_buf());
    let mut doubts = Vec::new();
    for place in real.ancestors().filter(|place| !place.as_os_str().is_empty()) {
        if let Ok(ownership) = host.ownership(place) {
            doubts.extend(judge(place, ownership, place == real, host.uid()));
        }
    }
    doubts
}

/// Whether nothing speaks against using the file.
#[must_use]
pub fn is_trusted(path: &Path, host: &dyn Host) -> bool {
    examine(path, host).iter().all(|doubt| doubt.severity != Severity::Error)
}

fn judge(place: &Path, ownership: Ownership, is_file: bool, me: u32) -> Option<Doubt> {
    let Ownership { uid, mode, .. } = ownership;
    let shown = place.display();
    if uid != me && uid != 0 {
        return Some(Doubt {
            severity: Severity::Error,
            what: format!("{shown} belongs to user {uid}, who could change what is run"),
            hint: format!("chown {me} {shown}, or copy it to a place of your own"),
        });
    }
    let sticky_directory = ownership.is_dir && mode & STICKY != 0;
    if mode & OTHERS_WRITE != 0 && !sticky_directory {
        return Some(Doubt {
            severity: Severity::Error,
            what: format!("{shown} can be written by everybody"),
            hint: format!("chmod o-w {shown}"),
        });
    }
    if is_file && mode & GROUP_WRITES != 0 {
        return Some(Doubt {
            severity: Severity::Warning,
            what: format!("{shown} can be written by its group, who can change what is run"),
            hint: format!("chmod g-w {shown}"),
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check::tests::Imagined;

    /// Owner and mode of `/d` and of `/d/f`, and what comes of it; we are user 1000.
    #[test]
    fn the_matrix_of_owners_and_modes() {
        use Severity::{Error, Warning};
        for (directory, file, expected) in [
            ((0, 0o755), (1000, 0o644), None),
            ((1000, 0o700), (0, 0o600), None),
            ((1000, 0o775), (1000, 0o664), Some(Warning)),
            ((1000, 0o755), (1001, 0o644), Some(Error)),
            ((1000, 0o755), (1000, 0o646), Some(Error)),
            ((1000, 0o777), (1000, 0o644), Some(Error)),
            ((0, 0o1777), (1000, 0o644), None),
            ((0, 0o1777), (1001, 0o644), Some(Error)),
            ((1001, 0o755), (1000, 0o644), Some(Error)),
            ((1001, 0o1755), (1000, 0o644), Some(Error)),
            ((1000, 0o755), (1000, 0o1666), Some(Error)),
        ] {
            let host = Imagined::default()
                .me(1000)
                .file("/d/f", "")
                .owner("/d", directory.0, directory.1)
                .owner("/d/f", file.0, file.1);
            let worst = examine(Path::new("/d/f"), &host).iter().map(|doubt| doubt.severity).min();
            assert_eq!(worst, expected, "{directory:?} {file:?}");
            assert_eq!(is_trusted(Path::new("/d/f"), &host), expected != Some(Error));
        }
    }

    #[test]
    fn a_link_is_judged_by_where_it_leads() {
        let host = Imagined::default()
            .me(1000)
            .file("/theirs/f", "")
            .owner("/theirs", 1001, 0o755)
            .owner("/theirs/f", 1000, 0o644)
            .link("/d/f", "/theirs/f");
        assert!(!is_trusted(Path::new("/d/f"), &host));
    }
}
