//! Answers of the daemon as what they mean, instead of values with members.
//!
//! A member that is missing is empty, as of a daemon that is younger or older. Example:
//! `processes(&value)?` are the rows of `status`.

use super::trouble::Trouble;
use crate::api::names::join;
use crate::api::xmlrpc::Value;
use crate::model::State;

/// A process, as `getAllProcessInfo` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    /// Its group.
    pub(super) group: String,
    /// Its name in the group.
    pub(super) name: String,
    /// The state's number.
    pub(super) state: i64,
    /// The state's name.
    pub(super) state_name: String,
    /// What there is to say about the state.
    pub(super) description: String,
    /// 0 when it does not run.
    pub(super) pid: i64,
}

impl Process {
    /// Returns the process of a value.
    pub(super) fn of(value: &Value) -> Process {
        Process {
            group: text(value, "group"),
            name: text(value, "name"),
            state: number(value, "state"),
            state_name: text(value, "statename"),
            description: text(value, "description"),
            pid: number(value, "pid"),
        }
    }

    /// Returns the state, unless it is none of supervisord's.
    pub(super) fn state(&self) -> Option<State> {
        u16::try_from(self.state).ok().and_then(State::by_code)
    }

    /// Returns the name that is shown.
    pub(super) fn namespec(&self) -> String {
        join(&self.group, &self.name)
    }
}

/// What became of one process when something was asked of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The name that is shown.
    pub(super) namespec: String,
    /// A fault's number, or that of success.
    pub(super) status: i32,
    /// The fault's text.
    pub(super) text: String,
}

impl Outcome {
    fn of(value: &Value) -> Outcome {
        Outcome {
            namespec: join(&text(value, "group"), &text(value, "name")),
            status: i32::try_from(number(value, "status")).unwrap_or_default(),
            text: text(value, "description"),
        }
    }
}

/// A process of the configuration, as `getAllConfigInfo` tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Configured {
    /// The name that is shown.
    pub(super) namespec: String,
    /// Whether its group is in force.
    pub(super) in_use: bool,
    /// Whether it is started by itself.
    pub(super) autostart: bool,
    /// The priority of its group and its own.
    pub(super) priorities: (i64, i64),
}

impl Configured {
    fn of(value: &Value) -> Configured {
        Configured {
            namespec: join(&text(value, "group"), &text(value, "name")),
            in_use: truth(value, "inuse"),
            autostart: truth(value, "autostart"),
            priorities: (number(value, "group_prio"), number(value, "process_prio")),
        }
    }
}

/// What a new configuration would change, as `reloadConfig` tells: names of groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// New ones.
    pub(super) added: Vec<String>,
    /// Those that are different.
    pub(super) changed: Vec<String>,
    /// Those that are gone.
    pub(super) removed: Vec<String>,
}

/// Reads a list of processes.
pub(super) fn processes(value: &Value) -> Result<Vec<Process>, Trouble> {
    Ok(items(value)?.iter().map(Process::of).collect())
}

/// Reads a list of outcomes.
pub(super) fn outcomes(value: &Value) -> Result<Vec<Outcome>, Trouble> {
    Ok(items(value)?.iter().map(Outcome::of).collect())
}

/// Reads a list of configured processes.
pub(super) fn configured(value: &Value) -> Result<Vec<Configured>, Trouble> {
    Ok(items(value)?.iter().map(Configured::of).collect())
}

/// Reads what would change: a list that holds one list of three lists.
pub(super) fn changes(value: &Value) -> Result<Changes, Trouble> {
    let lists: Vec<Vec<String>> = match items(value)? {
        [one] => items(one)?.iter().map(names).collect::<Result<_, _>>()?,
        _ => Vec::new(),
    };
    match <[Vec<String>; 3]>::try_from(lists) {
        Ok([added, changed, removed]) => Ok(Changes { added, changed, removed }),
        Err(_) => Err(unexpected()),
    }
}

fn names(value: &Value) -> Result<Vec<String>, Trouble> {
    Ok(items(value)?.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn items(value: &Value) -> Result<&[Value], Trouble> {
    value.as_array().ok_or_else(unexpected)
}

fn unexpected() -> Trouble {
    Trouble::Other("the answer has another shape than supervisord's".to_owned())
}

fn text(value: &Value, name: &str) -> String {
    value.member(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn number(value: &Value, name: &str) -> i64 {
    value.member(name).and_then(Value::as_int).unwrap_or_default()
}

fn truth(value: &Value, name: &str) -> bool {
    value.member(name).and_then(Value::as_bool).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_nested_twice() {
        let list = |names: &[&str]| Value::Array(names.iter().map(|name| Value::from(*name)).collect());
        let value = Value::Array(vec![Value::Array(vec![list(&["a"]), list(&[]), list(&["b", "c"])])]);
        let expected = Changes {
            added: vec!["a".to_owned()],
            changed: Vec::new(),
            removed: vec!["b".to_owned(), "c".to_owned()],
        };
        assert_eq!(changes(&value).ok(), Some(expected));
        for wrong in [Value::Int(1), list(&[]), Value::Array(vec![list(&["a"])])] {
            assert!(changes(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_missing_is_empty() {
        let value = Value::from([("group", "g".into()), ("name", "p".into()), ("state", 20.into())]);
        let process = Process::of(&value);
        assert_eq!((process.namespec().as_str(), process.state, process.pid), ("g:p", 20, 0));
        assert_eq!(process.description, "");
    }
}
