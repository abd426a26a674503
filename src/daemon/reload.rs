//! HUP: the configuration is read again, checked, and only a good one replaces what runs.

use super::auto_logs;
use super::reactor::{Job, Reactor};
use crate::config::{self, Loaded};
use crate::core::{Input, Phase};
use crate::model::{Level, Signal};
use crate::sys::host::RealHost;
use crate::sys::memory;

impl Reactor {
    /// Has the disk worker read the configuration; several requests at once become one.
    pub(super) fn reload(&mut self) {
        if self.core.phase() != Phase::Running {
            // The core says that it is too late.
            self.inputs.push_back(Input::Signal(Signal::HUP));
            return;
        }
        if std::mem::replace(&mut self.loading, true) {
            self.load_again = true;
            return;
        }
        let options = self.options.clone();
        let file = self.settings.file.clone();
        self.disk.run(Box::new(move || {
            Job::Loaded(Box::new(config::load(&options.load_request(file), &RealHost)))
        }));
    }

    /// Takes in a configuration that was read: a bad one changes nothing.
    pub(super) fn loaded(&mut self, loaded: Loaded) {
        self.loading = false;
        if std::mem::take(&mut self.load_again) {
            self.reload();
            return;
        }
        for diagnostic in &loaded.diagnostics {
            let level = if diagnostic.is_error() { Level::Error } else { Level::Warn };
            self.log(level, &diagnostic.to_string());
        }
        match loaded.settings {
            Some(settings) => {
                self.next_settings = Some(settings);
                self.inputs.push_back(Input::Signal(Signal::HUP));
            }
            None => {
                self.log(Level::Error, "the configuration cannot be used, see above; nothing was changed")
            }
        }
    }

    /// Everything is stopped: puts the waiting configuration in force.
    pub(super) fn begin_anew(&mut self) {
        let Some(mut settings) = self.next_settings.take().or_else(|| Some(self.settings.clone())) else {
            return;
        };
        // What cannot change while the process lives stays as it is.
        settings.daemon.nodaemon = self.settings.daemon.nodaemon;
        let header = self.core.header();
        auto_logs::clean(self, &settings);
        auto_logs::make(self, &mut settings);
        self.reopen_main_log(&settings);
        self.settings = settings;
        self.common.server_url = self.settings.daemon.serverurl.clone();
        if self.activate(Some(&header)).is_err() {
            self.log(
                Level::Critical,
                "cannot keep the new configuration: a death of the reactor would lose it",
            );
        }
        let keeper = self.keeper;
        if let Err(error) = super::pidfile::write(&self.settings.daemon.pidfile, keeper) {
            self.log(Level::Critical, &format!("could not write pidfile: {error}"));
        }
        self.log(Level::Info, &format!("supervisord started with pid {keeper}"));
        self.inputs.push_back(Input::Boot);
        memory::trim();
    }

    fn reopen_main_log(&mut self, settings: &crate::model::spec::Settings) {
        let old = &self.settings.daemon;
        let new = &settings.daemon;
        if old.pidfile != new.pidfile {
            super::pidfile::remove(&old.pidfile, self.keeper);
        }
        let sink = super::boot::main_log_sink(new);
        let sink = self.disk.open(sink);
        self.activity.set_level(new.loglevel);
        self.disk.close(std::mem::replace(&mut self.main_log, sink));
    }
}
