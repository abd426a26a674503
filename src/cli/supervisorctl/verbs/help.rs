//! `help`, `quit`, `exit` and the end of the input.

use crate::cli::supervisorctl::commands::{COMMANDS, Command, find};
use crate::cli::supervisorctl::session::Session;
use crate::cli::supervisorctl::trouble::Trouble;

/// Width of the list of actions, as of a terminal.
const WIDTH: usize = 79;

/// What stands above the list of actions.
const HEADER: &str = "default commands (type help <topic>):";

/// Shows the list of actions, or how one is called.
pub(in crate::cli::supervisorctl) fn help(session: &mut Session, topic: &str) -> Result<(), Trouble> {
    match (topic, find(topic)) {
        ("", _) => {
            let names: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
            let ruler = "=".repeat(HEADER.len());
            session.say(&format!("\n{HEADER}\n{ruler}\n{}\n", columns(&names, WIDTH).join("\n")));
        }
        ("help", _) => {
            let usage = [("help", "list the actions"), ("help ACTION", "show how an action is called")];
            session.say(&usage_lines(&usage));
        }
        (_, Some(command)) => show(session, command),
        (_, None) => session.say(&format!("*** No help on {topic}")),
    }
    Ok(())
}

/// Shows how an action is called.
pub(in crate::cli::supervisorctl) fn show(session: &Session, command: &Command) {
    session.say(&usage_lines(command.help));
}

/// Says farewell: an empty line.
pub(in crate::cli::supervisorctl) fn leave(session: &mut Session, _rest: &str) -> Result<(), Trouble> {
    session.say("");
    Ok(())
}

fn usage_lines(usage: &[(&str, &str)]) -> String {
    let width = usage.iter().map(|(call, _)| call.len()).max().unwrap_or(0);
    let lines: Vec<String> = usage.iter().map(|(call, words)| format!("{call:<width$}  {words}")).collect();
    lines.join("\n")
}

/// Puts names into as few rows as fit, column by column, two blanks apart (Python's cmd.py `columnize`).
fn columns(names: &[&str], width: usize) -> Vec<String> {
    let size = names.len();
    for rows in 1..size {
        let columns: Vec<&[&str]> = names.chunks(rows).collect();
        let widths: Vec<usize> =
            columns.iter().map(|column| column.iter().map(|name| name.len()).max().unwrap_or(0)).collect();
        if widths.iter().sum::<usize>() + 2 * (widths.len() - 1) <= width {
            let row = |row: usize| -> String {
                let cells = columns
                    .iter()
                    .zip(&widths)
                    .filter_map(|(column, &width)| column.get(row).map(|name| format!("{name:<width$}")));
                cells.collect::<Vec<_>>().join("  ")
            };
            return (0..rows).map(row).collect();
        }
    }
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_the_columns_of_python() {
        let names: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
        assert_eq!(
            columns(&names, WIDTH),
            [
                "add    exit      open  reload  restart   start   tail   ",
                "avail  fg        pid   remove  shutdown  status  update ",
                "clear  maintail  quit  reread  signal    stop    version",
            ]
        );
        assert_eq!(columns(&["one"], 10), ["one"]);
        assert_eq!(columns(&["much-too-long", "b"], 10), ["much-too-long", "b"]);
    }
}
