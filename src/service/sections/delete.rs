use super::Sections;
use super::write::told;
use crate::domain::{Caller, Condition, Id, Section};
use crate::repository::Held;
use crate::service::content::{changeable, parse_id};
use crate::service::{Error, Kind};

/// What becomes of what lies in a section that is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhatLiesInIt {
    /// Nothing may lie in it.
    Nothing,
    /// It moves to the section with this id.
    MovesTo(String),
    /// Sections move up to where the section lay; content stays, in no section.
    IsLeft,
}

/// Where sections go, and where content goes.
struct Clearing {
    parent: Option<Id>,
    section: Option<Id>,
}

impl Sections {
    /// Deletes a section, so that it can be restored; nothing is left in a section that is not there.
    pub async fn delete(
        &self,
        caller: &Caller,
        id: &str,
        what_lies_in_it: &WhatLiesInIt,
        condition: &Condition,
    ) -> Result<(), Error> {
        let id = parse_id(Kind::Section, id)?;
        // What is refused is refused before the lock is taken, which is a write.
        let stored = changeable(Kind::Section, caller, self.items.stored(id).await?, condition)?;
        self.clearing(&stored.revised.item, what_lies_in_it).await?;
        let (sections, caller) = (self.clone(), *caller);
        let (what, condition) = (what_lies_in_it.clone(), condition.clone());
        self.tree.alone(async move { sections.delete_alone(&caller, id, &what, &condition).await }).await
    }

    async fn delete_alone(
        &self,
        caller: &Caller,
        id: Id,
        what_lies_in_it: &WhatLiesInIt,
        condition: &Condition,
    ) -> Result<(), Error> {
        loop {
            let stored = changeable(Kind::Section, caller, self.items.stored(id).await?, condition)?;
            if let Some(Clearing { parent, section }) =
                self.clearing(&stored.revised.item, what_lies_in_it).await?
            {
                self.holdings.clear(id, parent, section).await?;
            }
            if self.items.delete(&stored, self.clock.now()).await? {
                return Ok(());
            }
        }
    }

    /// Where what lies in a section goes, if it goes anywhere.
    async fn clearing(&self, section: &Section, what: &WhatLiesInIt) -> Result<Option<Clearing>, Error> {
        let held = self.holdings.of(section.id).await?;
        Ok(match what {
            WhatLiesInIt::Nothing if held != Held::default() => return Err(Error::InUse(told_held(&held))),
            WhatLiesInIt::Nothing => None,
            WhatLiesInIt::MovesTo(target) => {
                let target = Some(self.check_target(section.id, target, &held).await?);
                Some(Clearing { parent: target, section: target })
            }
            WhatLiesInIt::IsLeft => {
                Some(Clearing { parent: self.parent_that_stays(section).await?, section: None })
            }
        })
    }

    async fn parent_that_stays(&self, section: &Section) -> Result<Option<Id>, Error> {
        let Some(parent) = section.parent_id.as_deref().and_then(|parent| Id::parse(parent).ok()) else {
            return Ok(None);
        };
        // In a ring of an old database there is none.
        let ring = parent == section.id || self.items.tree().await?.lies_in(parent, section.id);
        Ok(if ring { None } else { self.items.find(parent).await?.map(|parent| parent.id) })
    }

    /// The section that takes over what lies in another.
    async fn check_target(&self, from: Id, target: &str, held: &Held) -> Result<Id, Error> {
        let wrong = |expected: String| Error::InvalidParameter { parameter: "reassign_to", expected };
        let target = Id::parse(target).map_err(|_| wrong("24 hexadecimal digits".into()))?;
        let Some(section) = self.items.find(target).await? else {
            return Err(wrong("has to name a section that exists".into()));
        };
        if target == from {
            return Err(wrong("cannot be the section itself".into()));
        }
        let tree = self.items.tree().await?;
        for child in tree.children(from) {
            tree.may_place(Some(child), target).map_err(|misplaced| wrong(told(misplaced)))?;
        }
        if let Some((kind, _)) = held.content.iter().find(|(kind, _)| *kind != section.content_type) {
            return Err(wrong(format!("has to name a section whose content_type is {}", kind.as_str())));
        }
        Ok(target)
    }
}

fn told_held(held: &Held) -> String {
    let named = |name: &str, count: u64| format!("{count} {name}{}", if count == 1 { "" } else { "s" });
    let sections = (held.sections > 0).then(|| named("section", held.sections));
    // The plural of `story` is the only one that is no `s`.
    let content =
        held.content.iter().map(|(kind, count)| named(kind.as_str(), *count).replace("storys", "stories"));
    sections.into_iter().chain(content).collect::<Vec<_>>().join(", ")
}
