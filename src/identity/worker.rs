use std::fmt;

use sha2::{Digest as _, Sha256};

/// The token of a program that works on videos. Only its digest is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct WorkerToken([u8; 32]);

impl WorkerToken {
    /// The minimum length of a token, in bytes.
    pub const MIN_LENGTH: usize = 16;

    /// Creates a token from its text. Returns `None` if it is too short to be secret, or is not one word of ASCII.
    pub fn new(text: &str) -> Option<Self> {
        let is_token = text.len() >= Self::MIN_LENGTH && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_token.then(|| Self(digest(text)))
    }

    /// Reports whether a client sent this token. Digests are compared, so that the time says nothing about the token.
    pub(super) fn is(&self, token: &str) -> bool {
        self.0 == digest(token)
    }
}

impl fmt::Debug for WorkerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorkerToken")
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_words_and_compared_whole() {
        for bad in ["", "short", "fifteen-letters", "sixteen letters!!", "sixteen-lettérs!"] {
            assert_eq!(WorkerToken::new(bad), None, "{bad}");
        }
        let token = WorkerToken::new("sixteen-letters!").unwrap();
        assert!(token.is("sixteen-letters!") && !token.is("sixteen-letters") && !token.is(""));
        assert_eq!(format!("{token:?}"), "WorkerToken");
    }
}
