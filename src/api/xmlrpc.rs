//! XML-RPC as supervisord speaks it: values, calls, responses and faults, in both directions.
//!
//! Pure: knows neither a method nor a connection. What is written are the bytes that Python's `xmlrpc.client` writes
//! for the same value, so that nobody sees which daemon answers; what XML cannot carry is replaced, never an error.
//! What is read may come from anybody: it has limits of size, depth and number, no DTD, and no entity but XML's five.
//!
//! ```
//! use visor::api::xmlrpc::{self, Limits, Value};
//!
//! let bytes = xmlrpc::write_call("supervisor.startProcess", &["web".into(), true.into()]);
//! let call = xmlrpc::read_call(&bytes, Limits::REQUEST).expect("well-formed");
//! assert_eq!((call.method.as_str(), &call.params[0]), ("supervisor.startProcess", &Value::from("web")));
//! let bytes = xmlrpc::write_response(&Ok(true.into()));
//! assert_eq!(xmlrpc::read_response(&bytes, Limits::RESPONSE), Ok(Ok(Value::Bool(true))));
//! ```

mod element;
mod fault;
mod read;
mod value;
mod write;

pub use fault::{Code, Fault};
pub use read::{Call, read_call, read_response};
pub use value::Value;
pub use write::{write_call, write_response};

use std::fmt;

/// Most elements open at once. A method called through `system.multicall` with a list in a struct opens 18.
pub const DEPTH_MAX: usize = 64;

/// What a reader takes. The bytes bound what is looked at, the values what is kept of it: eight bytes can be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a message.
    pub bytes: usize,
    /// Most values of a message, the names of a struct's members counted too.
    pub values: usize,
}

impl Limits {
    /// A call: as large as a request may be, and a `system.multicall` of a thousand calls with six values each fits
    /// twice.
    pub const REQUEST: Limits = Limits { bytes: super::http::BODY_BYTES_MAX, values: 16 * 1024 };
    /// A response: from a daemon that the user chose, a whole log or the state of ten thousand processes fits.
    pub const RESPONSE: Limits = Limits { bytes: 256 * 1024 * 1024, values: 1024 * 1024 };
}

/// Why a message is not XML-RPC that we take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum XmlError {
    /// It breaks the rules; holds how.
    Malformed(String),
    /// It is larger than the limit, which it holds in bytes.
    TooLarge(usize),
    /// More than [`DEPTH_MAX`] elements are open at once.
    TooDeep,
    /// It holds more values than the limit, which it holds.
    TooMany(usize),
    /// It declares a document type; entities could be defined there.
    DocType,
    /// It refers to an entity that XML does not define by itself.
    Entity,
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            XmlError::Malformed(how) => f.write_str(how),
            XmlError::TooLarge(limit) => write!(f, "the message is larger than {limit} bytes"),
            XmlError::TooDeep => write!(f, "more than {DEPTH_MAX} elements are open at once"),
            XmlError::TooMany(limit) => write!(f, "the message holds more than {limit} values"),
            XmlError::DocType => f.write_str("a document type is not taken"),
            XmlError::Entity => f.write_str("entities other than XML's own five are not taken"),
        }
    }
}

impl std::error::Error for XmlError {}

#[cfg(test)]
mod tests;
