//! The refusal to delete a picture or video to which content refers.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{MediaUse, Referrer};

/// An item that refers to a file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Referrer, examples(json!({
    "content_type": "story", "title": "First light", "id": "65a1b2c3d4e5f60718293a4b",
})))]
pub(crate) struct ReferrerBody {
    /// `story`, `project`, `page`, `section` or `photo_essay`.
    content_type: &'static str,
    title: String,
    id: String,
}

impl From<Referrer> for ReferrerBody {
    fn from(referrer: Referrer) -> Self {
        // The contract does not name the others.
        let Referrer { kind, id, title, user_id: _, is_published: _, section_id: _ } = referrer;
        Self { content_type: kind.as_str(), title, id }
    }
}

/// The `detail` of a deletion that was refused since content refers to the file, in the form of refused uploads.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MediaInUseDetail)]
pub(crate) struct MediaInUseDetail {
    /// `MEDIA_IN_USE`.
    #[schema(pattern = "^MEDIA_IN_USE$")]
    error_code: &'static str,
    /// A text for the author.
    user_message: String,
    /// The content that refers to the file.
    details: MediaInUseFacts,
    /// Always null: the id of the request is a member of the error.
    request_id: Option<String>,
}

/// The content that refers to a file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MediaInUseFacts)]
struct MediaInUseFacts {
    /// The number of items that refer to the file, with those that the caller may not see.
    reference_count: usize,
    /// The first 50 of those that the caller may see.
    referenced_by: Vec<ReferrerBody>,
    /// Advice to the client.
    suggestions: Vec<&'static str>,
}

impl MediaInUseDetail {
    /// Describes the content that refers to a file.
    pub(super) fn new(used: &MediaUse, message: &str) -> Self {
        let MediaUse { shown, count } = used;
        Self {
            error_code: "MEDIA_IN_USE",
            user_message: message.to_owned(),
            details: MediaInUseFacts {
                reference_count: *count,
                referenced_by: shown.iter().cloned().map(ReferrerBody::from).collect(),
                suggestions: vec!["Remove the file from this content", "Delete it with force=true"],
            },
            request_id: None,
        }
    }
}
