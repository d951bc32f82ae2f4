//! `selvedge follow`: every document of a prefix, kept here as it appears.
//!
//! Always holds: a line tells of a document only when all that the relay had of it is here, and saved. Not here: how
//! documents are found (`selvedge_client`).

use std::future::pending;
use std::io::Write;
use std::time::Duration;

use selvedge_client::{ClientError, DocHandle};
use tokio::task::JoinSet;

use crate::args::FollowArgs;
use crate::session::{Failure, interrupt, notice, problem, start};

pub(crate) async fn run(args: FollowArgs) -> Result<(), Failure> {
    if args.place.relay.is_empty() {
        return Err(Failure::Other("name a relay with --relay".into()));
    }
    let client = start(&args.place).await?;
    let mut following = client.follow(&args.prefix).await?;
    let what = if args.prefix.is_empty() { "every document" } else { args.prefix.as_str() };
    let mut interrupt = interrupt().await;
    notice(&format!("following {what}; Ctrl-C ends"));
    let mut arriving = JoinSet::new();
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let late = async {
            match args.place.timeout {
                Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                None => pending().await,
            }
        };
        tokio::select! {
            found = following.next() => {
                arriving.spawn(arrive(found.ok_or(ClientError::Closed)??));
            }
            Some(arrived) = arriving.join_next() => {
                let (name, operations) = arrived.map_err(std::io::Error::from)??;
                let mut out = std::io::stdout().lock();
                writeln!(out, "{}", serde_json::json!({ "document": name, "operations": operations }))?;
                out.flush()?;
                left -= 1;
            }
            ended = &mut interrupt => {
                ended?;
                break;
            }
            () = late => {
                let reason = problem(&client, &args.place.relay.join(", "), "has no more documents");
                let seconds = args.place.timeout.unwrap_or_default();
                return Err(Failure::Other(format!("{reason}; gave up after {seconds} s")));
            }
        }
    }
    client.shutdown().await;
    Ok(())
}

/// Waits until all of a document is here and saved: its name, and how many operations it has.
async fn arrive(doc: DocHandle) -> Result<(String, u64), ClientError> {
    doc.wait_caught_up().await?;
    doc.wait_saved().await?;
    Ok((doc.name().to_string(), doc.version().await?.ops()))
}
