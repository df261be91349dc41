use std::fmt;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use validator::ValidateEmail as _;

use crate::identity::TokenError;

const EMAIL_SCOPE: &str = "https://www.googleapis.com/auth/userinfo.email";
/// Domains that nobody can have a mail address in.
const RESERVED: [&str; 6] = ["arpa", "invalid", "local", "localhost", "onion", "test"];

/// What `tokeninfo` says. Numbers and truth values come as text, and may come as themselves.
#[derive(Deserialize)]
pub(super) struct TokenInfo {
    aud: Option<String>,
    sub: Option<String>,
    scope: Option<String>,
    exp: Option<LooseValue>,
    email: Option<String>,
    email_verified: Option<LooseValue>,
}

/// What `userinfo` says.
#[derive(Deserialize, Default)]
pub(super) struct UserInfo {
    pub(super) name: Option<String>,
    pub(super) picture: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum LooseValue {
    Truth(bool),
    Number(i64),
    Text(String),
}

/// What counts of a good token.
#[derive(Debug, PartialEq)]
pub(super) struct ValidToken {
    pub(super) email: String,
    pub(super) account: Option<String>,
    pub(super) expires: DateTime<Utc>,
}

/// Why a token that Google knows is not good here. Names what is wrong, never what was said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum TokenFlaw {
    Expired,
    Audience,
    MissingScope,
    NoEmail,
    MalformedEmail,
    UnverifiedEmail,
}

impl TokenFlaw {
    pub(super) fn refusal(self) -> TokenError {
        match self {
            Self::MissingScope => TokenError::MissingScope,
            Self::Expired | Self::Audience | Self::NoEmail | Self::MalformedEmail | Self::UnverifiedEmail => {
                TokenError::Rejected
            }
        }
    }
}

impl fmt::Display for TokenFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "it has expired",
            Self::Audience => "it was issued to another application",
            Self::MissingScope => "it does not give the e-mail address",
            Self::NoEmail => "it has no e-mail address",
            Self::MalformedEmail => "its e-mail address is malformed",
            Self::UnverifiedEmail => "its e-mail address is not verified",
        })
    }
}

impl TokenInfo {
    pub(super) fn validate(self, audiences: &[String], now: DateTime<Utc>) -> Result<ValidToken, TokenFlaw> {
        let Self { aud, sub, scope, exp, email, email_verified } = self;
        let seconds = exp.and_then(|exp| match exp {
            LooseValue::Number(seconds) => Some(seconds),
            LooseValue::Text(text) => text.parse().ok(),
            LooseValue::Truth(_) => None,
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
        if !is_reachable(&email) {
            return Err(TokenFlaw::MalformedEmail);
        }
        match email_verified {
            Some(LooseValue::Truth(true)) => {}
            Some(LooseValue::Text(text)) if text.eq_ignore_ascii_case("true") => {}
            _ => return Err(TokenFlaw::UnverifiedEmail),
        }
        Ok(ValidToken { email, account: sub, expires })
    }
}

/// Well formed, and in a domain that can be reached from everywhere.
fn is_reachable(email: &str) -> bool {
    let Some((_, domain)) = email.rsplit_once('@') else { return false };
    let last = domain.rsplit_once('.').map(|(_, last)| last.to_ascii_lowercase());
    email.validate_email() && last.is_some_and(|last| !RESERVED.contains(&last.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;

    fn validated(
        change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>),
    ) -> Result<ValidToken, TokenFlaw> {
        let mut said = serde_json::json!({
            "aud": "one", "sub": "42", "scope": format!("openid {EMAIL_SCOPE}"), "exp": (NOW + 60).to_string(),
            "email": "jo@example.com", "email_verified": "true",
        });
        change(said.as_object_mut().unwrap());
        let info: TokenInfo = serde_json::from_value(said).unwrap();
        info.validate(&["one".into(), "two".into()], DateTime::from_timestamp(NOW, 0).unwrap())
    }

    #[test]
    fn a_good_token_says_who_and_until_when() {
        let good = validated(|_| {}).unwrap();
        let expires = DateTime::from_timestamp(NOW + 60, 0).unwrap();
        assert_eq!(good, ValidToken { email: "jo@example.com".into(), account: Some("42".into()), expires });
        assert!(validated(|said| _ = said.insert("exp".into(), (NOW + 1).into())).is_ok());
        assert!(validated(|said| _ = said.insert("email_verified".into(), true.into())).is_ok());
        assert!(validated(|said| _ = said.insert("aud".into(), "two".into())).is_ok());
    }

    #[test]
    fn each_flaw_is_found() {
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
                validated(|said| _ = said.insert(name.into(), value.clone())),
                Err(flaw),
                "{name} {value}"
            );
        }
    }

    #[test]
    fn addresses_that_nobody_can_have_are_refused() {
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
            let said = validated(|said| _ = said.insert("email".into(), bad.into()));
            assert_eq!(said, Err(TokenFlaw::MalformedEmail), "{bad}");
        }
    }
}
