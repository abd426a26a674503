//! Sections of a file, and the settings or diagnostics they come to.

use super::tests::Imagined;
use crate::config::check::program::NUMPROCS_MAX;
use crate::config::check::reader::DIAGNOSTICS_MAX;
use crate::config::include::INCLUDED_FILES_MAX;
use crate::config::ini::LINE_SIZE_MAX;
use crate::config::{LoadRequest, Loaded, load, load_ctl};
use crate::model::host::FILE_SIZE_MAX;
use crate::model::spec::{GroupKind, LogTarget, MainLog, ProcessSpec, Settings, XdgRoots};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const MAIN: &str = "/etc/v.conf";

fn machine() -> Imagined {
    Imagined::default().directory("/cwd").directory("/tmp")
}

fn loaded(text: &str) -> Loaded {
    load(&LoadRequest::of(MAIN), &machine().file(MAIN, text))
}

fn settings(text: &str) -> Settings {
    let loaded = loaded(text);
    loaded.settings.unwrap_or_else(|| panic!("{text}\n{:#?}", loaded.diagnostics))
}

fn program(lines: &str) -> ProcessSpec {
    let text = format!("[supervisord]\n[program:x]\ncommand=c\n{lines}");
    ProcessSpec::clone(&settings(&text).fleet.groups[0].processes[0])
}

/// The diagnostics as `line: text`.
fn told(text: &str) -> Vec<String> {
    loaded(text)
        .diagnostics
        .iter()
        .map(|d| format!("{}: {} {}", d.place.line, d.severity.word(), d.text()))
        .collect()
}

#[test]
fn an_empty_supervisord_section_is_a_configuration() {
    let settings = settings("[supervisord]\n");
    assert_eq!(settings.daemon.pidfile, Path::new("/cwd/supervisord.pid"));
    assert_eq!(settings.daemon.logfile, MainLog::File("/cwd/supervisord.log".into()));
    assert_eq!(settings.daemon.childlogdir, Path::new("/tmp"));
    assert!(settings.fleet.groups.is_empty() && settings.servers.is_empty() && settings.ctl.is_none());
}

#[test]
fn settings_survive_being_stored() {
    let stored = settings(
        "[supervisord]\nenvironment=A=1\n[program:x]\ncommand=c\nnumprocs=2\nprocess_name=%(process_num)d\n\
         [unix_http_server]\nfile=/s\n[supervisorctl]\n[eventlistener:e]\ncommand=e\nevents=TICK_5\n",
    );
    let text = serde_json::to_string(&stored).expect("settings are plain data");
    assert_eq!(serde_json::from_str::<Settings>(&text).expect("and come back"), stored);
}

#[test]
fn all_mistakes_are_told_at_once_with_their_lines() {
    let text = "[supervisord]\nloglevel=loud\nlogfiles=x\n\n[program:a]\nautostart=maybe\nstartsecs=x\n\
                [program:b]\ncommand=%(nope)s\n[group:g]\nprograms=bb\n[progam:c]\njunk\n";
    let told = told(text);
    let wanted = [
        "2: error [supervisord] loglevel: not a log level",
        "3: warning [supervisord] logfiles: unknown key, it is ignored, did you mean `logfile`?",
        "5: error [program:a] no command",
        "6: error [program:a] autostart: neither yes nor no: `maybe`",
        "7: error [program:a] startsecs: not a whole number: `x`",
        "9: error [program:b] command: cannot expand %(nope)s",
        "11: error [group:g] programs: there is no [program:bb] (did you mean b?)",
        "12: warning [progam:c] unknown section, it is ignored, did you mean [program:c]?",
        "13: error neither a section nor a key: `junk`",
    ];
    assert_eq!(told.len(), wanted.len(), "{told:#?}");
    for (told, wanted) in told.iter().zip(wanted) {
        assert!(told.starts_with(wanted), "{told} instead of {wanted}");
    }
}

#[test]
fn mistakes_that_supervisord_takes_are_told_with_both_places() {
    let text = "[supervisord]\n[program:a]\ncommand=c\nstartsecs=-1\nstopwaitsecs=-2\nnumprocs=0\n\
                [program:b]\ncommand=c\npriority=1\ncommand=d\n[program:a]\ncommand=e\n";
    let wanted = [
        "4: warning [program:a] startsecs: negative, which means 0",
        "5: warning [program:a] stopwaitsecs: negative, which means 0",
        "6: warning [program:a] numprocs: below 1: there is no process of it",
        "10: warning [program:b] command: is set already (/etc/v.conf:8), only the last one counts",
        "11: warning [program:a] is there already (/etc/v.conf:2), both are taken as one",
    ];
    let told = told(text);
    assert_eq!(told.len(), wanted.len(), "{told:#?}");
    for (told, wanted) in told.iter().zip(wanted) {
        assert!(told.starts_with(wanted), "{told} instead of {wanted}");
    }
}

