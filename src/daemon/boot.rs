//! From a fresh reactor to the loop: options, configuration, rights, limits, logs, and the first words.

use super::control::{Calls, Control, Jobs, SUPERVISOR_VERSION, Subscribers};
use super::flapping::Flapping;
use super::history::Journal;
use super::hot_reload::{FIRST_READ_AFTER, HotReload};
use super::image::{Common, Environment};
use super::instance::{self, Claim, Identity, Outcome, Who};
use super::keeper_loss::{HandOver, take_hand_over};
use super::limits::{self, Raise};
use super::link::Link;
use super::listeners::Listeners;
use super::login_env::{self, ForPrograms};
use super::options::{self, Options};
use super::reactor::{Afterwards, Job, Reactor, STREAMS, WAKER};
use super::runs::{Fetches, Runs};
use super::servers::Servers;
use super::share::Share;
use super::shared_sockets::{self, SharedSockets};
use super::sweep::Strays;
use super::{auto_logs, image, outcome, pidfile};
use crate::api::v1;
use crate::config::{self, Loaded};
use crate::core::{Core, Input};
use crate::keeper::Start;
use crate::keeper::protocol::{Report, Request};
use crate::logs::activity::Activity;
use crate::logs::disk::{Disk, Event};
use crate::logs::lines::Lines;
use crate::logs::pool::Pool;
use crate::logs::pump::Pump;
use crate::logs::sink::SinkSpec;
use crate::model::marks::Marks;
use crate::model::python::str_repr;
use crate::model::spec::{DaemonSpec, MainLog, Settings};
use crate::model::{Level, Pid, getopt};
use crate::sys::ambient::Ambient;
use crate::sys::host::RealHost;
use crate::sys::process::Limited;
use crate::sys::{clock, fd, hosts, identity};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// Key under which the keeper holds the state file.
pub(super) const HELD_STATE: u64 = 1;
/// Key under which the keeper holds the log buffers.
pub(super) const HELD_BUFFERS: u64 = 2;
/// Key under which the keeper holds the events that are not settled.
pub(super) const HELD_EVENTS: u64 = 3;

/// What supervisord says to root (supervisor 4.3 options.py `set_uid_or_exit`).
const RUNS_AS_ROOT: &str = "Supervisor is running as root.  Privileges were not dropped because no user is specified in \
                            the config file.  If you intend to run as root, you can set user=root in the config file \
                            to avoid this message.";

/// Why a reactor does not begin to supervise.
pub(super) enum Refusal {
    /// The daemon ends with this code; why was said already.
    Exit(i32),
    /// The keeper forks the real daemon as soon as this process has gone.
    Detach,
}

/// Runs a reactor and returns its exit code: the daemon's own when it ends in order.
pub(super) fn run(start: Start) -> i32 {
    // For the last word, wherever the start may end.
    let Ok(farewell) = start.keeper.try_clone() else { return outcome::SYSTEM };
    let mut link = Link::new(start.keeper);
    let Some(mut handed) = take_hand_over(&mut link) else { return outcome::SYSTEM };
    let result = match take_held(&mut handed, HELD_STATE) {
        // Programs run: what fails here ends this reactor and not the daemon, and the keeper tries another.
        Some(state) => match super::resume::resume(link, start.keeper_pid, state, handed) {
            Err(_) => return outcome::SYSTEM,
            resumed => resumed,
        },
        None if !handed.reports.is_empty() => return outcome::SYSTEM,
        None => first(link, start.keeper_pid, &handed),
    };
    match result {
        Ok(reactor) => reactor.run(),
        Err(Refusal::Detach) => outcome::OK,
        Err(Refusal::Exit(code)) => {
            let mut link = Link::new(farewell);
            link.send(Request::Exit { code: code as u64 }, Vec::new());
            link.drain();
            code
        }
    }
}

/// Takes a held descriptor out of a hand-over.
pub(super) fn take_held(handed: &mut HandOver, key: u64) -> Option<OwnedFd> {
    let at = handed.held.iter().position(|(held, _)| *held == key)?;
    Some(handed.held.swap_remove(at).1)
}

/// Says why the daemon does not come up.
fn refuse(code: i32, text: &str) -> Refusal {
    eprintln!("Error: {text}");
    Refusal::Exit(code)
}

