use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Display};

/// A logical item: one intention to create a story, however often it was sent.
pub(crate) type Item = u64;

/// The moment of an event: the position in the order in which this process began and ended requests.
pub(crate) type Moment = u64;

/// The request of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    /// Creates the item with this value. Values are unique in a history.
    Create { value: String },
    /// Replaces the value, under `If-Match` if a tag is given.
    Update { value: String, if_match: Option<String> },
    /// Moves the item into the trash.
    Delete,
    /// Takes the item out of the trash.
    Restore,
    /// Gives something that is always there a new value, whatever it was.
    Set { value: String },
    /// Reads the item.
    Read,
}

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The write was acknowledged; the item has this entity tag afterwards, if the response says it.
    Done { etag: Option<String> },
    /// The read returned this value and entity tag.
    Found { value: String, etag: Option<String> },
    /// There is no such item, or it is in the trash.
    Missing,
    /// The tag of `If-Match` is not that of the item.
    Conflict,
    /// The write may have been executed, then or later, or not.
    Unknown,
}

/// A request and its outcome. Requests that were certainly not executed are not events.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) item: Item,
    pub(crate) client: usize,
    pub(crate) began: Moment,
    pub(crate) ended: Moment,
    pub(crate) call: Call,
    pub(crate) outcome: Outcome,
}

/// All events of a scenario.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) events: Vec<Event>,
}

/// The events of one item that no order explains, without those that the contradiction does not need.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) item: Item,
    pub(crate) shortest: Vec<Event>,
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "item {}: no order of these requests explains their outcomes:", self.item)?;
        for event in &self.shortest {
            let Event { client, began, ended, call, outcome, .. } = event;
            writeln!(f, "  {began:>6} to {ended:>6}  client {client:>2}  {call:?} -> {outcome:?}")?;
        }
        Ok(())
    }
}

/// The state of one item in the model.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum State {
    Absent,
    Present { value: String, etag: Option<String> },
    Trashed { value: String },
}

impl State {
    /// Returns the state after an event, or `None` if the event cannot happen in this state.
    fn after(&self, event: &Event) -> Option<Self> {
        let tag = match &event.outcome {
            Outcome::Done { etag } | Outcome::Found { etag, .. } => etag.clone(),
            _ => None,
        };
        let writes = matches!(event.outcome, Outcome::Done { .. } | Outcome::Unknown);
        match (&event.call, self) {
            (Call::Create { value }, Self::Absent) if writes => {
                Some(Self::Present { value: value.clone(), etag: tag })
            }
            (Call::Set { value }, _) if writes => Some(Self::Present { value: value.clone(), etag: None }),
            (Call::Update { value, if_match }, Self::Present { etag, .. }) if writes => {
                let permitted = match (if_match, etag) {
                    (Some(wanted), Some(actual)) => wanted == actual,
                    _ => true,
                };
                permitted.then(|| Self::Present { value: value.clone(), etag: tag })
            }
            (Call::Update { if_match: Some(wanted), .. }, state) if event.outcome == Outcome::Conflict => {
                match state {
                    Self::Present { etag: Some(actual), .. } if wanted == actual => None,
                    state => Some(state.clone()),
                }
            }
            (Call::Delete, Self::Present { value, .. }) if writes => {
                Some(Self::Trashed { value: value.clone() })
            }
            (Call::Restore, Self::Trashed { value }) if writes => {
                Some(Self::Present { value: value.clone(), etag: tag })
            }
            (Call::Restore, Self::Present { .. }) if event.outcome == Outcome::Missing => Some(self.clone()),
            (Call::Update { .. } | Call::Delete | Call::Read, Self::Absent | Self::Trashed { .. })
            | (Call::Restore, Self::Absent)
                if event.outcome == Outcome::Missing =>
            {
                Some(self.clone())
            }
            (Call::Read, Self::Present { value, etag }) => match &event.outcome {
                Outcome::Found { value: seen, etag: seen_tag } if seen == value => {
                    let tags_agree = etag.is_none() || seen_tag.is_none() || etag == seen_tag;
                    tags_agree.then(|| Self::Present { value: value.clone(), etag: tag.or(etag.clone()) })
                }
                _ => None,
            },
            _ => None,
        }
    }
}

