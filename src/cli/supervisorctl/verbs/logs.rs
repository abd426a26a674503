//! What shows logs: `tail`, `maintail`, and following one until Ctrl-C.

use super::help;
use crate::api::http::uri;
use crate::api::xmlrpc::{Code, Value};
use crate::cli::escape::Filter;
use crate::cli::supervisorctl::codes;
use crate::cli::supervisorctl::commands::find;
use crate::cli::supervisorctl::session::Session;
use crate::cli::supervisorctl::trouble::{Trouble, error_text};
use crate::client::{Failure, RpcFailure, Stream, Wait};
use crate::model::python::str_repr;
use std::time::Instant;

/// How much of a log is shown, in bytes.
const BYTES: i64 = 1600;

/// What is said before a log is followed.
pub(super) const BANNER: &str = "==> Press Ctrl-C to exit <==";

/// What of a log is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The last bytes.
    End(i64),
    /// The end and what comes.
    Follow,
}

/// What the words behind `tail` mean.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Asked {
    part: Part,
    name: String,
    channel: &'static str,
}

/// What is wrong with the words, and whether it is shown how they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mistake {
    text: String,
    shows_usage: bool,
}

impl Mistake {
    fn new(text: impl Into<String>, shows_usage: bool) -> Mistake {
        Mistake { text: text.into(), shows_usage }
    }

    fn tell(self, session: &mut Session, verb: &str) {
        session.fail(codes::GENERIC, &self.text);
        if let Some(command) = find(verb).filter(|_| self.shows_usage) {
            help::show(session, command);
        }
    }
}

/// Shows the end of a process's log.
pub(in crate::cli::supervisorctl) fn tail(session: &mut Session, rest: &str) -> Result<(), Trouble> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let Asked { part, name, channel } = match understand(&words) {
        Ok(asked) => asked,
        Err(mistake) => {
            mistake.tell(session, "tail");
            return Ok(());
        }
    };
    match part {
        Part::Follow => follow(session, &target(&name, channel)),
        Part::End(bytes) => {
            let method = if channel == "stderr" { "readProcessStderrLog" } else { "readProcessStdoutLog" };
            let absent = Some("no such process name");
            show_end(session, method, &[name.as_str().into(), (-bytes).into(), 0.into()], &name, absent)
        }
    }
}

/// Shows the end of the daemon's own log.
pub(in crate::cli::supervisorctl) fn maintail(session: &mut Session, rest: &str) -> Result<(), Trouble> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let part = match words[..] {
        [] => Ok(Part::End(BYTES)),
        [word] => part(word),
        _ => Err(Mistake::new("Error: too many arguments", true)),
    };
    match part {
        Ok(Part::Follow) => follow(session, "/mainlogtail"),
        Ok(Part::End(bytes)) => {
            show_end(session, "readLog", &[(-bytes).into(), 0.into()], "supervisord", None)
        }
        Err(mistake) => {
            mistake.tell(session, "maintail");
            Ok(())
        }
    }
}

/// Reads the words by upstream's rules (supervisor 4.3 supervisorctl.py `do_tail`).
fn understand(words: &[&str]) -> Result<Asked, Mistake> {
    if words.is_empty() {
        return Err(Mistake::new("Error: too few arguments", true));
    }
    if words.len() > 3 {
        return Err(Mistake::new("Error: too many arguments", true));
    }
    let (modifier, rest) = match words {
        [first, rest @ ..] if first.starts_with('-') => (Some(*first), rest),
        words => (None, words),
    };
    let (name, channel) = match rest {
        [] => return Err(Mistake::new("Error: tail requires process name", false)),
        [name] => (*name, "stdout"),
        [name, .., last] => match last.to_lowercase().as_str() {
            "stdout" => (*name, "stdout"),
            "stderr" => (*name, "stderr"),
            other => return Err(Mistake::new(format!("Error: bad channel {}", str_repr(other)), false)),
        },
    };
    let part = modifier.map_or(Ok(Part::End(BYTES)), part)?;
    Ok(Asked { part, name: name.to_owned(), channel })
}

/// Reads `-f` or `-N`.
fn part(word: &str) -> Result<Part, Mistake> {
    let bytes = word.strip_prefix('-').and_then(|count| count.parse().ok());
    match (word, bytes) {
        ("-f", _) => Ok(Part::Follow),
        (_, Some(bytes)) => Ok(Part::End(bytes)),
        (_, None) => Err(Mistake::new(format!("Error: bad argument {word}"), false)),
    }
}

/// Returns where a process's log is followed.
pub(super) fn target(name: &str, channel: &str) -> String {
    format!("/logtail/{}/{channel}", uri::encode(name))
}

