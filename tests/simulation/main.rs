//! A deterministic simulation of the core: whole requests through the router of one or two processes, over a store in memory
//! whose every answer is a decision of a seeded schedule.
//!
//! The schedule is our own, in the port of the store (`server.rs`). A call arrives, is executed, and is answered, each at
//! a step of its own; any other call may come between. A call may fail before it is executed, or its answer may be lost.
//! Changes reach the feeds late, or are lost, or the feed breaks. Clients leave, and processes die with everything that they
//! had in memory. The application needs nothing else that is not deterministic: each process is a runtime of one
//! thread, and nothing in a run waits for time to pass. So neither a patched runtime (`madsim`), whose driver and
//! HTTP library would need patches too, nor a simulated network (`turmoil`) is needed: the network here is the
//! port. The time of the runtime is not paused, because that takes a feature of `tokio` that every build would have: the
//! schedule has no call wait for a time (a lease that someone waits for is granted when it is free), so no timer
//! of the application ends. The shortest, of a sign-in, may end on a busy machine, so nothing else happens beside a sign-in.
//!
//! A seed repeats exactly. `SIM_SEED=7` runs one seed and prints what happens; `SIM_STEPS=1000000` scales the run.

/// The properties.
mod checks;
/// The content of the store, at each step.
mod history;
/// Processes of the application.
mod process;
/// Requests and answers.
mod requests;
/// Random numbers.
mod rng;
/// The store, and the schedule of its calls.
mod server;
/// Runs.
mod world;

use std::env;

use world::{Base, Outcome, Tally, run};

/// The number of steps of a default run.
const STEPS: usize = 100_000;
/// The number of steps of a seed until it takes no new requests.
const STEPS_PER_SEED: usize = 400;

fn number(name: &str) -> Option<usize> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn properties_hold_on_random_schedules() {
    let base = Base::new();
    if let Some(seed) = number("SIM_SEED") {
        let steps = number("SIM_STEPS").unwrap_or(STEPS_PER_SEED);
        let outcome = run(&base, seed as u64, steps, true);
        println!("{}", outcome.trace.unwrap_or_default());
        assert!(outcome.violation.is_none(), "seed {seed}: {}", outcome.violation.unwrap_or_default());
        return;
    }
    let (wanted, mut steps, mut tally) = (number("SIM_STEPS").unwrap_or(STEPS), 0, Tally::new());
    let mut seed = 0;
    while steps < wanted {
        let outcome = run(&base, seed, STEPS_PER_SEED, false);
        if let Some(violation) = outcome.violation {
            report(&base, seed, steps + outcome.steps, &violation);
        }
        steps += outcome.steps;
        for (what, count) in outcome.tally {
            *tally.entry(what).or_default() += count;
        }
        seed += 1;
    }
    println!("{steps} steps of {seed} seeds: {tally:?}");
    // What never comes up is not tested.
    for what in [
        "stories list 200 hit",
        "stories list 200 stale",
        "stories show 301",
        "stories show 404",
        "stories update 412",
        "stories update 503 unknown",
        "sections update 200",
        "stories restore 200",
        "canceled",
        "changes lost",
        "crashes",
    ] {
        assert!(tally.contains_key(what), "{what} never came up: {tally:?}");
    }
}

/// Fails with the shortest prefix of a seed that fails.
fn report(base: &Base, seed: u64, steps: usize, violation: &str) -> ! {
    // At once, since the search may take longer than a test may.
    eprintln!("after {steps} steps in all: SIM_SEED={seed}: {violation}");
    let prefixes = (0..=STEPS_PER_SEED).map(|prefix| (prefix, run(base, seed, prefix, true)));
    let shortest = prefixes.into_iter().find(|(_, outcome)| outcome.violation.is_some());
    let (prefix, Outcome { trace, violation, .. }) =
        shortest.unwrap_or_else(|| panic!("seed {seed}: {violation}; it was not repeated"));
    panic!(
        "{}\n{}\nSIM_SEED={seed} SIM_STEPS={prefix} repeats it",
        trace.unwrap_or_default(),
        violation.unwrap_or_default(),
    );
}

#[test]
fn a_seed_repeats_exactly() {
    let base = Base::new();
    let mut hashes = Vec::new();
    for seed in 0..12 {
        let [one, other] = [(); 2].map(|()| run(&base, seed, STEPS_PER_SEED, false));
        assert_eq!((one.hash, one.steps, one.tally), (other.hash, other.steps, other.tally), "seed {seed}");
        hashes.push(one.hash);
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 12, "seeds differ");
}