#[test]
fn sections_of_two_files_that_are_one_are_told_and_those_that_nobody_wrote_are_not() {
    let roots = XdgRoots { config: "/c".into(), state: "/s".into(), runtime: "/r".into() };
    let host = machine()
        .file("/c/visor.conf", "[supervisord]\nloglevel=debug\n")
        .file("/c/conf.d/a.conf", "[program:x]\ncommand=c\n")
        .file("/c/conf.d/b.conf", "\n[program:x]\ncommand=d\n");
    let loaded = load(&LoadRequest::xdg(roots), &host);
    let told: Vec<String> = loaded.diagnostics.iter().map(ToString::to_string).collect();
    assert!(told.len() == 1 && loaded.settings.is_some(), "{told:#?}");
    assert!(told[0].starts_with("/c/conf.d/b.conf:2: warning: [program:x]"), "{told:?}");
    assert!(told[0].contains("/c/conf.d/a.conf:1"), "{told:?}");
}

#[test]
fn strict_makes_errors_of_what_nobody_knows() {
    let host = machine().file(MAIN, "[supervisord]\nx=1\n[y]\n");
    let request = LoadRequest { strict: true, ..LoadRequest::of(MAIN) };
    assert_eq!(load(&request, &host).errors().count(), 2);
    assert_eq!(load(&LoadRequest::of(MAIN), &host).errors().count(), 0);
}

#[test]
fn values_of_unknown_keys_are_never_expanded() {
    assert!(loaded("[supervisord]\nx=%bad\n[program:a]\ncommand=c\ny=100%\n[z]\nz=%(\n").settings.is_some());
}

#[test]
fn unbuilt_keys_are_kept_and_told() {
    let process = program("restart_delay=5s\nkill_mode=mixed\nlimit_nofile=10:20\n");
    let keys: Vec<&str> = process.unbuilt.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!((keys, process.refused), (vec!["restart_delay", "limit_nofile"], None));
    let told = told("[supervisord]\n[program:x]\ncommand=c\nrestart_delay=soon\n");
    assert!(told[0].starts_with("4: warning [program:x] restart_delay: not built yet"), "{told:?}");
    assert!(told[0].contains("not a duration"), "{told:?}");
}

#[test]
fn nobody_runs_unprotected_or_on_the_wrong_host_by_surprise() {
    for line in ["no_new_privileges=yes", "singleton=true", "type=oneshot", "private_tmp=1"] {
        let refused = program(line).refused.unwrap_or_else(|| panic!("{line} must refuse"));
        assert!(refused.contains(line.split('=').next().unwrap_or_default()), "{refused}");
    }
    for line in ["no_new_privileges=no", "type=daemon", "singleton=false", "condition_host="] {
        assert_eq!(program(line).refused, None, "{line}");
    }
    let inherited = "[supervisord]\n[program-default]\nno_new_privileges=yes\n[program:a]\ncommand=c\n\
                     [program:b]\ncommand=c\nno_new_privileges=no\n";
    let refused: Vec<bool> =
        settings(inherited).fleet.groups.iter().map(|group| group.processes[0].refused.is_some()).collect();
    assert_eq!(refused, [true, false]);
    let default = "[DEFAULT]\nsingleton=yes\n[supervisord]\n[program:a]\ncommand=c\n";
    assert!(settings(default).fleet.groups[0].processes[0].refused.is_some());
}

#[test]
fn templates_do_not_run_as_they_are() {
    let refused = |text: &str| {
        settings(&format!("[supervisord]\n{text}")).fleet.groups[0].processes[0].refused.is_some()
    };
    assert!(refused("[program:x@]\ncommand=serve {instance}\n"));
    assert!(!refused("[program:x@]\ncommand=serve\n"));
    assert!(!refused("[program:x]\ncommand=serve {instance}\n"));
}

#[test]
fn a_file_name_that_is_no_text_can_be_included_and_stored() {
    let name = Path::new(std::ffi::OsStr::from_bytes(b"/etc/d/\xff.ini"));
    let host = machine()
        .file(MAIN, "[supervisord]\n[include]\nfiles=d/*.ini\n")
        .bytes(name, b"[program:a]\ncommand=c\n");
    let settings = load(&LoadRequest::of(MAIN), &host).settings.expect("settings");
    assert!(serde_json::to_string(&settings).is_ok_and(|text| text.contains("/etc/d/\u{fffd}.ini")));
}

#[test]
fn users_and_directories_must_exist() {
    let text = "[supervisord]\nlogfile=/no/such/x.log\n[program:x]\ncommand=c\nuser=nobody-here\n";
    assert_eq!(loaded(text).errors().count(), 2);
    let host = Imagined::default().file(MAIN, text).agreeable();
    assert!(load(&LoadRequest::of(MAIN), &host).settings.is_some());
}

