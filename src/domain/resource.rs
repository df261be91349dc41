use chrono::{DateTime, Utc};

use super::{Caller, Id};

/// The maximum length of a title, and of a slug that is requested in place of it, in characters.
pub const MAX_TITLE_LENGTH: u64 = 200;

/// The fields that every stored item has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Its id.
    pub id: Id,
    /// Time of creation.
    pub created: DateTime<Utc>,
    /// Time of the last change.
    pub updated: DateTime<Utc>,
    /// The id of the user who created it; items of the original and of migrations may have no owner.
    pub user_id: Option<String>,
}

/// The fields of an item that its author writes.
pub trait Draft: Clone + Send + Sync + 'static {
    /// A partial change of these fields.
    type Patch: Clone + Send + Sync + 'static;
}

/// An item that people write and publish.
pub trait Item {
    /// The fields that its author writes.
    type Draft: Draft;
    /// The singular name for messages, such as `Story`.
    const NAME: &'static str;

    /// Its id, dates and owner.
    fn meta(&self) -> &Meta;

    /// Reports whether anonymous callers may see it.
    fn is_published(&self) -> bool;

    /// Reports whether a caller may see it.
    fn is_visible_to(&self, caller: Option<&Caller>) -> bool {
        self.is_published() || caller.is_some_and(|caller| caller.may_edit(self.meta().user_id.as_deref()))
    }
}

/// The partial change of an item's draft.
pub type PatchOf<T> = <<T as Item>::Draft as Draft>::Patch;

/// Declares a resource: the item, the draft that its author writes, and a patch of the draft. Each written field is
/// declared once; in the patch it is an `Option`, or a [`Patch`](super::Patch) if the draft's field is optional.
macro_rules! resource {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }
        $(#[$draft_doc:meta])*
        $draft:ident, $patch:ident { $($(#[$written_doc:meta])* $written:ident: $written_type:ty,)+ }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            /// Id, dates and owner.
            pub meta: $crate::domain::Meta,
            /// The fields that its author writes.
            pub draft: $draft,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        $(#[$draft_doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $draft {
            $($(#[$written_doc])* pub $written: $written_type,)+
        }

        #[doc = concat!("A partial change of a [`", stringify!($draft), "`].")]
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub struct $patch {
            $($(#[$written_doc])* pub $written: <$written_type as $crate::domain::patch::Patchable>::Patch,)+
        }

        impl From<$draft> for $patch {
            /// Sets every field.
            fn from(draft: $draft) -> Self {
                let $draft { $($written,)+ } = draft;
                Self { $($written: $crate::domain::patch::Patchable::into_patch($written),)+ }
            }
        }

        impl $crate::domain::Draft for $draft {
            type Patch = $patch;
        }

        impl $crate::domain::Item for $name {
            type Draft = $draft;
            const NAME: &'static str = stringify!($name);

            fn meta(&self) -> &$crate::domain::Meta {
                &self.meta
            }

            fn is_published(&self) -> bool {
                self.draft.is_published
            }
        }
    };
}
pub(super) use resource;
