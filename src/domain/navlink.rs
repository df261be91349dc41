use chrono::{DateTime, Utc};

use super::{Id, Item};

/// A link of the navigation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NavLink {
    /// Its id.
    pub id: Id,
    /// What it says.
    pub label: String,
    /// Where it leads.
    pub url: String,
    /// Its place, lowest first.
    pub sort_order: i64,
    /// Whether everybody may see it.
    pub is_published: bool,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was last changed.
    pub updated: DateTime<Utc>,
    /// Who made it, who may see it before it is published; links of the original have no owner.
    pub user_id: Option<String>,
}

impl Item for NavLink {
    fn id(&self) -> Id {
        self.id
    }

    fn owner(&self) -> Option<&str> {
        self.user_id.as_deref()
    }

    fn is_published(&self) -> bool {
        self.is_published
    }
}

/// What a link is made of when it comes into being.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewNavLink {
    /// What it says.
    pub label: String,
    /// Where it leads.
    pub url: String,
    /// Its place, lowest first.
    pub sort_order: i64,
    /// Whether everybody may see it.
    pub is_published: bool,
    /// Who makes it.
    pub user_id: Id,
}

/// What a link becomes; what is not said stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NavLinkChange {
    /// What it says.
    pub label: Option<String>,
    /// Where it leads.
    pub url: Option<String>,
    /// Its place, lowest first.
    pub sort_order: Option<i64>,
    /// Whether everybody may see it.
    pub is_published: Option<bool>,
}
