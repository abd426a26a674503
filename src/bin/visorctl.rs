//! The client's entry point: everything is in the library.

fn main() {
    std::process::exit(visor::cli::main());
}