impl History {
    /// Checks each item: some order of its events, in which each takes effect between its beginning and its end, must
    /// explain all outcomes (linearizability). Those with an unknown outcome may take effect at any later moment or never.
    pub(crate) fn violations(&self) -> Vec<Violation> {
        let mut items: BTreeMap<Item, Vec<Event>> = BTreeMap::new();
        for event in &self.events {
            items.entry(event.item).or_default().push(event.clone());
        }
        let mut violations = Vec::new();
        for (item, mut events) in items {
            events.sort_by_key(|event| event.began);
            leave_out_unseen(&mut events);
            if !is_explained(&events) {
                violations.push(Violation { item, shortest: shortest(events) });
            }
        }
        violations
    }

    /// Returns the number of acknowledged writes.
    pub(crate) fn acknowledged(&self) -> usize {
        self.events.iter().filter(|event| matches!(event.outcome, Outcome::Done { .. })).count()
    }
}

/// Leaves out unknown values of [`Call::Set`] that no one has seen: that they never took effect explains as much.
fn leave_out_unseen(events: &mut Vec<Event>) {
    let seen: HashSet<String> = events
        .iter()
        .filter_map(|event| match &event.outcome {
            Outcome::Found { value, .. } => Some(value.clone()),
            _ => None,
        })
        .collect();
    events.retain(|event| match &event.call {
        Call::Set { value } => event.outcome != Outcome::Unknown || seen.contains(value),
        _ => true,
    });
}

/// The events that have taken effect in an attempt to order all: of those with a certain outcome all before `first`, and
/// some others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Placed {
    first: usize,
    ahead: Vec<usize>,
    unknown: Vec<usize>,
}

impl Placed {
    fn has(&self, at: usize) -> bool {
        at < self.first || self.ahead.binary_search(&at).is_ok()
    }

    /// Returns this with one more event of a certain outcome.
    fn with(&self, at: usize) -> Self {
        let mut placed = self.clone();
        if let Err(position) = placed.ahead.binary_search(&at) {
            placed.ahead.insert(position, at);
        }
        let continued = placed.ahead.iter().zip(placed.first..).take_while(|(at, next)| *at == next).count();
        placed.ahead.drain(..continued);
        placed.first += continued;
        placed
    }

    /// Returns this with one more event of an unknown outcome.
    fn with_unknown(&self, at: usize) -> Self {
        let mut placed = self.clone();
        if let Err(position) = placed.unknown.binary_search(&at) {
            placed.unknown.insert(position, at);
        }
        placed
    }
}

/// Searches for an order, depth first (Wing and Gong), without visiting a set of placed events with one state twice (Lowe).
/// The events are sorted by their beginnings.
fn is_explained(events: &[Event]) -> bool {
    let (unknown, certain): (Vec<&Event>, Vec<&Event>) =
        events.iter().partition(|event| event.outcome == Outcome::Unknown);
    let mut visited: HashSet<(Placed, State)> = HashSet::new();
    let mut open = vec![(Placed::default(), State::Absent)];
    while let Some((placed, state)) = open.pop() {
        if placed.first == certain.len() {
            return true;
        }
        if !visited.insert((placed.clone(), state.clone())) {
            continue;
        }
        // An event cannot come after one that began later than it ended.
        let mut first_end = Moment::MAX;
        let mut candidates = Vec::new();
        for (at, event) in certain.iter().enumerate().skip(placed.first) {
            if event.began > first_end {
                break;
            }
            if !placed.has(at) {
                first_end = first_end.min(event.ended);
                candidates.push(at);
            }
        }
        // The last that is pushed is tried first: what is certain, in the order of the ends.
        for (at, event) in unknown.iter().enumerate() {
            if event.began <= first_end
                && placed.unknown.binary_search(&at).is_err()
                && let Some(next) = state.after(event)
            {
                open.push((placed.with_unknown(at), next));
            }
        }
        candidates.retain(|at| certain[*at].began <= first_end);
        candidates.sort_by_key(|at| Reverse(certain[*at].ended));
        for at in candidates {
            if let Some(next) = state.after(certain[at]) {
                open.push((placed.with(at), next));
            }
        }
    }
    false
}

