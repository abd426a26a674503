//! The conditions of a program: whether it is to run here and now, judged at each start.
//!
//! Runs in the disk worker, because paths and commands may take their time. What does not hold is told as a sentence
//! that begins with the key. Must not know states. Example: `condition_os=macos` on Linux is the error
//! `condition_os=macos does not hold: this is linux`.

use super::environ::Layers;
use crate::config::glob;
use crate::core::SpawnError;
use crate::model::spec::ProcessSpec;
use crate::sys::ambient::Ambient;
use crate::sys::judge;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

/// The longest that a command may take: logs of other programs wait in their buffers for so long.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(5);

/// Other names of processors.
const PROCESSORS: [(&str, &str); 4] =
    [("amd64", "x86_64"), ("x64", "x86_64"), ("arm64", "aarch64"), ("i386", "x86")];

/// Other names of systems.
const SYSTEMS: [(&str, &str); 2] = [("darwin", "macos"), ("osx", "macos")];

/// Judges what needs neither files of variables nor a command.
///
/// # Errors
/// The first condition that does not hold.
pub(super) fn judge_place(spec: &ProcessSpec) -> Result<(), SpawnError> {
    if !spec.condition_host.is_empty() {
        let ambient = Ambient::real();
        let names = host_names(&ambient.node_name, &ambient.host_key());
        let holds =
            one_of(&spec.condition_host, &|pattern| names.iter().any(|it| glob::is_match(pattern, it)));
        refuse_unless(holds, "condition_host", &spec.condition_host, || {
            format!("this host is {}", ambient.node_name)
        })?;
    }
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let is = |known: &'static str, others: &'static [(&'static str, &'static str)]| {
        move |word: &str| {
            let word = word.to_lowercase();
            word == "*" || others.iter().find(|row| row.0 == word).map_or(word.as_str(), |row| row.1) == known
        }
    };
    let holds = spec.condition_os.is_empty() || one_of(&spec.condition_os, &is(os, &SYSTEMS));
    refuse_unless(holds, "condition_os", &spec.condition_os, || format!("this is {os}"))?;
    let holds = spec.condition_arch.is_empty() || one_of(&spec.condition_arch, &is(arch, &PROCESSORS));
    refuse_unless(holds, "condition_arch", &spec.condition_arch, || format!("this is {arch}"))?;
    let base = spec.directory.as_deref().unwrap_or(Path::new("/"));
    for word in &spec.condition_path {
        let (wanted, path) = wish(word);
        let is_there = std::fs::metadata(base.join(path)).is_ok();
        let why = if wanted { "it is not there" } else { "it is there" };
        refuse_unless(is_there == wanted, "condition_path", std::slice::from_ref(word), || why.to_owned())?;
    }
    Ok(())
}

/// Judges what depends on the environment that the program would have.
///
/// # Errors
/// The first condition that does not hold.
pub(super) fn judge_environment(layers: &Layers<'_>) -> Result<(), SpawnError> {
    let spec = layers.spec;
    for word in &spec.condition_env {
        let (wanted, text) = wish(word);
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let found = layers.value(name);
        let holds = match (&found, value) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(found), Some(value)) => found.to_str().is_some_and(|found| glob::is_match(value, found)),
        };
        let why = match &found {
            None => format!("{name} is not set"),
            // Its value may be a secret.
            Some(_) if wanted => format!("{name} is set to something else"),
            Some(_) => format!("{name} is set"),
        };
        refuse_unless(holds == wanted, "condition_env", std::slice::from_ref(word), || why)?;
    }
    let Some(command) = &spec.condition_command else { return Ok(()) };
    let variables: Vec<(OsString, OsString)> =
        layers.variables().into_iter().map(|variable| (variable.name, variable.value)).collect();
    judge::run(command, spec.directory.as_deref(), &variables, COMMAND_TIME_MAX)
        .map_err(|why| SpawnError::Condition(format!("condition_command={command} does not hold: {why}")))
}

/// Returns the names that stand for a host: all of it, its first part, and the one that is unique.
fn host_names(node: &str, key: &str) -> [String; 3] {
    let first = node.split('.').next().unwrap_or(node);
    [node.to_owned(), first.to_owned(), key.to_owned()]
}

/// Whether a word with `!` in front, which says what must not be, is one.
fn wish(word: &str) -> (bool, &str) {
    word.strip_prefix('!').map_or((true, word), |rest| (false, rest.trim_start()))
}

