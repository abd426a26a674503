//! What event listeners are told: the kinds of events in one table, their texts, and the line that announces one.
//!
//! All texts are supervisord's to the byte (supervisor 4.3 `events.py`), because Python listeners split them at blanks
//! and colons. Knows no listeners and no order. Example: `Event::tick(EventKind::Tick5, 1_795_168_000).payload` is
//! `when:1795168000`.

use super::State;
use super::python::bytes_repr;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Output channels of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Channel {
    /// Descriptor 1.
    Stdout = 0,
    /// Descriptor 2.
    Stderr = 1,
}

impl Channel {
    /// Returns the name that logs and events show.
    #[must_use]
    pub fn name(self) -> &'static str {
        if self == Channel::Stdout { "stdout" } else { "stderr" }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the table below has their names, which say it")]
pub enum EventKind {
    ProcessStopped,
    ProcessStarting,
    ProcessRunning,
    ProcessBackoff,
    ProcessStopping,
    ProcessExited,
    ProcessFatal,
    ProcessUnknown,
    LogStdout,
    LogStderr,
    CommunicationStdout,
    CommunicationStderr,
    RemoteCommunication,
    SupervisorRunning,
    SupervisorStopping,
    Tick5,
    Tick60,
    Tick3600,
    GroupAdded,
    GroupRemoved,
}

use EventKind as K;

/// Name and parent of every type of event that can be subscribed to, and its kind where it is not abstract.
pub const EVENTS: [(&str, &str, Option<EventKind>); 27] = [
    ("EVENT", "", None),
    ("PROCESS_COMMUNICATION", "EVENT", None),
    ("PROCESS_COMMUNICATION_STDERR", "PROCESS_COMMUNICATION", Some(K::CommunicationStderr)),
    ("PROCESS_COMMUNICATION_STDOUT", "PROCESS_COMMUNICATION", Some(K::CommunicationStdout)),
    ("PROCESS_GROUP", "EVENT", None),
    ("PROCESS_GROUP_ADDED", "PROCESS_GROUP", Some(K::GroupAdded)),
    ("PROCESS_GROUP_REMOVED", "PROCESS_GROUP", Some(K::GroupRemoved)),
    ("PROCESS_LOG", "EVENT", None),
    ("PROCESS_LOG_STDERR", "PROCESS_LOG", Some(K::LogStderr)),
    ("PROCESS_LOG_STDOUT", "PROCESS_LOG", Some(K::LogStdout)),
    ("PROCESS_STATE", "EVENT", None),
    ("PROCESS_STATE_BACKOFF", "PROCESS_STATE", Some(K::ProcessBackoff)),
    ("PROCESS_STATE_EXITED", "PROCESS_STATE", Some(K::ProcessExited)),
    ("PROCESS_STATE_FATAL", "PROCESS_STATE", Some(K::ProcessFatal)),
    ("PROCESS_STATE_RUNNING", "PROCESS_STATE", Some(K::ProcessRunning)),
    ("PROCESS_STATE_STARTING", "PROCESS_STATE", Some(K::ProcessStarting)),
    ("PROCESS_STATE_STOPPED", "PROCESS_STATE", Some(K::ProcessStopped)),
    ("PROCESS_STATE_STOPPING", "PROCESS_STATE", Some(K::ProcessStopping)),
    ("PROCESS_STATE_UNKNOWN", "PROCESS_STATE", Some(K::ProcessUnknown)),
    ("REMOTE_COMMUNICATION", "EVENT", Some(K::RemoteCommunication)),
    ("SUPERVISOR_STATE_CHANGE", "EVENT", None),
    ("SUPERVISOR_STATE_CHANGE_RUNNING", "SUPERVISOR_STATE_CHANGE", Some(K::SupervisorRunning)),
    ("SUPERVISOR_STATE_CHANGE_STOPPING", "SUPERVISOR_STATE_CHANGE", Some(K::SupervisorStopping)),
    ("TICK", "EVENT", None),
    ("TICK_3600", "TICK", Some(K::Tick3600)),
    ("TICK_5", "TICK", Some(K::Tick5)),
    ("TICK_60", "TICK", Some(K::Tick60)),
];

/// The kinds that time alone brings, with their periods in seconds.
pub const TICKS: [(EventKind, i64); 3] = [(K::Tick5, 5), (K::Tick60, 60), (K::Tick3600, 3600)];

impl EventKind {
    /// Returns the name that listeners see.
    #[must_use]
    pub fn name(self) -> &'static str {
        EVENTS.iter().find(|row| row.2 == Some(self)).map_or("EVENT", |row| row.0)
    }

    /// Returns the kind with the number that `kind as u8` gave.
    #[must_use]
    pub fn by_number(number: u8) -> Option<EventKind> {
        EVENTS.iter().filter_map(|row| row.2).find(|kind| *kind as u8 == number)
    }

