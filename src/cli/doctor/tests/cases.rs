//! What can be special about a machine, a daemon and its configuration, one case a row.

use super::super::facts::{Reached, Server};
use super::super::{Facts, Verdict};
use super::{BootState, Case, Method, Starts};
use crate::api::v1::{self, ConfigState, Daemon, LoginDrift};
use crate::config::Severity;
use crate::config::ownership::Doubt;
use crate::model::spec::ServerAddress;
use crate::sys::facts::cleaners::Cleaner;
use crate::sys::facts::kin;
use crate::sys::facts::limits::{TaskGroup, UNLIMITED};
use crate::sys::facts::mac::Mac;
use crate::sys::facts::storage::Host;
use crate::sys::runtime_dir::Refused;

const SESSION: &str = "/user.slice/user-1000.slice/session-3.scope";
const MANAGER: &str = "/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope";

/// All of them, in the order in which they are written.
pub(super) fn all() -> Vec<Case> {
    [DAEMON, CONFIGURATION, SERVERS, LOGOUT, REBOOT, STORAGE, LIMITS, KERNEL, KIN].concat()
}

fn shown(facts: &mut Facts, change: impl FnOnce(&mut Daemon)) {
    if let Reached::Here { daemon, .. } = &mut facts.daemon {
        change(daemon);
    }
}

const DAEMON: &[Case] = &[
    ("daemon", "none", |f| f.daemon = Reached::Absent),
    ("daemon", "silent", |f| {
        f.daemon = Reached::Silent { pid: 42, why: "/s: permission denied".into() };
    }),
    ("daemon", "silent without a reason", |f| {
        f.daemon = Reached::Silent { pid: 42, why: String::new() };
    }),
    ("daemon", "not understood", |f| f.daemon = Reached::Strange("it is not HTTP".into())),
    ("daemon", "of another version", |f| f.version = "1.3.0".into()),
    ("daemon", "replaced on disk", |f| f.machine.kin.is_outdated = true),
    ("environment", "no daemon", |f| f.login = None),
    ("environment", "not known", |f| f.login = Some(Err("the login shell hangs".into()))),
    ("environment", "of nobody's login", |f| f.login = Some(Ok(LoginDrift::default()))),
    ("environment", "of an older login", |f| {
        if let Some(Ok(drift)) = &mut f.login {
            drift.added = vec!["A".into()];
            drift.changed = vec!["PATH".into(), "B".into()];
        }
    }),
];

const CONFIGURATION: &[Case] = &[
    ("configuration", "bad, as the daemon says", |f| {
        shown(f, |daemon| {
            daemon.config.state = ConfigState::Bad;
            daemon.config.problems = vec!["/c/a.conf:3: error: [program:x] x".into(), "b".into()];
        });
    }),
    ("configuration", "waits for an update", |f| {
        shown(f, |daemon| {
            daemon.config.state = ConfigState::Pending;
            daemon.config.waits_for_update = true;
        });
    }),
    ("configuration", "waits for somebody to agree", |f| {
        shown(f, |daemon| {
            daemon.config.state = ConfigState::Pending;
            daemon.config.waits_for_apply = vec!["web would be stopped".into()];
        });
    }),
    ("configuration", "waits for a restart", |f| {
        shown(f, |daemon| {
            daemon.config.state = ConfigState::Pending;
            daemon.config.waits_for_restart = vec!["minfds".into(), "umask".into()];
        });
    }),
    ("configuration", "bad, not read by the daemon yet", |f| {
        f.config.errors = vec!["/c/a.conf:3: error: [program:x] command: x".into()];
    }),
    ("configuration", "bad, and no daemon", |f| {
        f.daemon = Reached::Absent;
        f.config.errors = vec!["/c/a.conf:3: error: x".into(), "y".into()];
    }),
    ("configuration", "warnings", |f| f.config.warnings = vec!["/c/a.conf:3: warning: x".into()]),
    ("configuration", "a daemon that is named by its socket", |f| f.config.name = String::new()),
    ("permissions", "written by others", |f| {
        let of = |severity, what: &str| Doubt { severity, what: what.into(), hint: "chmod o-w /c".into() };
        f.config.doubts = vec![
            of(Severity::Warning, "/c can be written by its group"),
            of(Severity::Error, "/c can be written by everybody"),
        ];
    }),
    ("permissions", "written by the group", |f| {
        f.config.doubts = vec![Doubt {
            severity: Severity::Warning,
            what: "/c can be written by its group, who can change what is run".into(),
            hint: "chmod g-w /c".into(),
        }];
    }),
    ("permissions", "a password that others read", |f| f.config.readable_secrets = vec!["/c".into()]),
];

