use std::collections::{BTreeMap, BTreeSet};

use bson::oid::ObjectId;
use bson::{Document, RawDocument};
use field_notes::domain::Revision;

use crate::requests::Resource;

/// A stored item, as far as the properties depend on it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) id: ObjectId,
    pub(crate) title: String,
    pub(crate) slug: String,
    pub(crate) is_published: bool,
    pub(crate) is_deleted: bool,
    pub(crate) created: bson::DateTime,
    pub(crate) updated: bson::DateTime,
    pub(crate) sort_order: i64,
    pub(crate) parent: Option<String>,
    /// The entity tag.
    pub(crate) tag: String,
    /// The number of the write that wrote its text, or its position if it has no text.
    pub(crate) marker: Option<usize>,
}

impl Stored {
    fn read(raw: &RawDocument) -> Self {
        let document = Document::try_from(raw).expect("a stored document can be decoded");
        let text = |field: &str| document.get_str(field).map(str::to_owned).unwrap_or_default();
        let date = |field: &str| document.get_datetime(field).copied().unwrap_or(bson::DateTime::MIN);
        let flag = |field: &str| document.get_bool(field).unwrap_or(false);
        let number = document.get("sort_order");
        let sort_order = number.and_then(|n| n.as_i64().or(n.as_i32().map(i64::from))).unwrap_or_default();
        let content = document.get_str("content").ok();
        let marker = match content {
            Some(content) => {
                content.strip_prefix("<p>w").and_then(|rest| rest.strip_suffix("</p>")?.parse().ok())
            }
            None => usize::try_from(sort_order).ok().filter(|n| *n >= FIRST_MARKER),
        };
        Self {
            id: document.get_object_id("_id").expect("items have object ids"),
            title: text("title"),
            slug: text("slug"),
            is_published: flag("is_published"),
            is_deleted: flag("deleted") || flag("is_deleted"),
            created: date("createdDate"),
            updated: date("updatedDate"),
            sort_order,
            parent: document.get_str("parent_id").ok().map(str::to_owned),
            tag: format!("\"{}\"", Revision::from_bytes(raw.as_bytes())),
            marker,
        }
    }

    pub(crate) fn is_public(&self) -> bool {
        self.is_published && !self.is_deleted
    }
}

/// Markers start here, above every position of the items that are there from the beginning.
pub(crate) const FIRST_MARKER: usize = 1000;

/// The states of an item, each with the step from which it holds; `None` once it is removed.
type States = Vec<(usize, Option<Stored>)>;

/// Everything that the store of a run ever held.
#[derive(Default)]
pub(crate) struct History {
    items: BTreeMap<Resource, BTreeMap<ObjectId, States>>,
    /// The steps at which each collection was written, internal ones too.
    written: BTreeMap<String, Vec<usize>>,
}

impl History {
    /// Records a written document, `None` if it was removed.
    pub(crate) fn record(
        &mut self,
        at: usize,
        collection: &str,
        id: Option<ObjectId>,
        now: Option<&RawDocument>,
    ) {
        let written = self.written.entry(collection.to_owned()).or_default();
        if written.last() != Some(&at) {
            written.push(at);
        }
        if let (Some(resource), Some(id)) = (Resource::of_collection(collection), id) {
            let states = self.items.entry(resource).or_default().entry(id).or_default();
            states.push((at, now.map(Stored::read)));
        }
    }

    /// Returns the items that existed at a step.
    pub(crate) fn at(&self, resource: Resource, step: usize) -> Vec<&Stored> {
        let items = self.items.get(&resource).into_iter().flatten();
        let state = |states: &'_ States| states.iter().rposition(|(at, _)| *at <= step);
        items.filter_map(|(_, states)| states[state(states)?].1.as_ref()).collect()
    }

    /// Returns the states of an item that held at any time from a step to another one.
    pub(crate) fn states(&self, resource: Resource, id: ObjectId, from: usize, to: usize) -> Vec<&Stored> {
        let Some(states) = self.items.get(&resource).and_then(|items| items.get(&id)) else {
            return Vec::new();
        };
        let first = states.iter().rposition(|(at, _)| *at <= from).unwrap_or_default();
        states[first..].iter().filter(|(at, _)| *at <= to).filter_map(|(_, state)| state.as_ref()).collect()
    }

    /// Returns the steps at which the states of a collection began to hold, from a step to another one.
    pub(crate) fn times(&self, collection: &str, from: usize, to: usize) -> BTreeSet<usize> {
        let written = self.written.get(collection).into_iter().flatten();
        written.copied().filter(|at| (from + 1..=to).contains(at)).chain([from]).collect()
    }

    /// Returns whether an item was written with this marker, and the tag of the state before.
    pub(crate) fn written_with(&self, resource: Resource, marker: usize) -> Vec<(ObjectId, Option<&str>)> {
        let mut found = Vec::new();
        for (id, states) in self.items.get(&resource).into_iter().flatten() {
            let has = |(_, state): &(usize, Option<Stored>)| {
                state.as_ref().is_some_and(|state| state.marker == Some(marker))
            };
            if let Some(at) = states.iter().position(has) {
                let before = at.checked_sub(1).and_then(|before| states[before].1.as_ref());
                found.push((*id, before.map(|before| before.tag.as_str())));
            }
        }
        found
    }

    /// Returns the ids of all items that ever existed.
    pub(crate) fn ids(&self, resource: Resource) -> Vec<ObjectId> {
        self.items.get(&resource).into_iter().flat_map(BTreeMap::keys).copied().collect()
    }

    /// Returns all slugs that any item ever had.
    pub(crate) fn slugs(&self, resource: Resource) -> BTreeSet<&str> {
        let items = self.items.get(&resource).into_iter().flat_map(BTreeMap::values).flatten();
        let slugs = items.filter_map(|(_, state)| state.as_ref().map(|state| state.slug.as_str()));
        slugs.filter(|slug| !slug.starts_with('~')).collect()
    }

    /// Returns the item that a slug leads to for everyone: its holder, else the last former holder that is public.
    pub(crate) fn leads_to(&self, resource: Resource, slug: &str, step: usize) -> Option<&Stored> {
        let public = |states: &'_ States| {
            let now = states.iter().rposition(|(at, _)| *at <= step)?;
            // The step at which it lost the slug; later than any if it has it.
            let last = states[..=now]
                .iter()
                .rposition(|(_, state)| state.as_ref().is_some_and(|s| s.slug == slug))?;
            let end = states[..=now].get(last + 1).map_or(usize::MAX, |(at, _)| *at);
            Some((end, now))
        };
        let items = self.items.get(&resource).into_iter().flat_map(BTreeMap::values);
        let holders = items.filter_map(|states| {
            let (lost, now) = public(states)?;
            Some((lost, states[now].1.as_ref().filter(|state| state.is_public())?))
        });
        holders.max_by_key(|(lost, _)| *lost).map(|(_, holder)| holder)
    }
}
