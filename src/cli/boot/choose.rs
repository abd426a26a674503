//! Putting a way into force: the best that works, checked, and then the only one.
//!
//! Example: `enable(&machine, None)` tries one way after the other and returns the first that is in force.

use super::machine::Machine;
use super::survey::{choices, survey};
use super::{Method, Standing, Starts, Way, ways};

/// What is in force now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enabled {
    /// By which way.
    pub method: Method,
    /// How people call it.
    pub title: String,
    /// When it starts visord.
    pub starts: Starts,
    /// Whether it was in force before, just like this.
    pub was_before: bool,
    /// What the user should know of it.
    pub remark: Option<String>,
    /// Better ways that did not work, and why.
    pub refused: Vec<(Method, String)>,
    /// Other ways that were in use and are not any more.
    pub replaced: Vec<Method>,
}

/// Puts this way into force, or the best that works.
///
/// # Errors
/// Why none works: a line for each that was tried.
pub fn enable(machine: &Machine, wanted: Option<Method>) -> Result<Enabled, Vec<(Method, String)>> {
    let rows = survey(machine);
    let mut refused: Vec<(Method, String)> = Vec::new();
    let methods: Vec<Method> = match wanted {
        Some(method) => vec![method],
        None => {
            let best_first = choices(&rows);
            let impossible = rows.iter().filter(|row| !row.possible);
            refused.extend(impossible.map(|row| (row.method, row.text.clone())));
            best_first.iter().map(|row| row.method).collect()
        }
    };
    // What was found impossible at once is told only when nothing else is left.
    let told_before = refused.len();
    for way in methods.iter().filter_map(|method| way(*method)) {
        match try_one(way, machine, wanted.is_some()) {
            Ok(enabled) => {
                let refused = refused.split_off(told_before);
                let replaced = disable_others(machine, way.method());
                return Ok(Enabled { refused, replaced, ..enabled });
            }
            Err(why) => refused.push((way.method(), why)),
        }
    }
    Err(refused)
}

fn way(method: Method) -> Option<&'static dyn Way> {
    ways().into_iter().find(|way| way.method() == method)
}

/// Puts one way into force and looks whether it is.
fn try_one(way: &dyn Way, machine: &Machine, insist: bool) -> Result<Enabled, String> {
    way.offers(machine)?;
    let was_before = matches!(way.standing(machine), Standing::InForce(_));
    if !was_before || insist {
        way.enable(machine, insist)?;
    }
    let starts = match way.standing(machine) {
        Standing::InForce(starts) => starts,
        Standing::Broken(why) => return Err(why),
        Standing::Off => return Err("it was installed and is not there".to_owned()),
    };
    let (title, remark) = (way.title(machine), way.remark(machine));
    let (refused, replaced) = (Vec::new(), Vec::new());
    Ok(Enabled { method: way.method(), title, starts, was_before, remark, refused, replaced })
}

/// Takes ways out of force: this one, or all that are there. Returns which they were.
///
/// # Errors
/// What is left, and why.
pub fn disable(machine: &Machine, wanted: Option<Method>) -> Result<Vec<Method>, Vec<(Method, String)>> {
    let (mut disabled, mut left) = (Vec::new(), Vec::new());
    for way in ways().iter().filter(|way| wanted.is_none_or(|wanted| way.method() == wanted)) {
        match way.disable(machine) {
            Ok(true) => disabled.push(way.method()),
            Ok(false) => {}
            // A foreign file in the place of ours is nothing of ours that is left.
            Err(_) if matches!(way.standing(machine), Standing::Off) && wanted.is_none() => {}
            Err(why) => left.push((way.method(), why)),
        }
    }
    if left.is_empty() { Ok(disabled) } else { Err(left) }
}

/// Takes the other ways out of force: two of them would only race. One that cannot be taken away is shown by
/// `boot status`.
fn disable_others(machine: &Machine, kept: Method) -> Vec<Method> {
    let others = ways().into_iter().filter(|way| way.method() != kept);
    others.filter(|way| way.disable(machine) == Ok(true)).map(|way| way.method()).collect()
}
