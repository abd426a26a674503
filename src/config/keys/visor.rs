//! Rows of those of Visor's own keys that are not built yet: they are known by name.
//!
//! A key that protects or confines a program, or changes what kind of program it is, makes the program refuse
//! to start until it is built: nobody runs unprotected or on the wrong host by surprise. A value that asks for
//! what happens anyway (`type=daemon`) is no such wish.

use super::{Built, Key, Origin, Reload, SectionKind};
use crate::config::value;

/// What a key's value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Anything.
    Text,
    /// A duration such as `20s`.
    Duration,
    /// A size such as `500M`.
    Size,
}

/// A row for one of Visor's keys.
pub struct VisorRow {
    /// What everybody may know.
    pub key: Key,
    /// What its value must look like.
    pub form: Form,
    /// Values that ask for what happens anyway, lower case.
    pub idle: &'static [&'static str],
}

impl VisorRow {
    /// Whether `value` asks for something that is not built.
    #[must_use]
    pub fn matters(&self, value: &str) -> bool {
        self.key.built != Built::Yes && !self.idle.contains(&value.to_lowercase().as_str())
    }

    /// Returns what is wrong with `value`, where something is.
    #[must_use]
    pub fn fault(&self, value: &str) -> Option<String> {
        match self.form {
            Form::Text => None,
            Form::Duration => value::duration(value).err(),
            Form::Size => value::size(value).err(),
        }
    }
}

const LIVE: Reload = Reload::Live;
const RESTART: Reload = Reload::Restart;

const fn key(name: &'static str, reload: Reload, doc: &'static str) -> VisorRow {
    let key = Key { name, doc, reload, origin: Origin::Visor, built: Built::NotYet };
    VisorRow { key, form: Form::Text, idle: &[] }
}

const fn span(name: &'static str, reload: Reload, doc: &'static str) -> VisorRow {
    VisorRow { form: Form::Duration, ..key(name, reload, doc) }
}

const fn bytes(name: &'static str, reload: Reload, doc: &'static str) -> VisorRow {
    VisorRow { form: Form::Size, ..key(name, reload, doc) }
}

/// A key without which its program must not run.
const fn needed(name: &'static str, doc: &'static str, idle: &'static [&'static str]) -> VisorRow {
    let key = Key { name, doc, reload: RESTART, origin: Origin::Visor, built: Built::NotYetAndNeeded };
    VisorRow { key, form: Form::Text, idle }
}

const fn idle(row: VisorRow, idle: &'static [&'static str]) -> VisorRow {
    VisorRow { idle, ..row }
}

/// A key that is read, by `check::visor`.
const fn built(row: VisorRow) -> VisorRow {
    VisorRow { key: Key { built: Built::Yes, ..row.key }, ..row }
}

const NO: &[&str] = &["no", "false", "off", "0"];

