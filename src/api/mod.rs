//! What travels over the control socket, as plain data: HTTP, the native API in JSON, XML-RPC, names and
//! descriptions.
//!
//! Pure: bytes and values in, bytes and values out. It opens nothing, reads no clock, and knows neither who serves
//! ([`crate::daemon`]) nor who asks ([`crate::client`]). Both sides use the same types, so they cannot disagree:
//!
//! ```
//! use visor::api::http::{RequestParser, Limits};
//!
//! let mut parser = RequestParser::new(Limits::default());
//! parser.feed(b"GET /v1/status?name=web HTTP/1.1\r\n\r\n");
//! let request = parser.next().expect("complete").expect("well-formed");
//! assert_eq!((request.path.as_str(), request.parameter("name")), ("/v1/status", Some("web")));
//! ```

pub mod describe;
pub mod http;
pub mod names;
pub mod v1;
pub mod xmlrpc;
