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
        $(impl $crate::domain::patch::Patchable for $type {
            type Patch = Option<Self>;

            fn into_patch(self) -> Option<Self> {
                Some(self)
            }
        })+
    };
}
pub(super) use patchable;

patchable!(String, bool, i64, Vec<String>);
