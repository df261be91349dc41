/// Which part of a list is asked for, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many items at the most.
    pub limit: u64,
    /// How many are passed over first.
    pub offset: u64,
}

/// Which part of a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// How many items at the most.
    pub limit: u64,
    /// Where it begins.
    pub position: Position,
}

/// Where a part of a list begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// After so many items, wherever they come to lie.
    Offset(u64),
    /// Where a walk begins, or goes on from the cursor that its last part ended with: what is added or removed
    /// meanwhile moves nothing.
    Cursor(Option<String>),
}

impl From<Window> for PageRequest {
    fn from(window: Window) -> Self {
        Self { limit: window.limit, position: Position::Offset(window.offset) }
    }
}

/// A part of a list, and how many items there are in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// The items.
    pub items: Vec<T>,
    /// How many match, without regard to the window.
    pub total: u64,
    /// The part that was asked for; in a walk, the offset is how much of it lies behind.
    pub window: Window,
    /// Where a walk goes on, if it is one.
    pub cursor_page: Option<CursorPage>,
}

/// Where a walk over a list goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorPage {
    /// The cursor of the next part; `None` at the end.
    pub next: Option<String>,
}
