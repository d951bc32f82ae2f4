//! One WebSocket connection: a reader that feeds the hub, a writer that empties the outbox, and a clean end.
//!
//! Always holds: frames, messages and buffers are bounded before anything is allocated for them; whatever the peer
//! does wrong ends this connection with a close code of `4000 + CloseCode` and no other; after the end was decided a
//! peer that takes nothing for a few seconds is dropped.
//! Not here: the HTTP upgrade (`http`) and what messages mean (the engine).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use selvedge::op::MAX_CHANGE_BYTES;
use selvedge::sync::{CloseCode, ConnId};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as WireCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::hub::FromConn;
use crate::outbox::{Next, Outbox, Reason};

/// Eagerly allocated for each connection.
const READ_BUFFER_BYTES: usize = 4 << 10;
/// Collected before it is written.
const WRITE_BUFFER_BYTES: usize = 16 << 10;
/// After how many written bytes the hub is told.
const REPORT_BYTES: usize = 16 << 10;
/// How long a peer that is to be closed may take nothing.
const CLOSE_PATIENCE: Duration = Duration::from_secs(3);
/// How much is read and thrown away after a close frame, so that the frame itself is not lost to a reset.
const MAX_DISCARDED_BYTES: usize = 64 << 20;
/// Longest reason in a close frame, in bytes (the protocol allows 123).
const MAX_REASON_BYTES: usize = 120;

/// A WebSocket, whoever dialed.
type Socket<S> = WebSocketStream<S>;

/// That we dialed, and whom.
#[derive(Clone, Debug)]
pub(crate) struct Dialed {
    /// The number of the peer.
    pub(crate) peer: usize,
    /// What we present to it.
    pub(crate) credential: Option<String>,
}

/// What every connection shares.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    to_hub: mpsc::Sender<FromConn>,
    /// Bytes of messages on their way to the hub.
    budget: Arc<Semaphore>,
    budget_bytes: usize,
    max_message_bytes: usize,
    next_conn: Arc<AtomicU64>,
}

impl Shared {
    pub(crate) fn new(to_hub: mpsc::Sender<FromConn>, max_message_bytes: usize) -> Self {
        let budget_bytes = (max_message_bytes * 2).max(64 << 20);
        let budget = Arc::new(Semaphore::new(budget_bytes));
        Self { to_hub, budget, budget_bytes, max_message_bytes, next_conn: Arc::default() }
    }

    pub(crate) fn web_socket_config(&self) -> WebSocketConfig {
        WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_write_buffer_size(self.max_message_bytes + MAX_CHANGE_BYTES + WRITE_BUFFER_BYTES)
            .max_message_size(Some(self.max_message_bytes))
            .max_frame_size(Some(self.max_message_bytes))
    }

