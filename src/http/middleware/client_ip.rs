use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The client behind trusted proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientInfo {
    /// The address; for IPv6 its /64 network, since one client has all addresses of it.
    pub(crate) address: IpAddr,
    /// True if a trusted proxy reports that the client used HTTPS.
    pub(crate) https: bool,
}

impl ClientInfo {
    pub(crate) fn from_request(request: &Request, trusted: &[IpNet]) -> Self {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        Self::from_peer(peer.map(|ConnectInfo(peer)| *peer), request.headers(), trusted)
    }

    pub(crate) fn from_peer(peer: Option<SocketAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        // Without a socket, all requests are of one client.
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        Self::behind_proxies(peer.to_canonical(), headers, trusted)
    }

    fn behind_proxies(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
        let mut client = peer;
        let values = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
        if is_trusted(&peer) {
            let hops = values(FORWARDED_FOR).collect::<Vec<_>>().join(",");
            // Each proxy appends the address of its peer; whatever precedes the first untrusted one may be forged.
            for hop in hops.rsplit(',') {
                let Some(address) = parse_hop(hop.trim()) else { break };
                client = address;
                if !is_trusted(&client) {
                    break;
                }
            }
        }
        let https =
            is_trusted(&peer) && values(FORWARDED_PROTO).any(|proto| proto.eq_ignore_ascii_case("https"));
        Self { address: client_network(client), https }
    }
}

/// Parses an address with an optional port.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let bare = text.parse::<IpAddr>().ok();
    bare.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip())).map(|ip| ip.to_canonical())
}

fn client_network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn client(peer: &str, forwarded: &[&'static str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let headers = forwarded.iter().map(|value| (FORWARDED_FOR, HeaderValue::from_static(value)));
        let mut map = HeaderMap::new();
        headers.for_each(|(name, value)| _ = map.append(name, value));
        ClientInfo::behind_proxies(peer.parse().unwrap(), &map, &trusted).address.to_string()
    }

    #[test]
    fn only_trusted_proxies_may_forward_an_address() {
        assert_eq!(client("192.0.2.1", &["198.51.100.1"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.9, 198.51.100.1, 10.0.0.2"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["203.0.113.9", "198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1:4711"]), "198.51.100.1");
    }

    #[test]
    fn an_invalid_hop_ends_the_search() {
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1, unknown"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["198.51.100.1, unknown, 10.0.0.7"]), "10.0.0.7");
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        assert_eq!(client("2001:db8::1", &[]), client("2001:db8::ffff:2", &[]));
        assert_ne!(client("2001:db8::1", &[]), client("2001:db8:0:1::1", &[]));
    }

    #[test]
    fn only_trusted_proxies_may_forward_https() {
        let headers = HeaderMap::from_iter([(FORWARDED_PROTO, HeaderValue::from_static("https"))]);
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        assert!(ClientInfo::behind_proxies([10, 0, 0, 1].into(), &headers, &trusted).https);
        assert!(!ClientInfo::behind_proxies([192, 0, 2, 1].into(), &headers, &trusted).https);
        assert!(!ClientInfo::behind_proxies([10, 0, 0, 1].into(), &HeaderMap::new(), &trusted).https);
    }
}
