//! visorctl under the name supervisorctl, against the real supervisord and beside the real supervisorctl.
//!
//! `same` runs one session through both and compares every byte of standard output and every exit code; `terminal`
//! has what only a terminal shows, `streams` what is followed, `places` where a configuration is looked for, `programs`
//! the small programs that come by other names, `ansible` what a playbook does with it.

#[allow(dead_code, reason = "shared with the end-to-end tests, which use more of it")]
mod common;

#[path = "supervisorctl/ansible.rs"]
mod ansible;
#[path = "supervisorctl/places.rs"]
mod places;
#[path = "supervisorctl/programs.rs"]
mod programs;
#[path = "supervisorctl/same.rs"]
mod same;
#[path = "supervisorctl/streams.rs"]
mod streams;
#[path = "supervisorctl/terminal.rs"]
mod terminal;
#[path = "supervisorctl/upstream.rs"]
mod upstream;
