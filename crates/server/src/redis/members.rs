//! Who is in rooms on which node, as it stands in Redis: what a node learns that comes, or that has missed a part of the log.

use std::collections::HashSet;

use redis::aio::MultiplexedConnection;
use wshub_engine::redis::{Keys, node_name, node_of};
use wshub_hub::members::Incarnation;
use wshub_hub::tail::Change;
use wshub_protocol::{RoomId, UserId};

use super::cluster::{Cluster, lock};
use super::session::Broken;

/// Members that are asked for, or taken in, at once.
const AT_ONCE: usize = 1_000;

/// Learns who is in rooms on other nodes. What the log says meanwhile is read behind it, so the last word counts.
pub(super) async fn load(
    cluster: &Cluster,
    keys: &Keys,
    commands: &mut MultiplexedConnection,
) -> Result<(), Broken> {
    let names: Vec<Vec<u8>> = redis::cmd("HKEYS")
        .arg(keys.nodes())
        .query_async(commands)
        .await?;
    let mut nodes: Vec<_> = names.iter().filter_map(|name| node_named(name)).collect();
    nodes.extend(lock(&cluster.tail).nodes_with_members());
    nodes.sort_unstable();
    nodes.dedup();
    for node in nodes {
        if node == cluster.incarnation() {
            continue;
        }
        let (mut found, mut from) = (HashSet::new(), "0".to_owned());
        loop {
            let (next, members): (String, Vec<Vec<u8>>) = redis::cmd("SSCAN")
                .arg(keys.members(&node_name(node)))
                .arg(&from)
                .arg("COUNT")
                .arg(AT_ONCE)
                .query_async(commands)
                .await?;
            let members: Vec<_> = members.iter().filter_map(|text| member_of(text)).collect();
            let come = members.iter().cloned().map(|member| change(member, true));
            let come: Vec<_> = come.collect();
            lock(&cluster.tail).change_members(node, &come, &*cluster.inboxes);
            found.extend(members);
            if next == "0" {
                break;
            }
            from = next;
        }
        let known = lock(&cluster.tail).members_of(node).into_iter();
        let gone = known.filter(|member| !found.contains(member));
        let gone: Vec<_> = gone.map(|member| change(member, false)).collect();
        for some in gone.chunks(AT_ONCE) {
            lock(&cluster.tail).change_members(node, some, &*cluster.inboxes);
        }
    }
    Ok(())
}

/// Whether Redis has forgotten who is in rooms of this node, as it does where the node can't say for long that it lives.
pub(super) async fn are_lost(
    cluster: &Cluster,
    keys: &Keys,
    commands: &mut MultiplexedConnection,
) -> Result<bool, Broken> {
    let own = keys.members(&node_name(cluster.incarnation()));
    let is_there: bool = redis::cmd("EXISTS").arg(own).query_async(commands).await?;
    let tail = lock(&cluster.tail);
    Ok(!is_there && !tail.members_of(cluster.incarnation()).is_empty())
}

/// Takes out who stands in rooms of this node: all are said anew, and Redis may have them of an earlier time.
pub(super) async fn forget_own(
    cluster: &Cluster,
    keys: &Keys,
    commands: &mut MultiplexedConnection,
) -> Result<(), Broken> {
    let own = keys.members(&node_name(cluster.incarnation()));
    Ok(redis::cmd("UNLINK").arg(own).query_async(commands).await?)
}

/// The node of such a name, if it is one: anybody may have put anything there.
pub(super) fn node_named(name: &[u8]) -> Option<Incarnation> {
    std::str::from_utf8(name).ok().and_then(node_of)
}

fn member_of(text: &[u8]) -> Option<(RoomId, UserId)> {
    let text = std::str::from_utf8(text).ok()?;
    let (room, user) = text.split_once('\n')?;
    Some((RoomId::parse(room).ok()?, UserId::parse(user).ok()?))
}

fn change((room, user): (RoomId, UserId), is_in: bool) -> Change {
    Change { room, user, is_in }
}
