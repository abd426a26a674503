//! Who may come in, and what must come with a request: asked in front of every path alike.
//!
//! Pure: judges the head of a request, before its body is taken. Example: the user's own sockets have a
//! [`Door::of_owner`]; that of `[inet_http_server]` wants a name and a password, and knows what browsers call it.

use crate::api::http::basic::{self, Login, NoCredentials};
use crate::api::http::{Head, Method};
use std::net::IpAddr;

/// What a browser can send from anybody's page without asking first (the types of an HTML form).
const FORM_TYPES: [&str; 3] = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];

/// To whom a listener is open, whatever they send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    /// Its owner and root.
    Owner,
    /// Whoever can connect.
    Anybody,
    /// Its owner and root, and those who are granted something, for that.
    Granted,
}

/// What must be true of a connection and its requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::daemon) struct Door {
    open: Open,
    login: Option<Login>,
    /// The names by which browsers may know us; nothing where no browser comes in.
    hosts: Option<Vec<String>>,
}

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Denial {
    /// The status.
    pub(super) status: u16,
    /// In words.
    pub(super) message: &'static str,
}

const WHO_ARE_YOU: Denial = Denial { status: 401, message: "a name and a password are needed" };
const GARBLED: Denial = Denial { status: 400, message: "the Authorization is not base64" };
const WRONG_HOST: Denial = Denial { status: 421, message: "this server does not go by that name" };
const WRONG_ORIGIN: Denial = Denial { status: 403, message: "pages of other servers may not ask this one" };
const A_FORM: Denial =
    Denial { status: 403, message: "a form is not taken: send text/xml or application/json" };

impl Door {
    /// The door of a user's own control sockets.
    pub(in crate::daemon) fn of_owner() -> Door {
        Door { open: Open::Owner, login: None, hosts: None }
    }

    /// The door of the socket for others.
    pub(in crate::daemon) fn of_share() -> Door {
        Door { open: Open::Granted, login: None, hosts: None }
    }

    /// Whether others come in where something is granted to them.
    pub(super) fn is_share(&self) -> bool {
        self.open == Open::Granted
    }

    /// The door of a socket that the configuration names. Its mode, its owner and its password say who may come in,
    /// as with supervisord; when nothing of these is said, its owner.
    pub(in crate::daemon) fn of_file(login: Option<Login>, is_opened: bool) -> Door {
        let open = if is_opened || login.is_some() { Open::Anybody } else { Open::Owner };
        Door { open, login, hosts: None }
    }

    /// The door of a TCP port that goes by these names besides its addresses; without a password it is the owner's.
    pub(in crate::daemon) fn of_port(login: Option<Login>, names: &[&str]) -> Door {
        let open = if login.is_some() { Open::Anybody } else { Open::Owner };
        let names = names.iter().filter(|name| !name.is_empty()).map(|name| name.to_lowercase());
        Door { open, login, hosts: Some(names.collect()) }
    }

    /// Whether it matters who connects.
    pub(super) fn asks_who(&self) -> bool {
        self.open != Open::Anybody
    }

    /// Whether a user may connect, whatever is granted; `None` is one who is not known.
    pub(super) fn lets_in(&self, peer: Option<u32>, own: u32) -> bool {
        self.open == Open::Anybody || peer.is_some_and(|peer| peer == own || peer == 0)
    }

    /// Judges a request by its head.
    pub(super) fn judge(&self, head: &Head) -> Result<(), Denial> {
        if let Some(names) = &self.hosts {
            judge_browser(head, names, self.login.is_none())?;
        }
        let Some(login) = &self.login else { return Ok(()) };
        let given = head.headers.get("authorization").ok_or(WHO_ARE_YOU)?;
        let (username, password) = basic::credentials(given).map_err(|why| match why {
            NoCredentials::None => WHO_ARE_YOU,
            NoCredentials::Garbled => GARBLED,
        })?;
        if login.admits(&username, &password) { Ok(()) } else { Err(WHO_ARE_YOU) }
    }
}

/// Keeps out what a page of somebody else makes a browser send: by another name of ours, from another origin, or as
/// a form. Clients that are no browsers send no `Origin`, and are known by their password.
fn judge_browser(head: &Head, names: &[String], always: bool) -> Result<(), Denial> {
    let mut hosts = head.headers.all("host");
    let host = hosts.next().unwrap_or_default();
    let is_known = (host.is_empty() || is_ours(host, names)) && hosts.next().is_none();
    let site = head.headers.get("sec-fetch-site").unwrap_or("none");
    let mut origins = head.headers.all("origin").peekable();
    let is_browser = origins.peek().is_some() || !site.eq_ignore_ascii_case("none");
    if !is_known && (always || is_browser) {
        return Err(WRONG_HOST);
    }
    if site.eq_ignore_ascii_case("cross-site") || !origins.all(|origin| is_same_origin(origin, host)) {
        return Err(WRONG_ORIGIN);
    }
    let content_type = head.headers.get("content-type").unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    let is_form = FORM_TYPES.iter().any(|form| form.eq_ignore_ascii_case(content_type));
    if head.method == Method::Post && is_form { Err(A_FORM) } else { Ok(()) }
}

/// Whether a page is from this very server: from the name and the port that it was asked by.
fn is_same_origin(origin: &str, host: &str) -> bool {
    let name = ["http://", "https://"].into_iter().find_map(|scheme| origin.strip_prefix(scheme));
    name.is_some_and(|name| !name.is_empty() && name.eq_ignore_ascii_case(host))
}

