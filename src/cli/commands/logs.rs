//! `visorctl logs`: what programs wrote, merged over programs, and with `-f` what they write.
//!
//! One stream for all programs, pushed by the daemon: nothing is asked for again and again.

use super::{status, tail};
use crate::api::v1::{ErrorCode, FollowRequest};
use crate::cli::follow::Follow;
use crate::cli::merge::{Voice, last_lines};
use crate::cli::{Outcome, Problem, Session, exit, since};
use crate::client::{Connection, Failure};
use regex_lite::Regex;
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
    #[arg(short = 'n', long, value_name = "COUNT", conflicts_with = "since")]
    lines: Option<usize>,
    /// Show what was written since then (10m, 2h, 17:30, 2026-11-20), up to 10 s more, never less
    #[arg(long, value_name = "TIME", value_parser = since::argument)]
    since: Option<f64>,
    /// Show only lines in which this regular expression is found
    #[arg(long, value_name = "REGEX", value_parser = regex)]
    grep: Option<Regex>,
}

fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| error.to_string())
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
    let shown = if args.follow || args.since.is_some() {
        follow(args, session, &names, channel)?
    } else {
        show(args, session, &mut connection, &names, channel)
    };
    Ok(code.max(shown))
}

fn voices(args: &Args, session: &Session, names: &[String]) -> Vec<Voice> {
    let width = names.iter().map(|name| name.chars().count()).max().filter(|_| names.len() > 1);
    let voice = |name: &String| Voice::new(name, width, session.screen).only(args.grep.clone());
    names.iter().map(voice).collect()
}

/// Returns how much is asked for; lines that are chosen may be far from the end.
fn bytes(args: &Args, lines: usize) -> usize {
    if args.grep.is_some() {
        return BYTES_MAX;
    }
    lines.saturating_mul(BYTES_PER_LINE).clamp(BYTES_PER_LINE, BYTES_MAX)
}

fn show(args: &Args, session: &Session, connection: &mut Connection, names: &[String], channel: &str) -> i32 {
    let lines = args.lines.unwrap_or(LINES);
    let mut code = exit::OK;
    for (name, mut voice) in names.iter().zip(voices(args, session, names)) {
        match connection.fetch(&tail::target(name, channel, bytes(args, lines) as u64)) {
            Ok(reply) => {
                let mut out = Vec::new();
                let cut = reply.body.len() >= bytes(args, lines);
                let count = if args.grep.is_some() { usize::MAX } else { lines };
                voice.feed(last_lines(&reply.body, count, cut), &mut out);
                voice.flush(&mut out);
                session.screen.ready(last_lines(&out, lines, false));
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
        bytes: Some(bytes(args, lines) as u64),
        since_unix: args.since,
        once: !args.follow,
        ..FollowRequest::default()
    };
    let followed = |voice| Followed { voice, at_begin: args.since.is_none() };
    let voices = voices(args, session, names).into_iter().map(followed);
    let mut followed: BTreeMap<&str, Followed> = names.iter().map(String::as_str).zip(voices).collect();
    let mut code = exit::OK;
    let mut follow = Follow::begin(session, request)?;
    while let Some((piece, bytes)) = follow.next()? {
        // Names that stand for nothing were told already, and who came since is not asked for.
        let Some(each) = followed.get_mut(piece.namespec.as_str()) else { continue };
        if let Some(error) = &piece.error {
            // Of all programs some may have no log.
            if args.names.is_empty() && error.code == ErrorCode::NotFound {
                continue;
            }
            let Problem { code: worse, text } = tail::refusal(error, &piece.namespec);
            session.screen.message(&text);
            code = code.max(worse);
        } else if !each.say(args, session, &bytes, lines) {
            return Ok(code);
        }
    }
    for each in followed.values_mut().filter(|_| !args.follow) {
        let mut out = Vec::new();
        each.voice.flush(&mut out);
        session.screen.ready(&out);
    }
    Ok(code)
}

impl Followed {
    /// Shows a piece; returns whether anybody still reads.
    fn say(&mut self, args: &Args, session: &Session, piece: &[u8], lines: usize) -> bool {
        let is_begin = self.at_begin && !piece.is_empty();
        self.at_begin &= !is_begin;
        let mut piece = piece;
        if is_begin {
            let count = if args.grep.is_some() { usize::MAX } else { lines };
            piece = last_lines(piece, count, piece.len() >= bytes(args, lines));
        }
        let mut out = Vec::new();
        self.voice.feed(piece, &mut out);
        session.screen.stream(if is_begin { last_lines(&out, lines, false) } else { &out })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_has_bounds() {
        let plain =
            Args { names: Vec::new(), follow: false, stderr: false, lines: None, since: None, grep: None };
        let asked = [0, 50, usize::MAX].map(|lines| bytes(&plain, lines));
        assert_eq!(asked, [BYTES_PER_LINE, 50 * BYTES_PER_LINE, BYTES_MAX]);
        let choosing = Args { grep: Regex::new("x").ok(), ..plain };
        assert_eq!(bytes(&choosing, 1), BYTES_MAX);
    }
}