/// Whether one of the words fits, and none that is forbidden; only forbidding ones let everything else in.
fn one_of(words: &[String], fits: &dyn Fn(&str) -> bool) -> bool {
    let (wanted, forbidden): (Vec<_>, Vec<_>) = words.iter().map(|word| wish(word)).partition(|wish| wish.0);
    let any = |words: &[(bool, &str)]| words.iter().any(|(_, word)| fits(word));
    (wanted.is_empty() || any(&wanted)) && !any(&forbidden)
}

fn refuse_unless(
    holds: bool,
    key: &str,
    words: &[String],
    why: impl FnOnce() -> String,
) -> Result<(), SpawnError> {
    if holds {
        return Ok(());
    }
    Err(SpawnError::Condition(format!("{key}={} does not hold: {}", words.join(","), why())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spec::Place;

    fn words(text: &str) -> Vec<String> {
        text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    fn spec(change: impl FnOnce(&mut ProcessSpec)) -> ProcessSpec {
        let mut spec = ProcessSpec::new("g", "p", "true", Place::default());
        change(&mut spec);
        spec
    }

    fn told(result: Result<(), SpawnError>) -> String {
        result.map_or_else(|error| error.to_string(), |()| "holds".to_owned())
    }

    #[test]
    fn lists_say_what_may_be_and_what_must_not() {
        for (list, fits) in
            [("a,b", true), ("b,c", false), ("!a", false), ("!b", true), ("*,!a", false), ("a,!b", true)]
        {
            assert_eq!(one_of(&words(list), &|word| word == "a" || word == "*"), fits, "{list}");
        }
        assert_eq!(host_names("a.b.c", "k"), ["a.b.c", "a", "k"]);
    }

    #[test]
    fn a_place_is_judged_by_host_system_processor_and_paths() {
        let node = Ambient::real().node_name;
        for (holds, host) in [(true, node.as_str()), (true, "*"), (false, "no-such-host"), (false, "!*")] {
            let told = told(judge_place(&spec(|spec| spec.condition_host = words(host))));
            let expected = format!("condition_host={host} does not hold: this host is {node}");
            assert_eq!(told, if holds { "holds" } else { &expected }, "{host}");
        }
        let os = std::env::consts::OS;
        assert_eq!(told(judge_place(&spec(|spec| spec.condition_os = words(&os.to_uppercase())))), "holds");
        let other = told(judge_place(&spec(|spec| spec.condition_os = words("plan9"))));
        assert_eq!(other, format!("condition_os=plan9 does not hold: this is {os}"));
        let arch = judge_place(&spec(|spec| spec.condition_arch = words("amd64,arm64,x86,riscv64")));
        assert_eq!(told(arch), "holds");
        assert!(judge_place(&spec(|spec| spec.condition_arch = words("pdp11"))).is_err());
        for (path, expected) in [
            ("/", "holds"),
            ("!/no/such", "holds"),
            ("/,/no/such", "condition_path=/no/such does not hold: it is not there"),
            ("!/", "condition_path=!/ does not hold: it is there"),
        ] {
            assert_eq!(told(judge_place(&spec(|spec| spec.condition_path = words(path)))), expected);
        }
        let relative = spec(|spec| {
            (spec.directory, spec.condition_path) = (Some("/usr".into()), words("bin"));
        });
        assert_eq!(told(judge_place(&relative)), "holds");
    }

    #[test]
    fn the_environment_is_the_one_that_the_program_would_have() {
        let judge = |change: &dyn Fn(&mut ProcessSpec)| {
            let spec = spec(|spec| {
                spec.environment = vec![("TOKEN".into(), "secret".into())];
                change(spec);
            });
            let own = vec![("PATH".into(), "/usr/bin:/bin".into())];
            told(judge_environment(&Layers {
                spec: &spec,
                own: &own,
                login: None,
                server_url: None,
                files: &[],
            }))
        };
        for (list, expected) in [
            ("TOKEN,PATH,!NOPE", "holds"),
            ("TOKEN=sec*", "holds"),
            ("NOPE", "condition_env=NOPE does not hold: NOPE is not set"),
            ("TOKEN=x", "condition_env=TOKEN=x does not hold: TOKEN is set to something else"),
            ("!TOKEN", "condition_env=!TOKEN does not hold: TOKEN is set"),
        ] {
            assert_eq!(judge(&|spec| spec.condition_env = words(list)), expected);
        }
        let command = |line: &str| judge(&|spec| spec.condition_command = Some(line.to_owned()));
        assert_eq!(command("test \"$TOKEN\" = secret"), "holds");
        assert_eq!(command("exit 3"), "condition_command=exit 3 does not hold: it ended with exit status 3");
    }
}
