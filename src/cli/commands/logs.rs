//! `visorctl logs`: what programs wrote, merged over programs, and with `-f` what they write.
//!
//! One stream for each program, pushed by the daemon: nothing is asked for again and again.

use super::{status, tail};
use crate::api::v1::StatusReply;
use crate::cli::merge::{Voice, last_lines};
use crate::cli::{Outcome, Problem, Session, exit};
use crate::client::{Connection, Failure, Stream};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::os::fd::AsFd;

/// How many lines of each program are shown.
const LINES: usize = 50;

/// How many lines of each are shown before what is followed.
const LINES_FOLLOWED: usize = 10;

/// Bytes that are asked for, for each line that is wanted.
const BYTES_PER_LINE: usize = 256;

/// Most bytes that are asked for of each program: the daemon gives no more at once.
const BYTES_MAX: usize = 1024 * 1024;

/// Most programs that are followed at once: each takes a connection of the daemon's.
pub const FOLLOWED_MAX: usize = 40;

/// Show what programs wrote, and follow it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Programs: NAME, GROUP:NAME, GROUP:*; none means all
    names: Vec<String>,
    /// Go on with what they write
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
    let status: StatusReply = connection.get(&status::target(&args.names, false))?;
    status.missing.iter().for_each(|name| session.screen.message(&status::missing(name)));
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
        match connection.fetch(&tail::target(name, channel, bytes(lines) as u64, false)) {
            Ok(reply) => {
                let mut out = Vec::new();
                voice.feed(last_lines(&reply.body, lines, reply.body.len() >= bytes(lines)), &mut out);
                voice.flush(&mut out);
                session.screen.ready(&out);
            }
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
    stream: Stream,
    /// Whether what was written before is still to come.
    at_begin: bool,
}

fn follow(args: &Args, session: &Session, names: &[String], channel: &str) -> Result<i32, Problem> {
    if names.len() > FOLLOWED_MAX {
        let text = format!(
            "error: {} programs are too many to follow at once, name up to {FOLLOWED_MAX}",
            names.len()
        );
        return Err(Problem::usage(text));
    }
    let lines = args.lines.unwrap_or(LINES_FOLLOWED);
    let mut followed = Vec::new();
    let mut code = exit::OK;
    for (name, voice) in names.iter().zip(voices(session, names)) {
        match session.connect()?.stream(&tail::target(name, channel, bytes(lines) as u64, true)) {
            Ok(stream) => followed.push(Followed { voice, stream, at_begin: true }),
            Err(failure) => code = code.max(tell(session, failure, name)),
        }
    }
    for each in &mut followed {
        let begun = each.stream.begun();
        if !each.say(session, &begun, lines) {
            return Ok(code);
        }
    }
    while !followed.is_empty() {
        for index in ready(&followed)?.into_iter().rev() {
            let each = &mut followed[index];
            let read = each.stream.read();
            // A connection that breaks in the middle is an end too: whoever served it has died.
            let is_over = read.is_err() || each.stream.has_ended();
            if !each.say(session, &read.unwrap_or_default(), lines) {
                return Ok(code);
            }
            if is_over {
                followed.remove(index);
            }
        }
    }
    if code == exit::OK {
        session.screen.message("error: visord has ended");
    }
    Ok(exit::ABSENT)
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

/// Waits until some can be read, and returns which.
fn ready(followed: &[Followed]) -> Result<Vec<usize>, Problem> {
    let mut fds: Vec<PollFd<'_>> =
        followed.iter().map(|each| PollFd::new(each.stream.as_fd(), PollFlags::POLLIN)).collect();
    match poll(&mut fds, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => return Err(Problem::new(exit::REFUSED, format!("error: cannot poll: {errno}"))),
    }
    Ok((0..fds.len()).filter(|&index| fds[index].any().unwrap_or(true)).collect())
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
