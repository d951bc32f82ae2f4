//! `selvedge edit`: statements from the command line, as one transaction.

mod apply;
mod statement;

use crate::args::EditArgs;
use crate::session::{Failure, Session};

use self::statement::Statement;

const TIMEOUT_S: u64 = 30;

pub(crate) async fn run(args: EditArgs) -> Result<(), Failure> {
    let statements = Statement::parse_script(&args.script).map_err(Failure::Other)?;
    let session = Session::open(&args.common, false, Some(TIMEOUT_S)).await?;
    // Indexes and texts mean what the relay has now.
    session.caught_up().await?;
    let edit = move |tx: &mut selvedge::Transaction<'_>| statements.iter().try_for_each(|s| apply::apply(tx, s));
    session.doc.change(edit).await?;
    session.stored().await?;
    session.end().await;
    Ok(())
}
