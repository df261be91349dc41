//! The content backend of Field Notes.
