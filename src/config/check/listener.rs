//! `[eventlistener:x]`: the pool that its processes form.

use super::reader::{Names, Reader};
use crate::config::diagnostic::{Diagnostic, quoted};
use crate::config::document::Section;
use crate::config::keys::pools::{LISTENER_ROWS, ListenerDraft};
use crate::config::value::boolean;
use crate::model::spec::{GroupKind, STDOUT_RESULT_HANDLER, STOCK_RESULT_HANDLER};

/// Reads what an event listener has beyond a program.
pub(super) fn read(reader: &mut Reader<'_>, section: &Section) -> GroupKind {
    let mut draft = ListenerDraft::default();
    let good = reader.apply(section, LISTENER_ROWS.iter(), &Names::default(), &mut draft);
    if good && draft.events.is_empty() {
        reader.section_error(section, "no events (say events=PROCESS_STATE, for example)");
    }
    check_redirect(reader, section);
    let known =
        draft.result_handler == STOCK_RESULT_HANDLER || draft.result_handler.ends_with(STDOUT_RESULT_HANDLER);
    if let (false, Some(entry)) = (known, reader.document.get(section, "result_handler")) {
        let what = format!(
            "{} is Python code, which cannot be run here: every well-formed RESULT acknowledges its event",
            quoted(&draft.result_handler)
        );
        let place = reader.document.entry_place(entry);
        reader.report(Diagnostic::warning(place, what).section(&section.name).key("result_handler"));
    }
    let ListenerDraft { buffer_size, events, result_handler } = draft;
    GroupKind::Listener { buffer_size, events, result_handler }
}

/// A listener speaks with us on its stdout: nothing else may be mixed in.
fn check_redirect(reader: &mut Reader<'_>, section: &Section) {
    let Some(entry) = reader.document.get(section, "redirect_stderr") else { return };
    let text = reader.expand(entry, crate::config::keys::Scope::Here, &Names::default());
    match text.and_then(|text| boolean(&text)) {
        Ok(false) => {}
        Ok(true) => {
            reader.entry_error(section, entry, "must not be yes: it would disturb the event protocol")
        }
        Err(what) => reader.entry_error(section, entry, what),
    }
}