    /// Serves an upgraded connection until it ends.
    pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) {
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(self.web_socket_config())).await;
        self.run(socket, None).await;
    }

    /// Serves a connection, one that came to us or one that was dialed, until it ends.
    pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(&self, socket: Socket<S>, dialed: Option<Dialed>) {
        let conn = ConnId(self.next_conn.fetch_add(1, Ordering::Relaxed));
        let outbox = Arc::new(Outbox::default());
        if self.to_hub.send(FromConn::Connected { conn, outbox: Arc::clone(&outbox), dialed }).await.is_err() {
            return;
        }
        let (mut sink, mut stream) = socket.split();
        let reading = async {
            match self.read(conn, &mut stream, &outbox).await {
                Some((code, text)) => outbox.close(code, text),
                None => outbox.abandon(),
            }
        };
        let both = async { tokio::join!(reading, self.write(conn, &mut sink, &outbox)) };
        let patience = async {
            outbox.ending().await;
            let mut before = None;
            while before != Some(outbox.progress()) {
                before = Some(outbox.progress());
                tokio::time::sleep(CLOSE_PATIENCE).await;
            }
        };
        tokio::select! {
            _ = both => {}
            () = patience => tracing::debug!(conn = conn.0, "did not take the close frame in time"),
        }
        // If the hub is gone, nobody needs to know.
        let _ = self.to_hub.send(FromConn::Disconnected { conn }).await;
        if let Ok(mut socket) = sink.reunite(stream) {
            let _ = tokio::time::timeout(CLOSE_PATIENCE, linger(socket.get_mut())).await;
        }
    }

    /// Reads until the peer is gone (`None`) or did something wrong.
    async fn read<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        conn: ConnId,
        stream: &mut SplitStream<Socket<S>>,
        outbox: &Outbox,
    ) -> Option<Reason> {
        while let Some(message) = stream.next().await {
            let bytes = match message {
                Ok(Message::Binary(bytes)) => bytes,
                Ok(Message::Text(_)) => {
                    return Some((CloseCode::Malformed, "text frames are not used here".to_owned()));
                }
                // Pings are answered by the library; after a close frame the stream ends by itself.
                Ok(_) => continue,
                Err(error) => return reason(&error, self.max_message_bytes),
            };
            if outbox.is_ending() {
                continue;
            }
            let share = bytes.len().clamp(1, self.budget_bytes) as u32;
            let Ok(permit) = Arc::clone(&self.budget).acquire_many_owned(share).await else { return None };
            let message = FromConn::Received { conn, bytes: bytes.into(), permit };
            if self.to_hub.send(message).await.is_err() {
                return Some((CloseCode::GoingAway, "the relay is shutting down".to_owned()));
            }
        }
        None
    }

    /// Writes what is queued, everything at once with one flush, until the end.
    async fn write<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        conn: ConnId,
        sink: &mut SplitSink<Socket<S>, Message>,
        outbox: &Outbox,
    ) {
        let mut unreported = 0;
        loop {
            match outbox.next().await {
                Next::Write(messages) => {
                    for message in messages {
                        let bytes = message.len();
                        if sink.feed(Message::Binary(message.into())).await.is_err() {
                            return outbox.abandon();
                        }
                        outbox.written(bytes);
                        unreported += bytes;
                        if unreported >= REPORT_BYTES {
                            // If the hub is gone, its goodbye is next.
                            let _ = self.to_hub.send(FromConn::Written { conn, bytes: unreported }).await;
                            unreported = 0;
                        }
                    }
                    if sink.flush().await.is_err() {
                        return outbox.abandon();
                    }
                }
                Next::Close(code, text) => {
                    let frame = CloseFrame { code: WireCode::from(4000 + code as u16), reason: short(&text).into() };
                    // The peer may be gone already; then there is nobody to tell.
                    let _ = sink.send(Message::Close(Some(frame))).await;
                    return;
                }
                Next::Abandon => return,
            }
        }
    }
}

/// What the peer did wrong; `None` if it is just gone.
fn reason(error: &Error, max_message_bytes: usize) -> Option<Reason> {
    match error {
        Error::Capacity(_) => {
            Some((CloseCode::TooLarge, format!("a message may have at most {max_message_bytes} bytes")))
        }
        Error::Protocol(problem) => Some((CloseCode::Malformed, format!("not a valid WebSocket frame: {problem}"))),
        Error::Utf8(_) => Some((CloseCode::Malformed, "text frames are not used here".to_owned())),
        _ => None,
    }
}

fn short(text: &str) -> &str {
    let mut end = text.len().min(MAX_REASON_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Ends the sending side and throws away what still arrives: closing with unread bytes would reset the connection, and
/// the peer might never see why it was closed.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> std::io::Result<()> {
    stream.shutdown().await?;
    let mut scratch = [0; 4096];
    let mut discarded = 0;
    while discarded < MAX_DISCARDED_BYTES {
        match stream.read(&mut scratch).await? {
            0 => break,
            read => discarded += read,
        }
    }
    Ok(())
}
