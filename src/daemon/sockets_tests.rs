//! Sockets on a machine below a directory of the tests: wiped, squatted, and come back.

use super::super::instance::{Outcome, claim, resume};
use super::*;
use crate::model::instance::LockNote;
use crate::sys::ambient::Ambient;
use crate::sys::{clock, identity};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

/// Longest that any of these waits; a second is what is promised.
const PROMISE: Duration = Duration::from_secs(1);

/// A machine, and how often the reactor was woken up on it.
struct Machine {
    dir: tempfile::TempDir,
    wakes: Arc<(Mutex<usize>, Condvar)>,
}

impl Machine {
    fn new() -> Machine {
        let dir = tempfile::tempdir().expect("a directory");
        let machine = Machine { dir, wakes: Arc::default() };
        for place in ["home/.config/visor", "tmp", "run/user"] {
            std::fs::create_dir_all(machine.path(place)).expect("a directory");
        }
        std::fs::set_permissions(machine.path("tmp"), PermissionsExt::from_mode(0o1777)).expect("chmod");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn session(&self) -> PathBuf {
        self.path("run/user").join(identity::uid().to_string())
    }

    fn temp(&self) -> PathBuf {
        self.path("tmp").join(format!("visor-{}", identity::uid()))
    }

    fn who(&self) -> Who {
        let uid = identity::uid();
        let ambient = Ambient {
            uid,
            name_uid: uid,
            variables: vec![("HOME".into(), self.path("home").into())],
            root: self.dir.path().into(),
            node_name: "here".to_owned(),
            ..Ambient::default()
        };
        Who::xdg(ambient, 1).expect("there is a home")
    }

    fn start(&self) -> Sockets {
        self.start_as(&self.who())
    }

    fn start_as(&self, who: &Who) -> Sockets {
        match claim(who) {
            Outcome::Start(claim) => Sockets::bind(*claim, self.wake(), clock::now()).0,
            Outcome::AlreadyRunning(other) => panic!("already running: {other:?}"),
        }
    }

    fn wake(&self) -> Wake {
        let wakes = Arc::clone(&self.wakes);
        Arc::new(move || {
            *wakes.0.lock().expect("no poison") += 1;
            wakes.1.notify_all();
        })
    }

    fn wake_count(&self) -> usize {
        *self.wakes.0.lock().expect("no poison")
    }

    /// Runs the loop of a reactor until `done`, and returns all changes; panics where that takes too long.
    fn run_until(&self, sockets: &mut Sockets, done: impl Fn(&Sockets) -> bool) -> Vec<Change> {
        let end = Instant::now() + PROMISE;
        let mut changes = Vec::new();
        let mut seen = 0;
        while !done(sockets) {
            let rest = end.saturating_duration_since(Instant::now());
            assert!(!rest.is_zero(), "not within {PROMISE:?}: {:?} {changes:?}", sockets.paths());
            let due = sockets.next_deadline().map_or(rest, |due| due.since(clock::now()).min(rest));
            let count = self.wakes.0.lock().expect("no poison");
            let waiting = self.wakes.1.wait_timeout_while(count, due, |count| *count == seen);
            seen = *waiting.expect("no poison").0;
            changes.extend(sockets.tick(clock::now()));
        }
        changes
    }
}

fn answers(path: &Path) -> bool {
    UnixStream::connect(path).is_ok()
}

fn all_answer(sockets: &Sockets, count: usize) -> bool {
    sockets.paths().len() == count && sockets.paths().iter().all(|path| answers(path))
}

#[test]
fn every_usable_directory_has_a_socket() {
    let machine = Machine::new();
    std::fs::create_dir(machine.session()).expect("a directory");
    let sockets = machine.start();
    let expected = [machine.session().join("visor/default.sock"), machine.temp().join("default.sock")];
    assert_eq!(sockets.paths(), expected);
    assert!(all_answer(&sockets, 2));
    assert_eq!(sockets.lasting_path().as_ref(), Some(&expected[1]), "a logout wipes the other");
    assert_eq!(sockets.lock_path(), Some(machine.path("home/.local/state/visor/default.lock")));
    assert_eq!(sockets.next_deadline(), None, "nothing is left to do");
    let lock = std::fs::read_to_string(machine.temp().join("default.lock")).expect("a lock");
    assert_eq!(LockNote::parse(&lock).sockets, expected);
    sockets.close();
    assert!(expected.iter().all(|path| !path.exists()));
}

#[test]
fn what_vanished_is_back_within_a_second() {
    let machine = Machine::new();
    std::fs::create_dir(machine.session()).expect("a directory");
    let mut sockets = machine.start();
    let temp = machine.temp();
    let socket = temp.join("default.sock");
    let faults: [&dyn Fn(); 6] = [
        &|| std::fs::remove_dir_all(&temp).expect("remove"),
        &|| std::fs::remove_file(&socket).expect("remove"),
        &|| std::fs::remove_file(temp.join("default.lock")).expect("remove"),
        &|| std::fs::rename(&temp, machine.path("tmp/moved")).expect("rename"),
        &|| std::fs::rename(&socket, temp.join("x")).expect("rename"),
        &|| {
            std::fs::write(temp.join("f"), "")
                .and_then(|()| std::fs::rename(temp.join("f"), &socket))
                .expect("file")
        },
    ];
    for (at, fault) in faults.iter().enumerate() {
        let old = sockets.listener(1).map(|listener| listener.try_clone().expect("dup"));
        fault();
        let changes = machine
            .run_until(&mut sockets, |sockets| all_answer(sockets, 2) && temp.join("default.lock").exists());
        let replaced = changes.iter().any(|c| c.appeared == [1] && c.gone.iter().any(|(key, _)| *key == 1));
        assert!(replaced, "fault {at}: {changes:?}");
        drop(old);
    }
    // What its own acts bring about is looked at once, and then there is nothing to wake up for.
    machine.run_until(&mut sockets, |sockets| sockets.next_deadline().is_none());
}

#[test]
fn a_wiped_session_is_left_and_found_again() {
    let machine = Machine::new();
    std::fs::create_dir(machine.session()).expect("a directory");
    let mut sockets = machine.start();
    std::fs::remove_dir_all(machine.session()).expect("the last logout");
    let changes = machine.run_until(&mut sockets, |sockets| sockets.paths().len() == 1);
    assert!(changes.iter().any(|change| change.gone.len() == 1), "{changes:?}");
    assert!(all_answer(&sockets, 1));
    std::fs::create_dir(machine.session()).expect("a login");
    machine.run_until(&mut sockets, |sockets| all_answer(sockets, 2));
}

#[test]
fn a_session_directory_that_becomes_ours_after_it_was_made_is_used() {
    if !identity::is_root() {
        return;
    }
    let machine = Machine::new();
    let mut sockets = machine.start();
    std::fs::create_dir(machine.session()).expect("a directory");
    std::os::unix::fs::chown(machine.session(), Some(61_995), None).expect("chown");
    machine.run_until(&mut sockets, |sockets| sockets.refused().count() == 1);
    std::os::unix::fs::chown(machine.session(), Some(identity::uid()), None).expect("chown");
    machine.run_until(&mut sockets, |sockets| all_answer(sockets, 2));
}

#[test]
fn a_neighbour_that_churns_wakes_nobody() {
    let machine = Machine::new();
    let mut sockets = machine.start();
    for number in 0..200 {
        for place in ["tmp", "run/user"] {
            let path = machine.path(place).join(format!("n{number}"));
            std::fs::create_dir(&path).expect("a directory");
            std::fs::write(path.join("file"), "x").expect("write");
            std::fs::remove_dir_all(path).expect("remove");
        }
        std::fs::write(machine.temp().join("visord.pid"), "1").expect("write");
    }
    assert!(sockets.tick(clock::now()).is_none());
    // The queue is in order: the first wake-up is for this one.
    assert_eq!(machine.wake_count(), 0);
    std::fs::remove_file(machine.temp().join("default.sock")).expect("remove");
    machine.run_until(&mut sockets, |sockets| all_answer(sockets, 1));
    assert!(machine.wake_count() <= 2, "one for the loss, one for what was done about it");
}

#[test]
fn a_squatter_is_named_and_a_private_directory_is_used() {
    let machine = Machine::new();
    std::fs::write(machine.temp(), "mine").expect("write");
    let sockets = machine.start();
    let paths = sockets.paths();
    assert_eq!(paths.len(), 1);
    let name = paths[0].parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    assert!(name.starts_with(&format!("visor-{}-", identity::uid())), "{name}");
    assert!(answers(&paths[0]));
    assert_eq!(sockets.refused().next().map(|(_, why)| why), Some("it is a file and not a directory"));
    assert_eq!(std::fs::read_to_string(machine.temp()).expect("read"), "mine");
    sockets.close();
    assert_eq!(machine.start().paths(), paths, "the next daemon uses the same");
}

#[test]
fn a_directory_that_is_squatted_while_we_run_is_replaced_by_a_private_one() {
    let machine = Machine::new();
    let mut sockets = machine.start();
    std::fs::rename(machine.temp(), machine.path("tmp/gone")).expect("rename");
    std::os::unix::fs::symlink("/etc", machine.temp()).expect("link");
    machine.run_until(&mut sockets, |sockets| {
        all_answer(sockets, 1) && !sockets.paths()[0].starts_with(machine.temp())
    });
    assert_eq!(std::fs::read_link(machine.temp()).expect("link"), Path::new("/etc"));
}

#[test]
fn what_a_squatter_left_is_taken_within_a_second() {
    let machine = Machine::new();
    std::fs::write(machine.temp(), "mine").expect("write");
    let mut sockets = machine.start();
    // Long after the last look that follows a change.
    let mut now = clock::now();
    for _ in 0..2 * LOOKS_AFTER.len() {
        now = now.after(LOOKS_AFTER[LOOKS_AFTER.len() - 1]);
        let _nothing_new = sockets.tick(now);
    }
    let pause = sockets.next_deadline().map(|due| due.since(now));
    assert_eq!(pause, Some(LOOK_EVERY));
    std::fs::remove_file(machine.temp()).expect("remove");
    let change = sockets.tick(now.after(LOOK_EVERY)).expect("a look");
    assert!(!change.appeared.is_empty() && answers(&machine.temp().join("default.sock")), "{change:?}");
    // The private directory stays for as long as it is there, and nobody looks from time to time any more.
    now = now.after(LOOK_EVERY);
    for _ in 0..2 * LOOKS_AFTER.len() {
        now = now.after(LOOKS_AFTER[LOOKS_AFTER.len() - 1]);
        let _nothing_new = sockets.tick(now);
    }
    assert_eq!(sockets.next_deadline(), None);
}

#[test]
fn the_deciding_lock_is_taken_again_when_somebody_removes_it() {
    let machine = Machine::new();
    let mut sockets = machine.start();
    let lock = sockets.lock_path().expect("a lock");
    std::fs::remove_file(&lock).expect("remove");
    machine.run_until(&mut sockets, |_| lock.exists());
    assert!(matches!(claim(&machine.who()), Outcome::AlreadyRunning(other) if other.pid == 1));
    std::fs::remove_dir_all(machine.path("home/.local")).expect("remove");
    machine.run_until(&mut sockets, |_| lock.exists());
    assert!(matches!(claim(&machine.who()), Outcome::AlreadyRunning(_)));
}

#[test]
fn the_next_reactor_goes_on_with_what_the_keeper_held() {
    let machine = Machine::new();
    let mut first = machine.start();
    let mut handed: Vec<(u64, OwnedFd)> = Vec::new();
    for hold in first.take_holds() {
        match hold {
            Hold::Keep(key, fd) => handed.push((key, fd)),
            Hold::Forget(key) => panic!("{key}"),
        }
    }
    assert_eq!(handed.len(), 3, "the deciding lock, a lock, a listener");
    let path = first.paths()[0].clone();
    drop(first);
    // Nobody accepts, but the socket is there.
    let waiting = UnixStream::connect(&path).expect("the keeper holds the listener");
    assert!(matches!(claim(&machine.who()), Outcome::AlreadyRunning(_)), "the keeper holds the locks");
    handed.push((1, std::fs::File::open("/dev/null").expect("open").into()));
    let held = take_held(&mut handed);
    assert_eq!(handed.len(), 1, "what is not ours stays");
    let (second, change) = Sockets::bind(resume(&machine.who(), held.locks), machine.wake(), clock::now());
    assert_eq!((second.paths(), change.appeared), (vec![path], vec![1]));
    assert!(held.listeners[0].accept().is_ok(), "who waited is served");
    drop((waiting, held.listeners));
    assert!(matches!(claim(&machine.who()), Outcome::AlreadyRunning(_)));
}

#[test]
fn a_configuration_file_has_a_daemon_of_its_own_that_leaves_nothing_behind() {
    let machine = Machine::new();
    let file = machine.path("home/v.conf");
    std::fs::write(&file, "").expect("write");
    let classic = Who::classic(machine.who().ambient, &file, 2);
    let link = machine.path("home/link.conf");
    std::os::unix::fs::symlink(&file, &link).expect("link");
    let (own, sockets) = (machine.start(), machine.start_as(&classic));
    let path = machine.temp().join(classic.instance.socket_name());
    assert_eq!(sockets.paths(), [path]);
    let again = Who::classic(machine.who().ambient, &link, 3);
    assert!(
        matches!(claim(&again), Outcome::AlreadyRunning(other) if other.pid == 2 && other.socket.is_some())
    );
    sockets.close();
    let left = std::fs::read_dir(machine.temp()).expect("list").count();
    assert_eq!(left, 2, "socket and lock of the user's own daemon");
    assert!(!machine.path("home/.local/state/visor").join(classic.instance.lock_name()).exists());
    own.close();
    assert!(machine.path("home/.local/state/visor/default.lock").exists());
}

#[test]
fn keys_tell_locks_from_listeners() {
    for place in 0..PLACES_MAX {
        assert!(is_lock_key(lock_key(place)) && !is_lock_key(listener_key(place)));
        assert!((KEYS_BEGIN..KEYS_END).contains(&listener_key(place)));
    }
    assert!(is_lock_key(KEYS_BEGIN));
    assert_eq!(listener_key(PLACES_MAX - 1), KEYS_END - 1);
}