    /// Returns the kind of a change of state.
    #[must_use]
    pub fn of_state(state: State) -> EventKind {
        match state {
            State::Stopped => K::ProcessStopped,
            State::Starting => K::ProcessStarting,
            State::Running => K::ProcessRunning,
            State::Backoff => K::ProcessBackoff,
            State::Stopping => K::ProcessStopping,
            State::Exited => K::ProcessExited,
            State::Fatal => K::ProcessFatal,
            State::Unknown => K::ProcessUnknown,
        }
    }

    /// Returns the kind of what a program wrote.
    #[must_use]
    pub fn of_log(channel: Channel) -> EventKind {
        if channel == Channel::Stdout { K::LogStdout } else { K::LogStderr }
    }

    /// Returns the kind of what a program said between the tags of capture mode.
    #[must_use]
    pub fn of_communication(channel: Channel) -> EventKind {
        if channel == Channel::Stdout { K::CommunicationStdout } else { K::CommunicationStderr }
    }
}

/// The kinds that somebody subscribed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSet(u32);

impl EventSet {
    /// Returns what names stand for: an abstract one for all below it, an unknown one for nothing.
    #[must_use]
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> EventSet {
        let mut set = EventSet::default();
        for name in names {
            for (row, _, kind) in &EVENTS {
                if let Some(kind) = kind.filter(|_| is_below(row, name)) {
                    set.0 |= 1 << kind as u32;
                }
            }
        }
        set
    }

    /// Whether a kind belongs to it.
    #[must_use]
    pub fn has(self, kind: EventKind) -> bool {
        self.0 & 1 << kind as u32 != 0
    }

    /// Returns what belongs to this set or the other.
    #[must_use]
    pub fn or(self, other: EventSet) -> EventSet {
        EventSet(self.0 | other.0)
    }
}

/// Whether an event name is another, or below it.
fn is_below(name: &str, above: &str) -> bool {
    let mut at = name;
    while at != above {
        match EVENTS.iter().find(|row| row.0 == at) {
            Some((_, parent, _)) => at = parent,
            None => return false,
        }
    }
    true
}

/// Something that happened, with the text that tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// What listeners read about it.
    pub payload: String,
}

/// A change of a process's state, as events tell it.
#[derive(Clone, Copy, Debug)]
pub struct StateChange<'a> {
    /// Name of the process.
    pub process: &'a str,
    /// Name of its group.
    pub group: &'a str,
    /// The state before.
    pub from: State,
    /// The state now.
    pub to: State,
    /// Failed starts in a row.
    pub tries: u32,
    /// For an exit: whether it was expected.
    pub expected: bool,
    /// Its main process; 0 when none.
    pub pid: i32,
}

impl Event {
    /// Returns the event of a change of state.
    #[must_use]
    pub fn state(change: &StateChange<'_>) -> Event {
        let StateChange { process, group, from, to, tries, expected, pid } = *change;
        let mut payload = format!("processname:{process} groupname:{group} from_state:{}", from.name());
        // Writing to a string cannot fail.
        let _ = match to {
            State::Starting | State::Backoff => write!(payload, " tries:{tries}"),
            State::Running | State::Stopping | State::Stopped => write!(payload, " pid:{pid}"),
            State::Exited => write!(payload, " expected:{} pid:{pid}", u8::from(expected)),
            State::Fatal | State::Unknown => Ok(()),
        };
        Event { kind: EventKind::of_state(to), payload }
    }

    /// Returns the event of output.
    #[must_use]
    pub fn log(process: &str, group: &str, pid: i32, channel: Channel, data: &[u8]) -> Event {
        let name = channel.name();
        let head = format!("processname:{process} groupname:{group} pid:{pid} channel:{name}\n");
        Event { kind: EventKind::of_log(channel), payload: head + &text_of(data) }
    }

    /// Returns the event of what stood between the tags of capture mode.
    #[must_use]
    pub fn communication(process: &str, group: &str, pid: i32, channel: Channel, data: &[u8]) -> Event {
        let head = format!("processname:{process} groupname:{group} pid:{pid}\n");
        Event { kind: EventKind::of_communication(channel), payload: head + &text_of(data) }
    }

    /// Returns the event that a client sends: supervisord's `sendRemoteCommEvent`.
    #[must_use]
    pub fn remote(kind: &str, data: &str) -> Event {
        Event { kind: K::RemoteCommunication, payload: format!("type:{kind}\n{data}") }
    }

    /// Returns the event of a group that came (`GroupAdded`) or went (`GroupRemoved`).
    #[must_use]
    pub fn group(kind: EventKind, name: &str) -> Event {
        Event { kind, payload: format!("groupname:{name}\n") }
    }

    /// Returns the event of a slice of time that began at `when`, in seconds since the epoch.
    #[must_use]
    pub fn tick(kind: EventKind, when: i64) -> Event {
        Event { kind, payload: format!("when:{when}") }
    }

    /// Returns an event that says no more than its kind.
    #[must_use]
    pub fn plain(kind: EventKind) -> Event {
        Event { kind, payload: String::new() }
    }
}

