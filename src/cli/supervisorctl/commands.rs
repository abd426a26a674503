//! Every action of supervisorctl in one table, and the way from a line to its action.
//!
//! Example: `obey(session, "tail -100 web")` finds `tail` and gives it `-100 web`.

use super::session::Session;
use super::trouble::Trouble;
use super::verbs::{configuration, daemon, deeds, foreground, help, logs, look};
use super::{codes, login};

/// What an action takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arguments {
    /// Words that it looks at itself.
    Any,
    /// None.
    None,
}

/// What the Tab key offers behind an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offers {
    /// Nothing.
    Nothing,
    /// Actions.
    Actions,
    /// Groups.
    Groups,
    /// Processes and whole groups.
    Processes,
}

/// What an action does with what stands behind it.
type Run = fn(&mut Session, &str) -> Result<(), Trouble>;

/// An action.
pub(super) struct Command {
    /// What is typed.
    pub(super) name: &'static str,
    /// What it takes.
    pub(super) arguments: Arguments,
    /// Whether it is first looked whether there is a daemon that speaks our version.
    pub(super) needs_daemon: bool,
    /// What Tab offers.
    pub(super) offers: Offers,
    /// What it does.
    run: Run,
    /// How it is called, and what it does then.
    pub(super) help: &'static [(&'static str, &'static str)],
}

const fn command(
    name: &'static str,
    (arguments, needs_daemon, offers): (Arguments, bool, Offers),
    run: Run,
    help: &'static [(&'static str, &'static str)],
) -> Command {
    Command { name, arguments, needs_daemon, offers, run, help }
}

/// For actions that are about processes.
const PROCESSES: (Arguments, bool, Offers) = (Arguments::Any, true, Offers::Processes);
/// For actions that are about groups.
const GROUPS: (Arguments, bool, Offers) = (Arguments::Any, false, Offers::Groups);
/// For actions that are about the daemon as a whole.
const ALONE: (Arguments, bool, Offers) = (Arguments::None, false, Offers::Nothing);

/// The actions, sorted by name.
pub(super) static COMMANDS: [Command; 21] = [
    command(
        "add",
        GROUPS,
        configuration::add,
        &[("add GROUP...", "put groups in force that reread has found")],
    ),
    command("avail", ALONE, look::avail, &[("avail", "show every process of the configuration")]),
    command(
        "clear",
        PROCESSES,
        deeds::clear,
        &[
            ("clear NAME...", "empty the logs of processes"),
            ("clear GROUP:*", "empty the logs of a group"),
            ("clear all", "empty the logs of all processes"),
        ],
    ),
    command("exit", (Arguments::Any, false, Offers::Nothing), help::leave, &[("exit", "leave the shell")]),
    command(
        "fg",
        PROCESSES,
        foreground::fg,
        &[("fg NAME", "type into a process and see what it writes; Ctrl-C ends this and not the process")],
    ),
    command(
        "maintail",
        (Arguments::Any, true, Offers::Nothing),
        logs::maintail,
        &[
            ("maintail", "show the last 1600 bytes of the daemon's own log"),
            ("maintail -N", "show the last N bytes"),
            ("maintail -f", "show what comes, until Ctrl-C"),
        ],
    ),
    command(
        "open",
        (Arguments::Any, false, Offers::Nothing),
        daemon::open,
        &[("open URL", "talk to another daemon: unix:///PATH or http://HOST:PORT")],
    ),
    command(
        "pid",
        PROCESSES,
        look::pid,
        &[
            ("pid", "show the pid of the daemon"),
            ("pid NAME...", "show the pids of processes"),
            ("pid all", "show the pids of all processes, a line each"),
        ],
    ),
    command("quit", (Arguments::Any, false, Offers::Nothing), help::leave, &[("quit", "leave the shell")]),
    command(
        "reload",
        ALONE,
        daemon::reload,
        &[("reload", "stop everything and start the daemon anew with its configuration")],
    ),
    command(
        "remove",
        GROUPS,
        configuration::remove,
        &[("remove GROUP...", "take groups out of force whose processes are stopped")],
    ),
    command(
        "reread",
        ALONE,
        configuration::reread,
        &[("reread", "read the configuration and show what update would change")],
    ),
    command(
        "restart",
        PROCESSES,
        deeds::restart,
        &[
            ("restart NAME...", "stop and start processes; see update for a changed configuration"),
            ("restart GROUP:*", "stop and start the processes of a group"),
            ("restart all", "stop and start all processes"),
        ],
    ),
    command("shutdown", ALONE, daemon::shutdown, &[("shutdown", "stop everything and end the daemon")]),
    command(
        "signal",
        PROCESSES,
        deeds::signal,
        &[
            ("signal SIGNAL NAME...", "send a signal to processes"),
            ("signal SIGNAL GROUP:*", "send a signal to the processes of a group"),
            ("signal SIGNAL all", "send a signal to all processes"),
        ],
    ),
    command(
        "start",
        PROCESSES,
        deeds::start,
        &[
            ("start NAME...", "start processes and wait until they run"),
            ("start GROUP:*", "start the processes of a group"),
            ("start all", "start all processes"),
        ],
    ),
    command(
        "status",
        (Arguments::Any, false, Offers::Processes),
        look::status,
        &[
            ("status", "show the state of all processes"),
            ("status NAME...", "show the state of processes"),
            ("status GROUP:*", "show the state of a group"),
        ],
    ),
    command(
        "stop",
        PROCESSES,
        deeds::stop,
        &[
            ("stop NAME...", "stop processes and wait until they are"),
            ("stop GROUP:*", "stop the processes of a group"),
            ("stop all", "stop all processes"),
        ],
    ),
    command(
        "tail",
        PROCESSES,
        logs::tail,
        &[
            ("tail NAME [stderr]", "show the last 1600 bytes of a process's log"),
            ("tail -N NAME [stderr]", "show the last N bytes"),
            ("tail -f NAME [stderr]", "show what comes, until Ctrl-C"),
        ],
    ),
    command(
        "update",
        GROUPS,
        configuration::update,
        &[
            ("update", "read the configuration, and restart, add and remove what changed in it"),
            ("update GROUP...", "do so with these groups only"),
        ],
    ),
    command(
        "version",
        (Arguments::None, true, Offers::Nothing),
        look::version,
        &[("version", "show the daemon's version")],
    ),
];

