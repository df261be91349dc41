use crate::entry::{Entries, Entry};
use crate::graph::Shape;
use crate::{Source, State, UpMode};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// Apply all that is pending.
    Up(UpMode),
    /// Take back one.
    Down,
}

/// One thing to do to the migration at a position of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Apply it: for the first time, anew after its undo, or on top of what an earlier attempt left.
    Apply(usize),
    /// Take it back, or finish doing so.
    Undo(usize),
}

/// Why nothing is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It failed, in up or down, and nobody said to retry.
    Failed(usize),
    /// Migrations that this program does not know depend on it.
    Dependants(usize, Vec<String>),
}

/// What to do, in order.
pub(crate) fn plan(shape: &Shape, ledger: &Entries, request: Request) -> Result<Vec<Action>, Refusal> {
    match request {
        Request::Up(mode) => up(shape, ledger, mode),
        Request::Down => down(shape, ledger),
    }
}

fn up(shape: &Shape, ledger: &Entries, mode: UpMode) -> Result<Vec<Action>, Refusal> {
    let mut actions = Vec::new();
    // An undo that stopped midway is finished before anything else: what it left is neither applied nor not.
    for (at, id) in shape.ids().enumerate().collect::<Vec<_>>().into_iter().rev() {
        let Some(entry) = ledger.get(id) else { continue };
        match entry.state {
            State::RollingBack if entry.error.is_some() && mode == UpMode::Start => {
                return Err(Refusal::Failed(at));
            }
            State::RollingBack => actions.push(Action::Undo(at)),
            State::Running | State::Applied | State::Failed | State::RolledBack => {}
        }
    }
    for (at, id) in shape.ids().enumerate() {
        match ledger.get(id).map(|entry| entry.state) {
            Some(State::Applied) => {}
            Some(State::Failed) if mode == UpMode::Start => return Err(Refusal::Failed(at)),
            None | Some(State::Running | State::Failed | State::RollingBack | State::RolledBack) => {
                actions.push(Action::Apply(at));
            }
        }
    }
    Ok(actions)
}

/// One migration: an undo that stopped midway, else one that was applied in part, else the last applied in time among
/// those that nothing applied depends on.
fn down(shape: &Shape, ledger: &Entries) -> Result<Vec<Action>, Refusal> {
    let of = |at: usize| ledger.get(shape.id(at));
    let last_in = |states: &[State]| {
        (0..shape.len()).rev().find(|&at| of(at).is_some_and(|entry| states.contains(&entry.state)))
    };
    if let Some(at) = last_in(&[State::RollingBack]).or_else(|| last_in(&[State::Running, State::Failed])) {
        return Ok(vec![Action::Undo(at)]);
    }
    let applied = |at: &usize| of(*at).is_some_and(|entry| entry.state == State::Applied);
    let mut leaves: Vec<usize> = (0..shape.len())
        .filter(applied)
        .filter(|at| !(0..shape.len()).filter(applied).any(|other| shape.depends_on(other).contains(at)))
        .collect();
    leaves.sort_by_key(|&at| (of(at).and_then(|entry| entry.applied_at), at));
    let mut refusal = None;
    for at in leaves.into_iter().rev() {
        let dependants: Vec<String> = ledger
            .values()
            .filter(|entry| is_unknown(shape, entry))
            .filter(|entry| entry.depends_on.iter().any(|id| id == shape.id(at)))
            .map(|entry| entry.id.clone())
            .collect();
        if dependants.is_empty() {
            return Ok(vec![Action::Undo(at)]);
        }
        refusal.get_or_insert(Refusal::Dependants(at, dependants));
    }
    refusal.map_or_else(|| Ok(Vec::new()), Err)
}

