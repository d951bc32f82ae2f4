//! Which web pages may connect: a browser opens a WebSocket to anywhere and only tells where the page is from.
//!
//! Always holds: a request without an `Origin` comes from no browser page and passes; one with an `Origin` passes only
//! if it is allowed. Without tokens, the `Host` must be a loopback name too, or a page could reach a relay on its
//! visitor's machine through a name that it resolves to 127.0.0.1.
//! Not here: who the user is (`auth`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use axum::http::{HeaderMap, Uri, header};

/// The origins that may connect.
#[derive(Clone, Debug)]
pub(crate) struct Origins {
    /// As given, in lower case, without a slash at the end; none: the relay's own host, and loopback.
    allowed: Vec<String>,
    /// Whether there are no tokens.
    loopback_only: bool,
}

impl Origins {
    /// # Errors
    /// The text that is no origin, and why.
    pub(crate) fn new(allowed: &[String], loopback_only: bool) -> Result<Self, String> {
        let allowed = allowed.iter().map(|text| normalize(text)).collect::<Result<_, _>>()?;
        Ok(Self { allowed, loopback_only })
    }

    /// Whether a request with these headers may become a WebSocket.
    ///
    /// # Errors
    /// Why not, for the answer.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), String> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("(not text)").to_ascii_lowercase());
        let host = text(header::HOST).unwrap_or_default();
        if self.loopback_only && !is_loopback(&host) {
            return Err(format!("without tokens this relay answers to loopback names only, not to {host:?}"));
        }
        let Some(origin) = text(header::ORIGIN) else { return Ok(()) };
        let allowed = match (self.allowed.is_empty(), origin.split_once("://")) {
            (false, _) => self.allowed.contains(&origin),
            (true, Some((_, page_host))) => page_host == host || is_loopback(page_host),
            (true, None) => false,
        };
        if allowed {
            Ok(())
        } else {
            Err(format!("pages of {origin} may not connect; the relay's --origin allows them"))
        }
    }
}

/// The form in which browsers send an origin.
fn normalize(text: &str) -> Result<String, String> {
    let lower = text.trim_end_matches('/').to_ascii_lowercase();
    let wrong = || format!("{text:?} is no origin; it looks like https://notes.example.org or http://localhost:3000");
    let uri: Uri = lower.parse().map_err(|_| wrong())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(wrong()) };
    if !matches!(scheme, "http" | "https") || uri.path() != "/" || authority.as_str().contains('@') {
        return Err(wrong());
    }
    let standard = if scheme == "https" { 443 } else { 80 };
    Ok(match uri.port_u16() {
        Some(port) if port != standard => format!("{scheme}://{}:{port}", authority.host()),
        _ => format!("{scheme}://{}", authority.host()),
    })
}

/// Whether a host (with or without a port) is this machine.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| is_loopback_address(&address))
}

/// Whether an address is this machine's own.
pub(crate) fn is_loopback_address(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => Ipv4Addr::is_loopback(v4),
        IpAddr::V6(v6) => Ipv6Addr::is_loopback(v6) || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn check(origins: &Origins, host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).expect("a header"));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).expect("a header"));
        }
        origins.check(&headers).is_ok()
    }

    /// Bug class J: pages of strangers do not reach the relay through a visitor's browser.
    #[test]
    fn by_default_only_the_own_host_and_loopback_pages_connect() {
        let origins = Origins::new(&[], false).expect("origins");
        for (host, origin, expect) in [
            ("relay.example:8787", None, true),
            ("relay.example:8787", Some("http://relay.example:8787"), true),
            ("Relay.example:8787", Some("https://relay.EXAMPLE:8787"), true),
            ("relay.example:8787", Some("http://localhost:3000"), true),
            ("relay.example:8787", Some("http://[::1]:3000"), true),
            ("relay.example:8787", Some("http://127.9.9.9"), true),
            ("relay.example:8787", Some("http://relay.example"), false),
            ("relay.example:8787", Some("https://evil.example"), false),
            ("relay.example:8787", Some("https://localhost.evil.example"), false),
            ("relay.example:8787", Some("https://127.0.0.1.evil.example"), false),
            ("relay.example:8787", Some("null"), false),
            ("relay.example:8787", Some(""), false),
        ] {
            assert_eq!(check(&origins, host, origin), expect, "{host} {origin:?}");
        }
    }

    #[test]
    fn named_origins_are_the_only_ones() {
        let names = ["https://Notes.example.org/".to_owned(), "http://localhost:3000".to_owned()];
        let origins = Origins::new(&names, false).expect("origins");
        assert!(check(&origins, "relay.example", Some("https://notes.example.org")));
        assert!(check(&origins, "relay.example", Some("http://localhost:3000")));
        assert!(!check(&origins, "relay.example", Some("http://localhost:3001")));
        assert!(!check(&origins, "relay.example", Some("https://relay.example")));
        for wrong in
            ["notes.example.org", "https://", "ftp://a.example", "https://a.example/path", "https://u@a.example"]
        {
            assert!(Origins::new(&[wrong.to_owned()], false).is_err(), "{wrong}");
        }
        assert_eq!(normalize("https://a.example:443").as_deref(), Ok("https://a.example"));
    }

    /// Bug class J: a name of a stranger that resolves to 127.0.0.1 is "the same host" for the browser.
    #[test]
    fn without_tokens_the_host_must_be_this_machine() {
        let origins = Origins::new(&[], true).expect("origins");
        assert!(check(&origins, "127.0.0.1:8787", None));
        assert!(check(&origins, "localhost:8787", Some("http://localhost:8787")));
        assert!(!check(&origins, "evil.example:8787", Some("http://evil.example:8787")));
        assert!(!check(&origins, "evil.example:8787", None));
    }
}
