//! Putting a configuration in force: a core for its programs, and a file from which the next reactor goes on.

use super::boot::{HELD_BUFFERS, HELD_EVENTS, HELD_STATE};
use super::event_store::EventStore;
use super::image::Environment;
use super::instance::Identity;
use super::reactor::Reactor;
use super::store::Store;
use crate::core::{Core, Header, Input, Plan};
use crate::keeper::protocol::Request;
use crate::model::Level;
use crate::model::marks::Marks;
use crate::model::record::RECORD_SIZE_BYTES;
use crate::model::spec::{FleetSpec, Settings};
use crate::sys::memory;
use crate::sys::process::Limited;
use std::io;

/// What is in force, as the state file keeps it. Written from borrowed parts, read as owned ones.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Activated<S, F, L> {
    /// The settings, without their fleet.
    pub(super) settings: S,
    /// What is supervised.
    pub(super) fleet: F,
    /// What an update has still to do.
    pub(super) plan: Plan,
    /// Marks this daemon's runs.
    pub(super) token: String,
    /// Limits that programs get: 0 for files, 1 for processes; soft, hard.
    pub(super) limits: Vec<(u8, u64, u64)>,
    /// Whether the activity log is echoed.
    pub(super) echo: bool,
    /// Which daemon this is: a path that leads elsewhere by now does not make another one of it.
    pub(super) identity: Identity,
    /// What a login gives, where somebody needed it.
    pub(super) login: Option<L>,
    /// Whether programs get that instead of our own environment where they do not say.
    pub(super) is_login: bool,
    /// Programs that are not started by themselves.
    #[serde(default)]
    pub(super) marks: Marks,
}

impl Reactor {
    /// Puts a fleet in force under the reactor's settings; `before` is the header of the core that ended.
    ///
    /// The fleet is written to the state file and read back before the core takes it: what reading a
    /// configuration leaves in memory is full of holes, and a copy made after it was freed lies close together.
    ///
    /// # Errors
    /// As memfd_create(2) and write(2); the fleet is in force all the same, but would be lost with the reactor.
    pub(super) fn activate(&mut self, fleet: FleetSpec, before: Option<&Header>) -> io::Result<()> {
        self.divide_descriptors(&fleet);
        let text = self.describe(&fleet, Plan::fresh(&fleet, before))?;
        drop(fleet);
        memory::trim();
        let activated: Activated<Settings, FleetSpec, Environment> = serde_json::from_slice(&text)?;
        self.core = match before {
            Some(header) => Core::new_after(activated.fleet, header),
            None => Core::new(activated.fleet),
        };
        self.inputs.push_back(Input::Disabled(self.marks.clone()));
        self.store_as(&text)
    }

    /// Writes the state file anew: groups came or went, or are to.
    pub(super) fn store_fleet(&mut self, fleet: &FleetSpec) {
        let stored = self.describe(fleet, self.core.plan()).and_then(|text| self.store_as(&text));
        if let Err(error) = stored {
            let text =
                format!("cannot keep the new configuration: {error}; a death of the reactor would lose it");
            self.log(Level::Critical, &text);
        }
    }

    fn store_as(&mut self, text: &[u8]) -> io::Result<()> {
        let ids: Vec<_> = self.core.processes().map(|(id, _)| id).collect();
        let slots = ids.last().map_or(0, |last| last.0 as usize + 1);
        let store = Store::create(text, slots, RECORD_SIZE_BYTES)?;
        for id in ids {
            if let Some(record) = self.core.record(id) {
                store.write(id.0 as usize, &record.encode())?;
            }
        }
        store.write_header(&serde_json::to_vec(&self.core.header())?)?;
        self.store = Some(store);
        self.store_events(slots)?;
        self.hold_state();
        Ok(())
    }

    fn describe(&self, fleet: &FleetSpec, plan: Plan) -> io::Result<Vec<u8>> {
        let limit = |(limited, soft, hard): &(Limited, u64, u64)| {
            (u8::from(*limited == Limited::Processes), *soft, *hard)
        };
        let activated = Activated {
            settings: &self.settings,
            fleet,
            plan,
            token: self.common.token.clone(),
            limits: self.common.limits.iter().map(limit).collect(),
            echo: self.echo,
            identity: self.identity.clone(),
            login: self.common.login.get(),
            is_login: self.common.is_login,
            marks: self.marks.clone(),
        };
        Ok(serde_json::to_vec(&activated)?)
    }

    /// Has the keeper hold the state that the next reactor goes on from.
    pub(super) fn hold_state(&mut self) {
        if let Some(Ok(fd)) = self.store.as_ref().map(Store::fd) {
            self.link.send(Request::Hold { key: HELD_STATE }, vec![fd]);
        }
        if let Some(Ok(fd)) = self.listeners.store.as_ref().map(EventStore::fd) {
            self.link.send(Request::Hold { key: HELD_EVENTS }, vec![fd]);
        }
    }

    /// Has the keeper hold the log buffers, which stay the same while it lives.
    pub(super) fn hold_buffers(&mut self) {
        if let Ok(fd) = self.disk.pool().fd().try_clone_to_owned() {
            self.link.send(Request::Hold { key: HELD_BUFFERS }, vec![fd]);
        }
    }
}
