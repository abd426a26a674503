//! What is about the daemon as a whole: `shutdown`, `reload`, `open`.

use super::look;
use crate::api::xmlrpc::Code;
use crate::cli::supervisorctl::codes;
use crate::cli::supervisorctl::session::Session;
use crate::cli::supervisorctl::trouble::Trouble;
use nix::errno::Errno;

/// Where `open` goes.
const SCHEMES: [&str; 2] = ["http:", "unix:"];

/// Stops everything and ends the daemon.
pub(in crate::cli::supervisorctl) fn shutdown(session: &mut Session, _rest: &str) -> Result<(), Trouble> {
    if !is_meant(session, "Really stop everything and end supervisord y/N? ")? {
        return Ok(());
    }
    let Err(trouble) = session.call("shutdown", &[]) else {
        session.say("Shut down");
        return Ok(());
    };
    if trouble.fault() == Some(Code::ShutdownState) {
        session.say("ERROR: already shutting down");
        return Ok(());
    }
    let why = match trouble.connect_errno() {
        Some(Errno::ECONNREFUSED) => "refused connection",
        Some(Errno::ENOENT) => "no such file",
        _ => return Err(trouble),
    };
    let text = format!("ERROR: {} {why} (already shut down?)", session.settings.serverurl);
    session.fail(codes::GENERIC, &text);
    Ok(())
}

/// Stops everything and starts the daemon anew.
pub(in crate::cli::supervisorctl) fn reload(session: &mut Session, _rest: &str) -> Result<(), Trouble> {
    if !is_meant(session, "Really stop everything and restart supervisord y/N? ")? {
        return Ok(());
    }
    match session.call("restart", &[]) {
        Ok(_) => session.say("Restarted supervisord"),
        Err(trouble) if trouble.fault() == Some(Code::ShutdownState) => {
            session.fail(codes::GENERIC, "ERROR: already shutting down");
        }
        Err(trouble) => return Err(trouble),
    }
    Ok(())
}

/// Asks before what cannot be taken back, where there is somebody to ask.
fn is_meant(session: &mut Session, question: &str) -> Result<bool, Trouble> {
    if !session.settings.interactive {
        return Ok(true);
    }
    match session.ask(question)? {
        Some(answer) => Ok(answer.to_lowercase().starts_with('y')),
        None => Err(Trouble::Other("EOF when reading a line".to_owned())),
    }
}

/// Talks to another daemon from now on, and shows its state.
pub(in crate::cli::supervisorctl) fn open(session: &mut Session, url: &str) -> Result<(), Trouble> {
    let lower = url.to_lowercase();
    if !SCHEMES.iter().any(|scheme| lower.starts_with(scheme)) {
        session.fail(codes::GENERIC, "ERROR: url must be http:// or unix://");
        return Ok(());
    }
    session.settings.serverurl = url.to_owned();
    session.begin();
    let before = session.exit_code;
    look::status(session, "")?;
    session.exit_code = before;
    Ok(())
}