/// The first start of a daemon.
fn first(mut link: Link, keeper: Pid, handed: &HandOver) -> Result<Box<Reactor>, Refusal> {
    let daemonized = matches!(handed.begin, Some(Report::Begin { daemonized: true, .. }));
    let options = parse_options()?;
    if !daemonized && is_xdg(&options) && login_env::is_started_by_client(&Ambient::real()) {
        // It is never to stay in the client's foreground, and the login's environment takes its time only once.
        return Err(detach(&mut link));
    }
    let who = identity_of(&options, keeper).map_err(|why| refuse(outcome::USAGE, &why))?;
    if is_xdg(&options) {
        let host_id = config::load_host_id(&who.config, &RealHost);
        hosts::name(&who.ambient, host_id.as_deref()).map_err(|why| refuse(outcome::SYSTEM, &why))?;
    }
    // A user's own daemon finds its directories by its claim; that of a file claims as the user whom the file names.
    let early = if is_xdg(&options) { Some(take_claim(&who)?) } else { None };
    let login = login_env::for_programs(&who.ambient);
    let mut loaded = load(&options, early.as_deref(), &login, daemonized)?;
    let Some(mut settings) = loaded.settings.take() else { return Err(Refusal::Exit(outcome::USAGE)) };
    if !settings.daemon.nodaemon && !daemonized {
        return Err(detach(&mut link));
    }
    let became = drop_rights(&mut link, &settings)?;
    let as_whom = || Who::of(who.identity(), Ambient::real(), keeper.0);
    let (limits, raised) = raise_limits(&mut link, &settings)?;
    let echo = settings.daemon.nodaemon && !settings.daemon.silent;
    let mut fleet = std::mem::take(&mut settings.fleet);
    let pool =
        Pool::create().map_err(|e| refuse(outcome::SYSTEM, &format!("cannot make log buffers: {e}")))?;
    if settings.xdg.is_some() {
        make_log_directory(&settings)?;
    }
    // Before anything is opened or removed: whoever has the locks is the daemon.
    let claim = early.map_or_else(|| take_claim(&as_whom()), Ok)?;
    let login_words = login.words;
    let is_login = login.is_login;
    let login = is_login.then_some(login.variables);
    let mut reactor =
        assemble(link, keeper, Parts { settings, options, limits, pool, echo, login, is_login })?;
    wait_for_main_log(&mut reactor)?;
    login_words.iter().for_each(|words| reactor.log(Level::Warn, words));
    reactor.log_findings(&loaded);
    reactor.bind_sockets(*claim);
    reactor.read_marks();
    reactor.config_state.files = loaded.files.len();
    became.iter().chain(&raised).for_each(|line| reactor.log(Level::Info, line));
    speak_of_root(&mut reactor);
    auto_logs::clean(&mut reactor);
    auto_logs::make(&mut reactor, &mut fleet);
    if reactor.settings.xdg.is_none() {
        // A user's own daemon starts all the same, and says so of the one program.
        shared_sockets::try_all(&fleet, |line| reactor.log(Level::Info, line))
            .map_err(|why| refuse(outcome::USAGE, &why))?;
    }
    reactor.open_servers(Vec::new()).map_err(|why| refuse(outcome::USAGE, &why))?;
    reactor.open_share(None);
    if daemonized {
        reactor.log(Level::Info, "daemonizing the supervisord process");
        enter_daemon_places(&mut reactor);
    }
    drop(loaded);
    reactor
        .activate(fleet, None)
        .map_err(|e| refuse(outcome::SYSTEM, &format!("cannot make the state file: {e}")))?;
    come_up(&mut reactor, daemonized);
    Ok(reactor)
}

/// Everything is in place: says so, and begins to supervise.
fn come_up(reactor: &mut Reactor, daemonized: bool) {
    reactor.hold_buffers();
    let keeper = reactor.keeper;
    if let Err(error) = pidfile::write(&reactor.settings.daemon.pidfile, keeper) {
        let path = reactor.settings.daemon.pidfile.display().to_string();
        reactor.log(Level::Critical, &format!("could not write pidfile {path}: {error}"));
    }
    reactor.open_history();
    reactor.record_start();
    reactor.link.send(Request::Ready, Vec::new());
    if daemonized {
        let _ = fd::detach_standard_streams();
    }
    reactor.log(Level::Info, &format!("supervisord started with pid {keeper}"));
    reactor.inputs.push_back(Input::Boot);
    reactor.watch_config(FIRST_READ_AFTER);
    reactor.trim_later();
}

/// Has the keeper fork the real daemon as soon as this process has gone.
fn detach(link: &mut Link) -> Refusal {
    link.send(Request::Daemonize, Vec::new());
    link.drain();
    Refusal::Detach
}

