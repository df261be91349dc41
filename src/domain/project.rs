use chrono::{DateTime, Utc};

use super::{Id, Item, Visibility};

/// Something made, shown on a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: Id,
    /// Its name in addresses.
    pub slug: String,
    /// What people write of it.
    pub text: ProjectText,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was last changed.
    pub updated: DateTime<Utc>,
    /// Who made it.
    pub user_id: Option<String>,
    /// The section it hangs in.
    pub section_id: Option<String>,
}

/// What people write of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectText {
    /// Its title.
    pub title: String,
    /// What it is, in a sentence or two.
    pub summary: String,
    /// Its text, as HTML.
    pub content: String,
    /// What it is made with.
    pub technologies: Vec<String>,
    /// Where its source is.
    pub github_url: Option<String>,
    /// Where it runs.
    pub live_url: Option<String>,
    /// A picture of it.
    pub image_url: Option<String>,
    /// Whether everybody may see it.
    pub is_published: bool,
    /// Whether it is shown in a prominent place.
    pub is_featured: bool,
    /// Its place among the others, lowest first.
    pub sort_order: i64,
}

impl Item for Project {
    fn id(&self) -> Id {
        self.id
    }

    fn owner(&self) -> Option<&str> {
        self.user_id.as_deref()
    }

    fn is_published(&self) -> bool {
        self.text.is_published
    }
}

/// What a project is made of when it comes into being.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProject {
    /// What is written of it.
    pub text: ProjectText,
    /// Who makes it.
    pub user_id: Id,
    /// The section it hangs in, if there is one for projects.
    pub section_id: Option<Id>,
}

/// What is changed in a project; what is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProjectChange {
    /// Its title.
    pub title: Option<String>,
    /// What it is, in a sentence or two.
    pub summary: Option<String>,
    /// Its text, as HTML.
    pub content: Option<String>,
    /// What it is made with.
    pub technologies: Option<Vec<String>>,
    /// Where its source is; an empty address takes it away.
    pub github_url: Option<String>,
    /// Where it runs; an empty address takes it away.
    pub live_url: Option<String>,
    /// A picture of it; an empty address takes it away.
    pub image_url: Option<String>,
    /// Whether everybody may see it.
    pub is_published: Option<bool>,
    /// Whether it is shown in a prominent place.
    pub is_featured: Option<bool>,
    /// Its place among the others.
    pub sort_order: Option<i64>,
    /// The section it hangs in from now on.
    pub section_id: Option<Id>,
}

/// Which projects a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectFilter {
    /// Published or not.
    pub visibility: Visibility,
    /// Only the prominent ones.
    pub featured_only: bool,
    /// In which section they hang.
    pub section: Option<Id>,
}
