use bson::{Document, doc};
use chrono::{DateTime, Utc};
use docstore::{Filter, Index, Sort, Update};

use crate::domain::{NavLink, NavLinkChange, NewNavLink, Visibility};
use crate::repository::lists::order::{self, BY_PLACE};
use crate::repository::row::{date, link, own_id, reference, row, text, truth_or, visible, whole_or};
use crate::repository::{BadField, Entity, Writable};

row! {
    /// A link of the navigation as stored.
    pub struct NavLinkRow {
        id = "_id",
        label = "label",
        url = "url",
        sort_order = "sort_order",
        is_published = "is_published",
        created = "createdDate",
        updated = "updatedDate",
        user_id = "user_id",
    }
}

impl Entity for NavLink {
    const COLLECTION: &'static str = "navlinks";
    type Row<'a> = NavLinkRow<'a>;
    type Filter = Visibility;

    fn indexes() -> Vec<Index> {
        vec![
            Index::on(["sort_order"]),
            Index::on(["is_published"]),
            order::narrowed("is_published", BY_PLACE),
            order::whole(BY_PLACE),
        ]
    }

    fn from_row(row: NavLinkRow<'_>) -> Result<Self, BadField> {
        let NavLinkRow { id, label, url, sort_order, is_published, created, updated, user_id } = row;
        Ok(Self {
            id: own_id(id)?,
            label: text(label, "label")?,
            url: link(url, "url")?,
            sort_order: whole_or(sort_order, "sort_order", 0)?,
            is_published: truth_or(is_published, "is_published", false)?,
            created: date(created, "createdDate")?,
            updated: date(updated, "updatedDate")?,
            user_id: reference(user_id, "user_id")?,
        })
    }

    fn filter(filter: &Visibility) -> Filter {
        visible(*filter)
    }

    fn sort() -> Sort {
        order::sort(BY_PLACE)
    }
}

impl Writable for NavLink {
    type New = NewNavLink;
    type Change = NavLinkChange;

    fn document(new: &NewNavLink, _now: DateTime<Utc>) -> Document {
        let NewNavLink { label, url, sort_order, is_published, user_id } = new;
        doc! {
            "label": label,
            "url": url,
            "sort_order": sort_order,
            "is_published": is_published,
            "user_id": user_id.to_string(),
        }
    }

    fn update(change: &NavLinkChange) -> Update {
        let NavLinkChange { label, url, sort_order, is_published } = change;
        let mut update = Update::new();
        if let Some(label) = label {
            update = update.set("label", label.as_str());
        }
        if let Some(url) = url {
            update = update.set("url", url.as_str());
        }
        if let Some(sort_order) = sort_order {
            update = update.set("sort_order", *sort_order);
        }
        if let Some(is_published) = is_published {
            update = update.set("is_published", *is_published);
        }
        update
    }
}
