use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, HeaderName};

use super::Network;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Who asks, as far as the network knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientInfo {
    /// The address; for IPv6 the network of 64 bits, of which one client has all addresses.
    pub(crate) address: IpAddr,
    /// Whether a proxy says that it came over HTTPS.
    pub(crate) https: bool,
}

impl ClientInfo {
    pub(crate) fn of(request: &Request, trusted: &[Network]) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        Self::with(peer.map(|ConnectInfo(peer)| *peer), request.headers(), trusted)
    }

    /// Of who connected, and what they say.
    pub(crate) fn with(peer: Option<SocketAddr>, headers: &HeaderMap, trusted: &[Network]) -> Self {
        // Without a socket there is only one client.
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        Self::behind(peer.to_canonical(), headers, trusted)
    }

    fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> Self {
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
        let mut client = peer;
        let text = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
        if is_trusted(peer) {
            let hops = text(FORWARDED_FOR).collect::<Vec<_>>().join(",");
            // Each proxy adds at the end whom it heard from; what stands before the first stranger may be made up.
            for hop in hops.rsplit(',') {
                let Some(address) = address(hop.trim()) else { break };
                client = address;
                if !is_trusted(client) {
                    break;
                }
            }
        }
        let https =
            is_trusted(peer) && text(FORWARDED_PROTO).any(|proto| proto.eq_ignore_ascii_case("https"));
        Self { address: narrowed(client), https }
    }
}

/// An address, perhaps with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.parse::<IpAddr>().ok();
    bare.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip())).map(|ip| ip.to_canonical())
}

fn narrowed(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(peer: &str, forwarded: &[&'static str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1".parse().unwrap()];
        let headers = forwarded.iter().map(|value| (FORWARDED_FOR, HeaderValue::from_static(value)));
        let mut map = HeaderMap::new();
        headers.for_each(|(name, value)| _ = map.append(name, value));
        ClientInfo::behind(peer.parse().unwrap(), &map, &trusted).address.to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(client("192.0.2.1", &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.9, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.9", "198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1:4711"]), "198.51.100.1");
    }

    #[test]
    fn what_cannot_be_read_ends_the_search() {
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1, unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1, unknown, 10.0.0.7"]), "10.0.0.7");
    }

    #[test]
    fn a_network_of_version_six_is_one_client() {
        assert_eq!(client("2001:db8::1", &[]), client("2001:db8::ffff:2", &[]));
        assert_ne!(client("2001:db8::1", &[]), client("2001:db8:0:1::1", &[]));
    }

    #[test]
    fn https_is_believed_of_a_trusted_proxy_alone() {
        let headers = HeaderMap::from_iter([(FORWARDED_PROTO, HeaderValue::from_static("https"))]);
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        assert!(ClientInfo::behind([10, 0, 0, 1].into(), &headers, &trusted).https);
        assert!(!ClientInfo::behind([192, 0, 2, 1].into(), &headers, &trusted).https);
        assert!(!ClientInfo::behind([10, 0, 0, 1].into(), &HeaderMap::new(), &trusted).https);
    }
}
