//! `visorctl tail`: the end of one log, with supervisorctl's arguments: `tail [-f|-N] NAME [stdout|stderr]`.

use crate::api::http::uri;
use crate::api::v1::{self, ErrorCode, FollowRequest, path};
use crate::cli::follow::Follow;
use crate::cli::{Outcome, Problem, Session, escape::Filter, exit};
use crate::client::Failure;

/// How much of a log is shown, in bytes (supervisor 4.3 supervisorctl.py).
const BYTES: u64 = 1600;

/// Show the end of a log: tail [-f|-BYTES] NAME [stdout|stderr]
#[derive(Debug, clap::Args)]
pub struct Args {
    /// -f follows the log; -N shows the last N bytes
    #[arg(allow_hyphen_values = true, trailing_var_arg = true, value_name = "[-f|-N] NAME [stdout|stderr]")]
    words: Vec<String>,
}

/// What the words mean.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    follow: bool,
    bytes: u64,
    name: String,
    channel: &'static str,
}

/// Shows the end of the log, and what comes.
///
/// # Errors
/// When there is no daemon, no such program, or no log.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let asked = understand(&args.words).map_err(Problem::usage)?;
    if asked.follow {
        return follow(session, &asked);
    }
    let target = target(&asked.name, asked.channel, asked.bytes);
    let reply = session.connect()?.fetch(&target).map_err(|failure| problem(failure, &asked.name))?;
    let mut shown = session.screen.bytes(&reply.body).into_owned();
    if !shown.is_empty() && !shown.ends_with(b"\n") {
        shown.push(b'\n');
    }
    session.screen.ready(&shown);
    Ok(exit::OK)
}

/// Returns where the end of a log is asked for.
pub(super) fn target(name: &str, channel: &str, bytes: u64) -> String {
    format!("{}?name={}&channel={channel}&bytes={bytes}", path::LOG, uri::encode(name))
}

/// Returns a failure about a log in supervisorctl's words.
pub(super) fn problem(failure: Failure, name: &str) -> Problem {
    match failure {
        Failure::Refused { error, .. } => refusal(&error, name),
        failure => failure.into(),
    }
}

/// Returns why there is nothing of a log, in the same words.
pub(super) fn refusal(error: &v1::Error, name: &str) -> Problem {
    match error.code {
        ErrorCode::NoSuchProcess | ErrorCode::NoSuchGroup => {
            Problem::new(exit::ABSENT, format!("{name}: ERROR (no such process name)"))
        }
        ErrorCode::NotFound => Problem::new(exit::REFUSED, format!("{name}: ERROR (no log file)")),
        _ => Problem::new(exit::REFUSED, format!("{name}: ERROR ({error})")),
    }
}

fn follow(session: &Session, asked: &Asked) -> Outcome {
    let request = FollowRequest {
        names: vec![asked.name.clone()],
        channel: asked.channel.to_owned(),
        bytes: Some(asked.bytes),
        ..FollowRequest::default()
    };
    let mut follow = Follow::begin(session, request)?;
    if session.screen.messages_on_terminal {
        session.screen.message("==> Press Ctrl-C to exit <==");
    }
    let mut filter = session.screen.data_on_terminal.then(|| Filter::new(session.screen.colour));
    while let Some((piece, mut bytes)) = follow.next()? {
        if let Some(error) = &piece.error {
            return Err(refusal(error, &asked.name));
        }
        let mut shown = Vec::new();
        match &mut filter {
            Some(filter) => filter.feed(&bytes, &mut shown),
            None => shown.append(&mut bytes),
        }
        if !session.screen.stream(&shown) {
            break;
        }
    }
    Ok(exit::OK)
}

/// Reads the words by supervisorctl's rules (supervisor 4.3 supervisorctl.py `do_tail`).
fn understand(words: &[String]) -> Result<Asked, String> {
    let (modifier, rest) = match words {
        [] => return Err("error: too few arguments".to_owned()),
        words if words.len() > 3 => return Err("error: too many arguments".to_owned()),
        [first, rest @ ..] if first.starts_with('-') => (Some(first.as_str()), rest),
        words => (None, words),
    };
    let name = rest.first().ok_or("error: tail requires process name")?.clone();
    let channel = match rest.get(1).map(|word| word.to_lowercase()).as_deref() {
        None | Some("stdout") => "stdout",
        Some("stderr") => "stderr",
        Some(other) => return Err(format!("error: bad channel '{other}'")),
    };
    if rest.len() > 2 {
        return Err("error: too many arguments".to_owned());
    }
    let (follow, bytes) = match modifier {
        None => (false, BYTES),
        Some("-f") => (true, BYTES),
        Some(count) => {
            let bytes = count[1..].parse().map_err(|_| format!("error: bad argument {count}"))?;
            (false, bytes)
        }
    };
    Ok(Asked { follow, bytes, name, channel })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_understood_as_by_supervisorctl() {
        let asked = |follow, bytes, channel| Ok(Asked { follow, bytes, name: "web".to_owned(), channel });
        let wrong = |text: &str| Err(text.to_owned());
        for (words, expected) in [
            ("web", asked(false, 1600, "stdout")),
            ("-f web", asked(true, 1600, "stdout")),
            ("-100 web stderr", asked(false, 100, "stderr")),
            ("web STDERR", asked(false, 1600, "stderr")),
            ("", wrong("error: too few arguments")),
            ("-f", wrong("error: tail requires process name")),
            ("-x web", wrong("error: bad argument -x")),
            ("web stdin", wrong("error: bad channel 'stdin'")),
            ("a b c d", wrong("error: too many arguments")),
            ("web stdout c", wrong("error: too many arguments")),
        ] {
            let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
            assert_eq!(understand(&words), expected, "{words:?}");
        }
    }

    #[test]
    fn names_are_encoded() {
        assert_eq!(target("g:p q", "stderr", 5), "/v1/log?name=g%3Ap%20q&channel=stderr&bytes=5");
    }
}
