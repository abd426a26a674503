//! `fg`: what a process writes is shown, and what is typed is sent to it, line by line.
//!
//! The process notices nothing of its beginning and end. Example: `fg cat`.

use super::logs::{BANNER, View, begin, target};
use crate::api::xmlrpc::Code;
use crate::cli::supervisorctl::codes;
use crate::cli::supervisorctl::replies::Process;
use crate::cli::supervisorctl::session::Session;
use crate::cli::supervisorctl::trouble::Trouble;
use crate::client::Stream;
use crate::model::State;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::os::fd::AsFd;

/// What a process writes to.
const CHANNELS: [&str; 2] = ["stdout", "stderr"];

/// What is said at the end.
const FAREWELL: &str = "Exiting foreground";

/// Connects the terminal with a process.
pub(in crate::cli::supervisorctl) fn fg(session: &mut Session, rest: &str) -> Result<(), Trouble> {
    let names: Vec<&str> = rest.split_whitespace().collect();
    let name = match names[..] {
        [name] => name,
        [] => {
            session.fail(codes::GENERIC, "ERROR: no process name supplied");
            if let Some(command) = crate::cli::supervisorctl::commands::find("fg") {
                super::help::show(session, command);
            }
            return Ok(());
        }
        _ => {
            session.fail(codes::GENERIC, "ERROR: too many process names supplied");
            return Ok(());
        }
    };
    match session.call("getProcessInfo", &[name.into()]) {
        Ok(info) if Process::of(&info).state() == Some(State::Running) => {}
        Ok(_) => {
            session.fail(codes::GENERIC, "ERROR: process not running");
            return Ok(());
        }
        Err(trouble) => {
            match trouble.fault() {
                Some(Code::BadName) => session.fail(codes::GENERIC, "ERROR: bad process name supplied"),
                Some(_) => session.say(&format!("ERROR: {trouble}")),
                None => return Err(trouble),
            }
            return Ok(());
        }
    }
    session.catch_keys();
    session.say(BANNER);
    match converse(session, name) {
        Ok(()) => {}
        Err(Trouble::Interrupted) => session.forget_keys(),
        Err(trouble) => return Err(trouble),
    }
    session.say(FAREWELL);
    Ok(())
}

/// A log that is followed, and how it is shown.
struct Channel {
    stream: Stream,
    view: View,
}

/// Passes on what comes from either side, until one of them ends.
fn converse(session: &mut Session, name: &str) -> Result<(), Trouble> {
    let mut channels = Vec::new();
    for channel in CHANNELS {
        if let Some(mut stream) = begin(session, &target(name, channel))? {
            let mut view = View::new(session);
            view.show(session, &stream.begun());
            channels.push(Channel { stream, view });
        }
    }
    let ended = loop {
        match session.input.take_line()? {
            Some(line) if says(session, name, &line)? => {}
            Some(_) => break Ok(()),
            None if session.input.is_done() => break Ok(()),
            None => {
                if let Err(trouble) = wait(session, &mut channels) {
                    break Err(trouble);
                }
            }
        }
    };
    channels.iter_mut().for_each(|channel| channel.view.end(session));
    ended
}

/// Sends a line to the process, and returns whether it still runs.
fn says(session: &mut Session, name: &str, line: &str) -> Result<bool, Trouble> {
    match session.call("sendProcessStdin", &[name.into(), format!("{line}\n").into()]) {
        Ok(_) => {}
        Err(trouble) => {
            match trouble.fault() {
                Some(Code::NotRunning) => session.say("Process got killed"),
                Some(_) => session.say(&format!("ERROR: {trouble}")),
                None => return Err(trouble),
            }
            return Ok(false);
        }
    }
    let info = session.call("getProcessInfo", &[name.into()])?;
    let runs = Process::of(&info).state() == Some(State::Running);
    if !runs {
        session.say("Process got killed");
    }
    Ok(runs)
}

/// Waits for either side, and takes what came.
fn wait(session: &mut Session, channels: &mut Vec<Channel>) -> Result<(), Trouble> {
    let stdin = io::stdin();
    let (typed, interrupted, heard) = {
        let mut fds = vec![PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        fds.extend(channels.iter().map(|channel| PollFd::new(channel.stream.as_fd(), PollFlags::POLLIN)));
        fds.extend(session.keys().map(|keys| PollFd::new(keys, PollFlags::POLLIN)));
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(()),
            Err(errno) => return Err(io::Error::from(errno).into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        let behind = 1 + channels.len();
        (ready[0], ready.get(behind).copied().unwrap_or(false), ready[1..behind].to_vec())
    };
    if interrupted {
        return Err(Trouble::Interrupted);
    }
    let mut heard = heard.into_iter();
    channels.retain_mut(|channel| !heard.next().unwrap_or(false) || hear(session, channel));
    if typed {
        session.input.read(&stdin);
    }
    Ok(())
}

/// Shows what a channel has, and returns whether more may come.
fn hear(session: &Session, channel: &mut Channel) -> bool {
    let Ok(bytes) = channel.stream.read() else { return false };
    channel.view.show(session, &bytes) && !channel.stream.has_ended()
}
