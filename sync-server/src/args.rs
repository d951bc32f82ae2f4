//! The command line: what can be said, what it means, and its help.
//!
//! Always holds: every option of `serve` has an environment variable of the same name behind `SELVEDGE_`, and a default
//! with which the relay starts. Not here: what the options do.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use selvedge::sync::GrantRule;

use crate::auth;
use crate::serve::Config;

/// The self-hosted relay of Selvedge: keeps documents, passes changes on, serves the web demo.
#[derive(Debug, Parser)]
#[command(name = "selvedge-relay", version, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  On this machine only, without tokens:
    selvedge-relay serve --data ./relay-data

  For a team, behind a reverse proxy that speaks TLS:
    openssl rand -hex 32 > relay.key
    selvedge-relay serve --listen 127.0.0.1:8787 --data /var/lib/selvedge \\
        --token-key relay.key --origin https://notes.example.org
    selvedge-relay token --token-key relay.key --doc 'board-*=rw' --sub ada --ttl 12h";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the relay until SIGTERM or Ctrl-C.
    #[command(after_help = SERVE_HELP)]
    Serve(ServeArgs),
    /// Read every stored document and check it, while no relay runs on the folder.
    #[command(after_help = SCRUB_HELP)]
    Scrub(ScrubArgs),
    /// Make a token that names documents and rights, and print it.
    #[command(after_help = TOKEN_HELP)]
    Token(TokenArgs),
}

const SERVE_HELP: &str = "\
Clients connect with a WebSocket to ws://HOST:PORT/sync (or to ws://HOST:PORT/).
GET /healthz answers 200 while the process runs, GET /readyz while the store takes changes.

Everything is in one file in the data folder. A change is acknowledged as durable after it was
synced to that file; killing the relay at any moment loses nothing that was acknowledged.

Without --token-key everybody who can connect may read and write everything, so the relay then
listens on loopback addresses only. Exit status: 0 after a clean end, 1 if it cannot run,
2 if the command line is wrong.";

const SCRUB_HELP: &str = "\
Every record is held against its checksum, and every log against the digest that was stored apart
from it. A damaged record is copied to a place of its own and named by file, document and number;
the document is whole again when a client that has it connects to the relay.
Exit status: 0 if everything is as it was written, 1 if not (or if the store cannot be opened),
2 if the command line is wrong.";

const TOKEN_HELP: &str = "\
The key file holds the secret that the relay was given with --token-key (HS256). With a public
key in the relay, tokens are made by your own login service: a JWT with the claims
  exp   when it expires, in seconds since 1970
  docs  {\"board-1\": \"rw\", \"notes-*\": \"r\"}: names, or prefixes with *, and rights
  sub   (optional) the user's name, passed on with presence";

/// What `serve` is told.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Address and port to listen on; port 0 takes a free one and prints it.
    #[arg(long, env = "SELVEDGE_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8787")]
    pub listen: String,

    /// The data folder; made if it is not there.
    #[arg(long, env = "SELVEDGE_DATA", value_name = "DIR")]
    pub data: PathBuf,

    /// The key that tokens are checked with: a file with an HS256 secret of at least 32 bytes, or with a public key in
    /// PEM (Ed25519, P-256, P-384 or RSA).
    #[arg(long, env = "SELVEDGE_TOKEN_KEY", value_name = "FILE")]
    pub token_key: Option<PathBuf>,

    /// What the `aud` claim of a token must name, if the token has one.
    #[arg(long, env = "SELVEDGE_TOKEN_AUDIENCE", value_name = "NAME", requires = "token_key")]
    pub token_audience: Option<String>,

    /// A folder of static files to serve at /. Default: web-demo/dist, if it is there.
    #[arg(long, env = "SELVEDGE_WEB", value_name = "DIR")]
    pub web: Option<PathBuf>,

    /// Largest message a client may send, in bytes. A single change is never larger than 8 MiB; below that, some changes
    /// cannot be sent.
    #[arg(long, env = "SELVEDGE_MAX_MESSAGE_BYTES", value_name = "N", default_value_t = 16 << 20,
        value_parser = clap::value_parser!(u32).range(1024..=1 << 30))]
    pub max_message_bytes: u32,

    /// Most bytes that may wait for one client that reads too slowly; beyond that it gets no changes until it has read
    /// some, and catches up then.
    #[arg(long, env = "SELVEDGE_MAX_QUEUED_BYTES", value_name = "N", default_value_t = 2 << 20,
        value_parser = clap::value_parser!(u32).range(64 << 10..))]
    pub max_queued_bytes: u32,

    /// Most clients at a time; further ones are told so and disconnected.
    #[arg(long, env = "SELVEDGE_MAX_CONNECTIONS", value_name = "N", default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,

    /// A web origin whose pages may connect, for example https://notes.example.org; can be given several times. Default:
    /// pages of the relay's own host and of loopback hosts.
    #[arg(long, env = "SELVEDGE_ORIGIN", value_name = "URL", value_delimiter = ',')]
    pub origin: Vec<String>,

    /// Another relay to link with, as ws://HOST:PORT; can be given several times. This relay dials it and keeps the link
    /// up; changes pass both ways. One of two relays names the other.
    #[arg(long, env = "SELVEDGE_PEER", value_name = "URL", value_delimiter = ',')]
    pub peer: Vec<String>,

    /// A file with the token that is presented to the peers: one that allows '*=rw' and names no user.
    #[arg(long, env = "SELVEDGE_PEER_TOKEN_FILE", value_name = "FILE", requires = "peer")]
    pub peer_token_file: Option<PathBuf>,

    /// How fast stored documents are read and checked in the background, in bytes per second; 0: not at all.
    #[arg(long, env = "SELVEDGE_SCRUB_BYTES_PER_S", value_name = "N", default_value_t = 1 << 20)]
    pub scrub_bytes_per_s: u64,

    /// What to log to stderr: error, warn, info, debug, trace, or filters such as selvedge_relay=debug. RUST_LOG is read
    /// if this is not given.
    #[arg(long, env = "SELVEDGE_LOG", value_name = "FILTER")]
    pub log: Option<String>,
}

