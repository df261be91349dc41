use std::fmt;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use validator::ValidateEmail as _;

use crate::identity::Refusal;

const EMAIL_SCOPE: &str = "https://www.googleapis.com/auth/userinfo.email";
/// Domains that nobody can have a mail address in.
const RESERVED: [&str; 6] = ["arpa", "invalid", "local", "localhost", "onion", "test"];

/// What `tokeninfo` says. Numbers and truth values come as text, and may come as themselves.
#[derive(Deserialize)]
pub(super) struct TokenInfo {
    aud: Option<String>,
    sub: Option<String>,
    scope: Option<String>,
    exp: Option<Loose>,
    email: Option<String>,
    email_verified: Option<Loose>,
}

/// What `userinfo` says.
#[derive(Deserialize, Default)]
pub(super) struct UserInfo {
    pub(super) name: Option<String>,
    pub(super) picture: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Loose {
    Truth(bool),
    Number(i64),
    Text(String),
}

/// What counts of a good token.
#[derive(Debug, PartialEq)]
pub(super) struct Good {
    pub(super) email: String,
    pub(super) account: Option<String>,
    pub(super) expires: DateTime<Utc>,
}

/// Why a token that Google knows is not good here. Names what is wrong, never what was said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Flaw {
    Expired,
    Audience,
    Scope,
    NoEmail,
    MalformedEmail,
    UnverifiedEmail,
}

impl Flaw {
    pub(super) fn refusal(self) -> Refusal {
        match self {
            Self::Scope => Refusal::Scope,
            Self::Expired | Self::Audience | Self::NoEmail | Self::MalformedEmail | Self::UnverifiedEmail => {
                Refusal::Rejected
            }
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "it has expired",
            Self::Audience => "it was issued to another application",
            Self::Scope => "it does not give the e-mail address",
            Self::NoEmail => "it has no e-mail address",
            Self::MalformedEmail => "its e-mail address is malformed",
            Self::UnverifiedEmail => "its e-mail address is not verified",
        })
    }
}

impl TokenInfo {
    pub(super) fn judge(self, audiences: &[String], now: DateTime<Utc>) -> Result<Good, Flaw> {
        let Self { aud, sub, scope, exp, email, email_verified } = self;
        let seconds = exp.and_then(|exp| match exp {
            Loose::Number(seconds) => Some(seconds),
            Loose::Text(text) => text.parse().ok(),
            Loose::Truth(_) => None,
        });
        let expires = seconds
            .and_then(|s| DateTime::from_timestamp(s, 0))
            .filter(|at| *at > now)
            .ok_or(Flaw::Expired)?;
        if !aud.is_some_and(|aud| audiences.contains(&aud)) {
            return Err(Flaw::Audience);
        }
        if !scope.is_some_and(|scope| scope.split_whitespace().any(|scope| scope == EMAIL_SCOPE)) {
            return Err(Flaw::Scope);
        }
        let email = email.filter(|email| !email.is_empty()).ok_or(Flaw::NoEmail)?;
        if !is_reachable(&email) {
            return Err(Flaw::MalformedEmail);
        }
        match email_verified {
            Some(Loose::Truth(true)) => {}
            Some(Loose::Text(text)) if text.eq_ignore_ascii_case("true") => {}
            _ => return Err(Flaw::UnverifiedEmail),
        }
        Ok(Good { email, account: sub, expires })
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

    fn judged(change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) -> Result<Good, Flaw> {
        let mut said = serde_json::json!({
            "aud": "one", "sub": "42", "scope": format!("openid {EMAIL_SCOPE}"), "exp": (NOW + 60).to_string(),
            "email": "jo@example.com", "email_verified": "true",
        });
        change(said.as_object_mut().unwrap());
        let info: TokenInfo = serde_json::from_value(said).unwrap();
        info.judge(&["one".into(), "two".into()], DateTime::from_timestamp(NOW, 0).unwrap())
    }

    #[test]
    fn a_good_token_says_who_and_until_when() {
        let good = judged(|_| {}).unwrap();
        let expires = DateTime::from_timestamp(NOW + 60, 0).unwrap();
        assert_eq!(good, Good { email: "jo@example.com".into(), account: Some("42".into()), expires });
        assert!(judged(|said| _ = said.insert("exp".into(), (NOW + 1).into())).is_ok());
        assert!(judged(|said| _ = said.insert("email_verified".into(), true.into())).is_ok());
        assert!(judged(|said| _ = said.insert("aud".into(), "two".into())).is_ok());
    }

    #[test]
    fn each_flaw_is_found() {
        for (name, value, flaw) in [
            ("exp", serde_json::json!(NOW.to_string()), Flaw::Expired),
            ("exp", serde_json::json!("soon"), Flaw::Expired),
            ("exp", serde_json::json!(i64::MAX), Flaw::Expired),
            ("exp", serde_json::Value::Null, Flaw::Expired),
            ("aud", serde_json::json!("three"), Flaw::Audience),
            ("aud", serde_json::Value::Null, Flaw::Audience),
            ("scope", serde_json::json!("openid"), Flaw::Scope),
            ("scope", serde_json::json!(format!("{EMAIL_SCOPE}.readonly")), Flaw::Scope),
            ("email", serde_json::Value::Null, Flaw::NoEmail),
            ("email", serde_json::json!(""), Flaw::NoEmail),
            ("email_verified", serde_json::json!("false"), Flaw::UnverifiedEmail),
            ("email_verified", serde_json::json!(1), Flaw::UnverifiedEmail),
            ("email_verified", serde_json::Value::Null, Flaw::UnverifiedEmail),
        ] {
            assert_eq!(
                judged(|said| _ = said.insert(name.into(), value.clone())),
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
            let said = judged(|said| _ = said.insert("email".into(), bad.into()));
            assert_eq!(said, Err(Flaw::MalformedEmail), "{bad}");
        }
    }
}
