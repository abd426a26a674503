//! The file with the marks of disabled programs, in the state directory of a host: read, and changed as a whole.
//!
//! Must not know what a mark is for. Example: `change(&dir, Instance::Default, |marks| ...)?` returns the marks as
//! they are now, on the disk too.

use crate::model::Instance;
use crate::model::marks::Marks;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Most bytes that are read: far above what the most marks take.
const FILE_MAX_BYTES: u64 = 16 * 1024 * 1024;

fn file_of(dir: &Path, instance: Instance) -> PathBuf {
    dir.join(format!("disabled.{instance}"))
}

/// Reads the marks; a file that is not there has none.
///
/// # Errors
/// As open(2) and read(2).
pub fn read(dir: &Path, instance: Instance) -> io::Result<Marks> {
    let mut text = String::new();
    match File::open(file_of(dir, instance)) {
        Ok(file) => drop(file.take(FILE_MAX_BYTES).read_to_string(&mut text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(Marks::parse(&text))
}

/// Changes the marks, and returns them as they are kept then: durably, and whole or not at all.
///
/// # Errors
/// Those of `change`, or as write(2); then nothing is changed.
pub fn change(
    dir: &Path,
    instance: Instance,
    change: impl FnOnce(&mut Marks) -> Result<(), String>,
) -> io::Result<Marks> {
    let mut marks = read(dir, instance)?;
    change(&mut marks).map_err(io::Error::other)?;
    let file = file_of(dir, instance);
    let new = dir.join(format!("disabled.{instance}.{}.new", std::process::id()));
    let written = write_new(&new, marks.text().as_bytes()).and_then(|()| fs::rename(&new, &file));
    if written.is_err() {
        drop(fs::remove_file(&new));
    }
    written?;
    File::open(dir)?.sync_all()?;
    Ok(marks)
}

fn write_new(new: &Path, text: &[u8]) -> io::Result<()> {
    // One of the same name is of a process that died in the middle of it.
    let mut to = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(new)?;
    to.write_all(text)?;
    to.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::marks::Mark;

    #[test]
    fn marks_are_kept_for_each_daemon_and_changed_whole_or_not_at_all() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let web = Mark { group: "web".into(), process: Some("web".into()) };
        let kept = change(dir.path(), Instance::Default, |marks| marks.add(web.clone(), 5))?;
        assert_eq!(kept.since("web", "web"), Some(5));
        assert_eq!(read(dir.path(), Instance::Default)?, kept);
        assert_eq!(read(dir.path(), Instance::Classic(1))?, Marks::default());
        let refused = change(dir.path(), Instance::Default, |marks| {
            marks.remove(&web)?;
            Err("no".to_owned())
        });
        assert!(refused.is_err_and(|error| error.to_string() == "no"));
        assert_eq!(read(dir.path(), Instance::Default)?, kept);
        assert_eq!(fs::read_dir(dir.path())?.count(), 1);
        assert!(change(&dir.path().join("gone"), Instance::Default, |_| Ok(())).is_err());
        Ok(())
    }
}
