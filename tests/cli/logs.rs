//! Logs: several in one stream, followed as they are pushed, and bytes that stay bytes.

use super::bench::Bench;
use super::world::{World, process};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use visor::model::State;

fn world(names: &[&str]) -> World {
    let mut world = World { log: b"one\ntwo\nthree\n".to_vec(), ..World::of_states() };
    world.processes = names
        .iter()
        .map(|name| {
            let mut process = process(State::Running);
            (process.namespec, process.group, process.name) =
                ((*name).into(), (*name).into(), (*name).into());
            process
        })
        .collect();
    world
}

#[test]
fn several_programs_have_their_names_in_front() {
    let bench = Bench::with(world(&["a", "long"]));
    let said = bench.run(&["logs", "-n", "2"]);
    assert_eq!(said.out, "a    | two\na    | three\nlong | two\nlong | three\n");
    assert_eq!(bench.run(&["logs", "-n", "1", "a"]).out, "three\n");
    assert_eq!(bench.asked().last().map(String::as_str), Some("Get /v1/log name=a&channel=stdout&bytes=256"));
}

#[test]
fn a_program_without_a_log_does_not_keep_the_others_back() {
    let mut world = world(&["a", "b"]);
    world.processes[0].stdout_log = None;
    let bench = Bench::with(world);
    let said = bench.run(&["logs", "-n", "1", "a", "b"]);
    assert_eq!(
        (said.out.as_str(), said.err.as_str(), said.code),
        ("b | three\n", "a: ERROR (no log file)\n", 1)
    );
    let all = bench.run(&["logs", "-n", "1"]);
    assert_eq!(
        (all.out.as_str(), all.err.as_str(), all.code),
        ("b | three\n", "", 0),
        "some may never have run"
    );
}

#[test]
fn what_is_followed_comes_as_it_is_pushed() {
    let mut world = world(&["a", "b"]);
    world.pieces = vec![b"old\n".to_vec(), b"new ".to_vec(), b"line\n".to_vec()];
    let bench = Bench::with(world);
    let mut child = bench.command(&["logs", "-f"]).stdout(Stdio::piped()).spawn().expect("visorctl runs");
    let output = child.stdout.take().expect("a pipe");
    let mut lines: Vec<String> = BufReader::new(output).lines().take(4).map_while(Result::ok).collect();
    lines.sort();
    assert_eq!(lines, ["a | new line", "a | old", "b | new line", "b | old"]);
    child.kill().expect("it still follows");
    child.wait().expect("a status");
}

#[test]
fn tail_passes_bytes_as_they_are_where_no_terminal_is() {
    let mut world = world(&["a"]);
    let bytes: Vec<u8> = (0..=255).collect();
    (world.log, world.pieces) = (bytes.clone(), vec![bytes[..100].to_vec(), bytes[100..].to_vec()]);
    let bench = Bench::with(world);
    let output = bench.command(&["tail", "a"]).output().expect("visorctl runs");
    assert_eq!(output.stdout, [&bytes[..], b"\n"].concat());
    let mut child =
        bench.command(&["tail", "-f", "a"]).stdout(Stdio::piped()).spawn().expect("visorctl runs");
    let mut followed = vec![0; 256];
    child.stdout.take().expect("a pipe").read_exact(&mut followed).expect("all of it");
    assert_eq!(followed, bytes);
    child.kill().expect("it still follows");
    child.wait().expect("a status");
}

#[test]
fn a_reader_that_goes_away_ends_the_following() {
    let mut world = world(&["a"]);
    world.pieces = vec![b"line\n".to_vec(); 5000];
    let bench = Bench::with(world);
    for words in [&["tail", "-f", "a"][..], &["logs", "-f", "a"]] {
        let mut child = bench.command(words).stdout(Stdio::piped()).spawn().expect("visorctl runs");
        drop(child.stdout.take());
        assert!(child.wait().expect("a status").success(), "{words:?}");
    }
}
