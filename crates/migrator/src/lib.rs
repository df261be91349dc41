//! A migration engine over a document store.
