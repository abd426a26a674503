//! What an update that is under way has still to do, stored beside the configuration in force: a core that is
//! restored meanwhile brings it to its end.
//!
//! Must not know where it is kept. Example: when [`Core::take_plan_change`] says so, the shell stores
//! [`Core::plan`] before it carries out the actions of the same turn.

use super::Core;
use super::process::Desired;
use super::snapshot::Header;
use crate::model::spec::FleetSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What has still to be done. Without an update it is small.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The configuration beside which this is stored knows no group with this serial number or a higher one: one of
    /// the same name is what the group before it was.
    pub next_serial: u32,
    /// The configuration that is to be in force when the groups that differ are down.
    pub target: Option<FleetSpec>,
    /// What people wanted of processes whose groups are being replaced.
    pub wishes: Vec<Wish>,
}

/// What people wanted of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Its group.
    pub group: String,
    /// Its name.
    pub process: String,
    /// Whether it is to run.
    pub wanted: bool,
}

impl Plan {
    /// Returns the plan of [`Core::new`] for a fleet, or of [`Core::new_after`]: nothing has to be done.
    #[must_use]
    pub fn fresh(fleet: &FleetSpec, before: Option<&Header>) -> Plan {
        let names: BTreeSet<&str> = fleet.groups.iter().map(|group| group.name.as_str()).collect();
        let first = before.map_or(0, |header| header.next_serial);
        let next_serial = first.saturating_add(u32::try_from(names.len()).unwrap_or(u32::MAX));
        Plan { next_serial, ..Plan::default() }
    }
}

impl Core {
    /// Returns what has still to be done.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let wish = |((group, process), desired): (&(String, String), &Desired)| Wish {
            group: group.clone(),
            process: process.clone(),
            wanted: *desired == Desired::Up,
        };
        Plan {
            next_serial: self.next_group,
            target: self.target.clone(),
            wishes: self.wishes.iter().map(wish).collect(),
        }
    }

    /// Returns whether the plan grew since this was last asked. It must be stored, with the configuration in force,
    /// before the actions of the same turn are carried out. What is done needs no haste: doing it again does nothing.
    pub fn take_plan_change(&mut self) -> bool {
        std::mem::take(&mut self.is_plan_changed)
    }

    /// Takes a plan up again.
    pub(super) fn restore_plan(&mut self, plan: Plan) {
        let desired = |wanted| if wanted { Desired::Up } else { Desired::Down };
        let wish = |wish: Wish| ((wish.group, wish.process), desired(wish.wanted));
        self.target = plan.target;
        self.wishes = plan.wishes.into_iter().map(wish).collect();
    }
}
