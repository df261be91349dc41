/// Properties of every graph and ledger.
mod properties;

use std::collections::BTreeSet;

use bson::DateTime;

use super::*;
use crate::graph::NodeSpec;
use crate::graph::tests::{dag, spec};
use crate::{Error, GraphError};

fn situation<'a>(dag: &'a Dag, ledger: &'a Entries) -> PlanInput<'a> {
    PlanInput { dag, ledger, contexts: &[], held: true }
}

/// A plan, or the debug text of the error, which can be compared.
type Planned = Result<Vec<Action>, String>;

fn up(dag: &Dag, ledger: &Entries, mode: UpMode) -> Planned {
    up_to(dag, ledger, mode, UpGoal::All)
}

fn up_to(dag: &Dag, ledger: &Entries, mode: UpMode, goal: UpGoal) -> Planned {
    planned(situation(dag, ledger), mode, goal)
}

fn planned(input: PlanInput<'_>, mode: UpMode, goal: UpGoal) -> Planned {
    up_actions(input, &PlanRequest { mode, goal }).map_err(|error| format!("{error:?}"))
}

fn refused(error: impl Into<Error>) -> Planned {
    Err(format!("{:?}", error.into()))
}

fn failed(undo: bool, error: &str) -> Planned {
    let (id, error) = ("0002_b".to_owned(), error.to_owned());
    refused(Error::NeedsRepair { id, undo, step: None, error, at: None, counts: Vec::new() })
}

fn unknown_dependents() -> Planned {
    refused(Error::UnknownDependents { id: "0001_a".into(), dependents: vec!["0009_z".into()] })
}

fn down(dag: &Dag, ledger: &Entries) -> Planned {
    down_to(dag, ledger, DownGoal::Steps(1))
}