fn unix(facts: &mut Facts, chmod: u32, chown: Option<(u32, Option<u32>)>, has_login: bool) {
    facts.config.servers.push(Server {
        section: "unix_http_server".into(),
        address: ServerAddress::Unix { file: "/s".into(), chmod, chown },
        has_login,
        place: "/c:1".into(),
    });
}

fn inet(facts: &mut Facts, host: &str, has_login: bool) {
    facts.config.servers.push(Server {
        section: "inet_http_server".into(),
        address: ServerAddress::Inet { host: host.into(), port: 9001 },
        has_login,
        place: "/c:5".into(),
    });
}

const SERVERS: &[Case] = &[
    ("access", "a socket with supervisord's defaults", |f| unix(f, 0o700, None, false)),
    ("access", "a socket for everybody", |f| unix(f, 0o777, None, false)),
    ("access", "a socket for a group, with a password", |f| unix(f, 0o770, None, true)),
    ("access", "a socket for another user", |f| unix(f, 0o700, Some((1001, None)), false)),
    ("access", "a socket given to ourselves", |f| unix(f, 0o700, Some((1000, Some(50))), false)),
    ("access", "a password at a closed socket", |f| unix(f, 0o700, None, true)),
    ("access", "a port of this machine", |f| inet(f, "127.0.0.1", false)),
    ("access", "a port of this machine with a password", |f| inet(f, "localhost", true)),
    ("access", "a port of all machines with a password", |f| inet(f, "", true)),
    ("access", "a port of all machines without one", |f| inet(f, "", false)),
    ("access", "the worst of several", |f| {
        inet(f, "127.0.0.1", true);
        unix(f, 0o777, None, false);
    }),
    ("access", "delegates", |f| f.config.delegates = vec!["[delegate:ops]".into()]),
    ("access", "a server that is closed", |f| {
        shown(f, |daemon| {
            daemon.servers = vec![v1::Server {
                section: "inet_http_server".into(),
                address: "*:9001".into(),
                open: false,
                text: "address already in use".into(),
            }];
        });
    }),
];

/// A session of a login, and what the machine does with it.
fn session(facts: &mut Facts, daemon: Option<&str>, linger: bool, kill: bool, manager: bool) {
    let lasting = &mut facts.machine.lasting;
    lasting.session.cgroup = SESSION.into();
    lasting.session.linger = linger;
    lasting.session.kill_user_processes = kill;
    lasting.session.user_manager = manager;
    lasting.daemon_cgroup = daemon.map(str::to_owned);
    if daemon.is_none() {
        facts.daemon = Reached::Absent;
    }
}

