use docstore::{Filter, Index};

use crate::domain::{NavLink, NavLinkDraft, NavLinkPatch, Visibility};
use crate::repository::lists::order::{self, BY_PLACE, OrderField};
use crate::repository::row::{Row, fields, flag, integer_or_zero, link_target, text, visible};
use crate::repository::{BadField, DraftFields, Entity};

fields! {
    NavLinkDraft, NavLinkPatch {
        label: text => "label",
        url: link_target => "url",
        sort_order: integer_or_zero => "sort_order",
        is_published: flag => "is_published",
    }
}

impl Entity for NavLink {
    const COLLECTION: &'static str = "navlinks";
    const ORDER: &'static [OrderField] = BY_PLACE;
    type Filter = Visibility;

    fn indexes() -> Vec<Index> {
        vec![
            Index::on(["sort_order"]),
            Index::on(["is_published"]),
            order::narrowed("is_published", BY_PLACE),
            order::whole(BY_PLACE),
        ]
    }

    fn from_row(row: &Row<'_>) -> Result<Self, BadField> {
        Ok(Self { meta: row.meta()?, draft: NavLinkDraft::read(row)? })
    }

    fn filter(filter: &Visibility) -> Filter {
        visible(*filter)
    }
}