#[expect(clippy::needless_pass_by_value, reason = "tests write the goal in place")]
fn down_to(dag: &Dag, ledger: &Entries, goal: DownGoal) -> Planned {
    let order = down_order(situation(dag, ledger), &goal).map_err(|error| format!("{error:?}"))?;
    Ok(order.into_iter().map(Action::Undo).collect())
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what the planner returns")]
fn applies(list: &[usize]) -> Planned {
    Ok(list.iter().map(|&at| Action::Apply(at)).collect())
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what the planner returns")]
fn undoes(list: &[usize]) -> Planned {
    Ok(list.iter().map(|&at| Action::Undo(at)).collect())
}

fn entry(id: &str, state: State, at: i64) -> (String, LedgerEntry) {
    let mut entry = LedgerEntry::new(id, state, Source::Native);
    entry.applied_at = Some(DateTime::from_millis(at));
    (id.to_owned(), entry)
}

fn ledger(list: &[(&str, State, i64)]) -> Entries {
    list.iter().map(|(id, state, at)| entry(id, *state, *at)).collect()
}

fn chain() -> Dag {
    dag(&[("0001_a", &[]), ("0002_b", &["0001_a"]), ("0003_c", &["0002_b"])]).unwrap()
}

#[test]
fn start_does_not_retry_a_failure_and_an_operator_does() {
    let ledger = ledger(&[("0001_a", State::Applied, 1), ("0002_b", State::Failed, 2)]);
    assert_eq!(up(&chain(), &ledger, UpMode::Start), failed(false, ""));
    assert_eq!(up(&chain(), &ledger, UpMode::Operator), Ok(vec![Action::Apply(1), Action::Apply(2)]));
}

#[test]
fn interrupted_run_resumes_after_interrupted_rollbacks_are_finished() {
    let running = ledger(&[("0001_a", State::Applied, 1), ("0002_b", State::Running, 2)]);
    let both = Ok(vec![Action::Apply(1), Action::Apply(2)]);
    assert_eq!(up(&chain(), &running, UpMode::Start), both);
    assert_eq!(down(&chain(), &running), Ok(vec![Action::Undo(1)]));

    let mut undoing = ledger(&[("0001_a", State::Applied, 1), ("0002_b", State::RollingBack, 2)]);
    let finish = Ok(vec![Action::Undo(1), Action::Apply(1), Action::Apply(2)]);
    assert_eq!(up(&chain(), &undoing, UpMode::Start), finish);
    assert_eq!(down(&chain(), &undoing), Ok(vec![Action::Undo(1)]));
    undoing.get_mut("0002_b").unwrap().error = Some("no".into());
    assert_eq!(up(&chain(), &undoing, UpMode::Start), failed(true, "no"));
    assert_eq!(up(&chain(), &undoing, UpMode::Operator), finish);
}

#[test]
fn down_rolls_back_the_latest_migration_without_applied_dependents() {
    let forked = dag(&[
        ("0001_a", &[]),
        ("0002_b", &["0001_a"]),
        ("0003_c", &["0001_a"]),
        ("0004_d", &["0002_b", "0003_c"]),
    ])
    .unwrap();
    // Applied later than 0003, although its number is lower; odd dates of 0001 do not matter.
    let all = ledger(&[
        ("0001_a", State::Applied, 99),
        ("0002_b", State::Applied, 30),
        ("0003_c", State::Applied, 20),
    ]);
    assert_eq!(down(&forked, &all), Ok(vec![Action::Undo(1)]));
    assert_eq!(down(&forked, &Entries::new()), Ok(vec![]));
}

#[test]
fn down_is_refused_while_an_unknown_migration_depends_on_it() {
    let mut ledger = ledger(&[("0001_a", State::Applied, 1), ("0009_z", State::Applied, 9)]);
    ledger.get_mut("0009_z").unwrap().depends_on = vec!["0001_a".into()];
    assert_eq!(down(&chain(), &ledger), unknown_dependents());
    ledger.get_mut("0009_z").unwrap().state = State::RolledBack;
    assert_eq!(down(&chain(), &ledger), Ok(vec![Action::Undo(0)]));
}

#[test]
fn up_to_target_applies_its_dependencies_only() {
    let forked = dag(&[
        ("0001_a", &[]),
        ("0002_b", &["0001_a"]),
        ("0003_c", &["0001_a"]),
        ("0004_d", &["0003_c"]),
        ("0005_e", &["0002_b", "0004_d"]),
    ])
    .unwrap();
    let none = Entries::new();
    let goal = |goal| up_to(&forked, &none, UpMode::Operator, goal);
    assert_eq!(goal(UpGoal::To(3)), applies(&[0, 2, 3]));
    assert_eq!(goal(UpGoal::Steps(2)), applies(&[0, 1]));
    assert_eq!(goal(UpGoal::Steps(0)), applies(&[]));
    assert_eq!(goal(UpGoal::Steps(9)), applies(&[0, 1, 2, 3, 4]));
    let some = ledger(&[("0001_a", State::Applied, 1), ("0002_b", State::Applied, 2)]);
    assert_eq!(up_to(&forked, &some, UpMode::Start, UpGoal::To(1)), applies(&[]));
    assert_eq!(up_to(&forked, &some, UpMode::Start, UpGoal::Steps(1)), applies(&[2]));
}

#[test]
fn several_heads_block_up_unless_a_target_is_named() {
    let forked = dag(&[("0001_a", &[]), ("0002_b", &["0001_a"]), ("0003_c", &["0001_a"])]).unwrap();
    let none = Entries::new();
    for goal in [UpGoal::All, UpGoal::Steps(1)] {
        assert_eq!(
            up_to(&forked, &none, UpMode::Operator, goal),
            refused(GraphError::SeveralHeads(vec!["0002_b".into(), "0003_c".into()]))
        );
    }
    assert_eq!(up_to(&forked, &none, UpMode::Operator, UpGoal::To(1)), applies(&[0, 1]));
    let all = ledger(&[("0001_a", State::Applied, 1), ("0003_c", State::Applied, 2)]);
    assert_eq!(down(&forked, &all), undoes(&[2]));
}

#[test]
fn migration_outside_the_context_is_not_pending_and_can_be_rolled_back() {
    let within = |id: &str, deps: &[&str], context: &str| NodeSpec {
        contexts: vec![context.into()],
        ..spec(id, deps)
    };
    let list = [spec("0001_a", &[]), within("0002_b", &["0001_a"], "demo"), spec("0003_c", &["0001_a"])];
    let dag = Dag::new(&list).unwrap();
    let none = Entries::new();
    assert_eq!(up(&dag, &none, UpMode::Start), applies(&[0, 2]));
    let not_here = Error::NotInContext { id: "0002_b".into(), needs: vec!["demo".into()], has: vec![] };
    assert_eq!(up_to(&dag, &none, UpMode::Start, UpGoal::To(1)), refused(not_here));
    let demo = ["demo".to_owned()];
    let there = PlanInput { contexts: &demo, ..situation(&dag, &none) };
    assert_eq!(planned(there, UpMode::Start, UpGoal::All), applies(&[0, 1, 2]));
    assert_eq!(planned(there, UpMode::Start, UpGoal::To(1)), applies(&[0, 1]));
    let all = ledger(&[
        ("0001_a", State::Applied, 1),
        ("0002_b", State::Applied, 3),
        ("0003_c", State::Applied, 2),
    ]);
    assert_eq!(down(&dag, &all), undoes(&[1]));
    // An interrupted run of another graph is not resumed here.
    let half = ledger(&[("0001_a", State::Applied, 1), ("0002_b", State::Failed, 3)]);
    assert_eq!(up(&dag, &half, UpMode::Start), applies(&[2]));
}

#[test]
fn out_of_order_migration_is_applied_if_independent() {
    let touching = |mine: &[&str], theirs: &[&str], anyway: bool| {
        let touches = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect();
        let list = [
            spec("0001_a", &[]),
            NodeSpec { touches: touches(mine), out_of_order: anyway, ..spec("0002_b", &["0001_a"]) },
            NodeSpec { touches: touches(theirs), ..spec("0003_c", &["0001_a"]) },
            spec("0004_d", &["0002_b", "0003_c"]),
        ];
        let ledger = ledger(&[("0001_a", State::Applied, 1), ("0003_c", State::Applied, 2)]);
        up(&Dag::new(&list).unwrap(), &ledger, UpMode::Start)
    };
    let late = |shared: &[&str]| {
        let shared = shared.iter().map(|&name| name.to_owned()).collect();
        refused(Error::OutOfOrder { late: "0002_b".into(), applied: "0003_c".into(), shared })
    };
    assert_eq!(touching(&["x"], &["y", "z"], false), applies(&[1, 3]));
    assert_eq!(touching(&["x", "y"], &["y", "z"], false), late(&["y"]));
    for (mine, theirs) in [(&[][..], &["y"][..]), (&["x"], &[]), (&[], &[])] {
        assert_eq!(touching(mine, theirs, false), late(&[]));
    }
    assert_eq!(touching(&["y"], &["y"], true), applies(&[1, 3]));
}

#[test]
fn newer_ledger_is_accepted_unless_it_breaks_older() {
    let newer = |state, breaks| {
        let mut entries = ledger(&[("0001_a", State::Applied, 1), ("0009_z", state, 9)]);
        entries.get_mut("0009_z").unwrap().breaks_older = breaks;
        up(&chain(), &entries, UpMode::Start)
    };
    assert_eq!(newer(State::Applied, false), applies(&[1, 2]));
    for state in [State::Applied, State::Running, State::Failed, State::RollingBack] {
        assert_eq!(newer(state, true), refused(Error::ProgramTooOld(vec!["0009_z".into()])));
    }
    assert_eq!(newer(State::RolledBack, true), applies(&[1, 2]));
}

#[test]
fn manual_recovery_waits_for_a_decision() {
    let manual = NodeSpec { manual: true, ..spec("0002_b", &["0001_a"]) };
    let dag = Dag::new(&[spec("0001_a", &[]), manual]).unwrap();
    let stuck = |state, retry| {
        let mut entries = ledger(&[("0001_a", State::Applied, 1), ("0002_b", state, 2)]);
        entries.get_mut("0002_b").unwrap().retry = retry;
        entries
    };
    for mode in [UpMode::Start, UpMode::Operator] {
        for state in [State::Running, State::Interrupted] {
            let decide = Error::DecisionRequired { id: "0002_b".into(), counts: Vec::new() };
            assert_eq!(up(&dag, &stuck(state, false), mode), refused(decide));
            assert_eq!(up(&dag, &stuck(state, true), mode), applies(&[1]));
        }
        assert_eq!(up(&dag, &stuck(State::Failed, true), mode), applies(&[1]));
    }
    // Somebody may be running it.
    let running = stuck(State::Running, false);
    let looking = PlanInput { held: false, ..situation(&dag, &running) };
    assert_eq!(planned(looking, UpMode::Start, UpGoal::All), applies(&[1]));
    assert_eq!(down(&dag, &stuck(State::Interrupted, false)), undoes(&[1]));
    // The others go on by themselves.
    let chain = ledger(&[("0001_a", State::Applied, 1), ("0002_b", State::Interrupted, 2)]);
    assert_eq!(up(&self::chain(), &chain, UpMode::Start), applies(&[1, 2]));
}

#[test]
fn down_includes_dependents_of_its_goal() {
    let forked =
        dag(&[("0001_a", &[]), ("0002_b", &["0001_a"]), ("0003_c", &["0001_a"]), ("0004_d", &["0002_b"])])
            .unwrap();
    let mut all = ledger(&[
        ("0001_a", State::Applied, 1),
        ("0002_b", State::Applied, 2),
        ("0003_c", State::Applied, 3),
        ("0004_d", State::Applied, 4),
    ]);
    for (id, run) in [("0001_a", "r1"), ("0002_b", "r2"), ("0003_c", "r2"), ("0004_d", "r3")] {
        all.get_mut(id).unwrap().applied_run = Some(run.into());
    }
    assert_eq!(down_to(&forked, &all, DownGoal::To(1)), undoes(&[3]));
    assert_eq!(down_to(&forked, &all, DownGoal::To(0)), undoes(&[3, 2, 1]));
    assert_eq!(down_to(&forked, &all, DownGoal::To(3)), undoes(&[]));
    assert_eq!(down_to(&forked, &all, DownGoal::One(1)), undoes(&[3, 1]));
    assert_eq!(down_to(&forked, &all, DownGoal::Steps(3)), undoes(&[3, 2, 1]));
    assert_eq!(down_to(&forked, &all, DownGoal::Steps(9)), undoes(&[3, 2, 1, 0]));
    assert_eq!(down_to(&forked, &all, DownGoal::All), undoes(&[3, 2, 1, 0]));
    assert_eq!(down_to(&forked, &all, DownGoal::Run("r2".into())), undoes(&[3, 2, 1]));
    assert_eq!(down_to(&forked, &all, DownGoal::Run("r3".into())), undoes(&[3]));
    assert_eq!(down_to(&forked, &all, DownGoal::Run("r9".into())), undoes(&[]));
    // What another tool applied is of no run of ours.
    all.get_mut("0003_c").unwrap().source = Source::Imported;
    assert_eq!(down_to(&forked, &all, DownGoal::Run("r2".into())), undoes(&[3, 1]));
}

#[test]
fn down_past_an_unknown_dependent_is_refused() {
    let mut ledger = ledger(&[
        ("0001_a", State::Applied, 1),
        ("0002_b", State::Applied, 2),
        ("0009_z", State::Applied, 9),
    ]);
    ledger.get_mut("0009_z").unwrap().depends_on = vec!["0001_a".into()];
    for goal in [DownGoal::All, DownGoal::One(0), DownGoal::Steps(2)] {
        assert_eq!(down_to(&chain(), &ledger, goal.clone()), unknown_dependents(), "{goal:?}");
    }
    assert_eq!(down_to(&chain(), &ledger, DownGoal::To(0)), undoes(&[1]));
    assert_eq!(down_to(&chain(), &ledger, DownGoal::Steps(1)), undoes(&[1]));
}
