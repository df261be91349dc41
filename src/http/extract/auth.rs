use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use crate::domain::Caller;
use crate::http::middleware::{ClientInfo, RateLimitStatus};
use crate::http::openapi::operation::{Input, Operation};
use crate::http::{ApiError, AppState, Policy, RateLimit, Route};
use crate::identity::{self, Profile, TokenError};
use crate::service::Services;

/// The limit of rejected tokens per client. Beyond it, tokens that are not known to be valid are not verified.
const FAILURES: RateLimit = RateLimit { name: "failed-authentication", per_minute: 60 };

/// The credentials of a request, verified when the caller is asked for. Handlers of routes that are not for everyone
/// take a [`Caller`] instead.
pub(crate) struct Auth {
    services: Arc<Services>,
    app: AppState,
    header: Option<Vec<u8>>,
    client: Option<ClientInfo>,
    policy: Policy,
}

impl Auth {
    pub(super) fn new(parts: &Parts, app: &AppState) -> Result<Self, ApiError> {
        Ok(Self {
            services: app.gate.services()?,
            app: app.clone(),
            header: parts.headers.get(AUTHORIZATION).map(|value| value.as_bytes().to_vec()),
            client: parts.extensions.get().copied(),
            // Every handler belongs to a row of the table.
            policy: Route::matched(&parts.extensions).map_or(Policy::Admins, |route| route.policy),
        })
    }

    /// Returns the caller.
    ///
    /// # Errors
    /// 401 without a valid token, 403 if the route's policy does not admit the caller's role.
    pub(crate) async fn require(&self) -> Result<Caller, ApiError> {
        Ok(self.profile().await?.caller)
    }

    /// Returns the caller if there is a valid token. An expired token does no harm on a public route.
    pub(crate) async fn optional(&self) -> Result<Option<Caller>, ApiError> {
        match self.verify().await {
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

    async fn profile(&self) -> Result<Profile, ApiError> {
        let profile = self.verify().await??;
        self.policy.check_role(profile.caller.role)?;
        Ok(profile)
    }

    /// Verifies the token, unless it is not known to be valid and the client has sent too many rejected ones.
    async fn verify(&self) -> Result<Result<Profile, identity::Error>, RateLimitStatus> {
        let Self { services, app, header, client, .. } = self;
        let header = header.as_deref();
        let key = client.map(|client| (client.address, "", FAILURES.name));
        let limiter = app.middleware.rate_limiter.as_ref();
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
            _ = limiter.try_acquire(key, FAILURES, app.clock.now());
        }
        Ok(outcome)
    }
}

impl FromRequestParts<AppState> for Auth {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        Self::new(parts, app)
    }
}

impl Input for Auth {}

/// The caller, whom the route's policy admits.
impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        Auth::new(parts, app)?.require().await
    }
}

impl Input for Caller {
    const AUTHENTICATES: bool = true;

    fn describe(operation: &mut Operation) {
        // A token without the scope, and too many rejected ones.
        operation.errors.extend([401, 403, 429]);
    }
}

/// As [`Caller`], with name and e-mail address.
impl FromRequestParts<AppState> for Profile {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        Auth::new(parts, app)?.profile().await
    }
}

impl Input for Profile {
    const AUTHENTICATES: bool = true;

    fn describe(operation: &mut Operation) {
        Caller::describe(operation);
    }
}