const LOGOUT: &[Case] = &[
    ("logout", "killed, no manager", |f| session(f, None, false, true, false)),
    ("logout", "killed, by which file", |f| {
        session(f, None, false, true, false);
        f.machine.lasting.kill_place = Some("/etc/systemd/logind.conf:12".into());
    }),
    ("logout", "killed but for a scope", |f| session(f, None, false, true, true)),
    ("logout", "not killed, no daemon", |f| session(f, None, false, false, true)),
    ("logout", "lingering", |f| session(f, None, true, true, true)),
    ("logout", "in the session, killed", |f| session(f, Some(SESSION), false, true, true)),
    ("logout", "in the session, lingering", |f| session(f, Some(SESSION), true, true, true)),
    ("logout", "in the session, not killed", |f| session(f, Some(SESSION), false, false, true)),
    ("logout", "under the manager, lingering", |f| session(f, Some(MANAGER), true, true, true)),
    ("logout", "under the manager, not lingering", |f| session(f, Some(MANAGER), false, true, true)),
    ("logout", "under the manager, where a restart helps", |f| {
        session(f, Some(MANAGER), false, false, true);
    }),
    ("batch", "a job, no daemon", |f| {
        f.daemon = Reached::Absent;
        f.machine.lasting.batch_variable = Some("SLURM_JOB_ID".into());
    }),
    ("batch", "a job, the daemon outside", |f| {
        f.machine.lasting.batch_variable = Some("PBS_JOBID".into());
    }),
    ("batch", "the daemon inside", |f| f.machine.lasting.daemon_batch = Some("Slurm".into())),
];

/// Changes what is known of a way to be started.
fn way(facts: &mut Facts, method: Method, state: BootState, why_not: &str) {
    for row in facts.boot.iter_mut().flatten().filter(|row| row.method == method) {
        row.state = state;
        row.possible = why_not.is_empty();
        row.text = why_not.to_owned();
    }
}

const REBOOT: &[Case] = &[
    ("reboot", "nothing", |f| way(f, Method::Cron, BootState::Off, "")),
    ("reboot", "nothing, and no cron", |f| way(f, Method::Cron, BootState::Off, "there is none")),
    ("reboot", "nothing, and no way", |f| {
        way(f, Method::Cron, BootState::Off, "there is none");
        way(f, Method::Login, BootState::Off, "its file is not yours");
    }),
    ("reboot", "in place, not in force", |f| {
        way(f, Method::Cron, BootState::NotInForce, "no cron daemon runs");
    }),
    ("reboot", "at login only", |f| {
        way(f, Method::Cron, BootState::Off, "");
        way(f, Method::Login, BootState::InForce, "");
    }),
    ("reboot", "at login only, and no cron", |f| {
        way(f, Method::Cron, BootState::Off, "there is none");
        way(f, Method::Login, BootState::InForce, "");
    }),
    ("reboot", "a launch agent", |f| {
        for row in f.boot.iter_mut().flatten().filter(|row| row.method == Method::Cron) {
            row.method = Method::Launchd;
            row.title = "a launch agent".into();
            row.starts = Some(Starts::Login);
        }
    }),
    ("reboot", "in a container", |f| {
        way(f, Method::Cron, BootState::Off, "");
        f.machine.lasting.container = Some("Docker".into());
    }),
    ("reboot", "the daemon of a file", |f| {
        f.boot = None;
        f.start = "visord -c /c".into();
    }),
    ("cron", "not possible", |f| way(f, Method::Cron, BootState::Off, "no cron daemon runs")),
    ("cron", "the daemon of a file", |f| f.boot = None),
];

fn network(facts: &mut Facts, hosts: &[(&str, u64)]) {
    let storage = &mut facts.machine.storage;
    if let Some(home) = &mut storage.home {
        home.network = Some("nfs".into());
    }
    let host = |(key, idle_days): &(&str, u64)| Host { key: (*key).into(), idle_days: *idle_days };
    storage.hosts = hosts.iter().map(host).collect();
}

fn refused() -> Refused {
    Refused { path: "/tmp/visor-1000".into(), why: "it belongs to user 1001".into(), absent: false }
}

fn cleaner(facts: &mut Facts, name: &str, age: &str) {
    let rule = "/usr/lib/tmpfiles.d/tmp.conf:11".into();
    facts.machine.cleaners = vec![Cleaner { name: name.into(), rule, age: age.into() }];
}

const MIB: u64 = 1 << 20;

