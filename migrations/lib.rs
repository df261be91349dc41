//! The migrations of Field Notes.
