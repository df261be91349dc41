//! What surrounds the routes: where a request comes from, what origins may read the answer, how often a client may ask.

/// Who the client is, behind proxies.
mod client;
/// The layers themselves.
mod layers;
/// How often a client may ask.
mod limiter;
/// Networks of addresses.
mod network;
/// Which origins may read answers.
mod origins;

pub(super) use client::Client;
pub(super) use layers::{SAFETY, allow, limited, surround, want_https};
pub use limiter::{Limit, Standing};
pub use network::Network;

use limiter::Limiter;
use origins::Origins;

/// What the edge has to be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EdgeSettings {
    /// Origins beside our own that may read answers.
    pub extra_origins: Vec<String>,
    /// Proxies whose word on the client is believed.
    pub trusted_proxies: Vec<Network>,
    /// Whether browsers are told to come over HTTPS only, when they did so.
    pub hsts: bool,
    /// Whether clients may ask as often as they like.
    pub unlimited: bool,
}

/// Origins, proxies, limits.
pub struct Edge {
    origins: Origins,
    trusted_proxies: Vec<Network>,
    hsts: bool,
    /// None where clients may ask as often as they like.
    pub(super) limiter: Option<Limiter>,
}

impl Edge {
    /// With these settings, and nobody counted yet. An extra origin that is none is logged and passed over.
    pub fn new(settings: EdgeSettings) -> Self {
        let EdgeSettings { extra_origins, trusted_proxies, hsts, unlimited } = settings;
        let limiter = (!unlimited).then(Limiter::default);
        Self { origins: Origins::with(&extra_origins), trusted_proxies, hsts, limiter }
    }
}
