//! Every method of the interface: one table for calling, listing, help and signatures.
//!
//! Names and types are supervisord's (supervisor 4.3 rpcinterface.py, xmlrpc.py); nothing outside of the table can be
//! called.

use super::params::{Kind, Param, Params};
use super::{Answer, CallId, groups, info, logs, processes, system};
use crate::api::xmlrpc::Fault;
use crate::daemon::reactor::Reactor;

/// What answers a call.
pub(super) type Handler = fn(&mut Reactor, CallId, &Params) -> Result<Answer, Fault>;

/// A method.
pub(super) struct Method {
    /// Its full name.
    pub(super) name: &'static str,
    /// Its parameters.
    pub(super) params: &'static [Param],
    /// The type of its result.
    pub(super) returns: &'static str,
    /// What it does.
    help: &'static str,
    /// What answers.
    pub(super) handler: Handler,
}

impl Method {
    /// Whether it is refused while the daemon ends or begins anew.
    pub(super) fn is_gated(&self) -> bool {
        self.name.starts_with("supervisor.") && self.name != "supervisor.sendRemoteCommEvent"
    }

    /// Returns the text of `system.methodHelp`.
    pub(super) fn help_text(&self) -> String {
        let mut text = format!("{}\n\n", self.help);
        for (kind, name, what) in self.params {
            text.push_str(&format!("@param {} {name}  {what}\n", kind.name()));
        }
        text.push_str(&format!("@return {} result\n", self.returns));
        text
    }
}

/// Finds a method by its full name.
pub(super) fn find(name: &str) -> Option<&'static Method> {
    METHODS.binary_search_by(|method| method.name.cmp(name)).ok().map(|at| &METHODS[at])
}

const fn method(
    name: &'static str,
    params: &'static [Param],
    returns: &'static str,
    help: &'static str,
    handler: Handler,
) -> Method {
    Method { name, params, returns, help, handler }
}

const PROCESS: Param = (Kind::Text, "name", "the process, as NAME or GROUP:NAME");
const PROCESSES: Param =
    (Kind::Text, "name", "the process, as NAME or GROUP:NAME, or all of a group as GROUP:*");
const GROUP: Param = (Kind::Text, "name", "the group");
const SIGNAL: Param = (Kind::TextOrNumber, "signal", "the signal by its name or number");
const OFFSET: Param = (Kind::Int, "offset", "first byte; below zero: so many bytes before the end");
const LENGTH: Param = (Kind::Int, "length", "most bytes; 0: all there are");
const TAIL_OFFSET: Param = (Kind::Int, "offset", "the offset that the last call returned, or 0");
const TAIL_LENGTH: Param = (Kind::Int, "length", "most bytes");
const WAIT_START: Param = (Kind::TrueUnlessSaid, "wait", "answer only when it runs, or failed to");
const WAIT_STOP: Param = (Kind::TrueUnlessSaid, "wait", "answer only when it has ended");
const METHOD: Param = (Kind::Text, "name", "the full name of a method");

const READ_LOG: &str = "Reads from the activity log of the daemon, at most 16 MiB at once.";
const READ_OUT: &str = "Reads from the log of a process's standard output, at most 16 MiB at once.";
const READ_ERR: &str = "Reads from the log of a process's standard error, at most 16 MiB at once.";
const TAIL_OUT: &str = "Reads the end of the log of a process's standard output. The result has the bytes, the offset to come \
                        back with (the size of the log), and whether more than the bytes came since the offset.";
const TAIL_ERR: &str = "Reads the end of the log of a process's standard error. The result has the bytes, the offset to come \
                        back with (the size of the log), and whether more than the bytes came since the offset.";
const CLEAR: &str = "Empties the logs of a process by beginning new files.";
const VERSION: &str = "Returns the version of this interface.";

