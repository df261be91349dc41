//! Extractors of the head of a request: the caller, parameters of the path, and preconditions.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::http::header::{AUTHORIZATION, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method};

use super::value::{self, FieldValue};
use crate::domain::{Caller, Precondition, RevisionMatch};
use crate::http::middleware::{ClientInfo, Permit, RateLimitKey, RequestId};
use crate::http::openapi::headers;
use crate::http::openapi::operation::{Input, Operation};
use crate::http::{ApiError, AppState, FieldError, Policy, RateLimit, Route, cache};
use crate::identity::{self, Profile, TokenError, VerifiedCaller};
use crate::service::Services;

/// The use cases. While the gate is closed there are none, and the response is a 503.
impl FromRequestParts<AppState> for Arc<Services> {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        app.gate.services()
    }
}

impl Input for Arc<Services> {}
impl Input for State<AppState> {}
impl Input for RequestId {}

/// The credentials of a request, verified when the caller is asked for. Handlers of routes that are not for everyone
/// take a [`Caller`] instead.
pub(crate) struct Auth {
    services: Arc<Services>,
    app: AppState,
    header: Option<Vec<u8>>,
    client: IpAddr,
    permit: Option<Permit>,
    policy: Policy,
    /// The limit of what each user does at the route, and the key without the user.
    user_limit: Option<(RateLimit, Method, &'static str)>,
    /// True if the request changes nothing.
    reads: bool,
}

impl Auth {
    pub(super) fn new(parts: &Parts, app: &AppState) -> Result<Self, ApiError> {
        let route = Route::matched(&parts.extensions);
        Ok(Self {
            services: app.gate.services()?,
            app: app.clone(),
            header: parts.headers.get(AUTHORIZATION).map(|value| value.as_bytes().to_vec()),
            client: ClientInfo::address_of(&parts.extensions),
            permit: parts.extensions.get().cloned(),
            reads: parts.method.is_safe(),
            // Every handler belongs to a row of the table.
            policy: route.map_or(Policy::Admins, |route| route.policy),
            user_limit: route.and_then(|route| Some((route.user_limit?, route.method.clone(), route.path))),
        })
    }

    /// Returns the caller.
    ///
    /// # Errors
    /// 401 without a valid token, 403 if the route's policy does not admit the caller's role.
    pub(crate) async fn require(&self) -> Result<Caller, ApiError> {
        let verified = self.verify().await??;
        let authenticator = &self.services.authenticator;
        let caller = if self.reads {
            authenticator.reader(&verified).await?
        } else {
            authenticator.profile(&verified).await?.caller
        };
        self.admit(caller)
    }

    /// Admits the callers of the route's policy, and the program that works on videos.
    ///
    /// # Errors
    /// As [`Auth::require`].
    pub(crate) async fn require_or_video_worker(&self) -> Result<(), ApiError> {
        if self.services.authenticator.is_video_worker(self.header.as_deref()) {
            return Ok(());
        }
        self.require().await.map(drop)
    }

    /// Checks the caller's role, and counts the request against the limit of the user.
    fn admit(&self, caller: Caller) -> Result<Caller, ApiError> {
        log_caller(&caller);
        self.policy.check_role(&caller, self.services.authorship)?;
        if let (Some((limit, method, path)), Some(limiter)) =
            (&self.user_limit, &self.app.middleware.rate_limiter)
        {
            let key = RateLimitKey::of_user(caller.id, method, path);
            limiter.try_acquire(key, *limit, self.app.clock.now())?;
        }
        Ok(caller)
    }

    /// Returns the caller if there is a valid token. An expired token does no harm on a public route, and neither does a
    /// flood of tokens or an issuer that does not answer: then the response is that for everyone.
    pub(crate) async fn optional(&self) -> Result<Option<Caller>, ApiError> {
        match self.optional_to_see_more().await {
            Err(ApiError::IssuerUnavailable) => Ok(None),
            outcome => outcome,
        }
    }

    /// As [`Auth::optional`], for a request that asks for more than everyone sees.
    ///
    /// # Errors
    /// 503 if the issuer does not answer: a response without what was asked for would be taken for complete.
    pub(crate) async fn optional_to_see_more(&self) -> Result<Option<Caller>, ApiError> {
        if self.header.is_none() {
            return Ok(None);
        }
        match self.verify().await? {
            Ok(verified) => {
                let caller = self.services.authenticator.stored_caller(&verified).await?;
                Ok(caller.inspect(log_caller))
            }
            Err(
                identity::Error::Malformed
                | identity::Error::Token(TokenError::Rejected | TokenError::MissingScope | TokenError::Busy),
            ) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn profile(&self) -> Result<Profile, ApiError> {
        let verified = self.verify().await??;
        let profile = self.services.authenticator.profile(&verified).await?;
        self.admit(profile.caller)?;
        Ok(profile)
    }

    /// Verifies the token. The permit is released while the issuer is asked, which may take long.
    async fn verify(&self) -> Result<Result<VerifiedCaller, identity::Error>, ApiError> {
        let Self { services, app, header, client, permit, .. } = self;
        let header = header.as_deref();
        if let Some(outcome) = services.authenticator.recall(header) {
            return Ok(outcome);
        }
        let verified = services.authenticator.verify(header, *client);
        match permit {
            Some(permit) => app.concurrency.without_permit(permit, verified).await,
            None => Ok(verified.await),
        }
    }
}

/// Adds the caller to the span of the request.
fn log_caller(caller: &Caller) {
    tracing::Span::current().record("caller", tracing::field::display(caller.id));
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
        // 403 is for a token without the scope, too.
        operation.errors.extend([401, 403]);
    }
}

/// A caller whom the route's policy admits, or the program that works on videos.
pub(crate) struct AuthorOrWorker;

impl FromRequestParts<AppState> for AuthorOrWorker {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        Auth::new(parts, app)?.require_or_video_worker().await?;
        Ok(Self)
    }
}

impl Input for AuthorOrWorker {
    const AUTHENTICATES: bool = true;

