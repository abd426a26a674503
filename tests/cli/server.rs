//! The daemon's side of the socket, as a thread: frames and records, and lets the world answer.

use super::world::{Answer, World};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use visor::api::http::reply::{self, BYTES, JSON, ReplyHead};
use visor::api::http::{Limits, Request, RequestParser};

/// Everything that was asked.
type Asked = Arc<Mutex<Vec<String>>>;

/// A running server; its threads end with the test.
pub(crate) struct Server {
    asked: Asked,
}

impl Server {
    pub(crate) fn start(socket: &Path, world: World) -> Server {
        let listener = UnixListener::bind(socket).expect("a socket");
        let (asked, world) = (Asked::default(), Arc::new(Mutex::new(world)));
        let server = Server { asked: Arc::clone(&asked) };
        let socket = socket.to_path_buf();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if world.lock().expect("no panic").has_ended {
                    return;
                }
                let (asked, world, socket) = (Arc::clone(&asked), Arc::clone(&world), socket.clone());
                thread::spawn(move || converse(stream, &asked, &world, &socket));
            }
        });
        server
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

fn converse(mut stream: UnixStream, asked: &Asked, world: &Mutex<World>, socket: &Path) {
    let mut parser = RequestParser::new(Limits::default());
    let mut buffer = [0; 4096];
    loop {
        for request in parser.by_ref() {
            let request = request.expect("our own client");
            asked.lock().expect("no panic").push(spelled(&request));
            let answer = world.lock().expect("no panic").answer(&request);
            if !send(&mut stream, &request, answer, world, socket) {
                return;
            }
        }
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => parser.feed(&buffer[..count]),
            _ => return,
        }
    }
}

fn spelled(request: &Request) -> String {
    let query: Vec<String> = request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let body = String::from_utf8_lossy(&request.body);
    format!("{:?} {} {} {body}", request.method, request.path, query.join("&")).trim_end().to_owned()
}

/// Sends an answer; returns whether the connection goes on.
fn send(
    stream: &mut UnixStream,
    request: &Request,
    answer: Answer,
    world: &Mutex<World>,
    socket: &Path,
) -> bool {
    let mut out = Vec::new();
    match answer {
        Answer::Json(status, body) => {
            let head = ReplyHead { status, content_type: JSON, headers: &[] };
            reply::write(request.exchange, &head, body.to_string().as_bytes(), &mut out);
        }
        Answer::Bytes(body) => {
            let head = ReplyHead { status: 200, content_type: BYTES, headers: &[] };
            reply::write(request.exchange, &head, &body, &mut out);
        }
        Answer::Stream(pieces) => return send_stream(stream, request, &pieces),
        Answer::Never => {
            // The client goes away at some time, which ends the read.
            drop(stream.read(&mut [0; 16]));
            return false;
        }
        Answer::End(body) => {
            let head = ReplyHead { status: 200, content_type: JSON, headers: &[] };
            reply::write(request.exchange, &head, body.to_string().as_bytes(), &mut out);
            drop(stream.write_all(&out));
            world.lock().expect("no panic").has_ended = true;
            drop(std::fs::remove_file(socket));
            return false;
        }
        Answer::Hangup => return false,
    }
    stream.write_all(&out).is_ok()
}

fn send_stream(stream: &mut UnixStream, request: &Request, pieces: &[Vec<u8>]) -> bool {
    let mut out = Vec::new();
    let head = ReplyHead { status: 200, content_type: BYTES, headers: &[] };
    let framing = reply::begin_stream(request.exchange, &head, &mut out);
    if stream.write_all(&out).is_err() {
        return false;
    }
    for piece in pieces {
        let mut out = Vec::new();
        framing.write(piece, &mut out);
        if stream.write_all(&out).is_err() {
            return false;
        }
    }
    // A log is followed until the client has enough, or, here, until this connection is dropped.
    drop(stream.read(&mut [0; 16]));
    false
}
