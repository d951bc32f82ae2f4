//! Oracles for Selvedge: random scripts over several replicas, a naive specification that they must agree with, views
//! rebuilt from patches, forged histories, hostile bytes, and a simulator of devices, disks and connections.
//!
//! Always holds: a script is data (JSON), valid whatever its numbers are, and runs the same natively and in wasm. Only
//! `arbitrary`, `forge` and `sim` draw random numbers, and they do not exist in wasm. `gossip` is a
//! network of thousands.

#[cfg(not(target_family = "wasm"))]
pub mod arbitrary;
pub mod bytes;
pub mod decoders;
#[cfg(not(target_family = "wasm"))]
pub mod forge;
pub mod gossip;
pub mod oracle;
pub mod random;
pub mod rich;
pub mod script;
#[cfg(not(target_family = "wasm"))]
pub mod sim;
pub mod spec;
pub mod view;