#[test]
fn the_command_line_beats_the_file_and_its_mistakes_are_told() {
    let host = machine().file(MAIN, "[supervisord]\nidentifier=file\nuser=nobody-here\n").user("me", 7);
    let with = |overrides: &[(&'static str, &str)]| {
        let overrides = overrides.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
        load(&LoadRequest { overrides, ..LoadRequest::of(MAIN) }, &host)
    };
    let good =
        with(&[("user", "me"), ("identifier", "%(x)s"), ("nodaemon", "true")]).settings.expect("settings");
    assert_eq!((good.daemon.identifier.as_str(), good.daemon.nodaemon), ("%(x)s", true));
    assert_eq!(good.daemon.user.map(|user| user.uid), Some(7));
    let errors: Vec<String> =
        with(&[("user", "me"), ("umask", "9")]).errors().map(ToString::to_string).collect();
    assert_eq!(errors, ["command line: error: umask: --umask: not an octal number: `9`"]);
}

#[test]
fn duplicate_groups_and_processes_are_told() {
    let text = "[supervisord]\n[program:d]\ncommand=d\n[group:d]\nprograms=e\n[program:e]\ncommand=e\n\
                [group:h]\nprograms=i,j\n[program:i]\ncommand=i\nprocess_name=same\n[program:j]\ncommand=j\nprocess_name=same\n";
    let loaded = loaded(text);
    let fleet = &loaded.settings.expect("duplicates are no errors").fleet;
    let shown: Vec<(&str, &str)> =
        fleet.groups.iter().map(|group| (group.name.as_str(), group.processes[0].command.as_str())).collect();
    assert_eq!(shown, [("d", "e"), ("h", "j")]);
    assert_eq!((loaded.defined.len(), loaded.diagnostics.len()), (3, 2), "{:#?}", loaded.diagnostics);
}

#[test]
fn foreign_and_open_files_are_refused_included_ones_too() {
    let host = |uid: u32, mode: u32| {
        machine()
            .me(1000)
            .file(MAIN, "[supervisord]\n[include]\nfiles=d/*.conf\n")
            .file("/etc/d/a.conf", "[program:a]\ncommand=a\n")
            .owner("/etc/d/a.conf", uid, mode)
    };
    for (uid, mode, errors, warnings) in
        [(1000, 0o644, 0, 0), (0, 0o644, 0, 0), (1001, 0o644, 1, 0), (1000, 0o646, 1, 0), (1000, 0o664, 0, 1)]
    {
        let loaded = load(&LoadRequest::of(MAIN), &host(uid, mode));
        let found = loaded.errors().count();
        assert_eq!((found, loaded.diagnostics.len() - found), (errors, warnings), "{uid} {mode:o}");
    }
}

#[test]
fn what_cannot_be_read_is_told_by_its_file() {
    let first = |host: &Imagined| load(&LoadRequest::of(MAIN), host).diagnostics[0].to_string();
    assert_eq!(first(&machine()), "/etc/v.conf: error: cannot find the file, check the path");
    assert!(first(&machine().directory(MAIN)).contains("it is a directory"));
    assert!(
        first(&machine().bytes(MAIN, b"[supervisord]\nx=\xff\n"))
            .starts_with("/etc/v.conf:2: error: not valid UTF-8")
    );
    let nul = first(&machine().file(MAIN, "[supervisord]\n[program:x]\ncommand=a\0b\n"));
    assert!(nul.starts_with("/etc/v.conf:3: error: [program:x] command: holds a NUL byte"), "{nul}");
}

#[test]
fn a_directory_called_with_a_percent_sign_does_not_disturb_includes() {
    let main = "/a%b/v.conf";
    let text = "[supervisord]\n[include]\nfiles=x.ini\n[program:a]\ncommand=%(here)s %%(here)s\n";
    let host = machine().file(main, text).file("/a%b/x.ini", "");
    let settings = load(&LoadRequest::of(main), &host).settings.expect("settings");
    assert_eq!(settings.fleet.groups[0].processes[0].command, "/a%b %(here)s");
}

#[test]
fn supervisorctl_is_read_from_the_main_file_and_never_stops_the_daemon() {
    let host = machine()
        .file(MAIN, "[supervisord]\n[include]\nfiles=x.ini\n[supervisorctl]\nserverurl=unix://%(here)s/s\n")
        .file("/etc/x.ini", "[supervisorctl]\nserverurl=unix:///other\n");
    let ctl = load(&LoadRequest::of(MAIN), &host).settings.expect("settings").ctl.expect("a section");
    assert_eq!(ctl.serverurl, "unix:///etc/s");
    assert_eq!(load_ctl(Path::new(MAIN), &host), Ok(ctl));
    let broken = machine().file(MAIN, "[supervisord]\n[supervisorctl]\nprompt=%(here)s\n");
    assert!(load(&LoadRequest::of(MAIN), &broken).settings.expect("settings").ctl.is_none());
    assert!(load_ctl(Path::new(MAIN), &broken).is_err_and(|errors| errors[0].is_error()));
    assert!(load_ctl(Path::new(MAIN), &machine().file(MAIN, "[supervisord]\n")).is_err());
}

#[test]
fn python_code_is_told_and_left_out() {
    let text = "[supervisord]\n[rpcinterface:x]\nsupervisor.rpcinterface_factory=my.mod:make\n\
                [eventlistener:e]\ncommand=e\nevents=TICK_5\nresult_handler=my:handler\n\
                [eventlistener:f]\ncommand=e\nevents=TICK_5\nresult_handler=supervisor_stdout:event_handler\n\
                [ctlplugin:y]\nsupervisor.ctl_factory=my.ctl:make\n\
                [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n";
    let told = told(text);
    let python: Vec<&String> = told.iter().filter(|line| line.contains("Python code")).collect();
    assert_eq!(python.len(), 3, "{told:?}");
    for words in ["[rpcinterface:x] `my.mod:make` is", "[ctlplugin:y] `my.ctl:make` is"] {
        assert!(python.iter().any(|line| line.contains(words)), "{python:?}");
    }
    assert!(matches!(&settings(text).fleet.groups[1].kind,
        GroupKind::Listener { result_handler, .. } if result_handler == "supervisor_stdout:event_handler"));
}

#[test]
fn an_explicit_no_is_not_the_same_as_silence() {
    assert_eq!((program("").stopasgroup, program("").killasgroup), (None, None));
    assert_eq!(program("stopasgroup=no\nkillasgroup=no\n").stopasgroup, Some(false));
    assert_eq!(program("stdout_logfile=\n").stdout.logfile, LogTarget::None);
}

#[test]
fn numbers_of_processes_are_bounded() {
    let of = |number: i64| {
        loaded(&format!(
            "[supervisord]\n[program:x]\ncommand=c\nprocess_name=%(process_num)d\nnumprocs={number}\n"
        ))
    };
    let most = of(NUMPROCS_MAX).settings.expect("the limit itself is fine");
    assert_eq!(most.fleet.groups[0].processes.len() as i64, NUMPROCS_MAX);
    assert_eq!(of(NUMPROCS_MAX + 1).errors().count(), 1);
    assert_eq!(of(i64::MAX).errors().count(), 1);
    assert_eq!(of(-1).settings.expect("no processes").fleet.groups[0].processes.len(), 0);
}

#[test]
fn diagnostics_are_bounded_and_warnings_hide_no_error() {
    let lines = |number: usize| (0..number).map(|n| format!("unknown{n}=1\n")).collect::<String>();
    let with = |number: usize, more: &str| loaded(&format!("[supervisord]\n{}{more}", lines(number)));
    assert_eq!(with(DIAGNOSTICS_MAX, "").diagnostics.len(), DIAGNOSTICS_MAX);
    assert_eq!(with(DIAGNOSTICS_MAX + 1, "").diagnostics.len(), DIAGNOSTICS_MAX);
    let section = |n: usize| format!("[unknown{n}]\n");
    let programs: String = (0..=DIAGNOSTICS_MAX)
        .map(|n| {
            format!("[program:p{n}]\ncommand=c\nredirect_stderr=yes\nstderr_logfile=/tmp/x\n{}", section(n))
        })
        .collect();
    assert!(with(0, &format!("{programs}[unix_http_server]\n")).settings.is_none(), "the server has no file");
}

#[test]
fn included_files_are_bounded() {
    let with = |number: usize| {
        let main = "[supervisord]\n[include]\nfiles=d/*.ini\n";
        let host =
            (0..number).fold(machine().file(MAIN, main), |host, n| host.file(&format!("/etc/d/{n}.ini"), ""));
        load(&LoadRequest::of(MAIN), &host).errors().count()
    };
    assert_eq!(with(INCLUDED_FILES_MAX), 0);
    assert_eq!(with(INCLUDED_FILES_MAX + 1), 1);
}

#[test]
fn the_size_of_a_file_is_bounded() {
    let line = |text: &str| format!("{text}{}\n", " ".repeat(LINE_SIZE_MAX - 1 - text.len()));
    let lines = FILE_SIZE_MAX / LINE_SIZE_MAX;
    let text = line("[supervisord]") + &line("").repeat(lines - 1);
    assert_eq!(text.len(), FILE_SIZE_MAX);
    assert!(loaded(&text).settings.is_some());
    let errors: Vec<String> = loaded(&(text + "\n")).errors().map(ToString::to_string).collect();
    assert!(errors[0].contains("is the limit"), "{errors:?}");
}