/// Whether it is applied, and by a program that knows more than this one.
pub(crate) fn is_unknown(shape: &Shape, entry: &Entry) -> bool {
    let there = match entry.source {
        Source::Native => !matches!(entry.state, State::RolledBack),
        Source::Imported => entry.state == State::Applied,
    };
    there && !shape.contains(&entry.id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bson::DateTime;
    use proptest::prelude::*;

    use super::*;
    use crate::graph::tests::shape;

    fn entry(id: &str, state: State, at: i64) -> (String, Entry) {
        let mut entry = Entry::new(id, state, Source::Native);
        entry.applied_at = Some(DateTime::from_millis(at));
        (id.to_owned(), entry)
    }

    fn ledger(list: &[(&str, State, i64)]) -> Entries {
        list.iter().map(|(id, state, at)| entry(id, *state, *at)).collect()
    }

    fn chain() -> Shape {
        shape(&[("0001_a", &[]), ("0002_b", &["0001_a"]), ("0003_c", &["0002_b"])]).unwrap()
    }

    #[test]
    fn a_start_does_not_retry_a_failure_and_an_operator_does() {
        let ledger = ledger(&[("0001_a", State::Applied, 1), ("0002_b", State::Failed, 2)]);
        assert_eq!(plan(&chain(), &ledger, Request::Up(UpMode::Start)), Err(Refusal::Failed(1)));
        assert_eq!(
            plan(&chain(), &ledger, Request::Up(UpMode::Operator)),
            Ok(vec![Action::Apply(1), Action::Apply(2)])
        );
    }

    #[test]
    fn an_interrupted_run_is_resumed_and_an_interrupted_undo_is_finished_first() {
        let running = ledger(&[("0001_a", State::Applied, 1), ("0002_b", State::Running, 2)]);
        let both = Ok(vec![Action::Apply(1), Action::Apply(2)]);
        assert_eq!(plan(&chain(), &running, Request::Up(UpMode::Start)), both);
        assert_eq!(plan(&chain(), &running, Request::Down), Ok(vec![Action::Undo(1)]));

        let mut undoing = ledger(&[("0001_a", State::Applied, 1), ("0002_b", State::RollingBack, 2)]);
        let finish = Ok(vec![Action::Undo(1), Action::Apply(1), Action::Apply(2)]);
        assert_eq!(plan(&chain(), &undoing, Request::Up(UpMode::Start)), finish);
        assert_eq!(plan(&chain(), &undoing, Request::Down), Ok(vec![Action::Undo(1)]));
        undoing.get_mut("0002_b").unwrap().error = Some("no".into());
        assert_eq!(plan(&chain(), &undoing, Request::Up(UpMode::Start)), Err(Refusal::Failed(1)));
        assert_eq!(plan(&chain(), &undoing, Request::Up(UpMode::Operator)), finish);
    }

    #[test]
    fn down_takes_the_last_in_time_that_nothing_applied_depends_on() {
        let forked = shape(&[
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
        assert_eq!(plan(&forked, &all, Request::Down), Ok(vec![Action::Undo(1)]));
        assert_eq!(plan(&forked, &Entries::new(), Request::Down), Ok(vec![]));
    }

    #[test]
    fn down_is_refused_while_an_unknown_one_depends_on_it() {
        let mut ledger = ledger(&[("0001_a", State::Applied, 1), ("0009_z", State::Applied, 9)]);
        ledger.get_mut("0009_z").unwrap().depends_on = vec!["0001_a".into()];
        assert_eq!(
            plan(&chain(), &ledger, Request::Down),
            Err(Refusal::Dependants(0, vec!["0009_z".into()]))
        );
        ledger.get_mut("0009_z").unwrap().state = State::RolledBack;
        assert_eq!(plan(&chain(), &ledger, Request::Down), Ok(vec![Action::Undo(0)]));
    }

    /// A random graph: each node depends on some of those before it, in a shuffled numbering; one head joins the rest.
    fn graphs() -> impl Strategy<Value = Shape> {
        (1_usize..9)
            .prop_flat_map(|n| {
                let numbers = Just((0..n).collect::<Vec<_>>()).prop_shuffle();
                (numbers, proptest::collection::vec(proptest::collection::vec(any::<bool>(), n), n))
            })
            .prop_map(|(numbers, edges)| {
                let id = |i: usize| format!("{:04}_x", numbers[i]);
                let n = numbers.len();
                let mut list: Vec<(String, Vec<String>)> =
                    (0..n).map(|i| (id(i), (0..i).filter(|&j| edges[i][j]).map(id).collect())).collect();
                list.push(("9999_head".into(), (0..n).map(id).collect()));
                Shape::new(&list).unwrap()
            })
    }

    fn states() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(0_u8..6, 10)
    }

    fn random_ledger(shape: &Shape, states: &[u8]) -> Entries {
        let all = [State::Running, State::Applied, State::Failed, State::RollingBack, State::RolledBack];
        shape
            .ids()
            .zip(states)
            .filter_map(|(id, &s)| all.get(usize::from(s)).map(|&state| entry(id, state, i64::from(s))))
            .collect()
    }

    proptest! {
        #[test]
        fn up_comes_after_its_dependencies_and_reaches_the_full_state(shape in graphs(), states in states()) {
            let mut ledger = random_ledger(&shape, &states);
            let applied_before: BTreeSet<_> =
                (0..shape.len()).filter(|&i| ledger.get(shape.id(i)).is_some_and(|e| e.state == State::Applied)).collect();
            let plan_once = plan(&shape, &ledger, Request::Up(UpMode::Operator)).unwrap();
            for action in plan_once {
                match action {
                    Action::Undo(at) => ledger.get_mut(shape.id(at)).unwrap().state = State::RolledBack,
                    Action::Apply(at) => {
                        prop_assert!(!applied_before.contains(&at));
                        for &parent in shape.depends_on(at) {
                            prop_assert_eq!(ledger[shape.id(parent)].state, State::Applied);
                        }
                        let (id, new) = entry(shape.id(at), State::Applied, 1);
                        ledger.insert(id, new);
                    }
                }
            }
            prop_assert!(shape.ids().all(|id| ledger[id].state == State::Applied));
            prop_assert_eq!(plan(&shape, &ledger, Request::Up(UpMode::Start)), Ok(vec![]));
        }

        #[test]
        fn down_again_and_again_never_leaves_a_dependant_and_ends_with_nothing(
            shape in graphs(),
            times in proptest::collection::vec(0_i64..5, 10),
        ) {
            let mut ledger: Entries =
                shape.ids().zip(&times).map(|(id, &at)| entry(id, State::Applied, at)).collect();
            for _ in 0..shape.len() {
                let actions = plan(&shape, &ledger, Request::Down).unwrap();
                let [Action::Undo(at)] = actions[..] else { panic!("one undo, not {actions:?}") };
                ledger.get_mut(shape.id(at)).unwrap().state = State::RolledBack;
                for other in 0..shape.len() {
                    let applied = ledger[shape.id(other)].state == State::Applied;
                    prop_assert!(!applied || !shape.depends_on(other).contains(&at));
                }
            }
            prop_assert_eq!(plan(&shape, &ledger, Request::Down), Ok(vec![]));
        }
    }
}