/// Reads the command line; help and version end here.
fn parse_options() -> Result<Options, Refusal> {
    let words = super::user_words();
    let program = words.first().map_or("visord", String::as_str);
    let name = getopt::base_name(program);
    match options::parse(words.get(1..).unwrap_or_default()) {
        Ok(options) if options.help => {
            print!("{}", options::help(program));
            Err(Refusal::Exit(outcome::OK))
        }
        Ok(options) if options.print_config => {
            super::print_sample();
            Err(Refusal::Exit(outcome::OK))
        }
        Ok(options) if options.version => {
            println!(
                "{}",
                if name == "supervisord" { SUPERVISOR_VERSION } else { env!("CARGO_PKG_VERSION") }
            );
            Err(Refusal::Exit(outcome::OK))
        }
        Ok(options) => Ok(options),
        Err(error) => {
            eprintln!("Error: {error}\nFor help, use {name} -h");
            Err(Refusal::Exit(outcome::USAGE))
        }
    }
}

/// Whether this is the user's own daemon, not that of a file.
fn is_xdg(options: &Options) -> bool {
    options.is_xdg(&std::env::args().next().unwrap_or_default())
}

/// Returns who this daemon is.
pub(super) fn identity_of(options: &Options, keeper: Pid) -> Result<Who, String> {
    let ambient = Ambient::real();
    if is_xdg(options) {
        let without = "there is no home directory: set HOME, or name a file with -c";
        return Who::xdg(ambient, keeper.0).ok_or_else(|| without.to_owned());
    }
    Ok(Who::classic(ambient, &configuration_file(options)?, keeper.0))
}

fn configuration_file(options: &Options) -> Result<PathBuf, String> {
    let program = std::env::args().next().unwrap_or_default();
    options::configuration(options, &program, &RealHost)
}

/// Becomes the only daemon of its configuration, or says who is.
fn take_claim(who: &Who) -> Result<Box<Claim>, Refusal> {
    match instance::claim(who) {
        Outcome::Start(claim) => Ok(claim),
        Outcome::AlreadyRunning(other) => {
            let socket =
                other.socket.map(|path| format!(", it answers at {}", path.display())).unwrap_or_default();
            let text =
                format!("visord already runs for {} (pid {}){socket}", who.config.display(), other.pid);
            Err(refuse(outcome::USAGE, &text))
        }
    }
}

fn no_directory(claim: &Claim) -> String {
    let refused: Vec<String> =
        claim.refused.iter().map(|one| format!("{}: {}", one.path.display(), one.why)).collect();
    format!("there is no usable directory for the state ({})", refused.join("; "))
}

/// Reads and checks the configuration, and says everything that is wrong with it. The reactor before the detaching
/// has said what did not stop it.
fn load(
    options: &Options,
    claim: Option<&Claim>,
    login: &ForPrograms,
    daemonized: bool,
) -> Result<Loaded, Refusal> {
    let mut request = match claim {
        // As it was named, for `%(here)s`; the claim goes by the path with all links followed.
        None => {
            options.load_request(configuration_file(options).map_err(|why| refuse(outcome::USAGE, &why))?)
        }
        Some(claim) => {
            let roots = claim.xdg_roots().ok_or_else(|| refuse(outcome::SYSTEM, &no_directory(claim)))?;
            options.xdg_request(roots)
        }
    };
    request.environment = login.is_login.then(|| image::text_of(&login.variables));
    let loaded = config::load(&request, &RealHost);
    for diagnostic in loaded.diagnostics.iter().filter(|_| !daemonized || loaded.settings.is_none()) {
        eprintln!("{diagnostic}");
    }
    if loaded.settings.is_none() {
        return Err(refuse(
            outcome::USAGE,
            "the configuration cannot be used, see above; nothing was started",
        ));
    }
    Ok(loaded)
}