impl From<ServeArgs> for Config {
    fn from(args: ServeArgs) -> Self {
        Config {
            listen: args.listen,
            data: args.data,
            token_key: args.token_key,
            token_audience: args.token_audience,
            web: args.web,
            max_message_bytes: args.max_message_bytes as usize,
            max_queued_bytes: args.max_queued_bytes as usize,
            max_connections: args.max_connections as usize,
            origins: args.origin,
            peers: args.peer,
            peer_token_file: args.peer_token_file,
            scrub_bytes_per_s: args.scrub_bytes_per_s,
        }
    }
}

/// What `scrub` is told.
#[derive(Clone, Debug, Args)]
pub struct ScrubArgs {
    /// The data folder.
    #[arg(long, env = "SELVEDGE_DATA", value_name = "DIR")]
    pub data: PathBuf,

    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What `token` is told.
#[derive(Clone, Debug, Args)]
pub struct TokenArgs {
    /// The file with the secret.
    #[arg(long, env = "SELVEDGE_TOKEN_KEY", value_name = "FILE")]
    pub token_key: PathBuf,

    /// A document, or a prefix with *, and the rights for it: r, w or rw; can be given several times.
    #[arg(long, value_name = "PATTERN=RIGHTS", required = true, value_parser = parse_rule)]
    pub doc: Vec<GrantRule>,

    /// The user's name.
    #[arg(long, value_name = "NAME")]
    pub sub: Option<String>,

    /// How long the token lives: a number and s, m, h or d.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_ttl)]
    pub ttl: Duration,
}

fn parse_rule(text: &str) -> Result<GrantRule, String> {
    let (documents, rights) = text.rsplit_once('=').ok_or("it must be PATTERN=RIGHTS, for example 'board-*=rw'")?;
    auth::rule(documents, rights)
}

fn parse_ttl(text: &str) -> Result<Duration, String> {
    let wrong = || "it must be a number and s, m, h or d, for example 90m".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn rules_and_times_are_parsed_or_refused() {
        let rule = parse_rule("a=b*=rw").expect("a rule");
        assert_eq!((rule.documents.as_str(), rule.rights), ("a=b*", selvedge::sync::Rights::ALL));
        for wrong in ["board", "board=x", "a*b=r", "=r", "board=", "a\n=r"] {
            assert!(parse_rule(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(parse_ttl("90m"), Ok(Duration::from_secs(5400)));
        for wrong in ["", "5", "h", "-1h", "1w", "1.5h", "5é"] {
            assert!(parse_ttl(wrong).is_err(), "{wrong:?}");
        }
    }
}