fn show_end(
    session: &mut Session,
    method: &str,
    params: &[Value],
    name: &str,
    absent: Option<&str>,
) -> Result<(), Trouble> {
    let text = match session.call(method, params) {
        Ok(text) => text.as_str().unwrap_or_default().to_owned(),
        Err(trouble) => {
            let why = match trouble.fault() {
                Some(Code::NoFile) => Some("no log file"),
                Some(Code::Failed) => Some("unknown error reading log"),
                Some(Code::BadName) => absent,
                _ => None,
            };
            let Some(why) = why else { return Err(trouble) };
            session.fail(codes::GENERIC, &format!("{name}: ERROR ({why})"));
            return Ok(());
        }
    };
    let mut shown = session.screen.bytes(text.as_bytes()).into_owned();
    shown.push(b'\n');
    session.screen.ready(&shown);
    Ok(())
}

/// Shows a log as it comes, until Ctrl-C or its end.
fn follow(session: &mut Session, target: &str) -> Result<(), Trouble> {
    session.catch_keys();
    session.say(BANNER);
    let Some(mut stream) = begin(session, target)? else { return Ok(()) };
    let mut view = View::new(session);
    let mut piece = stream.begun();
    while view.show(session, &piece) && !stream.has_ended() {
        let mut wait = Wait { timeout: None, interrupt: session.keys(), tick: None };
        match wait.readable(&stream, Instant::now()).and_then(|()| stream.read()) {
            Ok(next) => piece = next,
            Err(Failure::Interrupted) => {
                session.forget_keys();
                view.end(session);
                session.say("");
                return Ok(());
            }
            // The daemon went away: upstream ends without a word.
            Err(_) => break,
        }
    }
    view.end(session);
    Ok(())
}

/// Asks for a log that is followed; nothing, after saying so on standard error, when it cannot be.
pub(super) fn begin(session: &Session, target: &str) -> Result<Option<Stream>, Trouble> {
    let why = match session.follow(target) {
        Ok(stream) => return Ok(Some(stream)),
        Err(Trouble::Rpc(RpcFailure::Status { code, .. })) => format!("Cannot read, status code {code}"),
        Err(Trouble::Rpc(RpcFailure::Connect(error))) => {
            format!("Cannot connect, error: {}", error_text(&error))
        }
        Err(Trouble::Interrupted) => return Err(Trouble::Interrupted),
        Err(trouble) => format!("Cannot connect, error: {trouble}"),
    };
    session.screen.message(&format!("{}{target} {why}", session.settings.serverurl));
    Ok(None)
}

/// A stream on its way to the screen: on a terminal nothing of it arrives raw.
pub(super) struct View(Option<Filter>);

impl View {
    pub(super) fn new(session: &Session) -> View {
        View(session.screen.data_on_terminal.then(|| Filter::new(session.screen.colour)))
    }

    /// Shows bytes, and returns whether anybody still reads.
    pub(super) fn show(&mut self, session: &Session, bytes: &[u8]) -> bool {
        match &mut self.0 {
            None => session.screen.stream(bytes),
            Some(filter) => {
                let mut shown = Vec::new();
                filter.feed(bytes, &mut shown);
                session.screen.stream(&shown)
            }
        }
    }

    /// Shows what is unfinished.
    pub(super) fn end(&mut self, session: &Session) {
        let mut shown = Vec::new();
        if let Some(filter) = &mut self.0 {
            filter.finish(&mut shown);
        }
        session.screen.ready(&shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_understood_as_by_supervisorctl() {
        let asked = |part, channel| Ok(Asked { part, name: "web".to_owned(), channel });
        let wrong = |text: &str, shows_usage| Err(Mistake::new(text, shows_usage));
        for (words, expected) in [
            ("web", asked(Part::End(1600), "stdout")),
            ("-f web", asked(Part::Follow, "stdout")),
            ("-100 web stderr", asked(Part::End(100), "stderr")),
            ("--100 web", asked(Part::End(-100), "stdout")),
            ("web STDERR", asked(Part::End(1600), "stderr")),
            ("web whatever stderr", asked(Part::End(1600), "stderr")),
            ("", wrong("Error: too few arguments", true)),
            ("-f", wrong("Error: tail requires process name", false)),
            ("-x web", wrong("Error: bad argument -x", false)),
            ("- web", wrong("Error: bad argument -", false)),
            ("web stdin", wrong("Error: bad channel 'stdin'", false)),
            ("a b c d", wrong("Error: too many arguments", true)),
        ] {
            let words: Vec<&str> = words.split_whitespace().collect();
            assert_eq!(understand(&words), expected, "{words:?}");
        }
    }

    #[test]
    fn names_are_encoded() {
        assert_eq!(target("g:p ö", "stderr"), "/logtail/g%3Ap%20%C3%B6/stderr");
    }
}
