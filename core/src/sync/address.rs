//! `dial_address`: what a URL of a peer means to whoever dials it.
//!
//! Always holds: what is wrong with an address is known before anybody dials it, in words. Not here: names and sockets.

/// The address that is dialed for a URL: `http` is taken for `ws`.
///
/// # Errors
/// What is wrong with it, in words that go on from the URL.
pub fn dial_address(url: &str) -> Result<String, String> {
    let rest = match url.split_once("://") {
        Some(("ws" | "http", rest)) => rest,
        Some(("wss" | "https", _)) => {
            return Err("this build has no TLS; use ws:// through a local proxy or tunnel".to_owned());
        }
        Some((other, _)) => return Err(format!("{other:?} is not ws or http")),
        None => return Err("it starts with neither ws:// nor http://".to_owned()),
    };
    if let Some(odd) = rest.chars().find(|c| !c.is_ascii_graphic() || "\"<>\\^`{|}@".contains(*c)) {
        return Err(format!("{odd:?} has no place in it"));
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, port) = match rest[..end].rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (&rest[..end], None),
    };
    if host.is_empty() {
        return Err("it names no host".to_owned());
    }
    match port {
        Some(port) if port.parse::<u16>().is_err() || port.starts_with('+') => {
            Err(format!("{port:?} is no port (0 to 65535)"))
        }
        _ => Ok(format!("ws://{rest}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_before_they_are_dialed() {
        let good = ["ws://localhost:8787", "ws://h", "ws://127.0.0.1:8787/x?y#z", "ws://[::1]:8787", "ws://[::1]/sync"];
        for url in good {
            assert_eq!(dial_address(url).as_deref(), Ok(url));
        }
        assert_eq!(dial_address("http://127.0.0.1:8787/x").as_deref(), Ok("ws://127.0.0.1:8787/x"));
        let bad = ["", "localhost:8787", "wss://localhost", "ftp://a", "ws://", "ws:///x", "ws://:80", "ws://a b"];
        let worse = ["ws://a:b", "ws://a:", "ws://a:70000", "ws://a:+1", "ws://user@a", "ws://a/\u{e9}", "ws://a\n"];
        for url in bad.into_iter().chain(worse) {
            assert!(dial_address(url).is_err(), "{url:?}");
        }
    }
}
