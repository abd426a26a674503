//! From a command line to a file that can be executed: words, and the search along PATH.
//!
//! Runs in the disk worker, because a look-up may hang as any file access may. Decides nothing: what is wrong
//! is told as a [`SpawnError`] in supervisord's words (supervisor 4.3 `process.get_execv_args`).

use super::conditions;
use super::environ::{self, Layers, OfFile};
use super::image::Environment;
use super::login_env;
use crate::core::SpawnError;
use crate::model::python::str_repr;
use crate::model::spec::ProcessSpec;
use crate::sys::ambient::Ambient;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Searched when neither the program's environment nor the daemon's has a PATH (supervisor 4.3 `get_path`).
const PATH_DEFAULT: &str = "/bin:/usr/bin:/usr/local/bin";

/// What to execute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    /// The file.
    pub(super) path: CString,
    /// Its words as written.
    pub(super) argv: Vec<CString>,
    /// What the files of its `env_file=` say.
    pub(super) of_files: Vec<OfFile>,
}

/// What is needed to find a program's command: its specification, and what its environment is made of.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    /// Command line, working directory, which a relative command is executed from, and files of variables.
    pub(super) spec: Arc<ProcessSpec>,
    /// What visord was started with.
    pub(super) own: Arc<Environment>,
    /// What a login gives, where the program begins with that: found out by the first who needs it.
    pub(super) login: Option<Arc<OnceLock<Environment>>>,
}

impl Lookup {
    /// Splits the command line and finds its file.
    pub(super) fn run(&self) -> Result<Command, SpawnError> {
        let command = &self.spec.command;
        let words = split(command)
            .map_err(|why| SpawnError::CannotParse { command: str_repr(command), why: why.into() })?;
        let Some(name) = words.first() else { return Err(SpawnError::Empty) };
        conditions::judge_place(&self.spec)?;
        let of_files = environ::read_files(&self.spec.env_file)?;
        let path = self.find(name, self.judged_search_path(&of_files)?)?;
        let argv: Option<Vec<CString>> = words.iter().map(|word| CString::new(word.as_str()).ok()).collect();
        let path = CString::new(path.as_os_str().as_bytes()).ok();
        path.zip(argv)
            .map(|(path, argv)| Command { path, argv, of_files })
            .ok_or_else(|| SpawnError::NotFound(name.clone()))
    }

    /// Judges the conditions on the environment, and returns PATH as the program will have it.
    fn judged_search_path(&self, of_files: &[OfFile]) -> Result<Option<OsString>, SpawnError> {
        let login = self.login.as_deref().map(login_of).transpose()?;
        let layers = Layers { spec: &self.spec, own: &self.own, login, server_url: None, files: of_files };
        conditions::judge_environment(&layers)?;
        Ok(layers.value("PATH"))
    }

    fn find(&self, name: &str, search: Option<OsString>) -> Result<PathBuf, SpawnError> {
        if name.contains('/') {
            let path = PathBuf::from(name);
            let from = self.spec.directory.as_deref().unwrap_or(Path::new(""));
            return executable(&from.join(&path), name).map(|()| path);
        }
        let mut first_failure = SpawnError::NotFound(name.to_owned());
        let mut found_any = false;
        let search = search.map_or_else(|| PATH_DEFAULT.into(), |path| path.to_string_lossy().into_owned());
        for directory in search.split(':') {
            let path = Path::new(if directory.is_empty() { "." } else { directory }).join(name);
            match executable(&path, &path.display().to_string()) {
                Ok(()) => return Ok(path),
                Err(SpawnError::NotFound(_)) => {}
                // The search goes on behind a directory or a file without rights, as a shell's does.
                Err(failure) if !found_any => (first_failure, found_any) = (failure, true),
                Err(_) => {}
            }
        }
        Err(first_failure)
    }
}

/// Checks that `path` can be executed by us; failures are told with `name`.
fn executable(path: &Path, name: &str) -> Result<(), SpawnError> {
    let Ok(metadata) = std::fs::metadata(path) else { return Err(SpawnError::NotFound(name.to_owned())) };
    if metadata.is_dir() {
        return Err(SpawnError::IsDirectory(name.to_owned()));
    }
    if metadata.permissions().mode() & 0o111 == 0 || !metadata.is_file() {
        return Err(SpawnError::NotExecutable(name.to_owned()));
    }
    match nix::unistd::access(path, nix::unistd::AccessFlags::X_OK) {
        Ok(()) => Ok(()),
        Err(_) => Err(SpawnError::NoPermission(name.to_owned())),
    }
}

