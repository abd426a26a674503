//! The core in thousands of imagined machines.
//!
//! A seed makes a configuration and a world: programs that crash, hang, ignore signals and leave children behind, a
//! keeper that answers late, a machine without free processes, clients that ask for anything at any time, reactors
//! that are killed between any two actions. After every step the invariants of `check.rs` hold.
//!
//! `VISOR_SIM_SEED=7 cargo test --test sim` runs one seed, `VISOR_SIM_SEEDS` sets how many, `VISOR_SIM_STEPS` how
//! long. A failure prints the seed, the step and the last acts.

#[path = "sim/check.rs"]
mod check;
#[path = "sim/fleet.rs"]
mod fleet;
#[path = "sim/kernel.rs"]
mod kernel;
#[path = "sim/program.rs"]
mod program;
#[path = "sim/rng.rs"]
mod rng;
#[path = "sim/talk.rs"]
mod talk;
#[path = "sim/world.rs"]
mod world;

use world::{Twist, World};

/// Seeds of a normal test run.
const SEEDS: u64 = 256;

/// Steps of each seed.
const STEPS: u64 = 2000;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Lives through a world; returns its trace, or at which step what went wrong.
fn live(seed: u64, steps: u64, twist: Twist, is_verbose: bool) -> Result<u64, (u64, String, Vec<String>)> {
    let mut world = World::new(seed, twist, is_verbose).map_err(|error| (0, error, Vec::new()))?;
    for step in 0..steps {
        world.step().map_err(|error| (step, error, world.acts.iter().cloned().collect()))?;
    }
    let trace = world.trace();
    world.shut_down().map_err(|error| (steps, error, world.acts.iter().cloned().collect()))?;
    Ok(trace)
}

/// Lives through a world, and again with every act written down when something is wrong.
fn must_live(seed: u64, steps: u64, twist: Twist) -> u64 {
    live(seed, steps, twist, false).unwrap_or_else(|_| {
        let (step, error, acts) = live(seed, steps, twist, true).err().unwrap_or_default();
        panic!("VISOR_SIM_SEED={seed} fails at step {step}: {error}\nthe last acts:\n{}", acts.join("\n"))
    })
}

fn each_seed(count: u64, check: impl Fn(u64) + Sync) {
    if let Ok(seed) = std::env::var("VISOR_SIM_SEED") {
        return check(seed.parse().expect("VISOR_SIM_SEED is a number"));
    }
    let count = number("VISOR_SIM_SEEDS", count);
    std::thread::scope(|scope| {
        for half in 0..2 {
            let check = &check;
            scope.spawn(move || (0..count).filter(|seed| seed % 2 == half).for_each(check));
        }
    });
}

#[test]
fn invariants_hold_in_every_world() {
    let twist = Twist { snapshots: true, wall_jumps: true, keeper_deaths: true, ticks: true };
    each_seed(SEEDS, |seed| {
        must_live(seed, number("VISOR_SIM_STEPS", STEPS), twist);
    });
}

#[test]
fn everything_happens_in_some_world() {
    let mut missing = check::everything();
    for seed in 0..64 {
        let twist = Twist { snapshots: true, wall_jumps: true, keeper_deaths: true, ticks: true };
        let mut world = World::new(seed, twist, false).expect("the world begins");
        world.ledger.seen = Some(check::Seen::from(["Boot".to_owned()]));
        for _ in 0..STEPS {
            world.step().expect("invariants hold");
        }
        world.shut_down().expect("the end comes");
        for seen in world.ledger.seen.take().into_iter().flatten() {
            missing.remove(&seen);
        }
        if missing.is_empty() {
            return;
        }
    }
    panic!("never seen: {missing:?}");
}

#[test]
fn the_same_seed_gives_the_same_history() {
    each_seed(8, |seed| {
        let twist = Twist { keeper_deaths: true, ..Twist::default() };
        assert_eq!(must_live(seed, STEPS, twist), must_live(seed, STEPS, twist), "seed {seed}");
        assert_ne!(must_live(seed, STEPS, twist), must_live(seed + 1, STEPS, twist), "seed {seed}");
    });
}

/// Without deaths of the keeper: after one, a core that was restored asks again for what its workers owe it.
#[test]
fn nobody_notices_a_restored_snapshot() {
    each_seed(8, |seed| {
        let twist = Twist { snapshots: true, ..Twist::default() };
        assert_eq!(must_live(seed, STEPS, twist), must_live(seed, STEPS, Twist::default()), "seed {seed}");
    });
}

/// Without ticks, which follow it.
#[test]
fn no_rule_looks_at_the_wall_clock() {
    each_seed(8, |seed| {
        let twist = Twist { wall_jumps: true, ..Twist::default() };
        assert_eq!(must_live(seed, STEPS, twist), must_live(seed, STEPS, Twist::default()), "seed {seed}");
    });
}
