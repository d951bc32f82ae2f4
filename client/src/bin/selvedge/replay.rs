//! `selvedge replay`: types one author of a recorded editing history.
//!
//! What others write is held back (`Client::open_held`) and imported exactly as far as the next transaction's parents
//! name. Always holds: it ends well only if everything typed is durable on the relay and the text equals the trace's.
//! Not here: what is typed when (`typist`).

mod progress;
mod typist;

use std::sync::Arc;
use std::time::{Duration, Instant};

use selvedge_client::trace::{Plan, Trace};

use self::progress::Show;
use self::typist::{Turn, Typist};
use crate::args::ReplayArgs;
use crate::session::{Failure, Session};

/// Transactions typed in one go: others of the document's task wait meanwhile.
const PER_TURN: usize = 256;

/// How often a limited rate lets some transactions through.
const PACE: Duration = Duration::from_millis(2);

/// How often progress is shown when nothing happens.
const TICK: Duration = Duration::from_millis(250);

pub(crate) async fn run(args: ReplayArgs) -> Result<(), Failure> {
    let trace = Trace::read(&args.trace)?;
    let plan = Arc::new(Plan::new(&trace, args.agent)?);
    if args.common.place.relay.is_empty() {
        return Err(Failure::Other("a replay needs a relay: name one with --relay".into()));
    }
    let session = Session::open(&args.common, true, None).await?;
    session.caught_up().await?;
    let started = Instant::now();
    let id = format!("{:08x}", u32::from_be_bytes(selvedge::codec::checksum(trace.end_content.as_bytes())));
    let typist = session.doc.update(move |access| Typist::start(access, plan, id)).await??;
    let already = typist.typed();
    let (typist, durable) = type_everything(&session, typist, &args).await?;
    let (edits, changes) = (typist.edits_since(already), typist.typed());
    let differs = session.doc.update(move |access| typist.compare(access, &trace.end_content)).await??;
    session.end().await;
    if let Some(difference) = differs {
        return Err(Failure::Other(difference));
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{edits} edits in {seconds:.1} s; {durable} of {changes} changes are durable on the relay; \
         the text equals the trace's endContent"
    );
    Ok(())
}

/// Types until everything is typed and durable, and everything of the others has arrived.
async fn type_everything(session: &Session, mut typist: Typist, args: &ReplayArgs) -> Result<(Typist, usize), Failure> {
    let mut watched = session.doc.progress();
    let mut show = Show::new(args.progress, typist.total());
    let (started, already) = (Instant::now(), typist.typed());
    let (mut last_news, mut last_state) = (Instant::now(), (0, 0));
    loop {
        // Whatever arrives from here on wakes the wait below.
        let seen = watched.borrow_and_update().clone();
        let turn;
        let per_turn = allowance(args, started.elapsed(), typist.typed() - already);
        (typist, turn) = session.doc.update(move |access| typist.type_some(access, per_turn)).await??;
        let durable = typist.changes_up_to(seen.acknowledged.end(session.doc.replica()));
        show.update(typist.typed(), durable, || typist.version_line(session.doc.replica(), durable));
        let state = (typist.typed(), durable + seen.arrivals as usize);
        if state != last_state {
            (last_news, last_state) = (Instant::now(), state);
        }
        match turn {
            Turn::Typed if args.delay_ms > 0 => tokio::time::sleep(Duration::from_millis(args.delay_ms)).await,
            Turn::Typed if per_turn < PER_TURN => tokio::time::sleep(PACE).await,
            Turn::Typed => {}
            Turn::Complete if durable == typist.total() => {
                show.end(typist.typed(), durable, || typist.version_line(session.doc.replica(), durable));
                return Ok((typist, durable));
            }
            Turn::Waiting | Turn::Complete => {
                if let Some(error) = seen.error {
                    return Err(error.into());
                }
                if let Some(timeout) = session.timeout().filter(|timeout| last_news.elapsed() > *timeout) {
                    return Err(session.late(&typist.missing(durable), timeout));
                }
                let _ = tokio::time::timeout(TICK, watched.changed()).await;
            }
        }
    }
}

/// How many transactions may be typed now, `typed` having been typed in `elapsed`.
fn allowance(args: &ReplayArgs, elapsed: Duration, typed: usize) -> usize {
    match args.rate {
        _ if args.delay_ms > 0 => 1,
        Some(rate) => ((elapsed.as_secs_f64() * f64::from(rate)) as usize).saturating_sub(typed).min(PER_TURN),
        None => PER_TURN,
    }
}
