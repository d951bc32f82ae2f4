//! `selvedge watch`: patches as JSON lines.

use std::io::Write;

use selvedge_client::PatchEvent;

use crate::args::WatchArgs;
use crate::session::{Failure, Session, interrupt, notice};

pub(crate) async fn run(args: WatchArgs) -> Result<(), Failure> {
    let session = Session::open(&args.common, false, None).await?;
    session.caught_up().await?;
    let mut patches = session.doc.subscribe_patches().await?;
    let mut interrupt = interrupt().await;
    notice(&format!("watching {}; Ctrl-C ends", session.doc.name()));
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut progress = session.doc.progress();
    while left > 0 {
        let event = tokio::select! {
            event = patches.next() => event,
            failed = progress.wait_for(|progress| progress.error.is_some()) => {
                let error = failed.ok().and_then(|progress| progress.error.clone());
                return Err(error.unwrap_or(selvedge_client::ClientError::Closed).into());
            }
            ended = &mut interrupt => {
                ended?;
                break;
            }
        };
        let mut out = std::io::stdout().lock();
        match event {
            Some(PatchEvent::Patches(patches)) => {
                for patch in patches.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
                    left -= 1;
                    writeln!(out, "{}", serde_json::to_string(patch).map_err(std::io::Error::from)?)?;
                }
            }
            Some(PatchEvent::Missed) => writeln!(out, r#"{{"kind":"missed"}}"#)?,
            None => break,
        }
        out.flush()?;
    }
    session.end().await;
    Ok(())
}
