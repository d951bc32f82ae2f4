//! A link to another relay: dialed, dialed again when it ends, and served like any connection.
//!
//! Always holds: one connection at a time; the token is read from its file for every attempt, so that it can be renewed
//! while the relay runs; when to try again is the core's decision (`Reconnect`). Not here: what goes over the link.

use std::path::{Path, PathBuf};
use std::time::Duration;

use selvedge::sync::{Circuit, Reconnect, dial_address};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::connect_async_with_config;

use crate::connection::{Dialed, Shared};

/// How long an attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Another relay.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// Its number among the peers.
    pub(crate) peer: usize,
    /// Its address, checked.
    pub(crate) url: String,
    /// The file with the token that is presented to it.
    pub(crate) token_file: Option<PathBuf>,
}

/// Checks what the command line says of peers.
///
/// # Errors
/// What is wrong, in words that name the option.
pub(crate) fn links(urls: &[String], token_file: Option<&Path>) -> Result<Vec<Link>, String> {
    if let Some(file) = token_file {
        read_token(file)?;
    }
    let mut links: Vec<Link> = Vec::new();
    for url in urls {
        let problem = |problem: String| format!("--peer {url}: {problem}; it must be like ws://10.0.0.2:8787");
        let address = dial_address(url).map_err(problem)?;
        if links.iter().any(|link| link.url == address) {
            return Err(problem("it is named twice".to_owned()));
        }
        links.push(Link { peer: links.len(), url: address, token_file: token_file.map(Path::to_owned) });
    }
    Ok(links)
}

fn read_token(file: &Path) -> Result<String, String> {
    let token = std::fs::read_to_string(file).map_err(|error| error.to_string());
    match token.map(|token| token.trim().to_owned()) {
        Ok(token) if !token.is_empty() => Ok(token),
        Ok(_) => Err(format!("--peer-token-file {}: it is empty", file.display())),
        Err(problem) => Err(format!("--peer-token-file {}: {problem}", file.display())),
    }
}

impl Link {
    /// Keeps the link up until the relay ends.
    pub(crate) async fn keep(self, shared: Shared, mut stop: watch::Receiver<bool>) {
        let mut reconnect = Reconnect::default();
        loop {
            let before = reconnect.circuit();
            reconnect.attempt();
            let served = tokio::select! {
                served = self.serve(&shared) => served,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let lasted_ms = served.as_ref().ok().map(|lasted| lasted.as_millis() as u64);
            // Without randomness the waits are only less well spread.
            let wait_ms = reconnect.failed(lasted_ms, getrandom::u64().unwrap_or_default());
            let problem = served.err().unwrap_or_else(|| "the link ended".to_owned());
            match (before, reconnect.circuit()) {
                (Circuit::Closed, Circuit::Open) => tracing::warn!(
                    peer = self.url,
                    "{problem}; it has been away for long and is tried about once a minute from now on. What is stored \
                     here meanwhile it gets when it is back"
                ),
                (Circuit::Open, _) => tracing::debug!(peer = self.url, wait_ms, "still away: {problem}"),
                _ => tracing::info!(peer = self.url, wait_ms, "{problem}; trying again"),
            }
            tokio::select! {
                () = sleep(Duration::from_millis(wait_ms)) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Dials once and serves the connection; how long it lasted.
    async fn serve(&self, shared: &Shared) -> Result<Duration, String> {
        let credential = self.token_file.as_deref().map(read_token).transpose()?;
        let dial = connect_async_with_config(self.url.as_str(), Some(shared.web_socket_config()), true);
        let (socket, _) = timeout(CONNECT_TIMEOUT, dial)
            .await
            .map_err(|_| format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()))?
            .map_err(|error| format!("cannot connect: {error}"))?;
        tracing::info!(peer = self.url, "linked");
        let since = Instant::now();
        shared.run(socket, Some(Dialed { peer: self.peer, credential })).await;
        Ok(since.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_command_line_says_of_peers_is_checked() {
        let urls = |urls: &[&str]| urls.iter().map(|url| (*url).to_owned()).collect::<Vec<_>>();
        let good = links(&urls(&["ws://a:1", "http://b"]), None).expect("good addresses");
        assert_eq!(
            good.iter().map(|link| (link.peer, link.url.as_str())).collect::<Vec<_>>(),
            [(0, "ws://a:1"), (1, "ws://b")]
        );
        for (bad, names) in [("b:8787", "neither"), ("wss://b", "TLS"), ("ws://", "no host"), ("ws://b:x", "port")] {
            let problem = links(&urls(&[bad]), None).expect_err(bad);
            assert!(problem.contains("--peer ") && problem.contains(names), "{problem}");
        }
        assert!(links(&urls(&["ws://a", "http://a"]), None).expect_err("twice").contains("twice"));
        let missing = links(&urls(&["ws://a"]), Some(Path::new("/nowhere/token"))).expect_err("no file");
        assert!(missing.contains("--peer-token-file /nowhere/token"), "{missing}");
    }
}