/// Whether a shell goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// With the next line.
    Stay,
    /// It ends.
    Leave,
}

/// Returns the action of a name.
pub(super) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// A line cut as upstream cuts it: what the action is called, what stands behind it, and the line itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    /// Empty when the line does not begin with a name.
    name: String,
    rest: String,
    whole: String,
}

/// Cuts a line (Python's cmd.py `parseline`).
fn cut(line: &str) -> Line {
    let line = line.trim();
    let whole = match line.strip_prefix('?') {
        Some(topic) => format!("help {topic}"),
        None => line.to_owned(),
    };
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let end = whole.find(|letter| !is_name(letter)).unwrap_or(whole.len());
    Line { name: whole[..end].to_owned(), rest: whole[end..].trim().to_owned(), whole }
}

/// Carries out what a line says; what goes wrong is said, and is in the exit code.
///
/// # Errors
/// Only for Ctrl-C.
pub(super) fn obey(session: &mut Session, line: &str) -> Result<Flow, Trouble> {
    let Line { name, rest, whole } = cut(line);
    if whole.is_empty() {
        return Ok(Flow::Stay);
    }
    loop {
        session.begin();
        let (done, flow) = match (name.as_str(), find(&name)) {
            ("EOF", _) => (help::leave(session, &rest), Flow::Leave),
            ("help", _) => (help::help(session, &rest), Flow::Stay),
            (_, Some(command)) => {
                let leaves = matches!(command.name, "exit" | "quit");
                (perform(session, command, &rest), if leaves { Flow::Leave } else { Flow::Stay })
            }
            (_, None) => {
                session.fail(codes::GENERIC, &format!("*** Unknown syntax: {whole}"));
                return Ok(Flow::Stay);
            }
        };
        match done {
            Ok(()) => return Ok(flow),
            Err(Trouble::Interrupted) => return Err(Trouble::Interrupted),
            Err(trouble) if trouble.wants_login() => {
                session.say("Server requires authentication");
                let asked = if session.settings.interactive { login::ask(session) } else { Err(trouble) };
                match asked {
                    Ok(()) => {}
                    Err(Trouble::Interrupted) => return Err(Trouble::Interrupted),
                    Err(trouble) => return Ok(complain(session, &trouble)),
                }
            }
            Err(trouble) => return Ok(complain(session, &trouble)),
        }
    }
}

fn complain(session: &mut Session, trouble: &Trouble) -> Flow {
    session.fail(codes::GENERIC, &format!("error: {trouble}"));
    Flow::Stay
}

/// Carries out one action, after what the table says about it.
pub(super) fn perform(session: &mut Session, command: &Command, rest: &str) -> Result<(), Trouble> {
    if command.arguments == Arguments::None && !rest.is_empty() {
        session.fail(codes::GENERIC, &format!("Error: {} accepts no arguments", command.name));
        help::show(session, command);
        return Ok(());
    }
    if command.needs_daemon && !session.is_up()? {
        return Ok(());
    }
    (command.run)(session, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_explained() {
        assert!(COMMANDS.windows(2).all(|pair| pair[0].name < pair[1].name));
        for command in &COMMANDS {
            assert!(!command.help.is_empty(), "{}", command.name);
            for (usage, words) in command.help {
                assert!(usage.starts_with(command.name) && !words.is_empty(), "{usage}");
            }
        }
    }

    #[test]
    fn lines_are_cut_as_by_python() {
        for (line, name, rest, whole) in [
            ("  tail  -100   web ", "tail", "-100   web", "tail  -100   web"),
            ("tail-100 web", "tail", "-100 web", "tail-100 web"),
            ("?", "help", "", "help "),
            ("? status", "help", "status", "help  status"),
            ("?status", "help", "status", "help status"),
            ("!ls", "", "!ls", "!ls"),
            ("öffnen", "", "öffnen", "öffnen"),
            ("", "", "", ""),
        ] {
            let expected = Line { name: name.to_owned(), rest: rest.to_owned(), whole: whole.to_owned() };
            assert_eq!(cut(line), expected, "{line:?}");
        }
    }
}
