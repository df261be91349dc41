use std::collections::BTreeSet;

use bson::oid::ObjectId;
use chrono::DateTime;
use serde_json::Value;

use crate::history::{History, Stored};
use crate::requests::{Action, Answer, Request, Resource};
use crate::server::Server;

/// A description of a violated property.
pub(crate) type Violation = String;

/// The steps between which a request read the store: from the last write that its process had to know when it was sent,
/// to its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// The step at which the request was sent.
    pub(crate) sent: usize,
    /// The oldest state that a response may show.
    pub(crate) oldest: usize,
    /// The same for the collection of former slugs. A process may learn of its writes before it learns of those of items.
    pub(crate) oldest_names: usize,
    pub(crate) answered: usize,
}

/// An item of a response.
struct Shown {
    id: ObjectId,
    slug: String,
    title: String,
    is_published: bool,
    updated: i64,
}

impl Shown {
    fn read(json: &Value) -> Result<Self, Violation> {
        let text = |field: &str| json[field].as_str().map(str::to_owned);
        let read = || {
            Some(Self {
                id: ObjectId::parse_str(text("id")?).ok()?,
                slug: text("slug")?,
                title: text("title")?,
                is_published: json["is_published"].as_bool()?,
                updated: DateTime::parse_from_rfc3339(&text("updatedDate")?).ok()?.timestamp_millis(),
            })
        };
        read().ok_or_else(|| format!("a response holds no item: {json}"))
    }

    fn is(&self, stored: &Stored) -> bool {
        let Stored { id, slug, title, is_published, updated, .. } = stored;
        (self.id, &self.slug, &self.title) == (*id, slug, title)
            && (self.is_published, self.updated) == (*is_published, updated.timestamp_millis())
    }
}

/// Checks the answer to a request against what the store held.
pub(crate) fn answer(
    history: &History,
    request: &Request,
    answer: &Answer,
    span: Span,
) -> Result<(), Violation> {
    let Request { resource, action, .. } = request;
    if answer.status == 500 {
        return Err(format!("status 500: {}", String::from_utf8_lossy(&answer.body)));
    }
    match action {
        Action::List { drafts, limit, offset } if answer.status == 200 => {
            list(history, *resource, (*drafts, *limit, *offset), answer, span)
        }
        Action::Show { slug } if answer.status < 500 => show(history, *resource, slug, answer, span),
        Action::Fetch { id } if answer.status == 200 => {
            let tag = answer.header("etag");
            let states = history.states(*resource, *id, span.sent, span.answered);
            if states.iter().any(|state| state.tag == tag) {
                Ok(())
            } else {
                Err("a read that is not cached returns a state that the item did not have".into())
            }
        }
        Action::Create { marker, .. } | Action::Update { marker, .. } => {
            let is_written = !history.written_with(*resource, *marker).is_empty();
            match answer.status {
                200 | 201 if !is_written => {
                    Err(format!("write {marker} is acknowledged and not in the store"))
                }
                400..500 if is_written && !is_repeated(action) => {
                    Err(format!("write {marker} is refused and in the store"))
                }
                _ => Ok(()),
            }
        }
        Action::Delete { id } if answer.status == 204 => {
            let states = history.states(*resource, *id, span.sent, span.answered);
            if states.iter().any(|state| state.is_deleted) {
                Ok(())
            } else {
                Err("a deletion is acknowledged and not in the store".into())
            }
        }
        Action::Restore { id } if answer.status == 200 => {
            let states = history.states(*resource, *id, span.sent, span.answered);
            if states.iter().any(|state| !state.is_deleted) {
                Ok(())
            } else {
                Err("a restored item is still deleted".into())
            }
        }
        Action::List { .. } | Action::Show { .. } if answer.status != 503 => {
            Err(format!("unexpected status {}", answer.status))
        }
        _ => Ok(()),
    }
}

/// Returns whether an earlier request may have made the same write.
fn is_repeated(action: &Action) -> bool {
    matches!(action, Action::Create { key: Some(_), .. })
}

/// Returns whether an answer says that nothing was written.
pub(crate) fn refuses(request: &Request, answer: &Answer) -> bool {
    let failed =
        (400..500).contains(&answer.status) || (answer.status >= 500 && !answer.is_outcome_unknown());
    failed && !is_repeated(&request.action)
}

/// Returns the items of a list at a step, in its order.
fn listed(history: &History, resource: Resource, drafts: bool, step: usize) -> Vec<&Stored> {
    let mut items = history.at(resource, step);
    items.retain(|item| if drafts { !item.is_deleted } else { item.is_public() });
    items.sort_by_key(|item| {
        let place = if resource == Resource::Stories { 0 } else { item.sort_order };
        (place, std::cmp::Reverse(item.created), item.id)
    });
    items
}

fn list(
    history: &History,
    resource: Resource,
    (drafts, limit, offset): (bool, usize, usize),
    answer: &Answer,
    span: Span,
) -> Result<(), Violation> {
    let body = answer.json();
    let items = body["items"].as_array().ok_or("a list without items")?;
    let items = items.iter().map(Shown::read).collect::<Result<Vec<_>, _>>()?;
    let Some(total) = body["total"].as_u64().and_then(|total| usize::try_from(total).ok()) else {
        return Err("a list without a total".into());
    };
    if !drafts {
        for item in &items {
            public(history, resource, item, span)?;
        }
    }
    let times = history.times(resource.collection(), span.oldest, span.answered);
    let lists: Vec<_> = times.iter().map(|at| listed(history, resource, drafts, *at)).collect();
    let shows = |list: &Vec<&Stored>| {
        let window: Vec<_> = list.iter().skip(offset).take(limit).collect();
        window.len() == items.len() && window.iter().zip(&items).all(|(stored, shown)| shown.is(stored))
    };
    if !lists.iter().any(shows) {
        return Err(format!("a list shows no state of the store since step {}", span.oldest));
    }
    if !lists.iter().any(|list| list.len() == total) {
        let counts: BTreeSet<_> = lists.iter().map(Vec::len).collect();
        return Err(format!("the total {total} of a list is none of {counts:?}"));
    }
    Ok(())
}

