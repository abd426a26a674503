//! XML-RPC and log streams over a connection, as supervisorctl asks for them.
//!
//! Knows no method. Example: `Rpc::new(address, None).call("supervisor.getPID", &[], &mut Wait::default())`.

use super::http::Connection;
use super::{Address, Failure, Stream, Wait};
use crate::api::xmlrpc::{self, Fault, Limits, Value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::io;

/// Where calls go.
const TARGET: &str = "/RPC2";

/// The status of a good answer.
const OK: u16 = 200;

/// Name and password for a daemon that wants them.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({}, ...)", self.username)
    }
}

impl Login {
    fn header(&self) -> String {
        let both = format!("{}:{}", self.username, self.password);
        format!("Authorization: Basic {}\r\n", STANDARD.encode(both))
    }
}

/// Why a call has no value.
#[derive(Debug)]
pub enum RpcFailure {
    /// The daemon said no.
    Fault(Fault),
    /// It answered with another status than 200.
    Status {
        /// The status.
        code: u16,
        /// Its words.
        reason: String,
    },
    /// There is no connection.
    Connect(io::Error),
    /// The connection broke, or the user interrupted.
    Broken(Failure),
    /// The answer is no XML-RPC; holds what is wrong with it.
    NotUnderstood(String),
}

/// A daemon that is asked.
#[derive(Debug)]
pub struct Rpc {
    address: Address,
    login: Option<Login>,
    connection: Option<Connection>,
}

impl Rpc {
    /// Returns the daemon at an address; the first question connects.
    #[must_use]
    pub fn new(address: Address, login: Option<Login>) -> Rpc {
        Rpc { address, login, connection: None }
    }

    /// Calls a method and returns its value.
    ///
    /// # Errors
    /// See [`RpcFailure`].
    pub fn call(&mut self, method: &str, params: &[Value], wait: &mut Wait<'_>) -> Result<Value, RpcFailure> {
        let body = xmlrpc::write_call(method, params);
        let mut request = self.head("POST", TARGET);
        let about = format!("Content-Type: text/xml\r\nContent-Length: {}\r\n\r\n", body.len());
        request.push_str(&about);
        let mut request = request.into_bytes();
        request.extend(body);
        let mut connection = self.connection()?;
        let (head, body) = connection.exchange(&request, wait).map_err(RpcFailure::Broken)?;
        if head.keep_alive {
            self.connection = Some(connection);
        }
        if head.status != OK {
            return Err(RpcFailure::Status { code: head.status, reason: head.reason });
        }
        let answer = xmlrpc::read_response(&body, Limits::RESPONSE);
        answer.map_err(|error| RpcFailure::NotUnderstood(error.to_string()))?.map_err(RpcFailure::Fault)
    }

    /// Asks for a log that is followed, on a connection of its own.
    ///
    /// # Errors
    /// See [`RpcFailure`].
    pub fn follow(&self, target: &str, wait: &mut Wait<'_>) -> Result<Stream, RpcFailure> {
        let request = self.head("GET", target) + "\r\n";
        let connection = Connection::to(&self.address).map_err(RpcFailure::Connect)?;
        let (head, stream) = connection.begin(request.as_bytes(), wait).map_err(RpcFailure::Broken)?;
        match head.status {
            OK => Ok(stream),
            code => Err(RpcFailure::Status { code, reason: head.reason }),
        }
    }

    fn connection(&mut self) -> Result<Connection, RpcFailure> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => Connection::to(&self.address).map_err(RpcFailure::Connect),
        }
    }

    /// Returns the head of a request, without the empty line that ends it.
    fn head(&self, method: &str, target: &str) -> String {
        let login = self.login.as_ref().map(Login::header).unwrap_or_default();
        let host = self.address.host();
        format!(
            "{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: visorctl\r\nAccept: */*\r\n{login}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::http::{Limits as HttpLimits, RequestParser};
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::thread::{self, JoinHandle};

    /// Answers each request with the next text, closing the connection after one that says so; returns the heads.
    fn serve(path: &Path, script: Vec<String>) -> JoinHandle<Vec<String>> {
        let listener = UnixListener::bind(path).expect("a socket");
        thread::spawn(move || {
            let mut heads = Vec::new();
            let mut open = None;
            for answer in script {
                let stream = open.get_or_insert_with(|| listener.accept().expect("a client").0);
                let mut parser = RequestParser::new(HttpLimits::default());
                let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
                while parser.next().is_none() {
                    let count = stream.read(&mut buffer).expect("a request");
                    parser.feed(&buffer[..count]);
                    seen.extend_from_slice(&buffer[..count]);
                }
                heads.push(String::from_utf8_lossy(&seen).into_owned());
                stream.write_all(answer.as_bytes()).expect("the client reads");
                if answer.contains("close") {
                    open = None;
                }
            }
            heads
        })
    }

    fn answer(head: &str, body: &[u8]) -> String {
        format!("{head}\r\nContent-Length: {}\r\n\r\n{}", body.len(), String::from_utf8_lossy(body))
    }

    #[test]
    fn values_faults_and_statuses_come_back_on_one_connection_while_it_stays() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("s.sock");
        let fault = Fault { code: 10, text: "BAD_NAME".to_owned() };
        let script = vec![
            answer("HTTP/1.1 200 OK", &xmlrpc::write_response(&Ok(7.into()))),
            answer("HTTP/1.1 200 OK", &xmlrpc::write_response(&Err(fault.clone()))),
            answer("HTTP/1.1 401 Unauthorized\r\nConnection: close", b"no"),
            answer("HTTP/1.1 200 OK", b"<html/>"),
        ];
        let heads = serve(&path, script);
        let login = Login { username: "me".to_owned(), password: "my:word".to_owned() };
        let mut rpc = Rpc::new(Address::Unix(path), Some(login));
        let mut call = || rpc.call("supervisor.getPID", &["x".into()], &mut Wait::default());
        assert_eq!(call().map_err(|failure| format!("{failure:?}")), Ok(Value::Int(7)));
        assert!(matches!(call(), Err(RpcFailure::Fault(known)) if known == fault));
        let refused = call();
        assert!(
            matches!(&refused, Err(RpcFailure::Status { code: 401, reason }) if reason == "Unauthorized"),
            "{refused:?}"
        );
        assert!(matches!(call(), Err(RpcFailure::NotUnderstood(_))));
        let heads = heads.join().expect("the server ends");
        assert!(heads[0].starts_with("POST /RPC2 HTTP/1.1\r\nHost: localhost\r\n"), "{}", heads[0]);
        assert!(heads[0].contains("\r\nAuthorization: Basic bWU6bXk6d29yZA==\r\n"), "{}", heads[0]);
        Ok(())
    }

    #[test]
    fn a_password_is_not_shown() {
        let login = Login { username: "me".to_owned(), password: "secret".to_owned() };
        assert!(!format!("{login:?}").contains("secret"));
    }
}
