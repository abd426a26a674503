//! The configuration of the user's own daemon, read by the client itself: what the daemon would read now.
//!
//! Example: `own_config::request(&Ambient::real())` loads `~/.config/visor`, whether a daemon runs or not.

use crate::config::LoadRequest;
use crate::model::spec::XdgRoots;
use crate::sys::ambient::Ambient;

/// Returns what loads it; nothing for a user without a home.
pub(super) fn request(ambient: &Ambient) -> Option<LoadRequest> {
    let config = ambient.config_root()?;
    // Only defaults follow from the other two, and nothing is made or looked for there.
    let state = ambient.state_roots().into_iter().next().unwrap_or_else(|| config.clone());
    let runtime = ambient.runtime_candidates().into_iter().next().map_or_else(|| state.clone(), |it| it.path);
    Some(LoadRequest::xdg(XdgRoots { config, state, runtime }))
}
