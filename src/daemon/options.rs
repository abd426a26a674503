//! The command line of `visord`, which is supervisord's: `getopt` rules, one table.
//!
//! Options are only read here; what their values mean is decided by the key table when the configuration is
//! loaded, so that `--loglevel` and `loglevel=` cannot differ. Must not print, exit or touch the system.
//!
//! ```
//! use visor::daemon::options::parse;
//! let options = parse(&["-n".into(), "-c".into(), "v.conf".into()]).unwrap();
//! assert!(options.nodaemon && options.configuration.is_some());
//! ```

use crate::config::LoadRequest;
use crate::config::search::{Search, search};
use crate::model::Host;
use crate::model::getopt::{Given, Row, base_name, cut, row};
use crate::model::spec::XdgRoots;
use std::path::{Path, PathBuf};

/// What an option does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Help,
    Version,
    PrintConfig,
    Configuration,
    /// Sets the key of `[supervisord]` to the option's value.
    Key,
    /// Sets the key of `[supervisord]` to yes.
    Flag,
    /// Is read and has no effect: it is about Python's profiler.
    Nothing,
}

/// All options; `-?`, which has no long name, is an empty one.
const ROWS: [Row<Effect>; 22] = [
    row(Some('c'), "configuration", Some("FILENAME"), Effect::Configuration, "read FILENAME"),
    row(Some('n'), "nodaemon", None, Effect::Flag, "stay in the foreground"),
    row(Some('h'), "help", None, Effect::Help, "print this text and exit"),
    row(Some('?'), "", None, Effect::Help, "print this text and exit"),
    row(Some('v'), "version", None, Effect::Version, "print the version and exit"),
    row(Some('u'), "user", Some("USER"), Effect::Key, "become USER (a name or a number) at start"),
    row(Some('m'), "umask", Some("UMASK"), Effect::Key, "use this file creation mask (octal)"),
    row(Some('d'), "directory", Some("DIRECTORY"), Effect::Key, "change to DIRECTORY when daemonizing"),
    row(Some('l'), "logfile", Some("FILENAME"), Effect::Key, "use FILENAME as main logfile"),
    row(Some('y'), "logfile_maxbytes", Some("BYTES"), Effect::Key, "rotate the main logfile at this size"),
    row(Some('z'), "logfile_backups", Some("NUM"), Effect::Key, "keep this many rotated main logfiles"),
    row(Some('e'), "loglevel", Some("LEVEL"), Effect::Key, "log from LEVEL on (critical to blather)"),
    row(Some('j'), "pidfile", Some("FILENAME"), Effect::Key, "write the pid to FILENAME"),
    row(Some('i'), "identifier", Some("STR"), Effect::Key, "name of this daemon in events and logs"),
    row(Some('q'), "childlogdir", Some("DIRECTORY"), Effect::Key, "put AUTO logs of programs there"),
    row(Some('k'), "nocleanup", None, Effect::Flag, "keep the AUTO logs of earlier runs"),
    row(Some('a'), "minfds", Some("NUM"), Effect::Key, "least number of open files needed"),
    row(Some('t'), "strip_ansi", None, Effect::Flag, "remove escape sequences from logs of programs"),
    row(None, "minprocs", Some("NUM"), Effect::Key, "least number of processes needed"),
    row(Some('s'), "silent", None, Effect::Flag, "with -n: do not print the log as well"),
    row(None, "print-config", None, Effect::PrintConfig, "print a configuration to begin with and exit"),
    row(None, "profile_options", Some("LIST"), Effect::Nothing, "accepted, and of no effect"),
];

/// What the command line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `-c`.
    pub configuration: Option<PathBuf>,
    /// `-n` was given.
    pub nodaemon: bool,
    /// `-s` was given.
    pub silent: bool,
    /// Keys of `[supervisord]` with their texts, `nodaemon` and `silent` among them.
    pub overrides: Vec<(&'static str, String)>,
    /// Print [`help`] and exit.
    pub help: bool,
    /// Print the version and exit.
    pub version: bool,
    /// Print [`crate::config::sample`] and exit.
    pub print_config: bool,
}

impl Options {
    /// Returns the request that loads `file` under these options.
    #[must_use]
    pub fn load_request(&self, file: PathBuf) -> LoadRequest {
        LoadRequest { overrides: self.overrides.clone(), ..LoadRequest::of(file) }
    }