    fn describe(operation: &mut Operation) {
        Caller::describe(operation);
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

/// The only variable part of the path. The service parses it.
pub(crate) struct PathParam(pub(crate) String);

impl FromRequestParts<AppState> for PathParam {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let [value] = params(parts, app).await?;
        Ok(Self(value))
    }
}

impl Input for PathParam {
    fn describe(operation: &mut Operation) {
        operation.errors.extend([400, 404]);
    }
}

/// A parameter called `type`, and an id.
pub(crate) struct TypedId<T>(pub(crate) T, pub(crate) String);

impl<T: FieldValue> FromRequestParts<AppState> for TypedId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let [kind, id] = params(parts, app).await?;
        let located = |error: FieldError| error.within(["path".into(), "type".into()]);
        let kind = T::parse(value::RawValue::Text(kind.into()))
            .map_err(|errors| ApiError::Validation(errors.into_iter().map(located).collect()))?;
        Ok(Self(kind, id))
    }
}

impl<T: FieldValue> Input for TypedId<T> {
    fn describe(operation: &mut Operation) {
        operation.errors.extend([400, 404, 422]);
    }
}

/// The type and the id of what a reaction or comment is about. The service parses them.
pub(crate) struct TargetParams(pub(crate) String, pub(crate) String);

impl FromRequestParts<AppState> for TargetParams {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let [kind, id] = params(parts, app).await?;
        Ok(Self(kind, id))
    }
}

impl Input for TargetParams {
    fn describe(operation: &mut Operation) {
        operation.errors.extend([400, 404, 422]);
    }
}

async fn params<const N: usize>(parts: &mut Parts, app: &AppState) -> Result<[String; N], ApiError> {
    let params = RawPathParams::from_request_parts(parts, app)
        .await
        .map_err(|_| ApiError::BadRequest("Invalid path: it is not UTF-8".to_owned()))?;
    let values: Vec<_> = params.iter().map(|(_, value)| value.to_owned()).collect();
    Ok(values.try_into().expect("the route's path has as many parameters as the handler takes"))
}

/// The preconditions of `If-Match` and `If-None-Match`.
pub(crate) struct IfMatch(pub(crate) Precondition);

impl FromRequestParts<AppState> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        Ok(Self(precondition(&parts.headers)))
    }
}

impl Input for IfMatch {
    fn describe(operation: &mut Operation) {
        operation.errors.insert(412);
        let required = "The `ETag` of the version to change; `*` if any version may be.";
        operation.headers.push(headers::request("If-Match", required));
        let excluded = "`*` if the item must not exist; the `ETag` of a version that must not be changed.";
        operation.headers.push(headers::request("If-None-Match", excluded));
    }
}

fn precondition(headers: &HeaderMap) -> Precondition {
    // `If-Match` compares strongly: a weak tag does not identify a version, so it matches nothing.
    let required = revisions(headers, &IF_MATCH, |tag| tag);
    let excluded = revisions(headers, &IF_NONE_MATCH, |tag| tag.strip_prefix("W/").unwrap_or(tag));
    Precondition { required, excluded }
}

/// Returns the revisions that a header names, if it was sent.
fn revisions(headers: &HeaderMap, name: &HeaderName, strong: impl Fn(&str) -> &str) -> Option<RevisionMatch> {
    if !headers.contains_key(name) {
        return None;
    }
    let texts: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    let mut tags = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
    if tags.clone().any(|tag| tag == "*") {
        return Some(RevisionMatch::Any);
    }
    let revision =
        |tag: &str| Some(cache::strip_encoding(strong(tag).strip_prefix('"')?.strip_suffix('"')?).to_owned());
    Some(RevisionMatch::AnyOf(tags.by_ref().filter_map(revision).collect()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn headers_name_revisions() {
        let of = |name: HeaderName, text: &'static str| {
            precondition(&HeaderMap::from_iter([(name, HeaderValue::from_static(text))]))
        };
        let required = |text| of(IF_MATCH, text).required.unwrap();
        let excluded = |text| of(IF_NONE_MATCH, text).excluded.unwrap();
        let names =
            |names: &[&str]| RevisionMatch::AnyOf(names.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(precondition(&HeaderMap::new()), Precondition::default());
        assert_eq!(of(IF_MATCH, "*"), Precondition { required: Some(RevisionMatch::Any), excluded: None });
        assert_eq!(
            of(IF_NONE_MATCH, "*"),
            Precondition { required: None, excluded: Some(RevisionMatch::Any) }
        );
        assert_eq!(required("\"a\""), names(&["a"]));
        assert_eq!(required("\"a\" , \"b\""), names(&["a", "b"]));
        // The tag of an encoded variant identifies the same version.
        assert_eq!(required("\"a-br\", \"b-gzip\", \"c-zstd\""), names(&["a", "b", "c"]));
        for nothing in ["", "a", "W/\"a\"", "\""] {
            assert_eq!(required(nothing), names(&[]), "{nothing:?}");
        }
        assert_eq!(excluded("W/\"a\", \"b-br\""), names(&["a", "b"]));
    }
}
