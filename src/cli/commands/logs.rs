//! `visorctl logs`: what programs wrote, merged over programs, and with `-f` what they write.
//!
//! One stream for all programs, pushed by the daemon: nothing is asked for again and again.

use super::{status, tail};
use crate::api::v1::{ErrorCode, FollowRequest};
use crate::cli::follow::Follow;
use crate::cli::merge::{Voice, last_lines};
use crate::cli::{Outcome, Problem, Session, exit};
use crate::client::{Connection, Failure};
use std::collections::BTreeMap;

/// How many lines of each program are shown.
const LINES: usize = 50;

/// How many lines of each are shown before what is followed.
const LINES_FOLLOWED: usize = 10;

/// Bytes that are asked for, for each line that is wanted.
const BYTES_PER_LINE: usize = 256;

/// Most bytes that are asked for of each program: the daemon gives no more at once.
const BYTES_MAX: usize = 1024 * 1024;

/// Show what programs wrote, and follow it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Programs: NAME, GROUP:NAME, GROUP:*; none means all
    names: Vec<String>,
    /// Go on with what they write, however many they are, until visord ends
    #[arg(short, long)]
    follow: bool,
    /// Show standard error instead of standard output
    #[arg(long)]
    stderr: bool,
    /// Show this many of the latest lines of each
    #[arg(short = 'n', long, value_name = "COUNT")]
    lines: Option<usize>,
}

/// Shows the logs.
///
/// # Errors
/// When there is no daemon, or no such program.
pub fn run(args: &Args, session: &Session) -> Outcome {
    let mut connection = session.connect()?;
    let status = status::ask(session, &mut connection, &args.names, false)?;
    let names: Vec<String> = status.processes.into_iter().map(|process| process.namespec).collect();
    let code = if status.missing.is_empty() { exit::OK } else { exit::ABSENT };
    if names.is_empty() {
        return Ok(code);
    }
    let channel = if args.stderr { "stderr" } else { "stdout" };
    let shown = if args.follow {
        follow(args, session, &names, channel)?
    } else {
        show(args, session, &mut connection, &names, channel)
    };
    Ok(code.max(shown))
}

fn voices(session: &Session, names: &[String]) -> Vec<Voice> {
    let width = names.iter().map(|name| name.chars().count()).max().filter(|_| names.len() > 1);
    names.iter().map(|name| Voice::new(name, width, session.screen)).collect()
}

fn bytes(lines: usize) -> usize {
    lines.saturating_mul(BYTES_PER_LINE).clamp(BYTES_PER_LINE, BYTES_MAX)
}

fn show(args: &Args, session: &Session, connection: &mut Connection, names: &[String], channel: &str) -> i32 {
    let lines = args.lines.unwrap_or(LINES);
    let mut code = exit::OK;
    for (name, mut voice) in names.iter().zip(voices(session, names)) {
        match connection.fetch(&tail::target(name, channel, bytes(lines) as u64)) {
            Ok(reply) => {
                let mut out = Vec::new();
                voice.feed(last_lines(&reply.body, lines, reply.body.len() >= bytes(lines)), &mut out);
                voice.flush(&mut out);
                session.screen.ready(&out);
            }
            // Of all programs some may never have run.
            Err(Failure::Refused { error, .. })
                if args.names.is_empty() && error.code == ErrorCode::NotFound => {}
            Err(failure) => code = code.max(tell(session, failure, name)),
        }
    }
    code
}

fn tell(session: &Session, failure: Failure, name: &str) -> i32 {
    let Problem { code, text } = tail::problem(failure, name);
    session.screen.message(&text);
    code
}

/// A program that is followed.
struct Followed {
    voice: Voice,
    /// Whether what was written before is still to come.
    at_begin: bool,
}

fn follow(args: &Args, session: &Session, names: &[String], channel: &str) -> Result<i32, Problem> {
    let lines = args.lines.unwrap_or(LINES_FOLLOWED);
    let all = || vec!["all".to_owned()];
    let request = FollowRequest {
        names: if args.names.is_empty() { all() } else { args.names.clone() },
        channel: channel.to_owned(),
        bytes: Some(bytes(lines) as u64),
        ..FollowRequest::default()
    };
    let followed = |voice| Followed { voice, at_begin: true };
    let voices = voices(session, names).into_iter().map(followed);
    let mut followed: BTreeMap<&str, Followed> = names.iter().map(String::as_str).zip(voices).collect();
    let mut code = exit::OK;
    let mut follow = Follow::begin(session, request)?;
    while let Some((piece, bytes)) = follow.next()? {
        // Names that stand for nothing were told already, and who came since is not asked for.
        let Some(each) = followed.get_mut(piece.namespec.as_str()) else { continue };
        if let Some(error) = &piece.error {
            let Problem { code: worse, text } = tail::refusal(error, &piece.namespec);
            session.screen.message(&text);
            code = code.max(worse);
        } else if !each.say(session, &bytes, lines) {
            return Ok(code);
        }
    }
    Ok(code)
}

impl Followed {
    /// Shows a piece; returns whether anybody still reads.
    fn say(&mut self, session: &Session, piece: &[u8], lines: usize) -> bool {
        let mut piece = piece;
        if self.at_begin && !piece.is_empty() {
            self.at_begin = false;
            piece = last_lines(piece, lines, piece.len() >= bytes(lines));
        }
        let mut out = Vec::new();
        self.voice.feed(piece, &mut out);
        session.screen.stream(&out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_has_bounds() {
        assert_eq!(
            (bytes(0), bytes(50), bytes(usize::MAX)),
            (BYTES_PER_LINE, 50 * BYTES_PER_LINE, BYTES_MAX)
        );
    }
}