/// Becomes the user of `[supervisord] user=`, in the keeper as well; returns what to log.
fn drop_rights(link: &mut Link, settings: &Settings) -> Result<Vec<String>, Refusal> {
    let Some(user) = &settings.daemon.user else { return Ok(Vec::new()) };
    let done = vec![format!("Set uid to user {} succeeded", user.uid)];
    if user.uid == identity::uid() {
        return Ok(done);
    }
    if !identity::is_root() {
        return Err(refuse(
            outcome::USAGE,
            &format!("Can't drop privilege as nonroot user: user={}", user.text),
        ));
    }
    let failed = |e: io::Error| refuse(outcome::USAGE, &format!("cannot become user {}: {e}", user.text));
    let groups = identity::groups_of(user).map_err(failed)?;
    let file = crate::sys::memfile::create(c"groups").map_err(failed)?;
    let bytes: Vec<u8> = groups.iter().flat_map(|gid| gid.to_ne_bytes()).collect();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).map_err(failed)?;
    let become_user = Request::Become { uid: user.uid.into(), gid: user.gid.into() };
    link.send(become_user, vec![file.into()]);
    identity::become_user(user.uid, user.gid, &groups).map_err(failed)?;
    Ok(done)
}

/// Says what running as root means; a container has no other user, often.
fn speak_of_root(reactor: &mut Reactor) {
    if !identity::is_root() {
        return;
    }
    if reactor.settings.daemon.user.is_none() {
        reactor.log(Level::Critical, RUNS_AS_ROOT);
    }
    let text = "visord runs as root, and programs without user= do too; it is made for ordinary users and needs no \
                root: a daemon of each user's own does them no harm";
    reactor.log(Level::Info, text);
}

/// Limits that programs get: soft and hard.
type Limits = Vec<(Limited, u64, u64)>;

/// Raises the limits here and in the keeper; returns those that programs get, and what to log.
fn raise_limits(link: &mut Link, settings: &Settings) -> Result<(Limits, Vec<String>), Refusal> {
    let raises =
        limits::work_out(settings, identity::is_root()).map_err(|why| refuse(outcome::USAGE, &why))?;
    let of_programs =
        limits::put_in_force(link, settings, &raises).map_err(|why| refuse(outcome::USAGE, &why))?;
    Ok((of_programs, raises.iter().filter_map(Raise::line).collect()))
}

/// What a reactor is put together from.
pub(super) struct Parts {
    pub(super) settings: Settings,
    pub(super) options: Options,
    pub(super) limits: Limits,
    pub(super) pool: Pool,
    pub(super) echo: bool,
    /// The environment of a login, where it is known, and whether programs get that where they do not say.
    pub(super) login: Option<Environment>,
    pub(super) is_login: bool,
}

/// Puts a reactor together around a connection to the keeper; nothing is supervised yet.
pub(super) fn assemble(link: Link, keeper: Pid, parts: Parts) -> Result<Box<Reactor>, Refusal> {
    let system = |what: &str, e: io::Error| refuse(outcome::SYSTEM, &format!("cannot {what}: {e}"));
    let poll = mio::Poll::new().map_err(|e| system("make an event queue", e))?;
    let waker = Arc::new(mio::Waker::new(poll.registry(), WAKER).map_err(|e| system("make a waker", e))?);
    let pool = Arc::new(parts.pool);
    let disk = start_disk(&pool, &waker).map_err(|e| system("start the disk worker", e))?;
    let registry = || poll.registry().try_clone().map_err(|e| system("share the event queue", e));
    let (pump_registry, control_registry) = (registry()?, registry()?);
    let daemon = &parts.settings.daemon;
    let activity = Activity::new(daemon.loglevel, parts.echo);
    let mut reactor = Box::new(Reactor {
        lines: lines_to(&disk, daemon, &activity),
        poll,
        waker,
        link,
        link_is_full: false,
        more_reports: false,
        trim_at: None,
        host_marked_at: None,
        strays: Strays::default(),
        keeper,
        core: Core::default(),
        common: Common { is_login: parts.is_login, ..common(keeper, daemon, parts.limits, parts.login) },
        settings: parts.settings,
        options: parts.options,
        store: None,
        listeners: Listeners::default(),
        pump: Pump::new(pump_registry, STREAMS, pool, disk.inlet()),
        disk,
        activity,
        echo: parts.echo,
        journal: Journal::default(),
        flapping: Flapping::default(),
        runs: Runs::default(),
        inputs: VecDeque::new(),
        heard_at: clock::now(),
        afterwards: Afterwards::default(),
        look_again_at: None,
        next: None,
        loading: false,
        load_again: false,
        anew_wanted: false,
        exit: None,
        keeper_wanted_at: None,
        keeper_sought_at: None,
        scattered: crate::sys::portable(),
        is_up: false,
        fetches: Fetches::default(),
        control: Control::new(control_registry),
        jobs: Jobs::default(),
        calls: Calls::default(),
        subscribers: Subscribers::default(),
        updates: Vec::new(),
        last_update: 0,
        hup_waits: false,
        hot: HotReload::default(),
        latest: None,
        latest_daemon: None,
        config_state: v1::Config::default(),
        notes: BTreeMap::new(),
        marks: Marks::default(),
        identity: Identity::default(),
        sockets: None,
        shared_sockets: SharedSockets::default(),
        servers: Servers::default(),
        share: Share::default(),
        started: clock::wall(),
    });
    reactor.register().map(|()| reactor).map_err(|e| system("listen to the keeper", e))
}

