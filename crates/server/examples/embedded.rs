//! A hub inside another axum program: a page to try it on, connections at /ws/{user}, notifications by POST.
//!
//! Run it with `cargo run --example embedded`, open <http://127.0.0.1:3000/> in two tabs, and then
//! `curl http://127.0.0.1:3000/notify/ann -d 'your parcel is here'`. Ctrl-C drains it.

use std::error::Error;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use wshub::{Farewell, Hub, Message};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("embedded: open http://{}/", listener.local_addr()?);
    let until = async { tokio::signal::ctrl_c().await.unwrap_or(()) };
    let Farewell { moved, lost } = serve(listener, until).await?;
    println!("embedded: {moved} moved, {lost} lost");
    Ok(())
}

/// Serves the program until it is told to end, and drains its hub then.
pub(crate) async fn serve(
    listener: TcpListener,
    until: impl Future<Output = ()> + Send + 'static,
) -> Result<Farewell, Box<dyn Error>> {
    let hub = Hub::builder()
        .shards(4)
        .set("drain.timeout", "2s")
        .start()?;
    let app = Router::new()
        .route("/", get(Html(PAGE)))
        .route("/ws/{user}", get(connect))
        .route("/notify/{user}", post(notify))
        .with_state(hub.clone());
    axum::serve(listener, app)
        .with_graceful_shutdown(until)
        .await?;
    Ok(hub.shutdown().await?)
}

/// A real program looks at its cookie or token here, and knows the user by that.
async fn connect(
    State(hub): State<Hub>,
    Path(user): Path<String>,
    request: Request,
) -> impl IntoResponse {
    hub.accept(request, &user)
}

/// Tells a user something; where they are away it waits for them.
async fn notify(
    State(hub): State<Hub>,
    Path(user): Path<String>,
    text: String,
) -> impl IntoResponse {
    match hub.publish(Message::to_user(&user, text)).await {
        Ok(published) => (StatusCode::OK, published.id),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
    }
}

const PAGE: &str = r#"<!doctype html>
<title>A hub inside another program</title>
<form id="say"><input id="text" autofocus> <button>To everybody</button></form>
<pre id="log"></pre>
<script type="module">
  const user = prompt("Your name?", "ann");
  const socket = new WebSocket(`/ws/${encodeURIComponent(user)}`);
  socket.onmessage = ({ data }) => document.getElementById("log").append(data, "\n");
  document.getElementById("say").onsubmit = (event) => {
    event.preventDefault();
    socket.send(JSON.stringify({ type: "broadcast", data: document.getElementById("text").value }));
  };
</script>
"#;
