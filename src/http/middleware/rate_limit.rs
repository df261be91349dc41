use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::{ClientInfo, RateLimitStatus};
use crate::http::{ApiError, AppState, Route};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Enforces the rate limit of the matched route. A request with invalid fields is not counted.
pub(crate) async fn rate_limit(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let route = Route::matched(request.extensions()).and_then(|route| Some((route, route.limit?)));
    let client = request.extensions().get::<ClientInfo>().copied();
    let (Some((route, limit)), Some(client), Some(limiter)) = (route, client, &app.middleware.rate_limiter)
    else {
        return next.run(request).await;
    };
    let key = (client.address, route.method.as_str(), route.path);
    let (mut response, status) = match limiter.try_acquire(key, limit, app.clock.now()) {
        Ok(mut status) => {
            let response = next.run(request).await;
            if response.status() == StatusCode::UNPROCESSABLE_ENTITY {
                limiter.refund(&key);
                status.remaining += 1;
            }
            (response, status)
        }
        Err(status) => (ApiError::from(status).into_response(), status),
    };
    add_headers(response.headers_mut(), status);
    response
}

fn add_headers(headers: &mut HeaderMap, status: RateLimitStatus) {
    let RateLimitStatus { limit, remaining, seconds_left } = status;
    for (name, text) in [
        (RATE_LIMIT_POLICY, format!("\"{}\";q={};w=60", limit.name, limit.per_minute)),
        (RATE_LIMIT, format!("\"{}\";r={remaining};t={seconds_left}", limit.name)),
    ] {
        headers.insert(name, HeaderValue::from_str(&text).expect("names of limits are ASCII"));
    }
}
