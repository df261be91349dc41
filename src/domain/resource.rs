//! The common parts of all resources: fields, revisions, patches, and the macros that declare them.

use chrono::{DateTime, Utc};

use super::{Caller, Id, Revision};

/// The maximum length of a title, and of a slug that is requested in place of it, in characters.
pub const MAX_TITLE_LENGTH: u64 = 200;
/// The maximum length of the HTML of a story, project or page, in characters, as it is sent and as it is stored.
pub const MAX_CONTENT_LENGTH: u64 = 100_000;

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

/// The conditions on the state of an item that is changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Precondition {
    /// The item must exist and have such a revision.
    pub required: Option<RevisionMatch>,
    /// The item must not exist with such a revision.
    pub excluded: Option<RevisionMatch>,
}

/// A set of revisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevisionMatch {
    /// Every revision.
    Any,
    /// These revisions.
    AnyOf(Vec<String>),
}

impl RevisionMatch {
    fn matches(&self, current: Option<&Revision>) -> bool {
        current.is_some_and(|current| match self {
            Self::Any => true,
            Self::AnyOf(revisions) => revisions.contains(&current.0),
        })
    }
}

impl Precondition {
    /// Reports whether the item has a required revision. An item that does not exist has none.
    pub fn accepts(&self, current: Option<&Revision>) -> bool {
        self.required.as_ref().is_none_or(|required| required.matches(current))
    }

    /// Reports whether the item has an excluded revision.
    pub fn excludes(&self, current: Option<&Revision>) -> bool {
        self.excluded.as_ref().is_some_and(|excluded| excluded.matches(current))
    }
}

/// An item and its revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revised<T> {
    /// The item.
    pub item: T,
    /// Its revision.
    pub revision: Revision,
}

/// A change of an optional field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// Leaves the value as it is.
    #[default]
    Keep,
    /// Removes the value.
    Clear,
    /// Replaces the value.
    Set(T),
}

/// A change of one field: [`Option`] for a field that always has a value, [`Patch`] for an optional one.
pub trait FieldPatch {
    /// The type of the field.
    type Value;

    /// Returns the new value, if the field changes.
    fn change(self) -> Option<Self::Value>;
}

impl<T> FieldPatch for Option<T> {
    type Value = T;

    fn change(self) -> Option<T> {
        self
    }
}

impl<T> FieldPatch for Patch<T> {
    type Value = Option<T>;

    fn change(self) -> Option<Option<T>> {
        match self {
            Self::Keep => None,
            Self::Clear => Some(None),
            Self::Set(value) => Some(Some(value)),
        }
    }
}

/// A field type that a patch can change.
pub trait Patchable: Sized {
    /// A change of the field.
    type Patch: FieldPatch<Value = Self>;

    /// Returns the change that sets this value.
    fn into_patch(self) -> Self::Patch;
}

impl<T> Patchable for Option<T> {
    type Patch = Patch<T>;

    fn into_patch(self) -> Patch<T> {
        self.map_or(Patch::Clear, Patch::Set)
    }
}

macro_rules! patchable {
    ($($type:ty),+) => {
        $(impl $crate::domain::resource::Patchable for $type {
            type Patch = Option<Self>;

            fn into_patch(self) -> Option<Self> {
                Some(self)
            }
        })+
    };
}
pub(super) use patchable;

patchable!(String, bool, i64, Vec<String>);

/// Declares a resource: the item, the draft that its author writes, and a patch of the draft. Each written field is
/// declared once; in the patch it is an `Option`, or a [`Patch`] if the draft's field is optional.
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
            $($(#[$written_doc])* pub $written: <$written_type as $crate::domain::resource::Patchable>::Patch,)+
        }

        impl From<$draft> for $patch {
            /// Sets every field.
            fn from(draft: $draft) -> Self {
                let $draft { $($written,)+ } = draft;
                Self { $($written: $crate::domain::resource::Patchable::into_patch($written),)+ }
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

/// An enum that is stored and sent as one word per variant.
pub trait StringEnum: Copy {
    /// The word of every variant.
    const WORDS: &'static [&'static str];

    /// Returns the word of this variant.
    fn as_str(self) -> &'static str;
}

/// Declares a [`StringEnum`].
macro_rules! string_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// Every variant.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The word of every variant.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// Returns the word that is stored and sent.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl $crate::domain::StringEnum for $name {
            const WORDS: &'static [&'static str] = Self::WORDS;

            fn as_str(self) -> &'static str {
                self.as_str()
            }
        }

        impl std::str::FromStr for $name {
            type Err = ();

            fn from_str(word: &str) -> Result<Self, ()> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(()),
                }
            }
        }
    };
}
pub(super) use string_enum;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precondition_compares_revisions() {
        let (one, other) = (Revision::from_bytes(b"1"), Revision::from_bytes(b"2"));
        assert_ne!(one, other);
        assert_eq!(one, Revision::from_bytes(b"1"));
        let none = Precondition::default();
        assert!(none.accepts(Some(&one)) && none.accepts(None) && !none.excludes(Some(&one)));
        let listed = Some(RevisionMatch::AnyOf(vec![other.to_string(), "x".to_owned()]));
        let listed = Precondition { required: listed.clone(), excluded: listed };
        assert!(listed.accepts(Some(&other)) && !listed.accepts(Some(&one)) && !listed.accepts(None));
        assert!(listed.excludes(Some(&other)) && !listed.excludes(Some(&one)) && !listed.excludes(None));
        let any = Precondition { required: Some(RevisionMatch::Any), excluded: Some(RevisionMatch::Any) };
        assert!(any.accepts(Some(&one)) && !any.accepts(None));
        assert!(any.excludes(Some(&one)) && !any.excludes(None));
        let nothing = Precondition { required: Some(RevisionMatch::AnyOf(Vec::new())), excluded: None };
        assert!(!nothing.accepts(Some(&one)));
    }
}
