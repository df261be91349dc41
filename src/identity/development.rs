use async_trait::async_trait;

use super::{Identity, Lookup, TokenError, VerifiedToken, Verifier};

/// The address of the development author, which the configuration of roles must include.
pub const AUTHOR_EMAIL: &str = "dev-author@dev.example.com";
const COMMENTER_EMAIL: &str = "dev-commenter@dev.example.com";

/// Development tokens, one per role. Anyone can use them, so production refuses to start with them.
#[derive(Debug, Clone)]
pub struct DevelopmentTokens {
    admin_email: String,
}

impl DevelopmentTokens {
    /// Maps the administrator's token to this address.
    pub fn new(admin_email: String) -> Self {
        Self { admin_email }
    }
}

#[async_trait]
impl Verifier for DevelopmentTokens {
    async fn verify(&self, lookup: Lookup<'_>) -> Result<VerifiedToken, TokenError> {
        let email = match lookup.token {
            "dev-mock-admin" => self.admin_email.as_str(),
            "dev-mock-author" => AUTHOR_EMAIL,
            "dev-mock-commenter" => COMMENTER_EMAIL,
            _ => return Err(TokenError::Rejected),
        };
        let name = email.split('@').next().unwrap_or(email);
        let identity =
            Identity { email: email.to_owned(), name: name.to_owned(), avatar_url: None, account: None };
        Ok(VerifiedToken { identity, expires: None })
    }
}
