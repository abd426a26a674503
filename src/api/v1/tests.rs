//! The wire format, compared with texts: a change here breaks clients.

use super::*;
use crate::model::State;
use crate::model::state::STATES;
use serde_json::json;

fn round<T: Serialize + for<'de> Deserialize<'de>>(value: serde_json::Value) -> serde_json::Value {
    let typed: T = serde_json::from_value(value).unwrap_or_else(|error| panic!("{error}"));
    serde_json::to_value(&typed).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_process_has_the_documented_fields() {
    let process = json!({
        "group": "g", "name": "p", "namespec": "g:p", "state": "RUNNING", "statecode": 20, "pid": 1,
        "description": "pid 1, uptime 0:00:02", "started_unix": 1.5, "stopped_unix": 0.0, "uptime_ms": 2000,
        "exit": {"text": "exit status 1", "code": 1}, "expected": false, "spawn_error": "", "attempts": 0,
        "start_refused": "", "restarts": 2, "previous_exit": {"text": "exit status 7", "code": 7},
        "retry_in_ms": null, "waiting": "", "flapping": false, "left_overs": 0, "wanted": true, "cause": "words", "actor": "client:0",
        "autostart": true, "disabled_since_unix": null, "stdout_log": "/x", "stderr_log": null, "command": "x y", "directory": null,
        "config_file": "/c", "config_line": 3, "refused": null,
        "failed_stage": {"stage": "execute its command", "errno": "ENOENT", "text": "No such file or directory"},
    });
    assert_eq!(round::<Process>(process.clone()), process);
}

#[test]
fn the_daemon_has_the_documented_fields() {
    let daemon = json!({
        "pid": 1, "reactor_pid": 2, "version": "0.1.0", "instance": "default", "phase": "running",
        "started_unix": 1.0, "sockets": ["/s"], "lock": "/l", "log": "/v.log",
        "servers": [{"section": "inet_http_server", "address": "*:9001", "open": false, "text": "why"}],
        "config": {"file": "/c", "files": 2, "state": "bad", "since_unix": 0.0, "problems": ["/c:1: error: x"],
                   "waits_for_restart": ["umask"], "waits_for_update": true, "pending": [],
                   "waits_for_apply": ["web: why"]},
    });
    let reply = json!({"daemon": daemon, "processes": [], "missing": ["x"]});
    assert_eq!(round::<StatusReply>(reply.clone()), reply);
}

#[test]
fn a_row_is_part_of_a_process() {
    let row = Row {
        namespec: "g:p",
        state: State::Exited,
        description: "Not started",
        wanted: true,
        expected: None,
        left_overs: 3,
        retry_in_ms: None,
        disabled_since_unix: None,
        start_refused: "",
        waiting: "",
        flapping: false,
    };
    let text = serde_json::to_string(&row).unwrap_or_default();
    let expected =
        r#"{"namespec":"g:p","state":"EXITED","description":"Not started","wanted":true,"left_overs":3}"#;
    assert_eq!(text, expected);
    let process: Process = serde_json::from_str(&text).unwrap_or_default();
    assert_eq!((process.state, process.left_overs, process.expected), (State::Exited, 3, None));
}

#[test]
fn states_travel_by_name() {
    for (state, name) in STATES {
        let process: Process = serde_json::from_value(json!({"state": name})).unwrap_or_default();
        assert_eq!(process.state, state);
    }
    let process: Process = serde_json::from_value(json!({"state": "DREAMING"})).unwrap_or_default();
    assert_eq!(process.state, State::Unknown);
}

#[test]
fn what_is_left_out_has_a_default_and_what_is_unknown_is_ignored() {
    let names: Names = serde_json::from_str(r#"{"names":["a"],"colour":1}"#).unwrap_or_default();
    assert_eq!(names, Names { names: vec!["a".into()], wait: true, timeout_ms: None });
    let wait: WaitRequest = serde_json::from_str(r#"{"until":"exited"}"#).unwrap_or_default();
    assert_eq!(wait.until, Until::Exited);
    let result: ProcessResult = serde_json::from_str(r#"{"status":"not_invented_yet"}"#).unwrap_or_default();
    assert_eq!(result.status, ResultStatus::Failed);
    let group: GroupResult = serde_json::from_str(r#"{"action":"changed_live"}"#).unwrap_or_default();
    assert_eq!(group.action, GroupAction::ChangedLive);
}

#[test]
fn reread_has_the_documented_fields() {
    let reread = json!({
        "ok": true, "added": ["g"], "removed": ["h"],
        "changed": [{"group": "g", "processes": [{"name": "p", "keys": ["command"], "cost": "live"}]}],
        "daemon": [{"key": "umask", "cost": "daemon"}],
        "diagnostics": [{"severity": "warning", "file": "/c", "line": 3, "section": "program:x", "key": "k",
                         "what": "is wrong", "hint": "say so"}],
    });
    assert_eq!(round::<Reread>(reread.clone()), reread);
    let reread: Reread = serde_json::from_value(reread).unwrap_or_default();
    let lines: Vec<String> = reread.diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["/c:3: warning: [program:x] k: is wrong, say so"]);
}

#[test]
fn every_error_code_has_a_status_and_survives_the_wire() {
    for code in [
        ErrorCode::BadRequest,
        ErrorCode::NotFound,
        ErrorCode::NoSuchProcess,
        ErrorCode::NoSuchGroup,
        ErrorCode::Forbidden,
        ErrorCode::TooLarge,
        ErrorCode::Busy,
        ErrorCode::ShuttingDown,
        ErrorCode::Internal,
    ] {
        let reply = ErrorReply::new(code, "words", "hint");
        let read: ErrorReply = serde_json::from_slice(&body(&reply)).unwrap_or_default();
        assert_eq!((read, code.status() >= 400), (reply, true));
    }
    let text =
        String::from_utf8(body(&ErrorReply::new(ErrorCode::NoSuchProcess, "m", "h"))).unwrap_or_default();
    assert_eq!(text, r#"{"error":{"code":"no_such_process","message":"m","hint":"h"}}"#);
}
