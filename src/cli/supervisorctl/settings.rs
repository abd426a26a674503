//! What holds in a session: the command line, else `[supervisorctl]` of a configuration, else the defaults.
//!
//! A configuration that nobody named is used only when nobody else could have put it there: it says where passwords
//! are sent. Example: `settle(&options, "supervisorctl", &host)`.

use super::options::Options;
use crate::config::keys::servers::ctl_defaults;
use crate::config::{self, ownership, search::search};
use crate::model::Host;
use crate::model::spec::CtlSpec;
use std::path::{Path, PathBuf};

/// What holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// Where the daemon is.
    pub(super) serverurl: String,
    /// The name for it.
    pub(super) username: Option<String>,
    /// The password for it.
    pub(super) password: Option<String>,
    /// The prompt of the shell, without `> `.
    pub(super) prompt: String,
    /// Where the lines of the shell are remembered.
    pub(super) history_file: Option<PathBuf>,
    /// Whether somebody is there to be asked.
    pub(super) interactive: bool,
}

/// Settings, and what there is to say about files that were passed over.
pub(super) type Settled = (Settings, Vec<String>);

/// Brings together what the command line and the configuration say; `program` is `argv[0]` as typed.
///
/// # Errors
/// The text for the user, without `Error: `.
pub(super) fn settle(options: &Options, program: &str, host: &dyn Host) -> Result<Settled, String> {
    let mut remarks = Vec::new();
    let file = match &options.configuration {
        Some(named) if host.ownership(named).is_err() => {
            return Err(format!("could not find config file {}", named.display()));
        }
        Some(named) => Some(named.clone()),
        None => find(program, host, &mut remarks)?,
    };
    let ctl = match &file {
        None => ctl_defaults(),
        Some(file) => config::load_ctl(file, host).map_err(|mistakes| {
            let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            if lines.is_empty() {
                format!("could not read config file {}", file.display())
            } else {
                lines.join("\n")
            }
        })?,
    };
    let CtlSpec { serverurl, username, password, prompt, history_file } = ctl;
    let settings = Settings {
        serverurl: options.serverurl.clone().unwrap_or(serverurl),
        username: options.username.clone().or(username),
        password: options.password.clone().or(password),
        prompt,
        history_file: options.history_file.clone().or(history_file),
        interactive: options.interactive || options.words.is_empty(),
    };
    Ok((settings, remarks))
}

/// Looks where supervisorctl looks. A relative place that is not trusted is passed over, an absolute one is an error.
fn find(program: &str, host: &dyn Host, remarks: &mut Vec<String>) -> Result<Option<PathBuf>, String> {
    let search = search(Path::new(program), host);
    for (file, why) in search.skipped {
        remarks.push(format!("{} was passed over: {why}", file.display()));
    }
    let Some(found) = search.found else { return Ok(None) };
    let absolute = config::path::absolute(&found, host);
    let doubts = ownership::examine(&absolute, host);
    match doubts.into_iter().find(|doubt| doubt.severity == config::Severity::Error) {
        Some(doubt) => Err(format!("{} is not trusted: {}, {}", found.display(), doubt.what, doubt.hint)),
        None => Ok(Some(found)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check::tests::Imagined;

    const ME: u32 = 1000;
    const OTHER: u32 = 1001;

    fn settled(options: &Options, host: &Imagined) -> Result<Settled, String> {
        settle(options, "/usr/bin/supervisorctl", host)
    }

    fn url(url: &str) -> String {
        format!("[supervisorctl]\nserverurl={url}\nusername=u\npassword=p\nprompt=there\n")
    }

    #[test]
    fn the_command_line_beats_the_file_and_the_file_the_defaults() {
        let host = Imagined::default().me(ME);
        let (settings, remarks) = settled(&Options::default(), &host).expect("defaults");
        assert_eq!(settings.serverurl, "http://localhost:9001");
        assert_eq!((settings.prompt.as_str(), settings.interactive), ("supervisor", true));
        assert!(remarks.is_empty());
        let host = host.file("/etc/supervisord.conf", &url("unix:///s"));
        let options = Options {
            username: Some("me".to_owned()),
            words: vec!["status".to_owned()],
            ..Options::default()
        };
        let (settings, _) = settled(&options, &host).expect("settings");
        assert_eq!((settings.serverurl.as_str(), settings.prompt.as_str()), ("unix:///s", "there"));
        assert_eq!((settings.username.as_deref(), settings.password.as_deref()), (Some("me"), Some("p")));
        assert!(!settings.interactive);
    }

    #[test]
    fn a_strangers_file_in_the_current_directory_sends_nobody_anywhere() {
        let host = Imagined::default().me(ME).file("/cwd/supervisord.conf", &url("unix:///trap")).owner(
            "/cwd/supervisord.conf",
            OTHER,
            0o644,
        );
        let (settings, remarks) = settled(&Options::default(), &host).expect("defaults");
        assert_eq!((settings.serverurl.as_str(), settings.password), ("http://localhost:9001", None));
        assert!(remarks[0].starts_with("supervisord.conf was passed over: "), "{remarks:?}");
        let host = Imagined::default().me(ME).file("/etc/supervisord.conf", &url("unix:///trap")).owner(
            "/etc/supervisord.conf",
            ME,
            0o666,
        );
        let error = settled(&Options::default(), &host).expect_err("a file that everybody writes");
        assert!(error.starts_with("/etc/supervisord.conf is not trusted: "), "{error}");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told() {
        let host = Imagined::default().me(ME).file("/a.conf", "[supervisord]\n");
        let of =
            |file: &str| settled(&Options { configuration: Some(file.into()), ..Options::default() }, &host);
        assert_eq!(of("/no.conf"), Err("could not find config file /no.conf".to_owned()));
        let error = of("/a.conf").expect_err("no section");
        assert!(error.contains("no [supervisorctl] section"), "{error}");
    }
}