/// Splits a line like a POSIX shell does, without any expansion (Python's `shlex.split`, comments off).
fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut chars = line.chars();
    let mut word: Option<String> = None;
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => quoted(&mut chars, '\'', word.get_or_insert_default())?,
            '"' => quoted(&mut chars, '"', word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(chars.next().ok_or("No escaped character")?),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Reads up to the closing quote; inside double quotes a backslash escapes a double quote and itself.
fn quoted(chars: &mut std::str::Chars<'_>, quote: char, word: &mut String) -> Result<(), &'static str> {
    loop {
        match chars.next().ok_or("No closing quotation")? {
            c if c == quote => return Ok(()),
            '\\' if quote == '"' => match chars.next().ok_or("No escaped character")? {
                escaped @ ('"' | '\\') => word.push(escaped),
                other => word.extend(['\\', other]),
            },
            c => word.push(c),
        }
    }
}

/// Returns what a login gives, and asks one where nobody has yet.
pub(super) fn login_of(known: &OnceLock<Environment>) -> Result<&Environment, SpawnError> {
    if let Some(login) = known.get() {
        return Ok(login);
    }
    let login = login_env::capture(&Ambient::real()).map_err(|why| {
        SpawnError::Environment(format!("cannot begin with a login's variables (env_login): {why}"))
    })?;
    Ok(known.get_or_init(|| login))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spec::Place;

    fn look(command: &str, search: &str, directory: Option<&Path>) -> Result<Command, SpawnError> {
        let mut spec = ProcessSpec::new("g", "p", command, Place::default());
        spec.directory = directory.map(Path::to_owned);
        let own = Arc::new(vec![("PATH".into(), search.into())]);
        Lookup { spec: Arc::new(spec), own, login: None }.run()
    }

    #[test]
    fn words_are_split_as_a_shell_would() {
        for (line, words) in [
            ("a  b\tc\nd", vec!["a", "b", "c", "d"]),
            (r#"a 'b c' "d \" \\ \n""#, vec!["a", "b c", r#"d " \ \n"#]),
            (r"a\ b c#d #e", vec!["a b", "c#d", "#e"]),
            (r#"x"y"'z' ''"#, vec!["xyz", ""]),
            ("", vec![]),
        ] {
            assert_eq!(split(line), Ok(words.into_iter().map(String::from).collect()), "{line}");
        }
        assert_eq!(split("a 'b"), Err("No closing quotation"));
        assert_eq!(split("a \\"), Err("No escaped character"));
    }

    #[test]
    fn each_failure_has_supervisords_words() {
        let directory = tempfile::tempdir().map(|d| d.keep()).unwrap_or_default();
        let file = directory.join("plain");
        std::fs::write(&file, "").unwrap_or_default();
        let (file, dir) = (file.display().to_string(), directory.display().to_string());
        for (command, words) in [
            ("sh 'x".to_owned(), r#"can't parse command "sh 'x": No closing quotation"#.to_owned()),
            (" ".into(), "command is empty".into()),
            ("nope".into(), "can't find command 'nope'".into()),
            ("/no/such".into(), "can't find command '/no/such'".into()),
            (dir.clone(), format!("command at '{dir}' is a directory")),
            (file.clone(), format!("command at '{file}' is not executable")),
            ("plain".into(), format!("command at '{file}' is not executable")),
        ] {
            let error = look(&command, &dir, None).map_err(|e| e.to_string());
            assert_eq!(error, Err(words), "{command}");
        }
        assert!(std::fs::remove_dir_all(directory).is_ok());
    }

    #[test]
    fn the_search_goes_on_behind_what_cannot_be_executed() {
        let directory = tempfile::tempdir().map(|d| d.keep()).unwrap_or_default();
        std::fs::create_dir(directory.join("sh")).unwrap_or_default();
        let search = format!("{}:/bin", directory.display());
        let found = look("sh -c x", &search, None).map(|c| c.path);
        assert_eq!(found, Ok(CString::new("/bin/sh").unwrap_or_default()));
        assert!(std::fs::remove_dir_all(directory).is_ok());
    }

    #[test]
    fn a_relative_command_is_looked_up_where_it_is_executed() {
        let found = look("./sh", "", Some(Path::new("/bin"))).map(|c| c.path);
        assert_eq!(found, Ok(CString::new("./sh").unwrap_or_default()));
    }
}
