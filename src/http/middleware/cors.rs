use axum::http::HeaderValue;

/// The origins of the frontend, in its installations.
const OWN: [&str; 6] = [
    "https://api.ghostmonk.com",
    "https://ghostmonk.com",
    "https://www.ghostmonk.com",
    "http://localhost:3000",
    "http://localhost:5001",
    "http://frontend:3000",
];

/// Which origins may read answers.
pub(crate) struct AllowedOrigins(Vec<HeaderValue>);

impl AllowedOrigins {
    /// Our own, and these.
    pub(crate) fn with(extra: &[String]) -> Self {
        let mut all: Vec<_> = OWN.into_iter().map(HeaderValue::from_static).collect();
        for origin in extra {
            if let Some(value) = acceptable(origin) {
                all.push(value);
            } else {
                tracing::warn!(origin, "an origin of CORS_EXTRA_ORIGINS is passed over: it is none");
            }
        }
        Self(all)
    }

    pub(crate) fn allow(&self, origin: &HeaderValue) -> bool {
        self.0.contains(origin)
    }
}

/// An origin is a scheme, a host, perhaps a port, and nothing more.
fn acceptable(origin: &str) -> Option<HeaderValue> {
    let origin = origin.trim_end_matches('/');
    let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"))?;
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:[]".contains(&b);
    let sane = !host.is_empty() && !host.contains("..") && host.bytes().all(fits);
    if sane { HeaderValue::from_str(origin).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_origins_are_allowed_beside_our_own_if_they_are_origins() {
        let extra = [
            "https://a.example:8443",
            "http://b.example/",
            "*",
            "https://*.example",
            "ftp://c.example",
            "https://",
            "https://d..example",
            "https://e.example/path",
        ];
        let origins = AllowedOrigins::with(&extra.map(str::to_owned));
        let allowed = |origin| origins.allow(&HeaderValue::from_static(origin));
        assert!(allowed("https://ghostmonk.com") && allowed("http://localhost:3000"));
        assert!(allowed("https://a.example:8443") && allowed("http://b.example"));
        for foreign in [
            "null",
            "*",
            "https://a.example",
            "https://evil.ghostmonk.com",
            "https://ghostmonk.com.evil.example",
            "http://ghostmonk.com",
            "https://e.example",
        ] {
            assert!(!allowed(foreign), "{foreign}");
        }
        assert_eq!(origins.0.len(), OWN.len() + 2);
    }
}
