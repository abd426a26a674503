//! A program with supervisord's defaults, for tests that look at the core from outside.

use visor::model::Signal;
use visor::model::spec::{AutoRestart, LogTarget, Place, ProcessSpec, StreamSpec};

/// Returns the program `name` of a group.
pub(crate) fn plain(group: &str, name: &str) -> ProcessSpec {
    let stream = StreamSpec {
        logfile: LogTarget::None,
        maxbytes: 0,
        backups: 0,
        capture_maxbytes: 0,
        events_enabled: false,
        syslog: false,
    };
    ProcessSpec {
        name: name.to_owned(),
        group: group.to_owned(),
        command: "/bin/imagined".to_owned(),
        directory: None,
        umask: None,
        priority: 999,
        autostart: true,
        autorestart: AutoRestart::Unexpected,
        startsecs: 1,
        startretries: 3,
        stopsignal: Signal::TERM,
        stopwaitsecs: 10,
        stopasgroup: None,
        killasgroup: None,
        exitcodes: vec![0],
        user: None,
        environment: Vec::new(),
        serverurl: None,
        redirect_stderr: false,
        stdout: stream.clone(),
        stderr: stream,
        unbuilt: Vec::new(),
        refused: None,
        place: Place::default(),
    }
}
