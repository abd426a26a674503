//! A configuration to begin with, as `echo_supervisord_conf` and `visord --print-config` print it.
//!
//! supervisord accepts it as it is, and so do we without a remark; a test says so.

/// The text.
pub const TEXT: &str = "\
; Sample supervisor config file.
;
; A line that begins with a semicolon is a comment, and so is what stands behind ' ;' in a line.
; What is commented out shows a default or an example. In values %(ENV_NAME)s is a variable of the environment and
; %(here)s the directory of this file; a percent sign itself is written %%.
;
; Check it with: visorctl check FILE
; Run it with:   supervisord -c FILE

[unix_http_server]
file=%(here)s/supervisor.sock ; where supervisorctl finds the daemon
;chmod=0700                 ; who may connect
;chown=nobody               ; whose the socket is
;username=user              ; no name and password are asked for unless both are set
;password=123               ; as it is, or {SHA} and the SHA-1 of it in hexadecimal

; The same over TCP. Whoever can connect can run programs as you: set a password.
;[inet_http_server]
;port=127.0.0.1:9001
;username=user
;password=123

[supervisord]
logfile=%(here)s/supervisord.log ; what the daemon says
logfile_maxbytes=50MB        ; a new file is begun at this size; 0 is never
logfile_backups=10           ; old files that are kept
loglevel=info                ; critical, error, warn, info, debug, trace or blather
pidfile=%(here)s/supervisord.pid
nodaemon=false               ; true stays in the foreground
silent=false                 ; true does not print the log in the foreground
minfds=1024                  ; open files that must be possible
minprocs=200                 ; processes that must be possible
;umask=022
;user=nobody                 ; whom root becomes at the start
;identifier=supervisor       ; the name of this daemon in events and log files
;directory=/tmp              ; where the daemon works when it is no child of a shell
;nocleanup=true              ; keep the logs of earlier runs in childlogdir
;childlogdir=/tmp            ; where logs of programs are that have no name of their own
;environment=KEY=\"value\"     ; for all programs
;strip_ansi=false            ; true takes colours out of the logs of programs

; supervisorctl needs it.
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://%(here)s/supervisor.sock ; as file= above, or http://127.0.0.1:9001
;username=user
;password=123
;prompt=supervisor           ; in front of what is typed
;history_file=~/.supervisorctl_history ; remembers what was typed

; A program. Only command= is needed.
;[program:web]
;command=/usr/local/bin/serve --port 8080
;directory=%(here)s           ; where it works
;environment=A=\"1\",B=\"2\"
;user=nobody                  ; whom it becomes; only root can
;umask=022
;priority=999                 ; lower ones start first and stop last
;autostart=true               ; start it with the daemon
;autorestart=unexpected       ; when it ends: true, false, or unless its exit code is one of exitcodes
;exitcodes=0
;startsecs=1                  ; how long it must run to have started
;startretries=3               ; further attempts when it does not
;stopsignal=TERM
;stopwaitsecs=10              ; how long until it is killed
;stopasgroup=false            ; signal its whole group
;killasgroup=false            ; kill its whole group
;numprocs=1                   ; how many of it
;process_name=%(program_name)s ; with %(process_num)02d when there are several
;redirect_stderr=false        ; true puts both into one log
;stdout_logfile=AUTO          ; a file, NONE, or one in childlogdir that vanishes
;stdout_logfile_maxbytes=50MB
;stdout_logfile_backups=10
;stdout_capture_maxbytes=0
;stdout_events_enabled=false
;stdout_syslog=false
;stderr_logfile=AUTO
;serverurl=AUTO               ; where the program itself finds the daemon

; A program that is told what happens.
;[eventlistener:watch]
;command=/usr/local/bin/watch-events
;events=PROCESS_STATE_EXITED,TICK_60
;buffer_size=10               ; events that wait for it

;[program:worker]
;command=/usr/local/bin/work

; Programs that are started and stopped together.
;[group:site]
;programs=web,worker
;priority=999

; Further files.
;[include]
;files = conf.d/*.conf
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::check::tests::Imagined;
    use crate::config::{LoadRequest, load};

    fn diagnostics(text: &str) -> Vec<String> {
        let host = Imagined::default().agreeable().file("/s.conf", text);
        load(&LoadRequest::of("/s.conf"), &host).diagnostics.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn it_is_accepted_without_a_remark() {
        assert_eq!(diagnostics(TEXT), [""; 0]);
    }

    #[test]
    fn so_is_what_is_commented_out() {
        // A line that is an example has no blank behind its semicolon, and one that is a comment has.
        let is_example = |line: &str| line.starts_with(';') && line.len() > 1 && !line.starts_with("; ");
        let lines = TEXT.lines().map(|line| if is_example(line) { &line[1..] } else { line });
        let text: Vec<&str> = lines.collect();
        let found = diagnostics(&text.join("\n"));
        let unexpected: Vec<_> =
            found.iter().filter(|line| line.contains("unknown") || line.contains("error")).collect();
        assert!(unexpected.is_empty(), "{unexpected:?}");
        assert!(TEXT.contains("Sample supervisor config file"));
    }
}
