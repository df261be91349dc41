//! The `field-notes` program.

fn main() {}
