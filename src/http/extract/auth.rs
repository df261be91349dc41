use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use crate::domain::Caller;
use crate::http::middleware::{ClientInfo, RateLimitStatus};
use crate::http::{ApiError, AppState, Policy, RateLimit, Route};
use crate::identity::{self, Profile, TokenError};
use crate::service::Services;

/// Tokens that were not good, of one client: more are not looked at.
const FAILURES: RateLimit = RateLimit { name: "failed-authentication", per_minute: 60 };

/// Who asks, not looked at before a handler wants to know. That nobody is signed in and that a token is wrong are
/// different things.
pub(crate) struct Visitor {
    services: Arc<Services>,
    app: AppState,
    header: Option<Vec<u8>>,
    client: Option<ClientInfo>,
    policy: Option<Policy>,
}

impl Visitor {
    /// The caller, who may call this route as far as their role decides.
    ///
    /// # Errors
    /// 401 without a good token, 403 if the route is not for them.
    pub(crate) async fn required(&self) -> Result<Caller, ApiError> {
        Ok(self.profile().await?.caller)
    }

    /// As [`Visitor::required`], with what is known of them.
    pub(crate) async fn profile(&self) -> Result<Profile, ApiError> {
        let profile = self.resolve().await??;
        // Every handler belongs to a row of the table; one that does not is for nobody.
        self.policy.unwrap_or(Policy::Admins).judge(profile.caller.role)?;
        Ok(profile)
    }

    /// The caller, if there is a good token: on a public route a stale one does no harm.
    pub(crate) async fn if_known(&self) -> Result<Option<Caller>, ApiError> {
        match self.resolve().await {
            Ok(Ok(profile)) => Ok(Some(profile.caller)),
            Ok(Err(
                identity::Error::Missing
                | identity::Error::Malformed
                | identity::Error::Token(TokenError::Rejected | TokenError::MissingScope),
            ))
            | Err(_) => Ok(None),
            Ok(Err(error)) => Err(error.into()),
        }
    }

    /// Asks who it is, unless this client has shown too many bad tokens and this one is not known to be good.
    async fn resolve(&self) -> Result<Result<Profile, identity::Error>, RateLimitStatus> {
        let Self { services, app, header, client, .. } = self;
        let header = header.as_deref();
        let key = client.map(|client| (client.address, "", FAILURES.name));
        let limiter = app.middleware.limiter.as_ref();
        if let (Some(key), Some(limiter)) = (&key, limiter)
            && header.is_some()
            && !services.authenticator.knows(header)
        {
            limiter.check(key, FAILURES, app.clock.now())?;
        }
        let outcome = services.authenticator.profile(header).await;
        if let (
            Some(key),
            Some(limiter),
            Err(identity::Error::Token(TokenError::Rejected | TokenError::MissingScope)),
        ) = (key, limiter, &outcome)
        {
            _ = limiter.charge(key, FAILURES, app.clock.now());
        }
        Ok(outcome)
    }
}

impl FromRequestParts<AppState> for Visitor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        Ok(Self {
            services: app.gate.services()?,
            app: app.clone(),
            header: parts.headers.get(AUTHORIZATION).map(|value| value.as_bytes().to_vec()),
            client: parts.extensions.get().copied(),
            policy: Route::of(&parts.extensions).map(|route| route.policy),
        })
    }
}
