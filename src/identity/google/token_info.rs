use chrono::{DateTime, Utc};
use serde::Deserialize;
use validator::ValidateEmail as _;

use crate::identity::TokenError;

const EMAIL_SCOPE: &str = "https://www.googleapis.com/auth/userinfo.email";
/// Top-level domains without mail addresses.
const RESERVED_DOMAINS: [&str; 6] = ["arpa", "invalid", "local", "localhost", "onion", "test"];

/// A response of `tokeninfo`. Numbers and booleans may be strings.
#[derive(Deserialize)]
pub(super) struct TokenInfo {
    aud: Option<String>,
    sub: Option<String>,
    scope: Option<String>,
    exp: Option<LooseValue>,
    email: Option<String>,
    email_verified: Option<LooseValue>,
}

/// A response of `userinfo`.
#[derive(Deserialize, Default)]
pub(super) struct UserInfo {
    pub(super) name: Option<String>,
    pub(super) picture: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum LooseValue {
    Bool(bool),
    Number(i64),
    Text(String),
}

/// The contents of a valid token.
#[derive(Debug, PartialEq)]
pub(super) struct ValidToken {
    pub(super) email: String,
    pub(super) account: Option<String>,
    pub(super) expires: DateTime<Utc>,
}

/// The reason that a token is rejected although Google knows it. It never contains values of the token.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub(super) enum TokenFlaw {
    #[error("expired")]
    Expired,
    #[error("issued to another application")]
    Audience,
    #[error("does not grant access to the e-mail address")]
    MissingScope,
    #[error("has no e-mail address")]
    NoEmail,
    #[error("has a malformed e-mail address")]
    MalformedEmail,
    #[error("has an unverified e-mail address")]
    UnverifiedEmail,
}

impl TokenFlaw {
    pub(super) fn token_error(self) -> TokenError {
        if self == Self::MissingScope { TokenError::MissingScope } else { TokenError::Rejected }
    }
}

impl TokenInfo {
    pub(super) fn validate(self, audiences: &[String], now: DateTime<Utc>) -> Result<ValidToken, TokenFlaw> {
        let Self { aud, sub, scope, exp, email, email_verified } = self;
        let seconds = exp.and_then(|exp| match exp {
            LooseValue::Number(seconds) => Some(seconds),
            LooseValue::Text(text) => text.parse().ok(),
            LooseValue::Bool(_) => None,
        });
        let expires = seconds
            .and_then(|s| DateTime::from_timestamp(s, 0))
            .filter(|at| *at > now)
            .ok_or(TokenFlaw::Expired)?;
        if !aud.is_some_and(|aud| audiences.contains(&aud)) {
            return Err(TokenFlaw::Audience);
        }
        if !scope.is_some_and(|scope| scope.split_whitespace().any(|scope| scope == EMAIL_SCOPE)) {
            return Err(TokenFlaw::MissingScope);
        }
        let email = email.filter(|email| !email.is_empty()).ok_or(TokenFlaw::NoEmail)?;
        if !is_public_address(&email) {
            return Err(TokenFlaw::MalformedEmail);
        }
        match email_verified {
            Some(LooseValue::Bool(true)) => {}
            Some(LooseValue::Text(text)) if text.eq_ignore_ascii_case("true") => {}
            _ => return Err(TokenFlaw::UnverifiedEmail),
        }
        Ok(ValidToken { email, account: sub, expires })
    }
}

/// Reports whether an e-mail address is well-formed and in a public domain.
fn is_public_address(email: &str) -> bool {
    let Some((_, domain)) = email.rsplit_once('@') else { return false };
    let last = domain.rsplit_once('.').map(|(_, last)| last.to_ascii_lowercase());
    email.validate_email() && last.is_some_and(|last| !RESERVED_DOMAINS.contains(&last.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;

    fn validated(
        change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>),
    ) -> Result<ValidToken, TokenFlaw> {
        let mut fields = serde_json::json!({
            "aud": "one", "sub": "42", "scope": format!("openid {EMAIL_SCOPE}"), "exp": (NOW + 60).to_string(),
            "email": "jo@example.com", "email_verified": "true",
        });
        change(fields.as_object_mut().unwrap());
        let info: TokenInfo = serde_json::from_value(fields).unwrap();
        info.validate(&["one".into(), "two".into()], DateTime::from_timestamp(NOW, 0).unwrap())
    }

    #[test]
    fn valid_token_has_email_account_and_expiry() {
        let good = validated(|_| {}).unwrap();
        let expires = DateTime::from_timestamp(NOW + 60, 0).unwrap();
        assert_eq!(good, ValidToken { email: "jo@example.com".into(), account: Some("42".into()), expires });
        assert!(validated(|info| _ = info.insert("exp".into(), (NOW + 1).into())).is_ok());
        assert!(validated(|info| _ = info.insert("email_verified".into(), true.into())).is_ok());
        assert!(validated(|info| _ = info.insert("aud".into(), "two".into())).is_ok());
    }

    #[test]
    fn invalid_fields_are_rejected() {
        for (name, value, flaw) in [
            ("exp", serde_json::json!(NOW.to_string()), TokenFlaw::Expired),
            ("exp", serde_json::json!("soon"), TokenFlaw::Expired),
            ("exp", serde_json::json!(i64::MAX), TokenFlaw::Expired),
            ("exp", serde_json::Value::Null, TokenFlaw::Expired),
            ("aud", serde_json::json!("three"), TokenFlaw::Audience),
            ("aud", serde_json::Value::Null, TokenFlaw::Audience),
            ("scope", serde_json::json!("openid"), TokenFlaw::MissingScope),
            ("scope", serde_json::json!(format!("{EMAIL_SCOPE}.readonly")), TokenFlaw::MissingScope),
            ("email", serde_json::Value::Null, TokenFlaw::NoEmail),
            ("email", serde_json::json!(""), TokenFlaw::NoEmail),
            ("email_verified", serde_json::json!("false"), TokenFlaw::UnverifiedEmail),
            ("email_verified", serde_json::json!(1), TokenFlaw::UnverifiedEmail),
            ("email_verified", serde_json::Value::Null, TokenFlaw::UnverifiedEmail),
        ] {
            assert_eq!(
                validated(|info| _ = info.insert(name.into(), value.clone())),
                Err(flaw),
                "{name} {value}"
            );
        }
    }

    #[test]
    fn non_public_email_addresses_are_rejected() {
        for bad in [
            "jo",
            "jo@",
            "@example.com",
            "jo@localhost",
            "jo@a.test",
            "jo@a.LOCAL",
            "jo@a.invalid",
            "j o@a.com",
        ] {
            let outcome = validated(|info| _ = info.insert("email".into(), bad.into()));
            assert_eq!(outcome, Err(TokenFlaw::MalformedEmail), "{bad}");
        }
    }
}