/// The keys of a program and of `[program-default]`.
static PROGRAM: [VisorRow; 113] = [
    // Identity.
    key("description", LIVE, "what the program is, for people"),
    key("alias", LIVE, "further names of the program"),
    key("argv0", RESTART, "name that the program sees as its own"),
    key("profiles", RESTART, "profiles in which the program exists"),
    key("environment.*", RESTART, "variables of one profile"),
    // Type.
    needed("type", "daemon, oneshot or forking", &["daemon"]),
    key("pidfile", RESTART, "where a forking program writes its pid"),
    key("remain_after_exit", LIVE, "a oneshot that ended well counts as running"),
    key("once_per", LIVE, "how often a oneshot runs"),
    // Relations.
    key("requires", LIVE, "programs that must be ready before"),
    key("wants", LIVE, "programs that are started along"),
    key("after", LIVE, "programs that are started before, where they are started at all"),
    key("before", LIVE, "programs that are started later"),
    key("part_of", LIVE, "it stops and restarts with these"),
    key("binds_to", LIVE, "it stops when one of these stops"),
    key("conflicts", LIVE, "programs that cannot run at the same time"),
    key("depends_on", LIVE, "as requires"),
    key("dependent_startup", LIVE, "as requires, by supervisord-dependent-startup"),
    key("dependent_startup_*", LIVE, "as requires, by supervisord-dependent-startup"),
    // Readiness.
    idle(key("ready", RESTART, "how it tells that it is ready"), &["startsecs"]),
    span("start_timeout", LIVE, "longest time until it is ready"),
    // Health.
    key("health", LIVE, "how to tell that it is well"),
    span("health_interval", LIVE, "time between two health checks"),
    span("health_timeout", LIVE, "longest time of a health check"),
    key("health_retries", LIVE, "failed health checks in a row before it is unwell"),
    span("health_start_period", LIVE, "time after the start in which failures do not count"),
    span("health_start_interval", LIVE, "time between health checks in that period"),
    key("health_action", LIVE, "what happens when it is unwell"),
    span("watchdog", RESTART, "longest time between two signs of life"),
    key("watchdog_signal", LIVE, "signal when the sign of life is missing"),
    // Restarts.
    key("restart_on", LIVE, "which ends are followed by a restart"),
    key("restart_limit", LIVE, "most restarts in a time"),
    span("restart_delay", LIVE, "time before a restart"),
    span("restart_delay_max", LIVE, "longest time before a restart"),
    key("restart_backoff", LIVE, "how the delay grows"),
    key("restart_jitter", LIVE, "random part of the delay"),
    span("restart_reset_after", LIVE, "time up after which the delay begins anew"),
    key("restart_force_codes", LIVE, "exit codes that are always followed by a restart"),
    key("restart_prevent_codes", LIVE, "exit codes that are never followed by a restart"),
    key("restart_schedule", LIVE, "when it is restarted"),
    span("max_uptime", LIVE, "time up after which it is restarted"),
    key("run_while", LIVE, "condition under which it runs"),
    key("remember_stop", LIVE, "stay stopped over a restart of the daemon"),
    // Stopping.
    idle(key("kill_mode", LIVE, "which processes get the stop signal"), &["mixed"]),
    key("stop_command", LIVE, "command that stops it"),
    key("stop_sequence", LIVE, "signals and times of a stop"),
    // Hooks.
    key("pre_start", RESTART, "command before a start"),
    key("post_start", LIVE, "command after a start"),
    key("pre_stop", LIVE, "command before a stop"),
    key("post_stop", LIVE, "command after a stop"),
    key("on_failure", LIVE, "command after a failure"),
    key("on_success", LIVE, "command after a good end"),
    span("pre_start_timeout", LIVE, "longest time of that command"),
    span("post_start_timeout", LIVE, "longest time of that command"),
    span("pre_stop_timeout", LIVE, "longest time of that command"),
    span("post_stop_timeout", LIVE, "longest time of that command"),
    span("on_failure_timeout", LIVE, "longest time of that command"),
    span("on_success_timeout", LIVE, "longest time of that command"),
    // Reload.
    key("reload_signal", LIVE, "signal that makes it read its configuration"),
    key("reload_command", LIVE, "command that makes it read its configuration"),
    idle(key("restart_style", LIVE, "how a restart is done"), &["stop-start"]),
    // Sockets.
    key("sockets", RESTART, "names of sockets that it is given"),
    key("on_demand", LIVE, "start at the first connection"),
    span("idle_stop", LIVE, "time without connections after which it is stopped"),
    key("fd_store_max", LIVE, "descriptors it may leave with the daemon"),
    // Schedule.
    key("schedule", LIVE, "when it is started"),
    key("schedule_timezone", LIVE, "time zone of its schedule"),
    span("schedule_jitter", LIVE, "longest random delay"),
    key("schedule_overlap", LIVE, "what happens when it still runs"),
    key("schedule_catch_up", LIVE, "what happens with missed starts"),
    // Watch.
    key("watch", LIVE, "files whose change has an effect"),
    key("watch_ignore", LIVE, "files whose change has none"),
    key("watch_action", LIVE, "what a change does"),
    span("watch_debounce", LIVE, "time without changes before it is done"),
    key("watch_mode", LIVE, "how changes are found"),
    // Limits.
    bytes("memory_max", LIVE, "most memory"),
    bytes("memory_high", LIVE, "memory above which it is slowed down"),
    key("memory_action", LIVE, "what happens above the limit"),
    bytes("swap_max", LIVE, "most swap space"),
    key("cpu_max", LIVE, "most processor time"),
    key("cpu_weight", LIVE, "share of processor time"),
    key("io_weight", LIVE, "share of disk time"),
    key("tasks_max", LIVE, "most processes and threads"),
    key("limit_*", RESTART, "a resource limit, soft:hard"),
    key("nice", RESTART, "scheduling priority"),
    key("oom_score_adj", RESTART, "how soon it is killed when memory runs out"),
    key("cpu_affinity", RESTART, "processors it may use"),
    key("io_priority", RESTART, "disk priority"),
    key("cpu_scheduling", RESTART, "scheduling policy"),
    key("qos", RESTART, "quality of service class of macOS"),
    // Sandbox.
    needed("no_new_privileges", "it cannot gain rights", NO),
    needed("read_only_paths", "paths it can only read", &[""]),
    needed("read_write_paths", "paths it can write", &[""]),
    needed("no_access_paths", "paths it cannot see", &[""]),
    needed("private_tmp", "a /tmp of its own", NO),
    // Environment.
    key("secret", RESTART, "files whose text it gets"),
    key("runtime_directory", RESTART, "directory made for its run"),
    key("state_directory", RESTART, "directory made for its state"),
    key("cache_directory", RESTART, "directory made for its cache"),
    // Input and terminal.
    key("stdin_file", RESTART, "file it reads as standard input"),
    key("stdin_data", RESTART, "text it reads as standard input"),
    key("pty", RESTART, "give it a terminal"),
    key("exec_wrapper", RESTART, "command that it is run through"),
    key("lock", RESTART, "name of a lock it holds"),
    // Logs.
    idle(key("log_format", LIVE, "raw, timestamp or json"), &["raw"]),
    key("log_time_format", LIVE, "form of the timestamps"),
    span("log_max_age", LIVE, "age at which log files go"),
    key("log_compress", LIVE, "compress rotated files"),
    key("log_rate_limit", LIVE, "most output in a time"),
    key("log_filter", LIVE, "lines that are logged"),
    key("log_rotate_schedule", LIVE, "when log files are rotated"),
    // Conditions.
    needed("singleton", "one host of those that share the home", NO),
    // Instances.
    key("numprocs_auto", RESTART, "as many processes as processors"),
];