    /// Returns the request that loads the configuration of a user's own daemon under these options.
    #[must_use]
    pub fn xdg_request(&self, roots: XdgRoots) -> LoadRequest {
        LoadRequest { overrides: self.overrides.clone(), ..LoadRequest::xdg(roots) }
    }

    /// Whether the user's own daemon is meant: no file is named, and the name is not supervisord's.
    #[must_use]
    pub fn is_xdg(&self, program: &str) -> bool {
        self.configuration.is_none() && base_name(program) != SUPERVISORD
    }
}

/// Reads the words after the program's name. Help, version and sample end the reading where they stand, as upstream
/// acts on them at once.
///
/// # Errors
/// The text for the user, without `Error: `.
pub fn parse(words: &[String]) -> Result<Options, String> {
    let shapes = ROWS.each_ref().map(Row::shape);
    let (given, rest) = cut(words, &shapes)?;
    if !rest.is_empty() {
        return Err(format!("positional arguments are not supported: {}", rest.join(" ")));
    }
    let mut options = Options::default();
    let mut seen: Vec<&'static str> = Vec::new();
    for Given { index, typed, value } in given {
        let row = &ROWS[index];
        let repeatable =
            matches!(row.effect, Effect::Help | Effect::Version | Effect::PrintConfig | Effect::Nothing);
        if !repeatable && seen.contains(&row.long) {
            return Err(format!("conflicting command line option '{typed}'"));
        }
        seen.push(row.long);
        match row.effect {
            Effect::Help => return Ok(Options { help: true, ..options }),
            Effect::Version => return Ok(Options { version: true, ..options }),
            Effect::PrintConfig => return Ok(Options { print_config: true, ..options }),
            Effect::Configuration => options.configuration = Some(value.into()),
            Effect::Key => options.overrides.push((row.long, value)),
            Effect::Flag => options.overrides.push((row.long, "true".to_owned())),
            Effect::Nothing => {}
        }
    }
    options.nodaemon = options.overrides.iter().any(|(key, _)| *key == "nodaemon");
    options.silent = options.overrides.iter().any(|(key, _)| *key == "silent");
    Ok(options)
}

/// Returns the help text for the program as it was called.
#[must_use]
pub fn help(program: &str) -> String {
    let name = base_name(program);
    let mut text =
        format!("{name} -- run a set of applications as daemons.\n\nUsage: {name} [options]\n\nOptions:\n");
    text.extend(ROWS.iter().map(Row::line));
    text
}

/// The name under which everything is as supervisord does it.
const SUPERVISORD: &str = "supervisord";

