/// Walks by cursor.
mod cursors;
/// The index of each list.
mod plans;
/// Totals while other processes write.
mod totals;
