use std::collections::{HashMap, HashSet};

use super::Id;

/// Sections inside one another, at the most.
pub const MAX_SECTION_DEPTH: usize = 32;

/// Why a section cannot lie in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlacementError {
    /// There is no such section.
    ParentNotFound,
    /// It is the section itself.
    IntoItself,
    /// It lies in the section.
    IntoDescendant,
    /// It, or what lies in it, would be deeper than [`MAX_SECTION_DEPTH`].
    TooDeep,
}

/// All sections, and in which other each lies. Old databases may hold parents that are not there, and rings.
#[derive(Debug, Clone, Default)]
pub struct SectionTree {
    parents: HashMap<Id, Option<Id>>,
}

impl FromIterator<(Id, Option<Id>)> for SectionTree {
    fn from_iter<I: IntoIterator<Item = (Id, Option<Id>)>>(sections: I) -> Self {
        Self { parents: sections.into_iter().collect() }
    }
}

impl SectionTree {
    /// Whether a section, or a new one, may lie in `parent`.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check_parent(&self, section: Option<Id>, parent: Id) -> Result<(), PlacementError> {
        if section == Some(parent) {
            return Err(PlacementError::IntoItself);
        }
        if !self.parents.contains_key(&parent) {
            return Err(PlacementError::ParentNotFound);
        }
        if section.is_some_and(|section| self.is_descendant(parent, section)) {
            return Err(PlacementError::IntoDescendant);
        }
        let height = section.map_or(1, |section| self.height(section));
        if self.ancestors(parent).count() + height > MAX_SECTION_DEPTH {
            return Err(PlacementError::TooDeep);
        }
        Ok(())
    }

    /// The same with one section more.
    #[must_use]
    pub fn with_section(mut self, section: Id, parent: Option<Id>) -> Self {
        self.parents.insert(section, parent);
        self
    }

    /// The sections that lie in this one, not deeper.
    pub fn children(&self, section: Id) -> impl Iterator<Item = Id> {
        self.parents.iter().filter(move |(_, parent)| **parent == Some(section)).map(|(id, _)| *id)
    }

    /// Whether a section lies in another, however deep.
    pub fn is_descendant(&self, section: Id, other: Id) -> bool {
        self.ancestors(section).skip(1).any(|above| above == other)
    }

    /// The section and those that it lies in, up to the root; each once, even in a ring.
    fn ancestors(&self, section: Id) -> impl Iterator<Item = Id> {
        let mut seen = HashSet::new();
        let above =
            |id: &Id| self.parents.get(id).copied().flatten().filter(|id| self.parents.contains_key(id));
        std::iter::successors(Some(section), above).take_while(move |id| seen.insert(*id))
    }

    /// How many levels there are from the section to the deepest that lies in it.
    fn height(&self, section: Id) -> usize {
        let levels = |below: Id| self.ancestors(below).position(|id| id == section).map(|levels| levels + 1);
        self.parents.keys().filter_map(|id| levels(*id)).max().unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> Id {
        Id::parse(&format!("{n:024x}")).unwrap()
    }

    /// Section n lies in the section that is named with it.
    fn tree(sections: &[(usize, Option<usize>)]) -> SectionTree {
        sections.iter().map(|(n, parent)| (id(*n), parent.map(id))).collect()
    }

    #[test]
    fn a_section_lies_neither_in_itself_nor_in_its_own() {
        let tree = tree(&[(1, None), (2, Some(1)), (3, Some(2)), (4, None)]);
        assert_eq!(tree.check_parent(Some(id(1)), id(1)), Err(PlacementError::IntoItself));
        assert_eq!(tree.check_parent(Some(id(1)), id(2)), Err(PlacementError::IntoDescendant));
        assert_eq!(tree.check_parent(Some(id(1)), id(3)), Err(PlacementError::IntoDescendant));
        assert_eq!(tree.check_parent(Some(id(1)), id(9)), Err(PlacementError::ParentNotFound));
        assert_eq!(tree.check_parent(Some(id(1)), id(4)), Ok(()));
        assert_eq!(tree.check_parent(Some(id(3)), id(1)), Ok(()));
        assert_eq!(tree.check_parent(None, id(3)), Ok(()));
        assert!(
            tree.is_descendant(id(3), id(1))
                && !tree.is_descendant(id(1), id(3))
                && !tree.is_descendant(id(1), id(1))
        );
    }

    #[test]
    fn no_section_is_deeper_than_the_deepest() {
        let chain: Vec<_> = (1..=MAX_SECTION_DEPTH).map(|n| (n, (n > 1).then(|| n - 1))).collect();
        let with = |more: &[(usize, Option<usize>)]| tree(&[&chain, more].concat());
        assert_eq!(with(&[]).check_parent(None, id(MAX_SECTION_DEPTH)), Err(PlacementError::TooDeep));
        assert_eq!(with(&[]).check_parent(None, id(MAX_SECTION_DEPTH - 1)), Ok(()));
        // With what lies in it.
        let pair = with(&[(100, None), (101, Some(100))]);
        assert_eq!(pair.check_parent(Some(id(100)), id(MAX_SECTION_DEPTH - 1)), Err(PlacementError::TooDeep));
        assert_eq!(pair.check_parent(Some(id(100)), id(MAX_SECTION_DEPTH - 2)), Ok(()));
    }

    #[test]
    fn rings_and_missing_parents_of_old_databases_come_to_an_end() {
        let tree = tree(&[(1, Some(2)), (2, Some(1)), (3, Some(77)), (4, None)]);
        assert_eq!(tree.check_parent(None, id(1)), Ok(()));
        assert_eq!(tree.check_parent(Some(id(1)), id(4)), Ok(()));
        assert_eq!(tree.check_parent(Some(id(1)), id(2)), Err(PlacementError::IntoDescendant));
        assert_eq!(tree.check_parent(None, id(3)), Ok(()));
    }
}
