//! What a configuration may ask for and this version does not do yet: said, and never half done.

use super::reactor::Reactor;
use crate::model::Level;
use crate::model::spec::{FleetSpec, GroupKind};
use std::sync::Arc;

/// Says what will not work, and keeps back the programs that cannot run without it.
pub(super) fn keep_back(reactor: &mut Reactor, fleet: &mut FleetSpec) {
    let servers: Vec<String> = reactor.settings.servers.iter().map(|server| server.section.clone()).collect();
    for section in servers {
        reactor.log(Level::Warn, &format!("[{section}] is not built yet: nothing listens there"));
    }
    for group in &mut fleet.groups {
        match &group.kind {
            GroupKind::Program => {}
            GroupKind::Listener { .. } => {
                let text = format!(
                    "[eventlistener:{}] runs, but events are not built yet: it gets none",
                    group.name
                );
                reactor.log(Level::Warn, &text);
            }
            GroupKind::Fcgi(_) => {
                for process in &mut group.processes {
                    let reason = "[fcgi-program:x] is not built yet: there is no socket to give to it";
                    Arc::make_mut(process).refused.get_or_insert_with(|| reason.to_owned());
                }
            }
        }
    }
}