/// Every method, by name.
pub(super) static METHODS: [Method; 41] = [
    method(
        "supervisor.addProcessGroup",
        &[GROUP],
        "boolean",
        "Puts a group in force that the configuration had when it was last read, and starts what starts by itself.",
        groups::add,
    ),
    method(
        "supervisor.clearAllProcessLogs",
        &[],
        "array",
        "Empties the logs of every process. The result has one struct a process.",
        logs::clear_all,
    ),
    method("supervisor.clearLog", &[], "boolean", "Begins a new activity log.", logs::clear_main),
    method("supervisor.clearProcessLog", &[PROCESS], "boolean", CLEAR, logs::clear),
    method("supervisor.clearProcessLogs", &[PROCESS], "boolean", CLEAR, logs::clear),
    method("supervisor.getAPIVersion", &[], "string", VERSION, info::api_version),
    method(
        "supervisor.getAllConfigInfo",
        &[],
        "array",
        "Tells of every process what the configuration said when it was last read, in force or not.",
        info::all_config,
    ),
    method(
        "supervisor.getAllProcessInfo",
        &[],
        "array",
        "Tells the state of every process.",
        info::all_processes,
    ),
    method(
        "supervisor.getIdentification",
        &[],
        "string",
        "Returns the name by which this daemon goes in its configuration.",
        info::identification,
    ),
    method(
        "supervisor.getPID",
        &[],
        "int",
        "Returns the process id to which signals for the daemon go.",
        info::pid,
    ),
    method("supervisor.getProcessInfo", &[PROCESS], "struct", "Tells the state of a process.", info::process),
    method(
        "supervisor.getState",
        &[],
        "struct",
        "Tells the state of the daemon, as statecode and statename.",
        info::state,
    ),
    method(
        "supervisor.getSupervisorVersion",
        &[],
        "string",
        "Returns the version of supervisor that this daemon behaves as.",
        info::supervisor_version,
    ),
    method("supervisor.getVersion", &[], "string", VERSION, info::api_version),
    method("supervisor.readLog", &[OFFSET, LENGTH], "string", READ_LOG, logs::read_main),
    method("supervisor.readMainLog", &[OFFSET, LENGTH], "string", READ_LOG, logs::read_main),
    method("supervisor.readProcessLog", &[PROCESS, OFFSET, LENGTH], "string", READ_OUT, logs::read_stdout),
    method(
        "supervisor.readProcessStderrLog",
        &[PROCESS, OFFSET, LENGTH],
        "string",
        READ_ERR,
        logs::read_stderr,
    ),
    method(
        "supervisor.readProcessStdoutLog",
        &[PROCESS, OFFSET, LENGTH],
        "string",
        READ_OUT,
        logs::read_stdout,
    ),
    method(
        "supervisor.reloadConfig",
        &[],
        "array",
        "Reads the configuration again and puts nothing in force. The result holds one array, of three: the names of \
         groups that are new, that changed, and that are gone.",
        groups::reload,
    ),
    method(
        "supervisor.removeProcessGroup",
        &[GROUP],
        "boolean",
        "Takes a group out of force whose processes are all stopped.",
        groups::remove,
    ),
    method(
        "supervisor.restart",
        &[],
        "boolean",
        "Stops everything and begins anew with the configuration read again; one that has mistakes changes nothing.",
        groups::restart,
    ),
    method(
        "supervisor.sendProcessStdin",
        &[PROCESS, (Kind::Text, "chars", "what to write")],
        "boolean",
        "Writes to the standard input of a process, as UTF-8.",
        processes::send_stdin,
    ),
    method(
        "supervisor.sendRemoteCommEvent",
        &[(Kind::Text, "type", "what the event is called"), (Kind::Text, "data", "what it says")],
        "boolean",
        "Sends an event to whoever subscribed to remote communication.",
        processes::send_remote,
    ),
    method("supervisor.shutdown", &[], "boolean", "Stops everything and ends the daemon.", groups::shutdown),
    method(
        "supervisor.signalAllProcesses",
        &[SIGNAL],
        "array",
        "Sends a signal to every process that is up. The result has one struct for each.",
        processes::signal_all,
    ),
    method(
        "supervisor.signalProcess",
        &[PROCESSES, SIGNAL],
        "boolean",
        "Sends a signal to a process, or to those of a group: then the result is as that of signalProcessGroup.",
        processes::signal,
    ),
    method(
        "supervisor.signalProcessGroup",
        &[GROUP, SIGNAL],
        "array",
        "Sends a signal to every process of a group that is up. The result has one struct for each.",
        processes::signal_group,
    ),
    method(
        "supervisor.startAllProcesses",
        &[WAIT_START],
        "array",
        "Starts every process that does not run. The result has one struct for each.",
        processes::start_all,
    ),
    method(
        "supervisor.startProcess",
        &[PROCESSES, WAIT_START],
        "boolean",
        "Starts a process, or those of a group: then the result is as that of startProcessGroup.",
        processes::start,
    ),
    method(
        "supervisor.startProcessGroup",
        &[GROUP, WAIT_START],
        "array",
        "Starts every process of a group that does not run. The result has one struct for each.",
        processes::start_group,
    ),
    method(
        "supervisor.stopAllProcesses",
        &[WAIT_STOP],
        "array",
        "Stops every process that runs. The result has one struct for each.",
        processes::stop_all,
    ),
    method(
        "supervisor.stopProcess",
        &[PROCESSES, WAIT_STOP],
        "boolean",
        "Stops a process, or those of a group: then the result is as that of stopProcessGroup.",
        processes::stop,
    ),
    method(
        "supervisor.stopProcessGroup",
        &[GROUP, WAIT_STOP],
        "array",
        "Stops every process of a group that runs. The result has one struct for each.",
        processes::stop_group,
    ),
    method(
        "supervisor.tailProcessLog",
        &[PROCESS, TAIL_OFFSET, TAIL_LENGTH],
        "array",
        TAIL_OUT,
        logs::tail_stdout,
    ),
    method(
        "supervisor.tailProcessStderrLog",
        &[PROCESS, TAIL_OFFSET, TAIL_LENGTH],
        "array",
        TAIL_ERR,
        logs::tail_stderr,
    ),
    method(
        "supervisor.tailProcessStdoutLog",
        &[PROCESS, TAIL_OFFSET, TAIL_LENGTH],
        "array",
        TAIL_OUT,
        logs::tail_stdout,
    ),
    method("system.listMethods", &[], "array", "Returns the names of all methods.", system::list_methods),
    method(
        "system.methodHelp",
        &[METHOD],
        "string",
        "Returns what a method does, in words.",
        system::method_help,
    ),
    method(
        "system.methodSignature",
        &[METHOD],
        "array",
        "Returns the type of a method's result, and then the types of its parameters.",
        system::method_signature,
    ),
    method(
        "system.multicall",
        &[(Kind::Array, "calls", "structs with methodName and params, at most 1000")],
        "array",
        "Makes calls one after the other. The result has for each what it returned, or a struct with faultCode and \
         faultString.",
        system::multicall,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_says_what_each_method_is_for() {
        for (before, after) in METHODS.iter().zip(&METHODS[1..]) {
            assert!(before.name < after.name, "{} {}", before.name, after.name);
        }
        for method in &METHODS {
            assert_eq!(find(method.name).map(|found| found.name), Some(method.name));
            assert!(
                ["string", "int", "boolean", "array", "struct"].contains(&method.returns),
                "{}",
                method.name
            );
            assert!(method.help.ends_with('.') && method.help_text().contains("@return "), "{}", method.name);
            // What may be left out stands last.
            let optional = |param: &Param| param.0 == Kind::TrueUnlessSaid;
            assert!(method.params.is_sorted_by_key(optional), "{}", method.name);
        }
    }

    #[test]
    fn nothing_but_a_full_name_is_found() {
        for name in
            ["", ".", "supervisor", "getState", "supervisor.getState.x", "supervisor.__class__", "system._x"]
        {
            assert!(find(name).is_none(), "{name}");
        }
        assert!(find(&"a.".repeat(500_000)).is_none());
    }

    #[test]
    fn only_an_event_can_be_sent_to_a_daemon_that_ends() {
        let open: Vec<&str> =
            METHODS.iter().filter(|method| !method.is_gated()).map(|method| method.name).collect();
        assert_eq!(
            open,
            [
                "supervisor.sendRemoteCommEvent",
                "system.listMethods",
                "system.methodHelp",
                "system.methodSignature",
                "system.multicall"
            ]
        );
    }
}
