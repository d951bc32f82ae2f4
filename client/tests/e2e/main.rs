//! End to end, with real processes: the relay, the command `selvedge`, and native clients.
//!
//! Always holds: every wait has a deadline, every process is ended by its id, nothing listens beyond loopback.

// A failed `unwrap` in a helper is a failed test.
#![allow(clippy::unwrap_used)]

mod cli;
mod commands;
mod damage;
mod docs;
mod durable;
mod fork;
mod native;
mod relay;
mod restart;
mod several;
mod traces;
mod two_authors;
