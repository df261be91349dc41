/// Walks by cursor.
mod cursors;
/// Which index each list is read by.
mod plans;
/// How much there is, whoever writes.
mod totals;