/// Returns the configuration to use: the one named, or the first that is found where supervisord looks.
///
/// # Errors
/// The text for the user, when there is none; it names the places, and the files that are not trusted.
pub fn configuration(options: &Options, program: &str, host: &dyn Host) -> Result<PathBuf, String> {
    if let Some(named) = &options.configuration {
        return Ok(named.clone());
    }
    let Search { found, skipped, tried } = search(Path::new(program), host);
    if let Some(found) = found {
        return Ok(found);
    }
    let places: Vec<String> = tried.iter().map(|place| place.display().to_string()).collect();
    let mut text = format!(
        "No config file found at default paths ({}); use the -c option to specify a config file at a different path",
        places.join(", ")
    );
    for (file, why) in skipped {
        text.push_str(&format!("; {} was passed over: {why}", file.display()));
    }
    Err(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words)
    }

    fn overrides(line: &str) -> String {
        let options = parsed(line).expect(line);
        let shown: Vec<String> =
            options.overrides.iter().map(|(key, text)| format!("{key}={text}")).collect();
        shown.join(" ")
    }

    #[test]
    fn the_manual_page_has_every_option() {
        let page = include_str!("../../man/visord.1");
        for row in ROWS.iter().filter(|row| !row.long.is_empty()) {
            let value = row.value.map(|value| format!(" Ar {value}")).unwrap_or_default();
            let short = row.short.map(|letter| format!("Fl {letter} , ")).unwrap_or_default();
            let short = if row.long == "help" { "Fl h , Fl ?\\& , ".to_owned() } else { short };
            let entry = format!("\n.It {short}Fl \\-{}{value}\n", row.long);
            assert!(page.contains(&entry), "visord.1 lacks {entry}");
        }
    }

    #[test]
    fn every_option_of_supervisord_is_known() {
        assert_eq!(
            overrides(
                "-u u -m 022 -d / -l L -y 1MB -z 3 -e debug -j P -i I -q /tmp -a 10 --minprocs 5 -nkts"
            ),
            "user=u umask=022 directory=/ logfile=L logfile_maxbytes=1MB logfile_backups=3 loglevel=debug \
             pidfile=P identifier=I childlogdir=/tmp minfds=10 minprocs=5 nodaemon=true nocleanup=true \
             strip_ansi=true silent=true"
        );
        assert_eq!(parsed("-c f").map(|options| options.configuration), Ok(Some("f".into())));
        assert_eq!(parsed("--profile_options=cumulative,calls"), Ok(Options::default()));
    }

    #[test]
    fn words_are_cut_as_getopt_cuts_them() {
        assert_eq!(overrides("-edebug -nlFILE"), "loglevel=debug nodaemon=true logfile=FILE");
        assert_eq!(overrides("--loglevel=info"), "loglevel=info");
        assert_eq!(overrides("--logl info --ident=x --noda"), "loglevel=info identifier=x nodaemon=true");
        assert_eq!(overrides("--logfile a"), "logfile=a", "a whole name is no prefix");
        assert_eq!(overrides("-e -n"), "loglevel=-n");
        assert_eq!(overrides("-n --"), "nodaemon=true");
    }

    #[test]
    fn mistakes_are_told_in_getopts_words() {
        for (line, error) in [
            ("-x", "option -x not recognized"),
            ("--nope", "option --nope not recognized"),
            ("--log a", "option --log not a unique prefix"),
            ("-c", "option -c requires argument"),
            ("--configuration", "option --configuration requires argument"),
            ("--nodaemon=1", "option --nodaemon must not have an argument"),
            ("-n --nodaemon", "conflicting command line option '--nodaemon'"),
            ("-c a -c b", "conflicting command line option '-c'"),
            ("start", "positional arguments are not supported: start"),
            ("-n start -c f", "positional arguments are not supported: start -c f"),
        ] {
            assert_eq!(parsed(line), Err(error.to_owned()), "{line}");
        }
    }

    #[test]
    fn without_a_file_only_supervisords_name_means_classic_mode() {
        for (program, line, xdg) in [
            ("visord", "", true),
            ("/usr/bin/visord", "-n -e debug", true),
            ("visord", "-c f", false),
            ("supervisord", "", false),
            ("/opt/bin/supervisord", "-n", false),
        ] {
            assert_eq!(parsed(line).expect(line).is_xdg(program), xdg, "{program} {line}");
        }
        let request = parsed("-e debug").expect("options").xdg_request(XdgRoots::default());
        assert_eq!(request.overrides, [("loglevel", "debug".to_owned())]);
        assert_eq!(request.xdg, Some(XdgRoots::default()));
    }

    #[test]
    fn help_and_version_act_where_they_stand() {
        for line in ["-h", "-?", "--help", "--he", "-n -h -n -n"] {
            assert!(parsed(line).expect(line).help, "{line}");
        }
        assert!(parsed("-v --help").expect("version").version);
        assert!(parsed("-n --print-config -x=").is_err());
        assert!(parsed("--print-config -n").expect("print").print_config);
        assert!(parsed("-n -n -h").is_err());
    }

    #[test]
    fn help_says_what_supervisords_users_look_for() {
        let text = help("/usr/bin/supervisord");
        assert!(text.starts_with("supervisord -- run a set of applications as daemons."), "{text}");
        assert!(text.contains("-l/--logfile FILENAME -- use FILENAME as main logfile"), "{text}");
        assert!(help("visord").starts_with("visord -- run a set of applications"));
    }

    #[test]
    fn every_key_option_is_a_key_of_the_table() {
        for row in ROWS.iter().filter(|row| matches!(row.effect, Effect::Key | Effect::Flag)) {
            let key = crate::config::keys::find(crate::config::keys::SectionKind::Daemon, row.long);
            assert!(key.is_some(), "{}", row.long);
        }
    }
}
