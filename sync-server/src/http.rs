//! The web server: the upgrade to a WebSocket, the health pages, and static files.
//!
//! Always holds: a request that is no proper upgrade gets an HTTP answer that says what is expected; the WebSocket
//! library in the tree is the one of `connection`. Not here: listening and ending (`serve`).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::task::TaskTracker;
use tower_http::services::ServeDir;

use crate::connection::Shared;
use crate::origin::Origins;

const NO_WEB: &str = "This is a Selvedge relay. Clients connect with a WebSocket to /sync.\n\
    No web page is served here: build web-demo, or name a folder with --web.\n";

/// What the handlers need.
#[derive(Clone, Debug)]
pub(crate) struct Web {
    pub(crate) shared: Shared,
    pub(crate) origins: Origins,
    pub(crate) folder: Option<PathBuf>,
    /// Whether the store takes changes.
    pub(crate) healthy: Arc<AtomicBool>,
    /// Set when the relay is ending.
    pub(crate) ending: Arc<AtomicBool>,
    /// The connections, to be waited for at the end.
    pub(crate) tasks: TaskTracker,
}

/// All routes.
pub(crate) fn router(web: Web) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/sync", get(sync))
        .fallback(page)
        .with_state(web)
}

async fn ready(State(web): State<Web>) -> Response {
    if web.ending.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the relay is shutting down\n").into_response();
    }
    if !web.healthy.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the store does not take changes; see the log\n").into_response();
    }
    "ready\n".into_response()
}

async fn sync(State(web): State<Web>, request: Request) -> Response {
    if asks_for_web_socket(request.headers()) {
        return upgrade(&web, request);
    }
    let upgrade = [(header::UPGRADE, "websocket"), (header::CONNECTION, "upgrade")];
    (StatusCode::UPGRADE_REQUIRED, upgrade, "connect with a WebSocket\n").into_response()
}

/// Static files; at `/` also the WebSocket, for clients that name only host and port.
async fn page(State(web): State<Web>, request: Request) -> Response {
    if request.uri().path() == "/" && asks_for_web_socket(request.headers()) {
        return upgrade(&web, request);
    }
    let Some(folder) = &web.folder else {
        return match request.uri().path() {
            "/" => NO_WEB.into_response(),
            _ => (StatusCode::NOT_FOUND, "nothing is here\n").into_response(),
        };
    };
    let served = ServeDir::new(folder).try_call(request).await;
    let mut response = match served {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            tracing::warn!("cannot read a static file: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be read\n").into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // A new build must not meet an old page; unchanged files still cost only a question.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn asks_for_web_socket(headers: &HeaderMap) -> bool {
    has_token(headers, header::UPGRADE, "websocket")
}

/// Whether a header with a list of tokens has this one.
fn has_token(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name);
    values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
}

/// Answers the handshake of RFC 6455 and hands the connection over.
fn upgrade(web: &Web, mut request: Request) -> Response {
    let headers = request.headers();
    let refuse = |status, why: String| (status, format!("{why}\n")).into_response();
    if request.method() != Method::GET || !has_token(headers, header::CONNECTION, "upgrade") {
        return refuse(StatusCode::BAD_REQUEST, "a WebSocket begins with GET and Connection: upgrade".to_owned());
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version.as_bytes() != b"13") {
        let version = [(header::SEC_WEBSOCKET_VERSION, "13")];
        return (StatusCode::UPGRADE_REQUIRED, version, "WebSocket version 13 is spoken here\n").into_response();
    }
    let Some(key) = headers.get(header::SEC_WEBSOCKET_KEY) else {
        return refuse(StatusCode::BAD_REQUEST, "Sec-WebSocket-Key is missing".to_owned());
    };
    if let Err(why) = web.origins.check(headers) {
        tracing::info!("connection refused: {why}");
        return refuse(StatusCode::FORBIDDEN, why);
    }
    let accept = derive_accept_key(key.as_bytes());
    let upgraded = hyper::upgrade::on(&mut request);
    let shared = web.shared.clone();
    let permit = request.extensions_mut().remove::<Arc<OwnedSemaphorePermit>>();
    web.tasks.spawn(async move {
        match upgraded.await {
            Ok(stream) => shared.serve(TokioIo::new(stream)).await,
            Err(error) => tracing::debug!("the upgrade did not happen: {error}"),
        }
        drop(permit);
    });
    let answer = [(header::UPGRADE, "websocket"), (header::CONNECTION, "upgrade")];
    (StatusCode::SWITCHING_PROTOCOLS, answer, [(header::SEC_WEBSOCKET_ACCEPT, accept)]).into_response()
}
