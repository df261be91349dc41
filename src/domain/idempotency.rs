/// The maximum length of an idempotency key.
pub const MAX_IDEMPOTENCY_KEY_LENGTH: usize = 255;

/// A caller's key of a request that creates an item, so that a repetition of the request creates nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key, unique among the requests of the caller.
    pub key: String,
    /// A digest of the request. Another request with the key is rejected.
    pub request: String,
}

/// Reports whether a text can be a key: visible ASCII characters of a bounded number.
pub fn is_idempotency_key(text: &str) -> bool {
    (1..=MAX_IDEMPOTENCY_KEY_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
