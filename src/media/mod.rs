//! Uploaded media: pictures and videos.

/// Videos.
pub mod video;
