use super::resource::resource;

/// The maximum length of a link's label, in characters.
pub const MAX_LABEL_LENGTH: u64 = 100;
/// The maximum length of a link's URL, in characters.
pub const MAX_LINK_LENGTH: u64 = 500;

resource! {
    /// A navigation link. Links of the original have no owner.
    NavLink {}
    /// The fields of a navigation link that its author writes.
    NavLinkDraft, NavLinkPatch {
        /// Text of the link.
        label: String,
        /// Target of the link.
        url: String,
        /// Position in lists, lowest first.
        sort_order: i64,
        /// Visible to everyone.
        is_published: bool,
    }
}
