//! Who is here: what the API tells of users and rooms, and how it takes users off.

use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;
use wshub_hub::message::{Describe, Description};
use wshub_hub::{Item, Post, shard_of};
use wshub_protocol::percent::{form_decoded, path_decoded};
use wshub_protocol::{ErrorCode, RoomId, UserId};

use crate::front::{Answer, Method, Request};
use crate::node::{Node, STRANGE_ORIGIN};

/// The most users on one page of a room, and how many there are where nobody says.
const PAGE: usize = 1000;
const USUAL_PAGE: usize = 100;
/// How long a shard may take to say who is there.
const SHARD_ANSWER: Duration = Duration::from_secs(2);

/// Answers a request for a path below `/users/` or `/rooms/`; `None` for any other.
pub(super) async fn answer(node: &Node, request: &Request) -> Option<Answer> {
    let path = request.path.as_str();
    let answer = if let Some(rest) = path.strip_prefix("/users/") {
        users(node, request, rest).await
    } else {
        rooms(node, request, path.strip_prefix("/rooms/")?)
    };
    Some(answer.unwrap_or_else(|refused| refused))
}

async fn users(node: &Node, request: &Request, rest: &str) -> Result<Answer, Answer> {
    let (id, below) = rest.split_once('/').unwrap_or((rest, ""));
    let is_connections = below == "connections";
    if id.is_empty() || !(is_connections || id == rest) {
        return Err(nothing_here());
    }
    let may = if is_connections {
        (Method::Delete, "DELETE")
    } else {
        (Method::Get, super::READ_ONLY)
    };
    check(node, request, may)?;
    let user = segment(id).and_then(|id| UserId::parse(&id).ok());
    let user = user.ok_or_else(|| bad_id("a user's id"))?;
    if is_connections {
        node.tail().disconnect(user.clone(), &*node.inboxes);
        let body = json!({ "user_id": user.as_str() });
        return Ok(Answer::json(202, body.to_string().into_bytes()));
    }
    describe(node, user).await
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
    let connection = |one: &Description| {
        json!({
            "session_id": one.session.text(),
            "node": node.config.node,
            "since": one.since,
            "rooms": one.rooms.iter().map(RoomId::as_str).collect::<Vec<_>>(),
        })
    };
    let body = json!({
        "user_id": user.as_str(),
        "online": !connections.is_empty(),
        "connections": connections.iter().map(connection).collect::<Vec<_>>(),
    });
    Ok(Answer::json(200, body.to_string().into_bytes()))
}

fn rooms(node: &Node, request: &Request, id: &str) -> Result<Answer, Answer> {
    if id.is_empty() || id.contains('/') {
        return Err(nothing_here());
    }
    check(node, request, (Method::Get, super::READ_ONLY))?;
    let room = segment(id).and_then(|id| RoomId::parse(&id).ok());
    let room = room.ok_or_else(|| bad_id("a room's id"))?;
    let (mut most, mut after) = (USUAL_PAGE, None);
    for parameter in request.query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = String::from_utf8(form_decoded(value)).ok();
        match name {
            "limit" => {
                let limit = value.and_then(|value| value.parse().ok());
                let limit = limit.filter(|limit| (1..=PAGE).contains(limit));
                most = limit.ok_or_else(|| wrong("limit must be a whole number from 1 to 1000"))?;
            }
            "after" => {
                let text = value.ok_or_else(|| wrong("after must be a user's id in UTF-8"))?;
                after = Some(text);
            }
            _ => {}
        }
    }
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

fn check(node: &Node, request: &Request, may: (Method, &'static str)) -> Result<(), Answer> {
    let (method, allow) = may;
    if request.method != method {
        return Err(Answer::method_not_allowed(allow));
    }
    if !node.may_speak(request) {
        return Err(Answer::error(ErrorCode::Forbidden, STRANGE_ORIGIN));
    }
    Ok(())
}

fn segment(text: &str) -> Option<String> {
    String::from_utf8(path_decoded(text)).ok()
}

fn nothing_here() -> Answer {
    Answer::error(ErrorCode::NotFound, "there is nothing at this path")
}

fn bad_id(what: &str) -> Answer {
    wrong(&format!(
        "{what} has 1 to 128 bytes of UTF-8 and no control characters"
    ))
}

fn wrong(sentence: &str) -> Answer {
    Answer::error(ErrorCode::InvalidMessage, sentence)
}
