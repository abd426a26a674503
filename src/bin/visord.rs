//! The daemon's entry point: everything is in the library.

use visor::cli::pidproxy;
use visor::model::getopt::base_name;

fn main() {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    // Whoever links supervisor's programs to ours need not know which of the two it is in.
    std::process::exit(match words.first().map(|program| base_name(program)) {
        Some(pidproxy::NAME) => pidproxy::main(&words),
        _ => visor::daemon::main(),
    });
}
