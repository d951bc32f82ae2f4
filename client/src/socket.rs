//! Connections: to each relay, dialled and dialled again with backoff; from other devices, if we listen; all pumped in
//! both directions.
//!
//! Always holds: one connection at a time to each relay; what was written is told, so that the engine makes no more than is
//! taken; what arrives waits in a bounded channel, so that a busy actor slows the relay down. Not here: what messages
//! mean (the engine).

use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use rand_core::TryRng;
use selvedge::sync::{CloseCode, ConnId, Reconnect, dial_address};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as WsCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, accept_async_with_config, connect_async_with_config};

use crate::error::ClientError;

/// How long an attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// After how many written bytes the actor is told.
const REPORT_BYTES: usize = 16 << 10;

/// How long a closing connection may take to say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// WebSocket close codes from here on are the engine's numbers.
const FIRST_CLOSE_CODE: u16 = 4000;

/// What happens on the connection.
#[derive(Debug)]
pub(crate) enum NetEvent {
    /// It is up; without `relay` the other side dialled.
    Up { conn: ConnId, relay: Option<usize>, out: Outbox },
    /// A message arrived.
    Received { conn: ConnId, bytes: Vec<u8> },
    /// Messages were written, of so many bytes since the last time.
    Written { conn: ConnId, bytes: usize },
    /// It ended, or (without `conn`) an attempt failed; the next one comes after `retry_ms`.
    Down { conn: Option<ConnId>, relay: Option<usize>, code: Option<u16>, problem: String, retry_ms: u64 },
}

/// What the actor wants the connection to do.
#[derive(Debug)]
enum Order {
    Send(Vec<u8>),
    Close(CloseCode, String),
}

/// The sending end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    orders: mpsc::UnboundedSender<Order>,
}

impl Outbox {
    pub(crate) fn send(&self, bytes: Vec<u8>) {
        // A connection that is gone says so with `Down`; what it did not send is sent again over the next one.
        let _ = self.orders.send(Order::Send(bytes));
    }

    pub(crate) fn close(&self, code: CloseCode, text: String) {
        let _ = self.orders.send(Order::Close(code, text));
    }
}

/// Makes the address that is dialled: `http` is taken for `ws`.
pub(crate) fn address(url: &str) -> Result<String, ClientError> {
    dial_address(url).map_err(|problem| ClientError::Address { url: url.into(), problem })
}

/// The numbers of one task's connections: no two tasks have one in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    pub(crate) first: u64,
    pub(crate) step: u64,
}

impl Numbers {
    fn all(self) -> impl Iterator<Item = ConnId> {
        (0..).map(move |i| ConnId(self.first + i * self.step))
    }
}

fn config(max_message_bytes: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(8 << 10)
        .write_buffer_size(32 << 10)
        .max_write_buffer_size(max_message_bytes + (128 << 10))
        .max_message_size(Some(max_message_bytes))
        .max_frame_size(Some(max_message_bytes))
}

/// Keeps a connection to `url`, which is the `relay`-th one, up until the receiver of `events` is gone.
pub(crate) async fn run(
    url: String,
    relay: usize,
    numbers: Numbers,
    max_message_bytes: usize,
    events: mpsc::Sender<NetEvent>,
) {
    let (config, relay) = (config(max_message_bytes), Some(relay));
    let mut reconnect = Reconnect::default();
    for conn in numbers.all() {
        reconnect.attempt();
        let mut lasted_ms = None;
        let dial = connect_async_with_config(url.as_str(), Some(config), true);
        let (conn, code, problem) = match timeout(CONNECT_TIMEOUT, dial).await {
            Err(_) => (None, None, format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())),
            Ok(Err(error)) => (None, None, describe(&error)),
            Ok(Ok((socket, _))) => {
                let since = Instant::now();
                let (code, problem) = pump(socket, conn, relay, &events).await;
                lasted_ms = Some(since.elapsed().as_millis() as u64);
                (Some(conn), code, problem)
            }
        };
        // Without randomness the waits are only less well spread.
        let retry_ms = reconnect.failed(lasted_ms, getrandom::SysRng.try_next_u64().unwrap_or_default());
        if events.send(NetEvent::Down { conn, relay, code, problem, retry_ms }).await.is_err() {
            return;
        }
        sleep(Duration::from_millis(retry_ms)).await;
        if events.is_closed() {
            return;
        }
    }
}