const STORAGE: &[Case] = &[
    ("home", "none", |f| f.machine.storage.home = None),
    ("home", "on another machine", |f| network(f, &[])),
    ("home", "shared with a host", |f| network(f, &[("a-1", 0)])),
    ("home", "shared with many", |f| network(f, &[("a-1", 0), ("b-2", 1), ("c-3", 9), ("d-4", 20)])),
    ("state", "none", |f| f.machine.storage.state = Default::default()),
    ("state", "others write", |f| f.machine.storage.state.trouble = Some("others can write in it".into())),
    ("state", "full", |f| f.machine.storage.state.free_bytes = Some(16 * MIB - 1)),
    ("state", "not quite full", |f| f.machine.storage.state.free_bytes = Some(16 * MIB)),
    ("state", "nearly full", |f| f.machine.storage.state.free_bytes = Some(256 * MIB - 1)),
    ("state", "room enough", |f| f.machine.storage.state.free_bytes = Some(256 * MIB)),
    ("state", "no inodes", |f| f.machine.storage.state.free_files = Some(0)),
    ("state", "few inodes", |f| f.machine.storage.state.free_files = Some(999)),
    ("state", "inodes enough", |f| f.machine.storage.state.free_files = Some(1000)),
    ("state", "not known", |f| {
        f.machine.storage.state.free_bytes = None;
        f.machine.storage.state.free_files = None;
    }),
    ("sockets", "no daemon", |f| f.daemon = Reached::Absent),
    ("sockets", "no daemon and no directory", |f| {
        f.daemon = Reached::Absent;
        f.machine.storage.usable.clear();
    }),
    ("sockets", "none bound", |f| shown(f, |daemon| daemon.sockets.clear())),
    ("sockets", "a squatter", |f| f.machine.storage.refused = vec![refused()]),
    ("sockets", "several squatters", |f| f.machine.storage.refused = vec![refused(), refused()]),
    ("cleaners", "tmpfiles, sockets elsewhere too", |f| cleaner(f, "systemd-tmpfiles", "10d")),
    ("cleaners", "tmpfiles, sockets there only", |f| {
        cleaner(f, "systemd-tmpfiles", "10d");
        shown(f, |daemon| daemon.sockets.retain(|socket| socket.starts_with("/tmp/")));
    }),
    ("cleaners", "tmpreaper, no daemon", |f| {
        cleaner(f, "tmpreaper", "");
        f.daemon = Reached::Absent;
    }),
];

fn programs(facts: &mut Facts, number: usize) {
    if let Reached::Here { processes, .. } = &mut facts.daemon {
        *processes = number;
    }
    facts.config.processes = number;
}

const LIMITS: &[Case] = &[
    ("watches", "used up", |f| {
        f.machine.limits.watches.trouble = Some("watch: fs.inotify.max_user_watches is used up".into());
    }),
    ("watches", "no numbers", |f| f.machine.limits.watches.files_max = None),
    ("files", "too few", |f| {
        programs(f, 321);
        f.machine.limits.files = (1024, 1024);
    }),
    ("files", "just enough", |f| {
        programs(f, 320);
        f.machine.limits.files = (1024, 1024);
    }),
    ("files", "no limit", |f| f.machine.limits.files = (1024, UNLIMITED)),
    ("processes", "no limit", |f| f.machine.limits.processes = (UNLIMITED, UNLIMITED)),
    ("processes", "root", |f| f.machine.uid = 0),
    ("processes", "no room to start", |f| {
        f.daemon = Reached::Absent;
        f.machine.limits.processes = (116, 116);
    }),
    ("processes", "no spare room to start", |f| {
        f.daemon = Reached::Absent;
        f.machine.limits.processes = (117, 117);
    }),
    ("processes", "room to start", |f| {
        f.daemon = Reached::Absent;
        f.machine.limits.processes = (149, 149);
    }),
    ("processes", "used up while it runs", |f| f.machine.limits.processes = (100, 100)),
    ("processes", "a tight control group", |f| {
        let path = "/user.slice/user-1000.slice".into();
        f.machine.limits.group = Some(TaskGroup { path, now: 90, max: 100 });
    }),
    ("pipes", "root", |f| f.machine.uid = 0),
    ("pipes", "not limited", |f| f.machine.limits.pipe_pages = Some(0)),
    ("pipes", "many, and enough", |f| programs(f, 753)),
    ("pipes", "too many", |f| programs(f, 754)),
];