fn common(keeper: Pid, daemon: &DaemonSpec, limits: Limits, login: Option<Environment>) -> Common {
    Common {
        own: Arc::new(login_env::own()),
        is_login: false,
        is_login_kept: login.is_some(),
        login: Arc::new(login.map_or_else(OnceLock::new, OnceLock::from)),
        server_url: daemon.serverurl.clone(),
        token: format!("{keeper}.{:x}", clock::since_boot_ns()),
        limits,
    }
}

/// Opens the activity log, and standard output where lines are echoed by the disk worker.
fn lines_to(disk: &Disk<Job>, daemon: &DaemonSpec, activity: &Activity) -> Lines {
    open_main_log(disk, daemon)
        .with_echo(activity.echo_waits().then(|| disk.open(SinkSpec::standard_output())))
}

/// Waits until the activity log is open; a daemon that cannot say anything does not start.
fn wait_for_main_log(reactor: &mut Reactor) -> Result<(), Refusal> {
    let mut events = mio::Events::with_capacity(1);
    loop {
        for event in reactor.disk.drain() {
            if let Event::Opened { result, .. } = event {
                return result.map_err(|why| {
                    let log = match &reactor.settings.daemon.logfile {
                        MainLog::File(path) => path.display().to_string(),
                        MainLog::Syslog => "syslog".to_owned(),
                    };
                    let text = format!("cannot open the activity log {log}: {why} (logfile= names it)");
                    refuse(outcome::SYSTEM, &text)
                });
            }
        }
        let _ = reactor.poll.poll(&mut events, None);
    }
}

/// Makes the directory of a user's own daemon's logs, for its owner only.
fn make_log_directory(settings: &Settings) -> Result<(), Refusal> {
    use std::os::unix::fs::DirBuilderExt;
    let directory = &settings.daemon.childlogdir;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|e| refuse(outcome::SYSTEM, &format!("cannot make {}: {e}", directory.display())))
}

fn start_disk(pool: &Arc<Pool>, waker: &Arc<mio::Waker>) -> io::Result<Disk<Job>> {
    let waker = Arc::clone(waker);
    Disk::start(Arc::clone(pool), Box::new(move || drop(waker.wake())))
}

/// Opens the activity log.
pub(super) fn open_main_log(disk: &Disk<Job>, daemon: &DaemonSpec) -> Lines {
    let sink = main_log_sink(daemon);
    Lines::new(disk.open(sink.clone()), sink)
}

/// Where the activity log goes.
fn main_log_sink(daemon: &DaemonSpec) -> SinkSpec {
    match &daemon.logfile {
        MainLog::File(path) => {
            let max_bytes = u64::try_from(daemon.logfile_maxbytes).unwrap_or(0);
            let backups = u32::try_from(daemon.logfile_backups).unwrap_or(0);
            let sink = SinkSpec::file(path, max_bytes, backups);
            if daemon.private_files { sink.private() } else { sink }
        }
        MainLog::Syslog => SinkSpec::syslog(),
    }
}

/// Changes to the daemon's directory and mask, in the keeper as well.
fn enter_daemon_places(reactor: &mut Reactor) {
    let daemon = reactor.settings.daemon.clone();
    if let Some(directory) = &daemon.directory {
        let opened = std::fs::File::open(directory).and_then(|file| {
            std::env::set_current_dir(directory)?;
            Ok(file)
        });
        match opened {
            Ok(file) => {
                reactor.link.send(Request::Chdir, vec![file.into()]);
                reactor.log(
                    Level::Info,
                    &format!("set current directory: {}", str_repr(&directory.to_string_lossy())),
                );
            }
            Err(error) => {
                let text = format!("can't chdir into {}: {error}", directory.display());
                reactor.log(Level::Critical, &text);
            }
        }
    }
    let mask = daemon.umask;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(mask as libc::mode_t));
    reactor.link.send(Request::Umask { mask: mask.into() }, Vec::new());
}
