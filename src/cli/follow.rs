//! Following logs of any number of programs, over the death of a reactor and what comes after it.
//!
//! One connection for all. When it breaks, the daemon is asked again with the places that were reached: nothing is
//! missed or repeated. Only the end of the daemon ends it. Example: `Follow::begin(session, request)?`, and then
//! `follow.next()?` until there is nothing more.

use super::{Problem, Session, exit};
use crate::api::v1::{FollowRequest, Piece, PieceReader, Version, path};
use crate::client::{Connection, Failure, Stream, wait};
use std::time::{Duration, Instant};

/// The longest time in which a daemon that runs must begin to answer again: its next reactor takes milliseconds.
const RETURN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long until it is tried again.
const RETURN_PAUSE: Duration = Duration::from_millis(50);

/// Logs that are followed.
pub(super) struct Follow<'s> {
    session: &'s Session,
    request: FollowRequest,
    /// The daemon: one with another keeper is another daemon.
    keeper: i32,
    stream: Stream,
    reader: PieceReader,
    /// Whether what is refused was refused before.
    is_resumed: bool,
}

impl<'s> Follow<'s> {
    /// Begins to follow.
    ///
    /// # Errors
    /// When there is no daemon, or it has no room for one more.
    pub(super) fn begin(session: &'s Session, request: FollowRequest) -> Result<Follow<'s>, Problem> {
        let (keeper, stream) = open(session.connect()?, &request)?;
        let reader = PieceReader::default();
        let mut follow = Follow { session, request, keeper, stream, reader, is_resumed: false };
        follow.take_begun();
        Ok(follow)
    }

    /// Waits for the next piece of a log; nothing when no log is left.
    ///
    /// # Errors
    /// When the daemon has ended.
    pub(super) fn next(&mut self) -> Result<Option<(Piece, Vec<u8>)>, Problem> {
        loop {
            let next = self.reader.take().map_err(Failure::NotUnderstood)?;
            match next {
                Some((piece, _)) if piece.error.is_some() && self.is_resumed => {}
                Some((piece, bytes)) => {
                    self.request.positions.insert(piece.namespec.clone(), piece.position.clone());
                    return Ok(Some((piece, bytes)));
                }
                None if self.stream.has_ended() => return Ok(None),
                None => match self.stream.read() {
                    Ok(bytes) => self.reader.feed(&bytes),
                    Err(failure @ Failure::NotUnderstood(_)) => return Err(failure.into()),
                    Err(_) => self.resume()?,
                },
            }
        }
    }

    /// Goes on with the next reactor of the same daemon.
    fn resume(&mut self) -> Result<(), Problem> {
        let gone = || Problem::new(exit::ABSENT, "error: visord has ended");
        let since = Instant::now();
        loop {
            let connection = self.session.connect().map_err(|_| gone())?;
            match open(connection, &self.request) {
                Ok((keeper, _)) if keeper != self.keeper => return Err(gone()),
                Ok((_, stream)) => {
                    (self.stream, self.reader, self.is_resumed) = (stream, PieceReader::default(), true);
                    self.take_begun();
                    return Ok(());
                }
                Err(Failure::Lost(_)) if since.elapsed() < RETURN_TIMEOUT => wait::pause(RETURN_PAUSE),
                Err(Failure::Lost(_)) => return Err(gone()),
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    fn take_begun(&mut self) {
        let begun = self.stream.begun();
        self.reader.feed(&begun);
    }
}

/// Asks for the logs; returns which daemon it is too.
fn open(mut connection: Connection, request: &FollowRequest) -> Result<(i32, Stream), Failure> {
    let version: Version = connection.get(path::VERSION)?;
    Ok((version.pid, connection.stream(path::FOLLOW, request)?))
}