const KERNEL: &[Case] = &[
    ("cgroup", "none", |f| f.machine.kernel.cgroup.unified = false),
    ("cgroup", "not delegated", |f| f.machine.kernel.cgroup.writable = false),
    ("cgroup", "without memory", |f| f.machine.kernel.cgroup.controllers = vec!["pids".into()]),
    ("cgroup", "without anything", |f| f.machine.kernel.cgroup.controllers.clear()),
    ("cgroup", "on a Mac", |f| f.machine.mac = Some(Mac::default())),
    ("landlock", "none", |f| f.machine.kernel.landlock = None),
    ("landlock", "on a Mac", |f| f.machine.mac = Some(Mac::default())),
    ("clock", "set forward", |f| f.clock_set_s = 3600.0),
    ("clock", "set back", |f| f.clock_set_s = -30.0),
    ("clock", "corrected a little", |f| f.clock_set_s = 29.9),
    ("clock", "nobody keeps it right", |f| f.machine.kernel.clock.synchronized = Some(false)),
    ("clock", "asleep", |f| f.machine.kernel.clock.asleep_s = 3600),
    ("clock", "cannot be asked", |f| f.machine.kernel.clock.synchronized = None),
    ("session", "with windows", |f| {
        f.machine.mac = Some(Mac { manager: "Aqua".into(), ..Mac::default() });
    }),
    ("session", "with windows, over ssh", |f| {
        f.machine.mac = Some(Mac { manager: "Aqua".into(), is_remote: true, ..Mac::default() });
    }),
    ("session", "without windows", |f| {
        f.machine.mac = Some(Mac { manager: "Background".into(), is_remote: true, ..Mac::default() });
    }),
    ("session", "not known", |f| f.machine.mac = Some(Mac::default())),
    ("privacy", "nothing there", |f| f.machine.mac = Some(Mac::default())),
    ("privacy", "a program in Documents", |f| {
        let guarded = vec!["/Users/ada/Documents".into()];
        f.machine.mac = Some(Mac { guarded, ..Mac::default() });
        f.config.places = vec!["/Users/ada/Documents/web".into(), "/opt/x".into()];
    }),
];

const KIN: &[Case] = &[
    ("others", "two", |f| {
        let daemon = |pid, config: &str| kin::Daemon { pid, config: config.into(), is_config_gone: false };
        f.machine.kin.daemons = vec![daemon(7, "/c/a.conf"), daemon(8, "/c/b.conf")];
    }),
    ("others", "one whose configuration is gone", |f| {
        f.machine.kin.daemons =
            vec![kin::Daemon { pid: 7, config: "/c/a.conf".into(), is_config_gone: true }];
    }),
    ("orphans", "one", |f| {
        f.machine.kin.strays = vec![kin::Stray { pid: 7, name: "sleep".into() }];
    }),
    ("orphans", "many", |f| {
        f.machine.kin.strays = (7..12).map(|pid| kin::Stray { pid, name: "sleep".into() }).collect();
    }),
];

#[test]
fn the_table_reaches_every_verdict() {
    let reached = |verdict: Verdict| {
        all().iter().any(|(name, _, change)| {
            let mut facts = super::fine();
            change(&mut facts);
            super::judged(name, &facts).is_some_and(|finding| finding.verdict == verdict)
        })
    };
    assert!(Verdict::ALL.into_iter().all(reached));
}
