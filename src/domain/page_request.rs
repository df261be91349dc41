/// A range of a list, by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The maximum number of items.
    pub limit: u64,
    /// The number of items to skip.
    pub offset: u64,
}

/// A request for a page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// The maximum number of items.
    pub limit: u64,
    /// The start of the page.
    pub position: Position,
}

/// The start of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// After this number of items.
    Offset(u64),
    /// After the item of a cursor, or at the beginning of the list. Insertions and deletions do not move it.
    Cursor(Option<String>),
}

impl From<Window> for PageRequest {
    fn from(window: Window) -> Self {
        Self { limit: window.limit, position: Position::Offset(window.offset) }
    }
}

/// A page of a list, and the length of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// The items of the page.
    pub items: Vec<T>,
    /// The number of items in the list.
    pub total: u64,
    /// The range of the page. With a cursor, the offset is the number of items before it.
    pub window: Window,
    /// The next page, if a cursor was requested.
    pub cursor_page: Option<CursorPage>,
}

/// The continuation of a page that was requested by cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorPage {
    /// The cursor of the next page; `None` at the end of the list.
    pub next: Option<String>,
}
