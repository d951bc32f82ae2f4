//! The native driver of Selvedge: documents kept on this device and synced with relays, or with other
//! devices, over WebSockets.
//!
//! ```no_run
//! # async fn example() -> Result<(), selvedge_client::ClientError> {
//! use selvedge_client::{Client, StoreKind};
//! let client = Client::builder().relay("ws://127.0.0.1:8787").store(StoreKind::Folder("data".into())).start().await?;
//! let doc = client.open("groceries").await?;
//! doc.change(|tx| tx.list("todos").push("milk")).await?;
//! doc.wait_durable().await?;
//! println!("{}", doc.read(|doc| doc.to_json()).await?);
//! # Ok(())
//! # }
//! ```
//!
//! One task owns the engine and all documents (`actor`), one each connection, one thread the disk. Always holds: our own
//! changes are sent only after they were stored; being offline is a state, not an error.
//! Not here: what documents are and how they merge (`selvedge`).

mod actor;
mod client;
mod error;
mod handle;
mod held;
mod progress;
mod socket;
mod store;
#[cfg(feature = "cli")]
pub mod trace;
mod verify;

pub use client::{Builder, Client, Following};
pub use error::ClientError;
pub use handle::{Access, DocHandle, PatchEvent, Patches, Presence};
pub use held::Held;
pub use progress::{Connection, Progress};
pub use selvedge;
pub use store::{FileStore, StoreKind};
pub use verify::{Problem, Verified, verify};
