//! The configuration of a user's own daemon: an optional `visor.conf`, and every `conf.d/*.conf` beside it.
//!
//! Nothing has to be written before the first program: `[supervisord]` and the interface are there by themselves,
//! and logs go to the state directory. Must not know how the directories were found. Example:
//! `load(&LoadRequest::xdg(roots), &host)`.

use super::ini::{self, RawSection};
use super::keys::daemon::DaemonDraft;
use crate::model::spec::{MainLog, XdgRoots};
use std::path::{Path, PathBuf};

/// The sections that every configuration of a user has before a file is read.
const IMPLICIT: &str = "[supervisord]\n[rpcinterface:supervisor]\n\
    supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n";

/// What stands for a file in the places of the implicit sections.
pub(super) const IMPLICIT_PLACE: &str = "built in";

/// The directory beside the main file whose files are always read.
pub(super) const DIRECTORY: &str = "conf.d";

/// Which of its files.
pub(super) const PATTERN: &str = "*.conf";

/// Descriptors that must be had: a login node that allows few is no reason not to start. What the programs of a
/// configuration need is asked for besides.
const MINFDS: i64 = 64;

/// Processes that must be had, for the same reason.
const MINPROCS: i64 = 16;

/// Returns the main file of these roots, which need not exist.
pub(super) fn main_file(roots: &XdgRoots) -> PathBuf {
    main_file_in(&roots.config)
}

/// Returns the main file of a directory of configuration.
pub(super) fn main_file_in(config: &Path) -> PathBuf {
    config.join("visor.conf")
}

/// Returns the implicit sections.
pub(super) fn implicit_sections() -> Vec<RawSection> {
    ini::parse(IMPLICIT.as_bytes()).0
}

/// Gives `[supervisord]` the defaults of a user's own daemon.
pub(super) fn settle_defaults(draft: &mut DaemonDraft, roots: &XdgRoots) {
    let spec = &mut draft.spec;
    spec.logfile = MainLog::File(log_dir(&roots.state).join("visord.log"));
    spec.childlogdir = log_dir(&roots.state);
    spec.pidfile = roots.runtime.join("visord.pid");
    spec.private_files = true;
    spec.minfds = MINFDS;
    spec.minprocs = MINPROCS;
}

