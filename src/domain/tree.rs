use std::collections::{HashMap, HashSet};

use super::Id;

/// The maximum number of levels in the tree of sections.
pub const MAX_SECTION_DEPTH: usize = 32;

/// The reason that a section cannot be the child of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlacementError {
    /// The parent does not exist.
    ParentNotFound,
    /// The parent is the section itself.
    IntoItself,
    /// The parent is a descendant of the section.
    IntoDescendant,
    /// The section or a descendant would be deeper than [`MAX_SECTION_DEPTH`].
    TooDeep,
}

/// The tree of sections. Old databases may have missing parents and rings.
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
    /// Checks that a section, or a new one, can be a child of `parent`.
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

    /// Adds a section.
    #[must_use]
    pub fn with_section(mut self, section: Id, parent: Option<Id>) -> Self {
        self.parents.insert(section, parent);
        self
    }

    /// Returns the children of a section.
    pub fn children(&self, section: Id) -> impl Iterator<Item = Id> {
        self.parents.iter().filter(move |(_, parent)| **parent == Some(section)).map(|(id, _)| *id)
    }

    /// Reports whether a section is a descendant of another.
    pub fn is_descendant(&self, section: Id, other: Id) -> bool {
        self.ancestors(section).skip(1).any(|above| above == other)
    }

    /// Returns the section and its ancestors up to the root, each once even in a ring.
    fn ancestors(&self, section: Id) -> impl Iterator<Item = Id> {
        let mut seen = HashSet::new();
        let above =
            |id: &Id| self.parents.get(id).copied().flatten().filter(|id| self.parents.contains_key(id));
        std::iter::successors(Some(section), above).take_while(move |id| seen.insert(*id))
    }

    /// Returns the number of levels from the section to its deepest descendant.
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

    /// Builds a tree from pairs of section and parent.
    fn tree(sections: &[(usize, Option<usize>)]) -> SectionTree {
        sections.iter().map(|(n, parent)| (id(*n), parent.map(id))).collect()
    }

    #[test]
    fn sections_cannot_move_into_themselves_or_descendants() {
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
    fn sections_deeper_than_the_maximum_are_rejected() {
        let chain: Vec<_> = (1..=MAX_SECTION_DEPTH).map(|n| (n, (n > 1).then(|| n - 1))).collect();
        let with = |more: &[(usize, Option<usize>)]| tree(&[&chain, more].concat());
        assert_eq!(with(&[]).check_parent(None, id(MAX_SECTION_DEPTH)), Err(PlacementError::TooDeep));
        assert_eq!(with(&[]).check_parent(None, id(MAX_SECTION_DEPTH - 1)), Ok(()));
        // Descendants count.
        let pair = with(&[(100, None), (101, Some(100))]);
        assert_eq!(pair.check_parent(Some(id(100)), id(MAX_SECTION_DEPTH - 1)), Err(PlacementError::TooDeep));
        assert_eq!(pair.check_parent(Some(id(100)), id(MAX_SECTION_DEPTH - 2)), Ok(()));
    }

    #[test]
    fn rings_and_missing_parents_terminate() {
        let tree = tree(&[(1, Some(2)), (2, Some(1)), (3, Some(77)), (4, None)]);
        assert_eq!(tree.check_parent(None, id(1)), Ok(()));
        assert_eq!(tree.check_parent(Some(id(1)), id(4)), Ok(()));
        assert_eq!(tree.check_parent(Some(id(1)), id(2)), Err(PlacementError::IntoDescendant));
        assert_eq!(tree.check_parent(None, id(3)), Ok(()));
    }
}
