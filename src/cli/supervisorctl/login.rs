//! Name and password for a daemon that wants them, asked of the user.

use super::session::Session;
use super::trouble::Trouble;

/// Asks for both; they hold from then on.
///
/// # Errors
/// At Ctrl-C, and when there is nobody to answer.
pub(super) fn ask(session: &mut Session) -> Result<(), Trouble> {
    let nobody = || Trouble::Other("EOF when reading a line".to_owned());
    session.catch_keys();
    let username = session.ask("Username:")?.ok_or_else(nobody)?;
    let password = session.ask_secret("Password:")?.ok_or_else(nobody)?;
    session.say("");
    session.settings.username = Some(username);
    session.settings.password = Some(password);
    Ok(())
}
