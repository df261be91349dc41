use super::Sections;
use super::write::describe_placement;
use crate::domain::{Caller, Id, Precondition, Section};
use crate::repository::ContentCounts;
use crate::service::content::{changeable, parse_id};
use crate::service::{Error, ResourceKind};

/// What becomes of what lies in a section that is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnDelete {
    /// Nothing may lie in it.
    Reject,
    /// It moves to the section with this id.
    Reassign(String),
    /// Sections move up to where the section lay; content stays, in no section.
    Orphan,
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
        on_delete: &OnDelete,
        condition: &Precondition,
    ) -> Result<(), Error> {
        let id = parse_id(ResourceKind::Section, id)?;
        // What is refused is refused before the lock is taken, which is a write.
        let stored =
            changeable(ResourceKind::Section, caller, self.items.find_versioned(id).await?, condition)?;
        self.clearing(&stored.revised.item, on_delete).await?;
        let (sections, caller) = (self.clone(), *caller);
        let (what, condition) = (on_delete.clone(), condition.clone());
        self.tree
            .run_exclusive(async move { sections.delete_exclusive(&caller, id, &what, &condition).await })
            .await
    }

    async fn delete_exclusive(
        &self,
        caller: &Caller,
        id: Id,
        on_delete: &OnDelete,
        condition: &Precondition,
    ) -> Result<(), Error> {
        loop {
            let stored =
                changeable(ResourceKind::Section, caller, self.items.find_versioned(id).await?, condition)?;
            if let Some(Clearing { parent, section }) = self.clearing(&stored.revised.item, on_delete).await?
            {
                self.contents.move_out(id, parent, section).await?;
            }
            if self.items.delete(&stored, self.clock.now()).await? {
                return Ok(());
            }
        }
    }

    /// Where what lies in a section goes, if it goes anywhere.
    async fn clearing(&self, section: &Section, what: &OnDelete) -> Result<Option<Clearing>, Error> {
        let held = self.contents.count(section.id).await?;
        Ok(match what {
            OnDelete::Reject if held != ContentCounts::default() => {
                return Err(Error::InUse(describe_contents(&held)));
            }
            OnDelete::Reject => None,
            OnDelete::Reassign(target) => {
                let target = Some(self.check_target(section.id, target, &held).await?);
                Some(Clearing { parent: target, section: target })
            }
            OnDelete::Orphan => {
                Some(Clearing { parent: self.parent_that_stays(section).await?, section: None })
            }
        })
    }

    async fn parent_that_stays(&self, section: &Section) -> Result<Option<Id>, Error> {
        let Some(parent) = section.parent_id.as_deref().and_then(|parent| Id::parse(parent).ok()) else {
            return Ok(None);
        };
        // In a ring of an old database there is none.
        let ring = parent == section.id || self.items.tree().await?.is_descendant(parent, section.id);
        Ok(if ring { None } else { self.items.find(parent).await?.map(|parent| parent.id) })
    }

    /// The section that takes over what lies in another.
    async fn check_target(&self, from: Id, target: &str, held: &ContentCounts) -> Result<Id, Error> {
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
            tree.check_parent(Some(child), target).map_err(|error| wrong(describe_placement(error)))?;
        }
        if let Some((kind, _)) = held.content.iter().find(|(kind, _)| *kind != section.content_type) {
            return Err(wrong(format!("has to name a section whose content_type is {}", kind.as_str())));
        }
        Ok(target)
    }
}

fn describe_contents(held: &ContentCounts) -> String {
    let named = |name: &str, count: u64| format!("{count} {name}{}", if count == 1 { "" } else { "s" });
    let sections = (held.sections > 0).then(|| named("section", held.sections));
    // The plural of `story` is the only one that is no `s`.
    let content =
        held.content.iter().map(|(kind, count)| named(kind.as_str(), *count).replace("storys", "stories"));
    sections.into_iter().chain(content).collect::<Vec<_>>().join(", ")
}
