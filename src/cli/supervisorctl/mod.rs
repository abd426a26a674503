//! supervisorctl 4.3: what `visorctl` is when it is called by that name.
//!
//! Options, actions, texts and exit codes are upstream's, and only XML-RPC and the log streams are spoken, so that it
//! works with any supervisord. Must not use anything of `/v1`. [`commands`] has the table of actions.
//! Example: `ln -s visorctl supervisorctl; ./supervisorctl -s unix:///tmp/s.sock status`.

mod codes;
mod commands;
mod complete;
mod history;
mod input;
mod login;
mod options;
mod replies;
mod session;
mod settings;
mod shell;
mod trouble;
mod verbs;

use super::output;
use crate::sys::host::RealHost;
use session::Session;

/// The name that asks for all this.
pub const NAME: &str = "supervisorctl";

/// What a program ends with that Ctrl-C ended, as shells tell it.
const INTERRUPTED: i32 = 130;

/// Runs supervisorctl and returns its exit code; `words` begin with the program as it was called.
#[must_use]
pub fn main(words: &[String]) -> i32 {
    let (program, words) =
        words.split_first().map_or((NAME, &[][..]), |(first, rest)| (first.as_str(), rest));
    let usage = |text: &str| {
        output::message(&format!("Error: {text}\nFor help, use {program} -h"));
        codes::INVALID
    };
    let options = match options::parse(words) {
        Ok(options) if options.help => {
            output::data(options::help(program).trim_end_matches('\n'));
            return codes::OK;
        }
        Ok(options) => options,
        Err(text) => return usage(&text),
    };
    let (settings, remarks) = match settings::settle(&options, program, &RealHost) {
        Ok(settled) => settled,
        Err(text) => return usage(&text),
    };
    remarks.iter().for_each(|remark| output::message(&format!("{NAME}: {remark}")));
    let mut session = Session::new(settings);
    if options.words.is_empty() {
        shell::run(&mut session);
        return codes::OK;
    }
    match commands::obey(&mut session, &options.words.join(" ")) {
        Ok(_) => session.exit_code,
        Err(_interrupted) => INTERRUPTED,
    }
}
