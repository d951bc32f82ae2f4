//! Selvedge's core for JavaScript: one document and its sync engine behind a small, coarse interface.
//!
//! Always holds: exported methods take `&self` and never call back into JavaScript, so nothing is used recursively; a
//! call either does all of what it says or throws an object with `code` and `message`; positions in texts count UTF-16
//! units. Not here: storage, sockets, timers, and the plain objects that applications see (the npm package has them).

pub mod command;
mod decode;
mod effects;
mod fail;
mod history;
mod replica;
mod slots;
mod view;

pub use replica::Replica;