fn log_dir(state: &Path) -> PathBuf {
    state.join("log")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check::tests::Imagined;
    use crate::config::{LoadRequest, Loaded, group_place, load};
    use crate::model::spec::{LogTarget, Place, Settings};

    fn roots() -> XdgRoots {
        XdgRoots {
            config: "/home/me/.config/visor".into(),
            state: "/home/me/.local/state/visor".into(),
            runtime: "/run/user/1/visor".into(),
        }
    }

    fn loaded(host: &Imagined) -> Loaded {
        load(&LoadRequest::xdg(roots()), host)
    }

    fn settings(host: &Imagined) -> Settings {
        let loaded = loaded(host);
        loaded.settings.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
    }

    fn names(settings: &Settings) -> Vec<&str> {
        settings.fleet.groups.iter().map(|group| group.name.as_str()).collect()
    }

    #[test]
    fn without_any_file_there_is_a_daemon_without_programs() {
        let loaded = loaded(&Imagined::default());
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        assert!(loaded.files.is_empty() && loaded.infos.is_empty() && loaded.warnings.is_empty());
        let settings = loaded.settings.expect("settings");
        let daemon = &settings.daemon;
        assert_eq!(daemon.logfile, MainLog::File("/home/me/.local/state/visor/log/visord.log".into()));
        assert_eq!(daemon.childlogdir, Path::new("/home/me/.local/state/visor/log"));
        assert_eq!(daemon.pidfile, Path::new("/run/user/1/visor/visord.pid"));
        assert!(daemon.private_files);
        assert_eq!(settings.rpc_interfaces.len(), 1);
        assert_eq!(settings.rpc_interfaces[0].name, "supervisor");
        assert_eq!(settings.xdg, Some(roots()));
        assert_eq!(settings.file, Path::new("/home/me/.config/visor/visor.conf"));
    }

    #[test]
    fn every_file_of_the_directory_is_read_in_the_order_of_names() {
        let host = Imagined::default()
            .file(
                "/home/me/.config/visor/conf.d/b.conf",
                "[program:late]\ncommand=two\n[program:b]\ncommand=b",
            )
            .file(
                "/home/me/.config/visor/conf.d/a.conf",
                "[program:a]\ncommand=a\n[program:late]\ncommand=one",
            )
            .file("/home/me/.config/visor/conf.d/.b.conf.swp", "rubbish")
            .file("/home/me/.config/visor/conf.d/.#a.conf", "rubbish")
            .file("/home/me/.config/visor/conf.d/c.conf~", "rubbish");
        let settings = settings(&host);
        assert_eq!(names(&settings), ["a", "b", "late"]);
        let late = &settings.fleet.groups[2].processes[0];
        assert_eq!(late.command, "two", "the later file wins");
        assert_eq!(late.stdout.logfile, LogTarget::Auto(None));
    }

    #[test]
    fn the_main_file_changes_defaults_and_may_include_more() {
        let host = Imagined::default()
            .file(
                "/home/me/.config/visor/visor.conf",
                "[supervisord]\nloglevel=debug\nlogfile=%(here)s/x.log\n\
                 [include]\nfiles = more/*.conf conf.d/a.conf\n[program:m]\ncommand=m",
            )
            .file("/home/me/.config/visor/more/x.conf", "[program:x]\ncommand=x")
            .file("/home/me/.config/visor/conf.d/a.conf", "[program:a]\ncommand=%(here)s/a");
        let loaded = loaded(&host);
        assert_eq!(loaded.files.len(), 3, "no file is read twice: {:?}", loaded.files);
        let settings = loaded.settings.expect("settings");
        assert_eq!(names(&settings), ["a", "m", "x"]);
        assert_eq!(settings.daemon.logfile, MainLog::File("/home/me/.config/visor/x.log".into()));
        assert_eq!(settings.fleet.groups[0].processes[0].command, "/home/me/.config/visor/conf.d/a");
    }

    #[test]
    fn a_name_that_is_taken_is_found_in_every_file_and_kind_of_section() {
        let host = Imagined::default()
            .file("/home/me/.config/visor/visor.conf", "[include]\nfiles=more.conf\n[program:m]\n")
            .file("/home/me/.config/visor/more.conf", "[eventlistener:e]\n[fcgi-program:f]\ncommand=f")
            .file("/home/me/.config/visor/conf.d/b.conf", "[program:x]\nkilled\n\n[group:g]\nprograms=x");
        let line = |name: &str| group_place(&LoadRequest::xdg(roots()), name, &host);
        for (name, file, at) in [
            ("m", "visor.conf", 3),
            ("e", "more.conf", 1),
            ("f", "more.conf", 2),
            ("x", "conf.d/b.conf", 1),
            ("g", "conf.d/b.conf", 4),
        ] {
            let file = Path::new("/home/me/.config/visor").join(file);
            assert_eq!(line(name), Some(Place { file, line: at }), "{name}");
        }
        assert_eq!(
            (line("supervisor"), line("b"), line("")),
            (None, None, None),
            "an interface is no program"
        );
    }

    #[test]
    fn mistakes_have_their_file_and_a_file_that_cannot_be_read_is_one() {
        let host = Imagined::default()
            .file("/home/me/.config/visor/visor.conf", "[supervisord]\nloglevel=loud\n")
            .file("/home/me/.config/visor/conf.d/a.conf", "[program:a]\n")
            .directory("/home/me/.config/visor/conf.d/dir.conf");
        let loaded = loaded(&host);
        assert!(loaded.settings.is_none());
        let shown: Vec<String> = loaded.errors().map(ToString::to_string).collect();
        assert_eq!(shown.len(), 3, "{shown:?}");
        assert!(shown[0].contains("conf.d/dir.conf") && shown[0].contains("directory"), "{shown:?}");
        assert!(shown[1].starts_with("/home/me/.config/visor/visor.conf:2"), "{shown:?}");
        assert!(shown[2].starts_with("/home/me/.config/visor/conf.d/a.conf:1"), "{shown:?}");
    }

    #[test]
    fn a_file_that_somebody_else_could_change_is_refused() {
        let host = Imagined::default()
            .me(1000)
            .file("/home/me/.config/visor/conf.d/a.conf", "[program:a]\ncommand=a")
            .owner("/home/me/.config/visor/conf.d", 1001, 0o755);
        assert!(loaded(&host).settings.is_none());
    }

    #[test]
    fn the_command_line_still_wins() {
        let request = LoadRequest {
            overrides: vec![("logfile", "/tmp/v.log".to_owned())],
            ..LoadRequest::xdg(roots())
        };
        let settings = load(&request, &Imagined::default().directory("/tmp")).settings.expect("settings");
        assert_eq!(settings.daemon.logfile, MainLog::File("/tmp/v.log".into()));
    }

    #[test]
    fn classic_mode_is_as_it_was() {
        let host = Imagined::default().file("/etc/v.conf", "[program:a]\ncommand=a");
        let loaded = load(&LoadRequest::of("/etc/v.conf"), &host);
        assert!(loaded.settings.is_none(), "no [supervisord] section");
    }
}
