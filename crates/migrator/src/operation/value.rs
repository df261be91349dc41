use bson::{Bson, DateTime, Document};

/// A value of a step: one that stands in it, or one that is known when it runs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// This one.
    Is(Bson),
    /// The time of the attempt, the same in all its steps.
    Now,
    /// What this variable of the configuration holds. It has to be among those that the migration requires.
    Env(&'static str),
}

impl Value {
    /// The value as far as it is known before it runs, else its name.
    pub(crate) fn told(&self) -> Bson {
        match self {
            Self::Is(value) => value.clone(),
            Self::Now => Bson::String("${now}".into()),
            Self::Env(name) => Bson::String(format!("${{{name}}}")),
        }
    }

    pub(crate) fn variable(&self) -> Option<&'static str> {
        match self {
            Self::Env(name) => Some(name),
            Self::Is(_) | Self::Now => None,
        }
    }
}

macro_rules! from {
    ($($kind:ty),+) => {$(
        impl From<$kind> for Value {
            fn from(value: $kind) -> Self {
                Self::Is(value.into())
            }
        }
    )+};
}

from!(Bson, &str, String, i32, i64, f64, bool, DateTime, Document, bson::oid::ObjectId);