/// Takes connections from other devices until the receiver of `events` is gone.
pub(crate) async fn listen(
    listener: TcpListener,
    numbers: Numbers,
    max_message_bytes: usize,
    events: mpsc::Sender<NetEvent>,
) {
    let config = config(max_message_bytes);
    for conn in numbers.all() {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = events.closed() => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Usually too many open files: it passes when connections end.
                tracing::warn!("cannot accept a connection: {error}");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let events = events.clone();
        tokio::spawn(async move {
            // Small messages must not wait for an acknowledgement of the network; without that they are only slower.
            let _ = stream.set_nodelay(true);
            let Ok(Ok(socket)) = timeout(CONNECT_TIMEOUT, accept_async_with_config(stream, Some(config))).await else {
                return;
            };
            let (code, problem) = pump(socket, conn, None, &events).await;
            // If the actor is gone, nobody needs to know.
            let _ = events.send(NetEvent::Down { conn: Some(conn), relay: None, code, problem, retry_ms: 0 }).await;
        });
    }
}

/// Moves messages until the connection ends: the close code, if there was one, and the reason.
async fn pump<S: AsyncRead + AsyncWrite + Unpin>(
    socket: WebSocketStream<S>,
    conn: ConnId,
    relay: Option<usize>,
    events: &mpsc::Sender<NetEvent>,
) -> (Option<u16>, String) {
    let (orders, inbox) = mpsc::unbounded_channel();
    if events.send(NetEvent::Up { conn, relay, out: Outbox { orders } }).await.is_err() {
        return (None, "the client was closed".into());
    }
    let (sink, stream) = socket.split();
    let mut reading = std::pin::pin!(read(stream, conn, events));
    // Reading goes on while a message is being written: two ends that only write would wait for each other.
    let closed = tokio::select! {
        ended = &mut reading => return ended,
        closed = write(sink, inbox, conn, events) => closed,
    };
    let goodbye = timeout(CLOSE_TIMEOUT, reading).await;
    match (closed, goodbye) {
        (Err(error), _) => (None, describe(&error)),
        (Ok(_), Ok((code @ Some(_), problem))) => (code, problem),
        (Ok(problem), _) => (None, problem),
    }
}

async fn read<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: SplitStream<WebSocketStream<S>>,
    conn: ConnId,
    events: &mpsc::Sender<NetEvent>,
) -> (Option<u16>, String) {
    loop {
        let bytes = match stream.next().await {
            Some(Ok(Message::Binary(bytes))) => bytes.into(),
            // The engine refuses it and says why.
            Some(Ok(Message::Text(text))) => text.as_bytes().to_vec(),
            Some(Ok(Message::Close(Some(frame)))) => {
                let reason = if frame.reason.is_empty() { "closed".to_owned() } else { frame.reason.to_string() };
                return (Some(frame.code.into()), reason);
            }
            Some(Ok(Message::Close(None))) | None => return (None, "the other side closed the connection".into()),
            Some(Ok(_)) => continue,
            Some(Err(error)) => return (None, describe(&error)),
        };
        if events.send(NetEvent::Received { conn, bytes }).await.is_err() {
            return (None, "the client was closed".into());
        }
    }
}

async fn write<S: AsyncRead + AsyncWrite + Unpin>(
    mut sink: SplitSink<WebSocketStream<S>, Message>,
    mut inbox: mpsc::UnboundedReceiver<Order>,
    conn: ConnId,
    events: &mpsc::Sender<NetEvent>,
) -> Result<String, tungstenite::Error> {
    let mut unreported = 0;
    while let Some(order) = inbox.recv().await {
        match order {
            Order::Send(bytes) => {
                unreported += bytes.len();
                sink.send(Message::Binary(bytes.into())).await?;
                if unreported >= REPORT_BYTES {
                    // If the actor is gone, the inbox ends next.
                    let _ = events.send(NetEvent::Written { conn, bytes: std::mem::take(&mut unreported) }).await;
                }
            }
            Order::Close(code, text) => {
                let reason = text.chars().take(30).collect::<String>().into();
                let code = WsCode::from(FIRST_CLOSE_CODE + code as u16);
                sink.send(Message::Close(Some(CloseFrame { code, reason }))).await?;
                return Ok(text);
            }
        }
    }
    sink.send(Message::Close(None)).await?;
    Ok("the client was closed".into())
}

/// The engine's reason behind a WebSocket close code, if trying again cannot mend it.
pub(crate) fn final_code(code: Option<u16>) -> Option<CloseCode> {
    [CloseCode::Version, CloseCode::Unauthorized].into_iter().find(|c| code == Some(FIRST_CLOSE_CODE + *c as u16))
}

fn describe(error: &tungstenite::Error) -> String {
    match error {
        tungstenite::Error::Io(error) => error.to_string(),
        tungstenite::Error::Http(response) => {
            format!("it answers HTTP {} and is perhaps no relay", response.status().as_u16())
        }
        other => other.to_string(),
    }
}
