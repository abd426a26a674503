//! What ends an action in its middle: what supervisorctl shows as an unexpected exception.
//!
//! Upstream prints the Python class and the line of Python code too; we print what it says. Example:
//! `error: <Fault 6: 'SHUTDOWN_STATE'>`.

use crate::api::xmlrpc::Code;
use crate::client::{Failure, RpcFailure};
use crate::model::python::str_repr;
use nix::errno::Errno;
use std::fmt;
use std::io;

/// Where upstream's client says that it calls, whatever it really calls.
const CALLED: &str = "127.0.0.1/RPC2";

/// The status of a daemon that wants a password.
const UNAUTHORIZED: u16 = 401;

/// Why an action ended.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A question got no value.
    Rpc(RpcFailure),
    /// Ctrl-C.
    Interrupted,
    /// The answer makes no sense, or nothing can be asked; holds why.
    Other(String),
}

impl Trouble {
    /// Returns the fault's code, when it is a fault that supervisord has.
    pub(super) fn fault(&self) -> Option<Code> {
        match self {
            Trouble::Rpc(RpcFailure::Fault(fault)) => Code::of(fault.code),
            _ => None,
        }
    }

    /// Returns the error number of a connection that was not made.
    pub(super) fn connect_errno(&self) -> Option<Errno> {
        match self {
            Trouble::Rpc(RpcFailure::Connect(error)) => error.raw_os_error().map(Errno::from_raw),
            _ => None,
        }
    }

    /// Whether the daemon wants name and password, or others than it got.
    pub(super) fn wants_login(&self) -> bool {
        matches!(self, Trouble::Rpc(RpcFailure::Status { code: UNAUTHORIZED, .. }))
    }
}

impl From<RpcFailure> for Trouble {
    fn from(failure: RpcFailure) -> Trouble {
        match failure {
            RpcFailure::Broken(Failure::Interrupted) => Trouble::Interrupted,
            other => Trouble::Rpc(other),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Other(error_text(&error))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Rpc(RpcFailure::Fault(fault)) => {
                write!(f, "<Fault {}: {}>", fault.code, str_repr(&fault.text))
            }
            Trouble::Rpc(RpcFailure::Status { code, reason }) => {
                write!(f, "<ProtocolError for {CALLED}: {code} {reason}>")
            }
            Trouble::Rpc(RpcFailure::Connect(error)) => f.write_str(&error_text(error)),
            Trouble::Rpc(RpcFailure::Broken(Failure::Lost(why))) => {
                write!(f, "the connection was lost: {why}")
            }
            Trouble::Rpc(RpcFailure::Broken(failure)) => write!(f, "{failure}"),
            Trouble::Rpc(RpcFailure::NotUnderstood(why)) => write!(f, "the answer is no XML-RPC: {why}"),
            Trouble::Interrupted => f.write_str("interrupted"),
            Trouble::Other(why) => f.write_str(why),
        }
    }
}

/// Returns an error of the system as Python shows it.
pub(super) fn error_text(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => format!("[Errno {number}] {}", Errno::from_raw(number).desc()),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::xmlrpc::Fault;

    #[test]
    fn troubles_read_as_in_python() {
        let io = |errno: Errno| io::Error::from_raw_os_error(errno as i32);
        for (failure, text) in [
            (RpcFailure::Fault(Fault::new(Code::BadName, "it's")), "<Fault 10: \"BAD_NAME: it's\">"),
            (
                RpcFailure::Status { code: 401, reason: "Unauthorized".to_owned() },
                "<ProtocolError for 127.0.0.1/RPC2: 401 Unauthorized>",
            ),
            (RpcFailure::Connect(io(Errno::EACCES)), "[Errno 13] Permission denied"),
        ] {
            assert_eq!(Trouble::from(failure).to_string(), text);
        }
        assert_eq!(
            Trouble::from(RpcFailure::Connect(io(Errno::ENOENT))).connect_errno(),
            Some(Errno::ENOENT)
        );
        assert!(matches!(RpcFailure::Broken(Failure::Interrupted).into(), Trouble::Interrupted));
    }
}
