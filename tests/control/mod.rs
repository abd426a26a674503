//! The scenarios of the control sockets, and the account that each has for itself.

mod account;
mod delegates;
mod descriptors;
mod doctor;
mod editors;
mod environment;
mod first_minute;
mod history;
mod hostile;
mod hot_reload;
mod race;
mod raw;
mod reload;
mod shared_home;
mod since;
mod sockets;
mod updates;
mod verbs;
mod visitors;
mod waiters;
mod watching;
mod way_back;

#[test]
fn the_manual_of_the_interface_names_every_endpoint() {
    let manual = std::fs::read_to_string("man/visor-api.7").expect("man/visor-api.7");
    for endpoint in hostile::ENDPOINTS {
        let path = endpoint.split([' ', '?']).nth(1).unwrap_or_default();
        assert!(manual.contains(path), "man/visor-api.7 does not name {path}");
    }
}
