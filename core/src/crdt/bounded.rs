//! `BoundedCounter`: a sum that never falls below zero, by escrow (Balegas et al., "Extending eventually consistent cloud
//! databases for enforcing numeric invariants", 2015).
//!
//! Every unit that was added is a right of somebody to take it away: first of who added it, then of whom it is given to. Nobody
//! takes or gives more than is theirs in the causal past of the operation, so no order of delivery shows less than zero: the
//! value is the sum of rights that are each at least zero. Amounts have 63 bits and sums 128, which a log cannot exceed.

use super::{Context, Event};
use crate::graph::Dot;
use crate::id::ReplicaId;
use crate::ordered::OrdMap;

/// What one replica may take away or give.
#[derive(Clone, Debug, Default)]
struct Account {
    /// Rights added and received less those used and given, whatever is known.
    rights: u128,
    /// Transfers received: what decides what an operation that has not seen them may do.
    received: Vec<(Dot, u64)>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct BoundedState {
    accounts: OrdMap<ReplicaId, Account>,
}

impl BoundedState {
    /// Adds `by`, or takes it away if it is negative; `None` if the author has not seen as many rights of its own.
    pub(crate) fn add(&mut self, context: &Context<'_>, by: i64) -> Option<Option<Event>> {
        if by < 0 {
            self.take(context, by.unsigned_abs())?;
        } else {
            let account = self.accounts.entry(context.logs.replica(context.dot.log)).or_default();
            account.rights += u128::from(by.unsigned_abs());
        }
        Some((by != 0).then_some(Event::Counter { by }))
    }

    /// Gives rights to a replica; `None` if the author has not seen as many of its own.
    pub(crate) fn transfer(&mut self, context: &Context<'_>, to: ReplicaId, amount: u64) -> Option<()> {
        self.take(context, amount)?;
        let account = self.accounts.entry(to).or_default();
        account.rights += u128::from(amount);
        account.received.push((context.dot, amount));
        Some(())
    }

    fn take(&mut self, context: &Context<'_>, amount: u64) -> Option<()> {
        let account = self.accounts.entry(context.logs.replica(context.dot.log)).or_default();
        let unseen = account.received.iter().filter(|(dot, _)| !context.past.contains(*dot));
        let unseen: u128 = unseen.map(|(_, amount)| u128::from(*amount)).sum();
        let seen = account.rights.checked_sub(unseen)?;
        let rest = seen.checked_sub(u128::from(amount))?;
        account.rights = rest + unseen;
        Some(())
    }

    /// The sum.
    pub(crate) fn value(&self) -> u128 {
        self.accounts.values().map(|account| account.rights).sum()
    }

    /// The rights of one replica.
    pub(crate) fn rights(&self, replica: ReplicaId) -> u128 {
        self.accounts.get(&replica).map_or(0, |account| account.rights)
    }
}
