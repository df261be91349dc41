/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many items at the most.
    pub limit: u64,
    /// How many are passed over first.
    pub offset: u64,
}

/// The items in a window, and how many there are in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// The items.
    pub items: Vec<T>,
    /// How many match, without regard to the window.
    pub total: u64,
    /// The window that was asked for.
    pub window: Window,
}