/// Returns bytes as text: as they are, or as Python shows those that are none.
fn text_of(data: &[u8]) -> String {
    match std::str::from_utf8(data) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("Undecodable: {}", bytes_repr(data)),
    }
}

/// An event in the queue of a pool, with the numbers that it keeps however often it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Serial number of the pool's group in the core.
    pub group: u32,
    /// Name of the pool.
    pub pool: String,
    /// Its number among the events of the pool, from 0.
    pub pool_serial: u64,
    /// Its number among all events that anybody got, from 0.
    pub serial: u64,
    /// The event.
    pub event: Event,
}

impl Delivery {
    /// Returns the bytes that a listener reads: a line and the payload. `len` counts characters, as Python listeners
    /// read text (supervisor 4.3 `_eventEnvelope`); `identifier` is the daemon's.
    #[must_use]
    pub fn envelope(&self, identifier: &str) -> Vec<u8> {
        let Delivery { pool, pool_serial, serial, event, .. } = self;
        let (name, len) = (event.kind.name(), event.payload.chars().count());
        format!(
            "ver:3.0 server:{identifier} serial:{serial} pool:{pool} poolserial:{pool_serial} \
             eventname:{name} len:{len}\n{}",
            event.payload
        )
        .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(from: State, to: State) -> String {
        let change = StateChange { process: "p", group: "g", from, to, tries: 2, expected: true, pid: 7 };
        Event::state(&change).payload
    }

    #[test]
    fn the_table_is_a_tree_and_names_every_kind_once() {
        let mut kinds: Vec<EventKind> = EVENTS.iter().filter_map(|row| row.2).collect();
        kinds.sort();
        kinds.dedup();
        assert_eq!(kinds.len(), 20);
        for kind in kinds {
            assert_eq!(EventKind::by_number(kind as u8), Some(kind));
        }
        assert_eq!(EventKind::by_number(20), None);
        for (name, ..) in EVENTS {
            assert!(is_below(name, "EVENT"), "{name}");
        }
        assert!(EVENTS.is_sorted_by_key(|row| row.0), "sorted, for whoever lists them");
    }

    #[test]
    fn an_abstract_name_stands_for_all_below_it() {
        let tick = EventSet::of(["TICK"]);
        assert!(tick.has(K::Tick5) && tick.has(K::Tick3600) && !tick.has(K::GroupAdded));
        let all = EventSet::of(["EVENT", "TICK_5"]);
        assert_eq!(all, EventSet::of(["EVENT"]), "twice is once");
        assert!(all.has(K::RemoteCommunication) && all.has(K::ProcessUnknown));
        assert_eq!(EventSet::of(["NOTHING"]), EventSet::default());
        assert_eq!(EventSet::of(["TICK_5"]).or(EventSet::of(["TICK_60", "TICK_3600"])), tick);
    }

    #[test]
    fn texts_are_supervisords() {
        let state = "processname:p groupname:g from_state:";
        assert_eq!(change(State::Stopped, State::Starting), format!("{state}STOPPED tries:2"));
        assert_eq!(change(State::Starting, State::Backoff), format!("{state}STARTING tries:2"));
        assert_eq!(change(State::Starting, State::Running), format!("{state}STARTING pid:7"));
        assert_eq!(change(State::Running, State::Exited), format!("{state}RUNNING expected:1 pid:7"));
        assert_eq!(change(State::Running, State::Stopping), format!("{state}RUNNING pid:7"));
        assert_eq!(change(State::Stopping, State::Stopped), format!("{state}STOPPING pid:7"));
        assert_eq!(change(State::Backoff, State::Fatal), format!("{state}BACKOFF"));
        assert_eq!(change(State::Running, State::Unknown), format!("{state}RUNNING"));
        let log = Event::log("p", "g", 7, Channel::Stderr, b"a\nb");
        assert_eq!(log.payload, "processname:p groupname:g pid:7 channel:stderr\na\nb");
        let said = Event::communication("p", "g", 7, Channel::Stdout, b"\x88");
        assert_eq!(said.payload, "processname:p groupname:g pid:7\nUndecodable: b'\\x88'");
        assert_eq!(Event::remote("t", "d").payload, "type:t\nd");
        assert_eq!(Event::group(K::GroupAdded, "g").payload, "groupname:g\n");
        assert_eq!(Event::tick(K::Tick5, 15).payload, "when:15");
        assert_eq!(Event::plain(K::SupervisorRunning).payload, "");
    }

    #[test]
    fn the_length_in_the_header_counts_characters() {
        let event = Event::remote("t", "dö€");
        let delivery = Delivery { group: 1, pool: "mail".into(), pool_serial: 3, serial: 21, event };
        let wanted = "ver:3.0 server:supervisor serial:21 pool:mail poolserial:3 \
                      eventname:REMOTE_COMMUNICATION len:10\ntype:t\ndö€";
        assert_eq!(String::from_utf8(delivery.envelope("supervisor")).as_deref(), Ok(wanted));
    }
}
