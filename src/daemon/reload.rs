//! HUP: the configuration is read again, checked, and only a good one replaces what runs.

use super::activate::Activated;
use super::auto_logs;
use super::control::{NOBODY, Verb};
use super::hot_reload::FIRST_READ_AFTER;
use super::reactor::{Job, Purpose, Reactor};
use super::store::Store;
use crate::config::{self, LoadRequest, Loaded};
use crate::core::{Input, Phase};
use crate::model::spec::{FleetSpec, Settings};
use crate::model::{Level, Signal};
use crate::sys::host::RealHost;
use serde::de::IgnoredAny;

/// Returns the settings in force from the state file, their fleet included.
fn activated_settings(store: &Store) -> Option<Settings> {
    let (_, text, _) = Store::open(store.fd().ok()?).ok()?;
    let activated: Activated<Settings, FleetSpec, IgnoredAny> = serde_json::from_slice(&text).ok()?;
    Some(Settings { fleet: activated.fleet, ..activated.settings })
}

impl Reactor {
    /// HUP: reads the configuration again, unless the daemon is ending.
    pub(super) fn reload(&mut self) {
        if self.core.phase() != Phase::Running {
            // The core says that it is too late.
            self.inputs.push_back(Input::Signal(Signal::HUP));
            return;
        }
        self.hup_waits = self.settings.xdg.is_some() && self.may_change_groups().is_err();
        if self.hup_waits {
            return;
        }
        // A user's own daemon applies what differs; that of a file begins anew, as supervisord does.
        let purpose = match self.settings.xdg {
            Some(_) => Purpose::Client { client: NOBODY, verb: Verb::Update, groups: Vec::new() },
            None => Purpose::Reload,
        };
        self.read_configuration(purpose);
    }

    /// Has the disk worker read the configuration; several wishes at once become one or two readings.
    pub(super) fn read_configuration(&mut self, purpose: Purpose) {
        // A storm of HUPs is read for once, and once more for what came meanwhile; clients are few.
        if matches!(purpose, Purpose::Reload) && std::mem::replace(&mut self.loading, true) {
            self.load_again = true;
            return;
        }
        let request = self.config_request();
        self.disk.run(Box::new(move || Job::Loaded(purpose, Box::new(config::load(&request, &RealHost)))));
    }

    /// Returns what to read.
    pub(super) fn config_request(&self) -> LoadRequest {
        let mut request = match &self.settings.xdg {
            Some(roots) => self.options.xdg_request(roots.clone()),
            None => self.options.load_request(self.settings.file.clone()),
        };
        request.environment = self.common.nameable();
        request
    }

    /// Takes in a configuration that was read: a bad one changes nothing.
    pub(super) fn loaded(&mut self, purpose: Purpose, loaded: Loaded) {
        self.trim_later();
        if let Purpose::Client { client, verb, groups } = purpose {
            return self.loaded_for(client, verb, &groups, loaded);
        }
        if let Purpose::Call(call) = purpose {
            return self.reread_for(call, &loaded);
        }
        self.loading = false;
        if std::mem::take(&mut self.load_again) {
            self.read_configuration(Purpose::Reload);
            return;
        }
        self.note_config_state(&loaded);
        self.log_diagnostics(&loaded);
        let room = match &loaded.settings {
            Some(settings) if !self.anew_wanted => self.make_room(&settings.fleet),
            _ => Ok(()),
        };
        if let Err(why) = room {
            return self.log(Level::Error, &format!("{why}; nothing was changed"));
        }
        match &loaded.settings {
            Some(_) => {
                self.next = Some(Box::new(loaded));
                match std::mem::take(&mut self.anew_wanted) {
                    true => self.begin_anew(),
                    false => self.inputs.push_back(Input::Signal(Signal::HUP)),
                }
            }
            None if std::mem::take(&mut self.anew_wanted) => {
                self.log(
                    Level::Error,
                    "the configuration cannot be used, see above; the old one is used again",
                );
                let settings = self.store.as_ref().and_then(activated_settings);
                self.next = Some(Box::new(Loaded { settings, ..Loaded::default() }));
                self.begin_anew();
            }
            None => {
                self.log(Level::Error, "the configuration cannot be used, see above; nothing was changed")
            }
        }
    }

    /// Writes what is wrong with a configuration that nobody sees on a terminal.
    pub(super) fn log_diagnostics(&mut self, loaded: &Loaded) {
        for diagnostic in loaded.diagnostics.iter().filter(|diagnostic| !diagnostic.upstream) {
            let level = if diagnostic.is_error() { Level::Error } else { Level::Warn };
            self.log(level, &diagnostic.to_string());
        }
    }

    /// Writes what supervisord logs about a configuration (supervisor 4.3 `options.py`, `parse_infos`).
    pub(super) fn log_findings(&mut self, loaded: &Loaded) {
        let all = [
            (Level::Critical, &loaded.criticals),
            (Level::Warn, &loaded.warnings),
            (Level::Info, &loaded.infos),
        ];
        for (level, lines) in all {
            lines.iter().for_each(|line| self.log(level, line));
        }
    }

    /// Everything is stopped: puts the waiting configuration in force.
    pub(super) fn begin_anew(&mut self) {
        let Some(mut loaded) = self.next.take() else {
            // The reactor that had checked it died meanwhile.
            self.anew_wanted = true;
            self.read_configuration(Purpose::Reload);
            return;
        };
        let Some(mut settings) = loaded.settings.take() else { return };
        self.end_updates();
        let mut fleet = std::mem::take(&mut settings.fleet);
        // What cannot change while the process lives stays as it is.
        settings.daemon.nodaemon = self.settings.daemon.nodaemon;
        let header = self.core.header();
        self.forget_all();
        self.shared_sockets.epoch += 1;
        self.reopen_main_log(&settings);
        self.log_findings(&loaded);
        auto_logs::clean(self);
        self.settings = settings;
        self.open_history();
        self.record_note("", "config_reloaded", "everything begins anew with it");
        auto_logs::make(self, &mut fleet);
        self.open_servers_or_say(Vec::new());
        self.open_share(None);
        self.choose_server_url();
        if let Err(error) = self.activate(fleet, Some(&header)) {
            let text =
                format!("cannot keep the new configuration: {error}; a death of the reactor would lose it");
            self.log(Level::Critical, &text);
        }
        let keeper = self.keeper;
        if let Err(error) = super::pidfile::write(&self.settings.daemon.pidfile, keeper) {
            self.log(Level::Critical, &format!("could not write pidfile: {error}"));
        }
        self.log(Level::Info, &format!("supervisord started with pid {keeper}"));
        self.compare_with_latest();
        self.hot.release(|_| true);
        self.watch_config(FIRST_READ_AFTER);
        self.is_up = false;
        self.inputs.push_back(Input::Boot);
        self.trim_later();
    }

    fn reopen_main_log(&mut self, settings: &crate::model::spec::Settings) {
        let old = &self.settings.daemon;
        let new = &settings.daemon;
        if old.pidfile != new.pidfile {
            super::pidfile::remove(&old.pidfile, self.keeper);
        }
        self.activity.set_level(new.loglevel);
        self.lines.flush(&self.disk);
        let next = super::boot::open_main_log(&self.disk, new).with_echo(self.lines.echo());
        self.disk.close(std::mem::replace(&mut self.lines, next).sink());
    }
}
