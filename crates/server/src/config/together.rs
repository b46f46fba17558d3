//! Values that are fine alone and not together.

use super::error::ConfigError;
use super::resolved::Resolved;
use super::{Config, redis};

/// Checks what only the whole configuration can tell.
pub(super) fn check(resolved: &Resolved) -> Result<(), ConfigError> {
    let sentence = no_trust_in_strangers(resolved)
        .or_else(|| time_to_answer_a_ping(resolved))
        .or_else(|| room_for_one_message(resolved))
        .or_else(|| room_for_one_user(resolved))
        .or_else(|| redis::a_password_for_somebody(resolved));
    sentence.map_or(Ok(()), |sentence| Err(ConfigError::Together { sentence }))
}

/// In `trusted` mode whoever reaches the port is whoever they say they are.
fn no_trust_in_strangers(resolved: &Resolved) -> Option<String> {
    let super::AuthMode::Trusted = resolved.config.auth.mode;
    let address = resolved.config.listen.beyond_loopback()?;
    if resolved.config.auth.trust_network {
        return None;
    }
    let listen = resolved.describe("listen");
    Some(format!(
        "{listen}: with auth.mode = \"trusted\" anybody who reaches {address} can be any user; \
         listen on 127.0.0.1:{} instead, or set auth.trust_network = true behind a proxy that authenticates",
        address.port()
    ))
}

fn time_to_answer_a_ping(resolved: &Resolved) -> Option<String> {
    let heartbeat = &resolved.config.heartbeat;
    if heartbeat.interval < heartbeat.timeout {
        return None;
    }
    let (interval, timeout) = (
        resolved.describe("heartbeat.interval"),
        resolved.describe("heartbeat.timeout"),
    );
    Some(format!(
        "{interval} must be shorter than {timeout}: a ping needs time to be answered"
    ))
}

/// A bound that the largest message doesn't fit into would refuse it somewhere further in, where
/// the sender is told something else. What the shards share is divided among them.
fn room_for_one_message(resolved: &Resolved) -> Option<String> {
    let Config {
        limits,
        log,
        offline,
        ..
    } = &resolved.config;
    let shards = resolved.config.shards;
    let bounds = [
        ("limits.queue_bytes", limits.queue_bytes, 1),
        (
            "limits.outbox_total_bytes",
            limits.outbox_total_bytes,
            shards,
        ),
        ("limits.partial_bytes", limits.partial_bytes, shards),
        ("limits.inbox_bytes", limits.inbox_bytes, shards),
        ("log.bytes", log.bytes, 1),
        ("offline.user_bytes", offline.user_bytes, 1),
    ];
    let too_small = |bound: &(&str, usize, usize)| bound.1 / bound.2 < limits.message_bytes;
    let (key, _, sharers) = bounds.into_iter().find(too_small)?;
    let (bound, message) = (
        resolved.describe(key),
        resolved.describe("limits.message_bytes"),
    );
    Some(match sharers {
        1 => format!("{bound} must not be less than {message}: one message has to fit"),
        _ => format!(
            "{bound} must not be less than {} times {message}: one message has to fit into the share \
             of each shard",
            resolved.describe("shards"),
        ),
    })
}

/// A user who alone fills all queues would be the first to lose what the bound for one user promises.
fn room_for_one_user(resolved: &Resolved) -> Option<String> {
    let offline = &resolved.config.offline;
    if offline.user_bytes <= offline.total_bytes {
        return None;
    }
    let (total, user) = (
        resolved.describe("offline.total_bytes"),
        resolved.describe("offline.user_bytes"),
    );
    Some(format!(
        "{total} must not be less than {user}: what waits for one user has to fit"
    ))
}
