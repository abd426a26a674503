//! What visord promises, each promise shown on real programs.

mod child;
mod container;
mod crowd;
mod environment;
mod events;
mod fcgi;
mod freezing;
mod history;
mod idle;
mod keeper_death;
mod lifecycle;
mod listeners;
mod pid1;
mod portable;
mod reactor_death;
mod restarts;
mod rotation;
mod services;
mod settings;
mod stopping;
mod upstream;
