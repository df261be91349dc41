/// A change of a field of which nothing is a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Patch<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is nothing from now on.
    Clear,
    /// It is this from now on.
    Set(T),
}

impl<T> Patch<T> {
    /// The value to be, if there is a change.
    pub fn change(self) -> Option<Option<T>> {
        match self {
            Self::Keep => None,
            Self::Clear => Some(None),
            Self::Set(value) => Some(Some(value)),
        }
    }
}
