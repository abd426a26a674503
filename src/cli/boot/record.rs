//! What came of the last start at boot: kept in the state directory, because nobody looks on when it happens.
//!
//! Example: `{"boot":"...","method":"cron","at":1700000000,"waited_ms":0,"outcome":"started","pid":4711}`.

use crate::sys::ambient::Ambient;
use crate::sys::runtime_dir::Missing;
use crate::sys::state_dir;
use serde::{Deserialize, Serialize};
use std::fs;

/// The file in the state directory.
const FILE: &str = "boot.json";

/// Most bytes of it that are believed to be one of ours.
const BYTES_MAX: u64 = 64 * 1024;

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// visord was started.
    Started,
    /// It ran already.
    AlreadyRunning,
    /// It did not come up.
    #[default]
    Failed,
}

/// A start at boot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// The kernel's name of the boot; empty where it has none.
    pub boot: String,
    /// By which way.
    pub method: String,
    /// When, in seconds of Unix time.
    pub at: i64,
    /// How long the home was waited for, in milliseconds.
    pub waited_ms: u64,
    /// What came of it.
    pub outcome: Outcome,
    /// The daemon's pid; 0 where there is none.
    pub pid: i32,
    /// Why it failed.
    pub text: String,
}

/// Returns the kernel's name of this boot; empty where it has none.
#[must_use]
pub fn this_boot(ambient: &Ambient) -> String {
    let file = ambient.root.join("proc/sys/kernel/random/boot_id");
    fs::read_to_string(file).map(|text| text.trim_end().to_owned()).unwrap_or_default()
}

/// Keeps a record in the place of the one before.
///
/// # Errors
/// In words.
pub fn keep(ambient: &Ambient, record: &Record) -> Result<(), String> {
    let state = state_dir::open(ambient, Missing::Make)
        .map_err(|refused| refused.first().map_or_else(String::new, |refused| refused.why.clone()))?;
    let fresh = state.path.join(format!("{FILE}.{}", std::process::id()));
    let text = serde_json::to_string(record).unwrap_or_default();
    let written = fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, state.path.join(FILE)));
    written.map_err(|error| format!("cannot write {}: {error}", fresh.display()))
}

/// Returns the last record.
#[must_use]
pub fn last(ambient: &Ambient) -> Option<Record> {
    let state = state_dir::open(ambient, Missing::Leave).ok()?;
    let file = state.path.join(FILE);
    let is_sane = fs::metadata(&file).is_ok_and(|found| found.is_file() && found.len() <= BYTES_MAX);
    serde_json::from_slice(&fs::read(file).ok().filter(|_| is_sane)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_record_is_kept_and_rubbish_is_none() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let state = dir.path().join("state");
        let ambient = Ambient {
            uid: crate::sys::identity::uid(),
            variables: vec![("VISOR_STATE_DIR".into(), state.clone().into_os_string())],
            root: dir.path().into(),
            ..Ambient::default()
        };
        assert_eq!((last(&ambient), this_boot(&ambient)), (None, String::new()));
        let record = Record { method: "cron".into(), at: 7, outcome: Outcome::Started, ..Record::default() };
        assert_eq!(keep(&ambient, &record), Ok(()));
        assert_eq!(last(&ambient), Some(record));
        for rubbish in ["{", &" ".repeat(BYTES_MAX as usize + 1)] {
            fs::write(state.join(FILE), rubbish)?;
            assert_eq!(last(&ambient), None);
        }
        fs::create_dir_all(dir.path().join("proc/sys/kernel/random"))?;
        fs::write(dir.path().join("proc/sys/kernel/random/boot_id"), "b-1\n")?;
        assert_eq!(this_boot(&ambient), "b-1");
        Ok(())
    }
}
