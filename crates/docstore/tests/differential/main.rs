//! Runs the same random operations on both engines, with a real `mongod` as the oracle: equal results, equal errors and,
//! at the end, byte-identical documents. Then on the engine in memory, with the embedded store as the oracle.
//!
//! `DIFFERENTIAL_CASES` sets the number of sequences (of about fifty operations each), `DIFFERENTIAL_SEED` the random
//! seed; runs with the same seed are identical.

use std::env;

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use testkit::{Engine, Target};

use crate::apply::Tally;

/// Execution and comparison of operations.
mod apply;
/// Random operations.
mod generate;
/// Sequences in which the engines once differed.
mod regressions;
/// Random values from a small set, so that they collide often.
mod values;

const CASES: u32 = 220;
/// Minimum number of operations in a default run.
const LEAST: u64 = 10_000;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn engines_agree() {
    testkit::on(Engine::Mongo, |target| async move {
        compare("differential test", CASES, &apply::Pair::open(&target).await).await;
    });
}

#[test]
fn engine_in_memory_agrees_with_embedded_store() {
    testkit::on(Engine::Embedded, |target| async move {
        compare("differential test in memory", CASES, &apply::Pair::in_memory(&target).await).await;
    });
}

/// Runs random sequences on both engines of a pair and asserts that they agree.
async fn compare(test: &str, default_cases: u32, pair: &apply::Pair) {
    let cases = number("DIFFERENTIAL_CASES").map(|n| u32::try_from(n).expect("fewer cases"));
    let seed = number("DIFFERENTIAL_SEED").unwrap_or(1);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: cases.unwrap_or(default_cases),
        failure_persistence: None,
        // Shrinking is done below: removing operations helps more than smaller values.
        max_shrink_iters: 0,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let tally = Tally::default();
    let outcome = tokio::task::block_in_place(|| {
        runner.run(&generate::sequence(), |sequence| {
            let run = pair.run(&sequence, &tally);
            tokio::runtime::Handle::current().block_on(run).map_err(TestCaseError::fail)
        })
    });
    let summary = format!("{test}: seed {seed}, {tally}");
    println!("{summary}");
    testkit::record::note(&summary);
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(_, sequence)) => {
            let (sequence, difference) = pair.least(sequence).await;
            let ops: String = sequence.iter().fold(String::new(), |text, op| text + &format!("\n  {op:?}"));
            panic!("the engines differ: {difference}\nthe least sequence that was found:{ops}");
        }
        Err(TestError::Abort(reason)) => panic!("no sequences: {reason}"),
    }
    if cases.is_none() {
        assert!(tally.operations() >= LEAST, "too few operations: {tally}");
        for class in ["DuplicateKey", "Inapplicable", "Invalid", "TransactionEnded", "IndexConflict"] {
            assert!(tally.failures(class) > 0, "{class} never came up: {tally}");
        }
    }
}

/// Runs a fixed sequence and asserts that the engines agree.
fn agree(sequence: impl FnOnce() -> Vec<generate::Op> + Send + 'static) {
    testkit::on(Engine::Mongo, |target: std::sync::Arc<Target>| async move {
        let pair = apply::Pair::open(&target).await;
        pair.run(&sequence(), &Tally::default()).await.unwrap_or_else(|difference| panic!("{difference}"));
    });
}
