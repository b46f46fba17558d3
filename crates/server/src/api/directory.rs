//! Who is here: what the API tells of users and rooms, and how it takes users off.

use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;
use wshub_engine::Standing;
use wshub_hub::message::Describe;
use wshub_hub::{Item, Post, shard_of};
use wshub_protocol::percent::form_decoded;
use wshub_protocol::{ErrorCode, RoomId, UserId};

use crate::front::{Answer, Request};
use crate::node::{Node, STRANGE_ORIGIN};
use crate::redis::asking::Told;

/// The most users on one page of a room, and how many there are where nobody says.
const PAGE: usize = 1000;
const USUAL_PAGE: usize = 100;
/// How long a shard may take to say who is there.
const SHARD_ANSWER: Duration = Duration::from_secs(2);
/// How long the other nodes of a cluster may.
const NODES_ANSWER: Duration = Duration::from_secs(1);

/// Who a user is connected as.
pub(super) async fn user(node: &Node, request: &Request, id: Vec<u8>) -> Answer {
    let told = match user_id(node, request, id) {
        Ok(user) => describe(node, user).await,
        Err(refused) => Err(refused),
    };
    told.unwrap_or_else(|refused| refused)
}

/// Takes a user off.
pub(super) fn disconnect(node: &Node, request: &Request, id: Vec<u8>) -> Answer {
    let user = match user_id(node, request, id) {
        Ok(user) => user,
        Err(refused) => return refused,
    };
    if let Standing::Away(reason) = node.engine.standing() {
        let sentence = format!("the other nodes can't be told, the log is away: {reason}");
        return Answer::error(ErrorCode::Unavailable, &sentence);
    }
    let body = json!({ "user_id": user.as_str() });
    node.engine.disconnect(node.clock.now(), user);
    Answer::json(202, body.to_string().into_bytes())
}

/// Who is in a room.
pub(super) fn room(node: &Node, request: &Request, id: Vec<u8>) -> Answer {
    page(node, request, id).unwrap_or_else(|refused| refused)
}

fn user_id(node: &Node, request: &Request, id: Vec<u8>) -> Result<UserId, Answer> {
    check_origin(node, request)?;
    let id = String::from_utf8(id).ok();
    id.and_then(|id| UserId::parse(&id).ok())
        .ok_or_else(|| bad_id("a user's id"))
}

async fn describe(node: &Node, user: UserId) -> Result<Answer, Answer> {
    let (tell, told) = oneshot::channel();
    let describe = Describe(Box::new(move |connections| {
        // Nobody listens when the client has hung up meanwhile.
        let _ = tell.send(connections);
    }));
    let shard = shard_of(user.as_str(), node.shards.len());
    node.inboxes
        .post(shard, Item::Describe(user.clone(), describe));
    let Ok(Ok(connections)) = tokio::time::timeout(SHARD_ANSWER, told).await else {
        return Err(Answer::overloaded(
            "this node is too busy to say, try again shortly",
        ));
    };
    let own = connections.iter();
    let mut connections: Vec<_> = own.map(|one| Told::of(&node.config.node, one)).collect();
    let missing = elsewhere(node, &user, &mut connections).await?;
    let mut body = json!({
        "user_id": user.as_str(),
        "online": !connections.is_empty(),
        "connections": connections,
    });
    if !missing.is_empty() {
        // What these nodes know isn't in the answer.
        body["missing"] = missing.into();
    }
    Ok(Answer::json(200, body.to_string().into_bytes()))
}

/// Adds the user's connections on other nodes; the names of those that didn't answer.
async fn elsewhere(
    node: &Node,
    user: &UserId,
    connections: &mut Vec<Told>,
) -> Result<Vec<String>, Answer> {
    let Some(cluster) = &node.cluster else {
        return Ok(Vec::new());
    };
    let Some(mut answers) = cluster.ask(user) else {
        return Err(Answer::overloaded(
            "too many ask for users at once, try again shortly",
        ));
    };
    let deadline = tokio::time::Instant::now() + NODES_ANSWER;
    while let Ok(Some(theirs)) = tokio::time::timeout_at(deadline, answers.next()).await {
        connections.extend(theirs);
    }
    Ok(answers.missing())
}

fn page(node: &Node, request: &Request, id: Vec<u8>) -> Result<Answer, Answer> {
    check_origin(node, request)?;
    let room = String::from_utf8(id).ok();
    let room = room
        .and_then(|id| RoomId::parse(&id).ok())
        .ok_or_else(|| bad_id("a room's id"))?;
    let (mut limit, mut after) = (None, None);
    for parameter in request.query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let place = match &*form_decoded(name) {
            b"limit" => &mut limit,
            b"after" => &mut after,
            _ => continue,
        };
        // Of one that comes twice the first counts, as in the query of a connection.
        place.get_or_insert_with(|| String::from_utf8(form_decoded(value)));
    }
    let most = limit.map_or(Ok(USUAL_PAGE), |text| {
        let digits = text
            .ok()
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let limit = digits.and_then(|digits| digits.parse().ok());
        let limit = limit.filter(|limit| (1..=PAGE).contains(limit));
        limit.ok_or_else(|| wrong("limit must be a whole number from 1 to 1000"))
    })?;
    let after = after.transpose();
    let after = after.map_err(|_| wrong("after must be a user's id in UTF-8"))?;
    // One more than is shown tells whether there are more.
    let (mut users, members) = node.tail().users_of(&room, after.as_deref(), most + 1);
    let more = users.len() > most;
    users.truncate(most);
    let body = json!({
        "room_id": room.as_str(),
        "members": members,
        "users": users.iter().map(UserId::as_str).collect::<Vec<_>>(),
        "next": users.last().filter(|_| more).map(UserId::as_str),
    });
    Ok(Answer::json(200, body.to_string().into_bytes()))
}

fn check_origin(node: &Node, request: &Request) -> Result<(), Answer> {
    if node.may_speak(request) {
        return Ok(());
    }
    Err(Answer::error(ErrorCode::Forbidden, STRANGE_ORIGIN))
}

fn bad_id(what: &str) -> Answer {
    wrong(&format!(
        "{what} has 1 to 128 bytes of UTF-8 and no control characters"
    ))
}

fn wrong(sentence: &str) -> Answer {
    Answer::error(ErrorCode::InvalidMessage, sentence)
}