/// Whether a `Host` is one of our names. An address cannot be made to lead here by anybody else's DNS.
fn is_ours(host: &str, names: &[String]) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':').or(rest.is_empty().then_some(""))),
        None => host.split_once(':').map_or((host, Some("")), |(name, port)| (name, Some(port))),
    };
    let is_port = port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.strip_suffix('.').unwrap_or(name).to_lowercase();
    is_port && (name == "localhost" || name.parse::<IpAddr>().is_ok() || names.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::http::{Limits, RequestParser};

    fn judged(door: &Door, request: &str) -> u16 {
        let mut parser = RequestParser::new(Limits::default());
        parser.feed(format!("{request}\r\n\r\n").as_bytes());
        let request = parser.next().expect("complete").expect("well-formed");
        door.judge(&request.head).map_or_else(|denial| denial.status, |()| 200)
    }

    fn login() -> Option<Login> {
        Login::new(Some("user"), Some("123"))
    }

    #[test]
    fn a_password_is_wanted_for_every_path_and_ignored_where_there_is_none() {
        let door = Door::of_file(login(), false);
        for (header, status) in [
            ("", 401),
            ("Authorization: Basic dXNlcjoxMjM=", 200),
            ("Authorization:Basic dXNlcjoxMjM=", 200),
            ("Authorization: Basic dXNlcjoxMjQ=", 401),
            ("Authorization: Basic Og==", 401),
            ("Authorization: Basic !", 400),
            ("Authorization: Digest username=user", 401),
        ] {
            for path in ["/RPC2", "/v1/status", "/logtail/x", "/nothing"] {
                assert_eq!(
                    judged(&door, &format!("GET {path} HTTP/1.1\r\n{header}").replace("\r\n\r\n", "\r\n")),
                    status
                );
            }
        }
        assert_eq!(judged(&Door::of_owner(), "GET / HTTP/1.1\r\nAuthorization: Basic Og=="), 200);
    }

    #[test]
    fn a_browser_must_know_our_name_and_come_from_our_page() {
        let open = Door::of_port(None, &["Box"]);
        let locked = Door::of_port(login(), &["Box"]);
        let right = "Authorization: Basic dXNlcjoxMjM=";
        for (headers, without, with) in [
            ("Host: localhost:9001", 200, 200),
            ("Host: LOCALHOST.:9001", 200, 200),
            ("Host: 127.0.0.1:9001", 200, 200),
            ("Host: [::1]:9001", 200, 200),
            ("Host: box", 200, 200),
            ("Host:", 200, 200),
            ("X: no host", 200, 200),
            ("Host: evil.example:9001", 421, 200),
            ("Host: localhost:evil", 421, 200),
            ("Host: [::1]evil", 421, 200),
            ("Host: localhost\r\nHost: localhost", 421, 200),
            ("Host: localhost\r\nOrigin: http://localhost", 200, 200),
            ("Host: localhost:9001\r\nOrigin: http://localhost:9001", 200, 200),
            ("Host: localhost:9001\r\nOrigin: http://localhost:8000", 403, 403),
            ("Host: evil.example\r\nOrigin: http://evil.example", 421, 421),
            ("Host: localhost\r\nOrigin: http://evil.example", 403, 403),
            ("Host: localhost\r\nOrigin: null", 403, 403),
            ("Host:\r\nOrigin: http://", 403, 403),
            ("Host: localhost\r\nSec-Fetch-Site: cross-site", 403, 403),
            ("Host: localhost\r\nSec-Fetch-Site: none", 200, 200),
            ("Host: evil.example\r\nSec-Fetch-Site: same-origin", 421, 421),
        ] {
            assert_eq!(judged(&open, &format!("GET / HTTP/1.1\r\n{headers}")), without, "{headers}");
            assert_eq!(
                judged(&locked, &format!("GET / HTTP/1.1\r\n{headers}\r\n{right}")),
                with,
                "{headers}"
            );
        }
    }

    #[test]
    fn a_form_is_not_taken_over_tcp() {
        let door = Door::of_port(None, &[]);
        for (content_type, status) in [
            ("text/xml", 200),
            ("text/xml; charset=utf-8", 200),
            ("application/json", 200),
            ("text/plain", 403),
            ("Text/Plain;charset=UTF-8", 403),
            ("application/x-www-form-urlencoded", 403),
            ("multipart/form-data; boundary=x", 403),
        ] {
            let request = format!("POST /RPC2 HTTP/1.1\r\nContent-Length: 0\r\nContent-Type: {content_type}");
            assert_eq!(judged(&door, &request), status, "{content_type}");
        }
    }

    #[test]
    fn without_a_word_about_others_a_door_is_its_owners() {
        let own = 1000;
        for (door, stranger) in [
            (Door::of_owner(), false),
            (Door::of_share(), false),
            (Door::of_file(None, false), false),
            (Door::of_file(None, true), true),
            (Door::of_file(login(), false), true),
            (Door::of_port(None, &[]), false),
            (Door::of_port(login(), &[]), true),
        ] {
            assert!(door.lets_in(Some(own), own) && door.lets_in(Some(0), own), "{door:?}");
            assert_eq!(door.lets_in(Some(1001), own), stranger, "{door:?}");
            assert_eq!(door.lets_in(None, own), stranger, "{door:?}");
        }
    }
}
