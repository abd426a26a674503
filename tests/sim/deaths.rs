//! The deaths of imagined keepers and reactors: what is stored for those that come after them, and how these go on.

use super::super::fleet;
use super::World;
use std::collections::BTreeMap;
use visor::core::fleet::Group;
use visor::core::{Core, Header, Input, Phase, Plan, ProcState, Request, Snapshot, Step};
use visor::model::record::RECORD_SIZE_BYTES;
use visor::model::spec::{FleetSpec, GroupSpec};
use visor::model::{ProcessId, ProcessRecord, RunId, Signal, Time};

impl World {
    /// Kills the reactor, now or in the middle of what it does next: for the machine, the clock, or somebody who wants
    /// something.
    pub(super) fn kill_reactor(&mut self) -> Result<(), String> {
        self.dies_after = Some(self.rng.below(8) as usize);
        self.note(|| "the reactor is about to be killed".to_owned());
        match self.rng.below(12) {
            0 => self.request_stop()?,
            1 => self.request_restart()?,
            2 => self.request_signal()?,
            3 => {
                if let Some(process) = self.some_process() {
                    self.request(Request::Start { process, wait: true })?;
                }
            }
            4 | 5 => {
                let target = fleet::change(&mut self.rng, &self.core.fleet(), self.twist.ticks);
                if self.core.phase() == Phase::Running {
                    self.wanted = target.clone();
                }
                self.give(Input::FleetLoaded(target))?;
            }
            6 => self.respecify()?,
            7 if self.rng.chance(50) => self.end_by(Signal::HUP)?,
            _ => self.advance()?,
        }
        self.dies_after = None;
        self.died = true;
        Ok(())
    }

    /// Kills the keeper: the reactor starts another one, and finds out by itself what has ended.
    pub(super) fn kill_keeper(&mut self) -> Result<(), String> {
        if !self.twist.keeper_deaths {
            return Ok(());
        }
        self.note(|| "the keeper is killed".to_owned());
        // Patience counts from the decision: it may have ended while the question was on its way to this keeper.
        let is_killed =
            |state: &ProcState| matches!(state, ProcState::Stopping { step: Step::Killed { .. }, .. });
        let killed = self.core.processes().filter(|(_, process)| is_killed(process.state()));
        self.kernel.asked.extend(killed.filter_map(|(_, process)| process.run()));
        self.kernel.lose_keeper(|run| self.ledger.is_spawned(run));
        self.forget_unowned()?;
        for input in self.kernel.hand_over() {
            self.give(input)?;
        }
        self.give(Input::HandedOver)
    }

    /// A new reactor begins with what was stored and what the keeper tells.
    pub(super) fn come_back(&mut self) -> Result<(), String> {
        self.died = false;
        self.finish = None;
        let in_doubt = std::mem::take(&mut self.in_doubt);
        self.note(|| "a new reactor begins".to_owned());
        self.kernel.lose_reactor(self.now, &mut self.rng)?;
        let decode = |(id, bytes): (&ProcessId, &[u8; RECORD_SIZE_BYTES])| {
            ProcessRecord::decode(bytes).map(|record| (*id, record))
        };
        let records: Vec<_> = self.slots.iter().filter_map(decode).collect();
        let text = serde_json::to_string(&self.header).map_err(|error| error.to_string())?;
        let header: Header = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let text = serde_json::to_string(&self.plan).map_err(|error| error.to_string())?;
        let plan: Plan = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let snapshot = Snapshot::from_records(header, records, self.mail.stored()).with_plan(plan);
        self.core = Core::restore(self.fleet.clone(), snapshot, Time(self.now));
        self.ledger.restored(&self.core);
        self.mail.restored(&self.core);
        self.release_unowned()?;
        for url in self.kernel.sockets.clone() {
            self.give(Input::SocketOpened { url, result: Ok(()) })?;
        }
        for input in self.kernel.hand_over() {
            self.give(input)?;
        }
        self.give(Input::HandedOver)?;
        for run in in_doubt {
            self.give(Input::Unheard { run })?;
        }
        let ids: Vec<ProcessId> = self.core.processes().map(|(id, _)| id).collect();
        for id in ids {
            if let Some(record) = self.core.record(id) {
                self.slots.insert(id, record.encode());
            }
        }
        Ok(())
    }

    /// What was forgotten needs no release any more: the order to do so was lost with the keeper.
    fn forget_unowned(&mut self) -> Result<(), String> {
        let runs: Vec<RunId> = self.kernel.runs.keys().copied().collect();
        for run in runs.into_iter().filter(|run| self.core.owner(*run).is_none()) {
            if self.kernel.is_live(run) {
                return Err(format!("nobody owns {run}, and it lives"));
            }
            self.kernel.runs.remove(&run);
        }
        Ok(())
    }

    /// Releases runs of which the restored core knows nothing: they are over, and were not yet forgotten.
    fn release_unowned(&mut self) -> Result<(), String> {
        for run in self.kernel.runs.keys().filter(|run| self.core.owner(**run).is_none()) {
            self.ledger.released(*run);
        }
        self.forget_unowned()
    }

    /// What is stored is what the core would store now.
    pub(super) fn check_stored(&mut self) -> Result<(), String> {
        let Some(id) = self.some_process() else { return Ok(()) };
        let Some(record) = self.core.record(id) else { return Ok(()) };
        let stored = self.slots.get(&id).and_then(|bytes| ProcessRecord::decode(bytes));
        // The slot of a process that never did anything may be empty, or another's.
        let stored = stored.filter(|stored| stored.serial == record.serial);
        let is_idle = record.run == RunId(0) && stored.is_none() && !record.wanted;
        if is_idle || stored.as_ref() == Some(&record) {
            return Ok(());
        }
        Err(format!("{id} is stored as {stored:?}\nbut is {record:?}"))
    }

    /// What was loaded last is in force as soon as nothing leaves for it any more, whoever died meanwhile.
    pub(super) fn check_fleet(&self) -> Result<(), String> {
        if self.core.phase() != Phase::Running || self.core.groups().any(Group::is_leaving) {
            return Ok(());
        }
        let by_name = |fleet: FleetSpec| -> BTreeMap<String, GroupSpec> {
            fleet.groups.into_iter().map(|group| (group.name.clone(), group)).collect()
        };
        let (is, wanted) = (by_name(self.core.fleet()), by_name(self.wanted.clone()));
        if is == wanted { Ok(()) } else { Err(format!("in force is {is:?}\nand wanted {wanted:?}")) }
    }

    /// Writes the state file anew.
    pub(super) fn store_whole(&mut self) {
        (self.header, self.fleet, self.plan) = (self.core.header(), self.core.fleet(), self.core.plan());
        let records = self.core.processes().filter_map(|(id, _)| Some((id, self.core.record(id)?.encode())));
        self.slots = records.collect();
        self.is_stored_whole = true;
    }
}
