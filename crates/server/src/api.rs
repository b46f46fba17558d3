//! The HTTP API: publishing, and what operators and orchestrators ask.

mod directory;
mod routes;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;
use wshub_engine::Standing;
use wshub_hub::message::{Kind, OUTCOME_UNKNOWN};
use wshub_hub::{Mode, Outcome, Publication, Refused};
use wshub_protocol::client_message::{self, Body, Publish};
use wshub_protocol::percent::path_decoded;
use wshub_protocol::{ErrorCode, server_message};

use crate::front::{Answer, JSON, Method, Request};
use crate::ledger::Ledger;
use crate::metrics;
use crate::node::{Node, STRANGE_ORIGIN};
use crate::page;
use crate::redis::cluster::Peer;
use routes::Place;

/// How long a publisher waits for the log.
const LOG_ANSWER: Duration = Duration::from_secs(2);
const READ_ONLY: &str = "GET, HEAD";
/// What this API is, for programs.
const DOCUMENT: &[u8] = include_bytes!("../../../docs/openapi.json");

/// Answers one request.
pub async fn answer(node: &Node, request: Request) -> Answer {
    if node.mode == Mode::Echo {
        return Answer::error(
            ErrorCode::NotFound,
            "an echo server answers WebSocket messages only",
        );
    }
    let Some((route, segment)) = routes::find(&request.path) else {
        return file(&request);
    };
    if request.method != route.takes {
        return Answer::method_not_allowed(route.allows());
    }
    let id = path_decoded(segment);
    match route.place {
        Place::Health => health(node),
        Place::Live => Answer::json(200, br#"{"status":"live"}"#.as_slice()),
        Place::Ready => ready(node),
        Place::Stats => stats(node),
        Place::Metrics => metrics::answer(node),
        Place::Document => Answer::json(200, DOCUMENT),
        // With an upgrade the front takes it; without, this says what is missing.
        Place::Socket => upgrade_required(),
        Place::Publish => publish(node, request).await,
        Place::User => directory::user(node, &request, id).await,
        Place::UserConnections => directory::disconnect(node, &request, id),
        Place::Room => directory::room(node, &request, id),
    }
}

fn file(request: &Request) -> Answer {
    match (page::at(&request.path), request.method) {
        (None, _) => Answer::error(ErrorCode::NotFound, "there is nothing at this path"),
        (Some(answer), Method::Get) => answer,
        (Some(_), _) => Answer::method_not_allowed(READ_ONLY),
    }
}

fn upgrade_required() -> Answer {
    Answer::error(
        ErrorCode::UpgradeRequired,
        "this path takes WebSocket upgrades (RFC 6455, version 13) only",
    )
    .with_header("Upgrade", "websocket")
    .with_header("Sec-WebSocket-Version", "13")
}

fn health(node: &Node) -> Answer {
    let (status, reason, round_trip_ms) = match node.engine.standing() {
        _ if node.is_draining() => {
            let reason = "the node is on its way to its end".to_owned();
            ("draining", Some(reason), None)
        }
        Standing::Full(reason) => ("degraded", Some(reason), None),
        Standing::Away(reason) => ("degraded", Some(format!("the log is away: {reason}")), None),
        Standing::There { round_trip_ms } => ("healthy", None, round_trip_ms),
    };
    let mut body = json!({
        "status": status,
        "timestamp": node.clock.now().unix_seconds(),
        "clients": node.clients(),
        "shards": node.shards.len(),
    });
    if let Some(round_trip_ms) = round_trip_ms {
        // Through the log and back, by an entry that is sent every two seconds.
        body["log_round_trip_ms"] = round_trip_ms.into();
    }
    let code = if reason.is_some() { 503 } else { 200 };
    if let Some(reason) = reason {
        body["reason"] = reason.into();
    }
    Answer::json(code, body.to_string().into_bytes())
}

fn ready(node: &Node) -> Answer {
    if node.is_draining() {
        return Answer::overloaded("the node is draining, connect to another one");
    }
    Answer::json(200, br#"{"status":"ready"}"#.as_slice())
}

fn stats(node: &Node) -> Answer {
    let by_shard: BTreeMap<String, u64> = node
        .shards
        .iter()
        .enumerate()
        .map(|(number, shard)| (number.to_string(), shard.clients.get()))
        .collect();
    let by_kind = |count: &dyn Fn(Kind) -> u64| -> BTreeMap<&str, u64> {
        Kind::ALL
            .into_iter()
            .map(|kind| (kind.name(), count(kind)))
            .collect()
    };
    let accepted = node.accepted();
    let (rooms, (entries, bytes)) = {
        let tail = node.tail();
        (tail.rooms(), tail.depth())
    };
    let state = node.engine.state();
    let ledger = Ledger::of(node);
    let mut body = json!({
        "total_clients": node.clients(),
        "shard_stats": by_shard,
        "timestamp": node.clock.now().unix_seconds(),
        "node": node.config.node,
        "users": node.sum(|shard| shard.users.get()),
        "rooms": rooms,
        "messages_in": by_kind(&|kind| accepted[kind.index()]),
        "messages_out": by_kind(&|kind| node.sum(|shard| shard.messages_out[kind.index()].get())),
        "duplicates": state.duplicates,
        "ids": { "remembered": state.ids.0, "bytes": state.ids.1 },
        "log": { "entries": entries, "bytes": bytes },
        "queues": { "messages": state.queued.0, "bytes": state.queued.1 },
        "ledger": {
            "accepted": ledger.accepted,
            "delivered": ledger.delivered,
            "queued": ledger.queued,
            "expired": ledger.expired,
            "dropped": BTreeMap::from(ledger.dropped),
            "duplicate": ledger.duplicate,
            "in_flight": ledger.in_flight,
        },
    });
    if let Some(cluster) = &node.cluster {
        let nodes = cluster.nodes();
        let sum = |count: fn(&Peer) -> u64| nodes.iter().map(count).sum::<u64>();
        body["cluster"] = json!({
            "nodes": nodes.iter().map(|node| &node.name).collect::<Vec<_>>(),
            "total_clients": sum(|node| node.clients),
            "users": sum(|node| node.users),
            "messages_out": sum(|node| node.messages_out),
        });
    }
    Answer::json(200, body.to_string().into_bytes())
}

async fn publish(node: &Node, request: Request) -> Answer {
    if !node.may_speak(&request) {
        return Answer::error(ErrorCode::Forbidden, STRANGE_ORIGIN);
    }
    if !is_json(request.content_type.as_deref()) {
        return Answer::error(
            ErrorCode::UnsupportedMediaType,
            "send the message with Content-Type: application/json",
        );
    }
    match client_message::parse_body(&request.body, node.config.limits.message_bytes) {
        Err(refused) => Answer::error(refused.refusal.code, &refused.refusal.sentence),
        Ok(Body::One(publish)) => {
            let outcome = publish_all(node, vec![publish]).await.pop();
            one_result(outcome.unwrap_or(Err(OUTCOME_UNKNOWN)))
        }
        Ok(Body::Many(publishes)) => many_results(&publish_all(node, publishes).await),
    }
}

/// Only a JSON type keeps foreign pages out: a browser sends forms and plain text to any host without asking it first.
fn is_json(content_type: Option<&str>) -> bool {
    let essence = content_type
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(JSON)
}

/// Publishes; where the log doesn't answer in time, or never, the outcomes are unknown.
pub(crate) async fn publish_all(node: &Node, publishes: Vec<Publish>) -> Vec<Outcome> {
    let asked = publishes.len();
    let batch = publishes
        .into_iter()
        .map(|publish| Publication {
            publish,
            from: String::new(),
            except: None,
        })
        .collect();
    let (tell, told) = oneshot::channel();
    let tell = Box::new(move |outcomes| {
        // Nobody listens when the client has hung up meanwhile.
        let _ = tell.send(outcomes);
    });
    node.engine.publish(node.clock.now(), batch, tell);
    match tokio::time::timeout(LOG_ANSWER, told).await {
        Ok(Ok(outcomes)) => outcomes,
        _ => vec![Err(OUTCOME_UNKNOWN); asked],
    }
}

fn one_result(outcome: Outcome) -> Answer {
    match outcome {
        Ok(published) => {
            let mut body = Vec::new();
            server_message::write_published(
                &mut body,
                &published.id,
                published.cursor.as_slice(),
                published.duplicate,
            );
            Answer::json(200, body)
        }
        Err(Refused { code, sentence }) => Answer::error(code, sentence),
    }
}

fn many_results(outcomes: &[Outcome]) -> Answer {
    let mut body = Vec::with_capacity(2 + outcomes.len() * 128);
    body.push(b'[');
    for (at, outcome) in outcomes.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        match outcome {
            Ok(published) => server_message::write_published(
                &mut body,
                &published.id,
                published.cursor.as_slice(),
                published.duplicate,
            ),
            Err(refused) => {
                server_message::write_http_error(&mut body, refused.code, refused.sentence)
            }
        }
    }
    body.push(b']');
    Answer::json(200, body)
}
