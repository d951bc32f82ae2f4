//! `selvedge cat`: a document as JSON, or one of its texts.

use std::io::Write;

use crate::args::CatArgs;
use crate::session::{Failure, Session};

const TIMEOUT_S: u64 = 30;

pub(crate) async fn run(args: CatArgs) -> Result<(), Failure> {
    let session = Session::open(&args.common, false, Some(TIMEOUT_S)).await?;
    session.caught_up().await?;
    let output = if args.text {
        session.doc.read(move |doc| doc.text(&args.container).to_string()).await?
    } else {
        let json = session.doc.read(selvedge::Doc::to_json).await?;
        serde_json::to_string_pretty(&json).map_err(std::io::Error::from)? + "\n"
    };
    session.end().await;
    let mut out = std::io::stdout().lock();
    out.write_all(output.as_bytes())?;
    Ok(out.flush()?)
}
