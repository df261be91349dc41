use super::Sections;
use crate::domain::{Id, Restored, Section};
use crate::service::{Error, ResourceKind};

impl Sections {
    /// Restores a deleted section where it lay. If that is gone, or lies in the section itself by now, it goes to the
    /// root.
    pub(in crate::service) async fn restore(&self, id: Id) -> Result<Restored, Error> {
        self.in_trash(id).await?;
        let sections = self.clone();
        self.tree.run_exclusive(async move { sections.restore_exclusive(id).await }).await
    }

    async fn restore_exclusive(&self, id: Id) -> Result<Restored, Error> {
        let section = self.in_trash(id).await?;
        let restored = match section.parent_id.map(|parent| Id::parse(&parent)) {
            None => self.items.restore(id).await?,
            Some(Ok(parent))
                if self
                    .items
                    .tree()
                    .await?
                    .with_section(id, Some(parent))
                    .check_parent(Some(id), parent)
                    .is_ok() =>
            {
                self.items.restore(id).await?
            }
            Some(_) => self.items.restore_at_root(id).await?,
        };
        restored.ok_or(Error::NotInTrash(ResourceKind::Section))
    }

    async fn in_trash(&self, id: Id) -> Result<Section, Error> {
        self.items.find_deleted(id).await?.ok_or(Error::NotInTrash(ResourceKind::Section))
    }
}