/// The keys of `[socket:x]`.
static SOCKET: [VisorRow; 8] = [
    key("listen", RESTART, "address or path"),
    key("type", RESTART, "stream or datagram"),
    key("mode", RESTART, "permissions of its file"),
    key("backlog", RESTART, "backlog of listen(2)"),
    key("accept", RESTART, "one process for each connection"),
    key("reuse_port", RESTART, "share the port"),
    key("fd_name", RESTART, "name that the program sees"),
    key("max_connections", LIVE, "most connections at a time"),
];

/// The keys of `[visor]`.
static DAEMON: [VisorRow; 9] = [
    built(key("apply", LIVE, "when changed files take effect: auto, live or manual")),
    key("state_dir", Reload::Daemon, "directory of logs, history and wishes"),
    built(key("host_id", Reload::Daemon, "name of this host in a shared home, in visor.conf only")),
    key("profile", RESTART, "the profile in use"),
    bytes("log_budget", LIVE, "most bytes of logs"),
    key("notify", LIVE, "command that tells the user"),
    key("nice", Reload::Daemon, "scheduling priority of all programs"),
    bytes("memory_max", LIVE, "most memory of all programs"),
    key("cpu_max", LIVE, "most processor time of all programs"),
];

/// Returns the rows of a kind of section.
#[must_use]
pub fn of(kind: SectionKind) -> &'static [VisorRow] {
    match kind {
        SectionKind::Program | SectionKind::Listener | SectionKind::Fcgi | SectionKind::ProgramDefault => {
            &PROGRAM
        }
        SectionKind::Socket => &SOCKET,
        SectionKind::Visor => &DAEMON,
        _ => &[],
    }
}

/// Returns the row of a key in a kind of section.
#[must_use]
pub fn find(kind: SectionKind, name: &str) -> Option<&'static VisorRow> {
    of(kind).iter().find(|row| row.key.covers(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sandbox_singleton_and_type_keys_are_needed() {
        for name in ["no_new_privileges", "private_tmp", "singleton", "type", "no_access_paths"] {
            let row = find(SectionKind::Program, name).expect(name);
            assert_eq!(row.key.built, Built::NotYetAndNeeded, "{name}");
            assert!(row.matters("oneshot"), "{name}");
        }
        for (name, value) in [("type", "Daemon"), ("singleton", "false"), ("kill_mode", "mixed")] {
            assert!(!find(SectionKind::Program, name).expect(name).matters(value), "{name}");
        }
    }

    #[test]
    fn forms_are_checked_before_the_keys_are_built() {
        let timeout = find(SectionKind::Program, "start_timeout").expect("row");
        assert!(timeout.fault("20s").is_none() && timeout.fault("soon").is_some());
        assert!(find(SectionKind::Program, "memory_max").expect("row").fault("lots").is_some());
    }
}
