//! What a configuration may ask for and this version does not do yet: said, and never half done.

use super::reactor::Reactor;
use crate::model::Level;
use crate::model::spec::{FleetSpec, GroupKind};

/// Says what will not work.
pub(super) fn tell(reactor: &mut Reactor, fleet: &FleetSpec) {
    let listeners = fleet.groups.iter().filter(|group| matches!(group.kind, GroupKind::Listener { .. }));
    for group in listeners {
        let text = format!("[eventlistener:{}] runs, but events are not built yet: it gets none", group.name);
        reactor.log(Level::Warn, &text);
    }
}