/// Checks that an item of a public response was public.
fn public(history: &History, resource: Resource, item: &Shown, span: Span) -> Result<(), Violation> {
    let states = history.states(resource, item.id, span.oldest, span.answered);
    if states.iter().any(|state| state.is_public() && item.is(state)) {
        return Ok(());
    }
    if states.iter().any(|state| item.is(state)) {
        return Err(format!("{} is no public item, and everyone sees it", item.slug));
    }
    Err(format!("{} is shown in a state older than step {}", item.slug, span.oldest))
}

fn show(
    history: &History,
    resource: Resource,
    slug: &str,
    answer: &Answer,
    span: Span,
) -> Result<(), Violation> {
    let times = history.times(resource.collection(), span.oldest, span.answered);
    let names = history.times("slug_history", span.oldest_names, span.answered);
    let holders: Vec<_> = times.iter().map(|at| history.leads_to(resource, slug, *at)).collect();
    // What an address leads to is read in several steps. If nothing was written between them, the answer is known.
    let settled = (times.len() == 1 && names.len() == 1).then(|| holders[0]);
    match answer.status {
        200 => {
            let shown = Shown::read(&answer.json())?;
            public(history, resource, &shown, span)?;
            match settled {
                Some(Some(holder)) if holder.slug == slug && shown.is(holder) => Ok(()),
                Some(holder) => Err(format!("{slug} shows {}, and not {holder:?}", shown.slug)),
                None => Ok(()),
            }
        }
        301 => {
            let location = answer.header("location");
            let name = location.rsplit('/').next().unwrap_or_default();
            let is_public = |at: &usize| {
                history.at(resource, *at).iter().any(|item| item.is_public() && item.slug == name)
            };
            if !times.iter().any(is_public) {
                return Err(format!("{slug} leads to {name}, which no public item has"));
            }
            match settled {
                Some(Some(holder)) if holder.slug == name && name != slug => Ok(()),
                Some(holder) => Err(format!("{slug} leads to {name}, and not to {holder:?}")),
                None => Ok(()),
            }
        }
        404 => match settled {
            Some(Some(holder)) => Err(format!("{slug} is not found, and leads to {holder:?}")),
            // Its holder is looked up first.
            None if holders.iter().all(|holder| holder.is_some_and(|holder| holder.slug == slug)) => {
                Err(format!("{slug} is not found, and was held by a public item all the time"))
            }
            Some(None) | None => Ok(()),
        },
        status => Err(format!("unexpected status {status} for an address")),
    }
}

/// Checks the state of the store after a step.
pub(crate) fn store(history: &History, step: usize) -> Result<(), Violation> {
    for resource in Resource::ALL {
        if history.times(resource.collection(), step.saturating_sub(1), step).len() == 1 {
            continue;
        }
        let items = history.at(resource, step);
        let mut slugs = BTreeSet::new();
        for item in items.iter().filter(|item| !item.is_deleted) {
            if !slugs.insert(&item.slug) {
                return Err(format!("two of the {} have the slug {}", resource.collection(), item.slug));
            }
        }
        if resource == Resource::Sections {
            tree(&items)?;
        }
    }
    Ok(())
}

/// Checks that no section is below itself.
fn tree(sections: &[&Stored]) -> Result<(), Violation> {
    let parent = |of: &Stored| {
        let parent = of.parent.as_ref().filter(|_| !of.is_deleted)?;
        sections.iter().find(|section| !section.is_deleted && section.id.to_hex() == *parent).copied()
    };
    for section in sections {
        let mut above = parent(section);
        for _ in 0..=sections.len() {
            above = above.and_then(parent);
        }
        if above.is_some() {
            return Err(format!("section {} is below itself", section.slug));
        }
    }
    Ok(())
}

/// Checks that a refused deletion or restoration was not made. No other one of the item was under way.
pub(crate) fn refused(history: &History, request: &Request, span: Span) -> Result<(), Violation> {
    let Some(id) = request.action.moves_to_or_from_trash() else { return Ok(()) };
    let was_deleted = |at| history.states(request.resource, id, at, at).first().map(|state| state.is_deleted);
    if was_deleted(span.sent) == was_deleted(span.answered) {
        Ok(())
    } else {
        Err("is refused, and made nevertheless".into())
    }
}

/// Checks a write that has been executed: with `If-Match` it replaces the state that its client saw.
pub(crate) fn precondition(history: &History, request: &Request) -> Result<(), Violation> {
    let Action::Update { marker, if_match: Some(tag), .. } = &request.action else { return Ok(()) };
    match history.written_with(request.resource, *marker).first() {
        Some((_, before)) if *before != Some(tag.as_str()) => {
            Err(format!("write {marker} replaces a state that its client did not see"))
        }
        _ => Ok(()),
    }
}

/// Checks that creates with a key made one item at most.
pub(crate) fn created_once(server: &Server, creates: &[Request]) -> Result<(), Violation> {
    for create in creates {
        let marker = create.action.marker().expect("a create has a marker");
        let items = server.history.written_with(create.resource, marker).len();
        if items > 1 {
            return Err(format!("{items} items were created with one key"));
        }
    }
    Ok(())
}
