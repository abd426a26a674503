//! `[fcgi-program:x]`: the socket of its group.

use super::reader::{Names, Reader};
use crate::config::document::Section;
use crate::config::ini::is_blank;
use crate::config::keys::pools::{FCGI_ROWS, FcgiDraft};
use crate::config::path;
use crate::config::value::{Converted, inet_address};
use crate::model::spec::{FcgiSocketSpec, UserSpec};
use std::path::Path;

/// Permissions of a socket file that has no `socket_mode`.
const SOCKET_MODE: u32 = 0o700;

/// Reads the socket of an fcgi program. `user` is whom its processes run as.
pub(super) fn socket(
    reader: &mut Reader<'_>,
    section: &Section,
    program: &str,
    user: Option<&UserSpec>,
) -> Option<FcgiSocketSpec> {
    let mut draft = FcgiDraft::default();
    let plain = FCGI_ROWS.iter().filter(|row| row.key.name != "socket");
    let mut good = reader.apply(section, plain, &Names::default(), &mut draft);
    let mut names = Names::default();
    names.set_text("program_name", program);
    let own = FCGI_ROWS.iter().filter(|row| row.key.name == "socket");
    good &= reader.apply(section, own, &names, &mut draft);
    let Some(entry) = reader.document.get(section, "socket").filter(|_| !draft.socket.is_empty() || !good)
    else {
        reader.section_error(section, "no socket (say socket=unix:///PATH or tcp://HOST:PORT)");
        return None;
    };
    if !good {
        return None;
    }
    match specify(reader, &draft, user) {
        Ok(socket) => Some(socket),
        Err(what) => {
            reader.entry_error(section, entry, what);
            None
        }
    }
}

fn specify(reader: &Reader<'_>, draft: &FcgiDraft, user: Option<&UserSpec>) -> Converted<FcgiSocketSpec> {
    if let Some(file) = draft.socket.strip_prefix("unix://") {
        if !Path::new(file).is_absolute() {
            return Err("the path of a unix socket must begin with a slash".to_owned());
        }
        let foreign =
            user.filter(|user| user.uid != reader.host.uid()).map(|user| (user.uid, Some(user.gid)));
        return Ok(FcgiSocketSpec {
            url: format!("unix://{}", path::normalised(file, reader.host).display()),
            backlog: draft.backlog,
            owner: draft.owner.or(foreign),
            mode: Some(draft.mode.unwrap_or(SOCKET_MODE)),
        });
    }
    if draft.owner.is_some() || draft.mode.is_some() {
        return Err("socket_owner and socket_mode are for unix sockets only".to_owned());
    }
    let (host, port) = tcp(&draft.socket).ok_or("neither tcp://HOST:PORT nor unix:///PATH")?;
    Ok(FcgiSocketSpec {
        url: format!("tcp://{host}:{port}"),
        backlog: draft.backlog,
        owner: None,
        mode: None,
    })
}

/// Reads `tcp://HOST:PORT`; no blank or colon in the host, digits only in the port.
fn tcp(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.strip_prefix("tcp://")?.split_once(':')?;
    let well_formed =
        !host.is_empty() && !host.contains(is_blank) && port.bytes().all(|b| b.is_ascii_digit());
    if !well_formed {
        return None;
    }
    let (_, port) = inet_address(port).ok()?;
    Some((host.to_lowercase(), port))
}
