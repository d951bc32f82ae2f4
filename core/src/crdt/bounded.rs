//! `BoundedCounter`: a sum that never falls below zero, by escrow (Balegas et al., "Extending eventually consistent cloud
//! databases for enforcing numeric invariants", 2015).
//!
//! Every unit that was added is a right of somebody to take it away: first of who added it, then of whom it is given to. Nobody
//! takes or gives more than is theirs in the causal past of the operation, so no order of delivery shows less than zero: the
//! value is the sum of rights that are each at least zero. Amounts have 63 bits and sums 128, which a log cannot exceed.

use super::{Context, Event, StateReader, StateWriter};
use crate::codec::{DecodeError, put_u64};
use crate::graph::Dot;
use crate::id::ReplicaId;
use crate::ordered::{OrdMap, sort_by_key};

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

    pub(crate) fn write_state(&self, out: &mut StateWriter<'_>) {
        let accounts =
            || self.accounts.iter().filter(|(_, account)| account.rights > 0 || !account.received.is_empty());
        out.count(accounts().count());
        for (replica, account) in accounts() {
            out.out.extend_from_slice(replica.as_bytes());
            out.out.extend_from_slice(&account.rights.to_le_bytes());
            let mut received = account.received.clone();
            sort_by_key(&mut received, |(dot, _)| (out.rank(dot.log), dot.seq));
            out.count(received.len());
            for (dot, amount) in received {
                out.dot(dot);
                put_u64(&mut out.out, amount);
            }
        }
    }

    pub(crate) fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), DecodeError> {
        for _ in 0..from.count("account count")? {
            let replica = from.reader.replica("account")?;
            let mut account =
                Account { rights: u128::from_le_bytes(from.reader.array("rights")?), ..Account::default() };
            for _ in 0..from.count("transfer count")? {
                let dot = from.dot("transfer")?;
                account.received.push((dot, from.reader.u64("transfer")?));
            }
            self.accounts.insert(replica, account);
        }
        Ok(())
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
