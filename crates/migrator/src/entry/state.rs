use std::fmt;

use serde::Serialize;

/// Defines an enum whose values are stored and serialized by name.
macro_rules! stored_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
        pub enum $name {
            $($(#[$attribute])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// Returns the name in the ledger.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            pub(super) fn parse(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

stored_enum! {
    /// The state of a migration in the ledger.
    State {
        /// A run is applying it, or was killed while doing so.
        #[default]
        Running = "running",
        /// It is applied.
        Applied = "applied",
        /// It failed. Its changes up to the error persist.
        Failed = "failed",
        /// It was stopped. Its changes up to then persist.
        Interrupted = "interrupted",
        /// A run is rolling it back, or failed or was killed while doing so.
        RollingBack = "rolling_back",
        /// It was rolled back.
        RolledBack = "rolled_back",
    }
}

stored_enum! {
    /// The origin of an applied migration.
    Source {
        /// Applied by this engine, with a journal.
        #[default]
        Native = "native",
        /// Applied by an earlier tool, without a journal.
        Imported = "imported",
        /// Marked as applied by an operator, without a journal.
        Stamped = "stamped",
    }
}