/// Leaves out what the contradiction does not need: first all that began after it, then single events. A write stays as
/// long as another event saw its value or its tag, because without it that event would be a contradiction of its own.
fn shortest(mut events: Vec<Event>) -> Vec<Event> {
    let mut moments: Vec<Moment> = events.iter().map(|event| event.ended).collect();
    moments.sort_unstable();
    for moment in moments {
        // Those that had not ended by then count as unknown: they may have taken effect.
        let prefix: Vec<Event> = events
            .iter()
            .filter(|event| event.began <= moment)
            .filter(|event| event.ended <= moment || event.call != Call::Read)
            .map(|event| {
                let mut event = event.clone();
                if event.ended > moment {
                    event.outcome = Outcome::Unknown;
                }
                event
            })
            .collect();
        if !is_explained(&prefix) {
            events = prefix;
            break;
        }
    }
    loop {
        let before = events.len();
        let mut at = 0;
        while at < events.len() {
            let mut fewer = events.clone();
            let left_out = fewer.remove(at);
            if !is_needed(&left_out, &fewer) && !is_explained(&fewer) {
                events = fewer;
            } else {
                at += 1;
            }
        }
        // Without one event another may not be needed any more.
        if events.len() == before {
            return events;
        }
    }
}

/// Returns true if another event depends on the effect of this one.
fn is_needed(event: &Event, others: &[Event]) -> bool {
    let (value, tag) = match (&event.call, &event.outcome) {
        (Call::Read, _) | (_, Outcome::Missing | Outcome::Conflict) => return false,
        (
            Call::Create { value } | Call::Update { value, .. } | Call::Set { value },
            Outcome::Done { etag },
        ) => (Some(value), etag.as_ref()),
        (Call::Create { value } | Call::Update { value, .. } | Call::Set { value }, _) => (Some(value), None),
        // Whether an item is there or in the trash is seen by all others.
        (Call::Delete | Call::Restore, _) => return !others.is_empty(),
    };
    matches!(event.call, Call::Create { .. })
        || others.iter().any(|other| match (&other.call, &other.outcome) {
            (_, Outcome::Found { value: seen, .. }) => Some(seen) == value,
            (Call::Update { if_match: Some(wanted), .. }, _) => Some(wanted) == tag,
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds an event of item 1: value or tag names are arbitrary, tags are named like their values.
    fn event(began: Moment, ended: Moment, call: Call, outcome: Outcome) -> Event {
        Event { item: 1, client: 0, began, ended, call, outcome }
    }

    fn create(value: &str) -> Call {
        Call::Create { value: value.into() }
    }

    fn update(value: &str, if_match: Option<&str>) -> Call {
        Call::Update { value: value.into(), if_match: if_match.map(Into::into) }
    }

    fn done(etag: &str) -> Outcome {
        Outcome::Done { etag: Some(etag.into()) }
    }

    fn found(value: &str) -> Outcome {
        Outcome::Found { value: value.into(), etag: Some(value.into()) }
    }

    #[track_caller]
    fn explained(events: Vec<Event>) {
        let violations = History { events }.violations();
        assert!(violations.is_empty(), "{}", violations[0]);
    }

    /// Asserts that there is a contradiction that needs exactly these events, given by their beginnings.
    #[track_caller]
    fn contradiction(events: Vec<Event>, needed: &[Moment]) {
        let violations = History { events }.violations();
        assert_eq!(violations.len(), 1, "no contradiction was found");
        let shortest: Vec<Moment> = violations[0].shortest.iter().map(|event| event.began).collect();
        assert_eq!(shortest, needed, "{}", violations[0]);
    }

    #[test]
    fn overlapping_requests_may_take_effect_in_either_order() {
        explained(vec![
            event(1, 2, create("a"), done("a")),
            event(3, 8, update("b", None), done("b")),
            event(4, 9, update("c", None), done("c")),
            event(10, 11, Call::Read, found("b")),
            event(12, 13, Call::Delete, Outcome::Done { etag: None }),
            event(14, 15, Call::Read, Outcome::Missing),
            event(16, 17, Call::Restore, done("b2")),
            event(18, 19, Call::Update { value: "d".into(), if_match: Some("b".into()) }, Outcome::Conflict),
        ]);
    }

    #[test]
    fn unknown_write_may_take_effect_late_or_never() {
        let unknown = event(3, 4, update("b", None), Outcome::Unknown);
        let read = |moment, value| event(moment, moment + 1, Call::Read, found(value));
        explained(vec![event(1, 2, create("a"), done("a")), unknown.clone(), read(5, "a"), read(7, "b")]);
        explained(vec![event(1, 2, create("a"), done("a")), unknown.clone(), read(5, "a")]);
        contradiction(
            vec![event(1, 2, create("a"), done("a")), unknown, read(5, "b"), read(7, "a")],
            &[1, 3, 5, 7],
        );
    }

    #[test]
    fn lost_create_is_found() {
        contradiction(
            vec![
                event(1, 2, create("a"), done("a")),
                event(3, 4, Call::Read, found("a")),
                event(5, 6, Call::Read, Outcome::Missing),
            ],
            &[1, 5],
        );
    }

    #[test]
    fn lost_update_under_if_match_is_found() {
        contradiction(
            vec![
                event(1, 2, create("a"), done("a")),
                event(3, 9, update("b", Some("a")), done("b")),
                event(4, 8, update("c", Some("a")), done("c")),
                event(10, 11, Call::Read, found("c")),
            ],
            &[1, 3, 4],
        );
    }

    #[test]
    fn stale_read_is_found() {
        contradiction(
            vec![
                event(1, 2, create("a"), done("a")),
                event(3, 4, Call::Read, found("a")),
                event(5, 6, update("b", None), done("b")),
                event(7, 8, Call::Read, found("a")),
            ],
            &[1, 5, 7],
        );
    }

    #[test]
    fn read_of_a_value_that_was_never_written_is_found() {
        contradiction(
            vec![event(1, 2, create("a"), done("a")), event(3, 4, Call::Read, found("ab"))],
            &[1, 3],
        );
    }

    #[test]
    fn value_that_returns_after_it_was_replaced_is_found() {
        let set = |value: &str| Call::Set { value: value.into() };
        let seen = |value: &str| Outcome::Found { value: value.into(), etag: None };
        let accepted = vec![
            event(1, 2, Call::Read, Outcome::Missing),
            event(3, 4, set("a"), Outcome::Done { etag: None }),
            event(5, 6, set("b"), Outcome::Unknown),
            event(7, 8, set("c"), Outcome::Unknown),
            event(9, 10, Call::Read, seen("b")),
            event(11, 12, set("d"), Outcome::Done { etag: None }),
            event(13, 14, Call::Read, seen("d")),
        ];
        explained(accepted.clone());
        let stale = event(15, 16, Call::Read, seen("a"));
        contradiction(accepted.into_iter().chain([stale]).collect(), &[3, 11, 15]);
    }

    #[test]
    fn history_with_many_unknown_outcomes_is_checked() {
        let mut events = vec![event(1, 2, create("0"), done("0"))];
        for n in 1..300 {
            let at = 10 * n;
            events.push(event(at, at + 1, update(&format!("unknown {n}"), None), Outcome::Unknown));
            let value = n.to_string();
            events.push(event(at + 2, at + 3, update(&value, None), done(&value)));
            events.push(event(at + 4, at + 5, Call::Read, found(&value)));
        }
        explained(events);
    }

    #[test]
    fn deletion_that_is_undone_is_found() {
        contradiction(
            vec![
                event(1, 2, create("a"), done("a")),
                event(3, 4, Call::Delete, Outcome::Done { etag: None }),
                event(5, 6, Call::Read, found("a")),
            ],
            &[1, 3, 5],
        );
    }
}
