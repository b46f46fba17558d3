//! Upgrades that another server has read: checked and counted as if the front had read them itself.

use std::net::SocketAddr;

use wshub_protocol::head::{Head, HeadError};

use super::counters::Counters;
use super::reader::{Turned, head_refused, owned, upgrade_of};
use super::{Answer, Compression, Handshake, Service};

/// The upgrade that a head asks for, as the service admits it now.
///
/// # Errors
/// The answer where it can't be had.
pub(crate) fn check<S: Service>(
    head: Result<Head<'_>, HeadError>,
    peer: SocketAddr,
    compression: Compression,
    service: &S,
    counters: &Counters,
) -> Result<Handshake, Answer> {
    let refused = |answer| {
        Counters::one(&counters.refused_head);
        answer
    };
    let head = head.map_err(|error| refused(head_refused(error)))?;
    let request = owned(&head, peer);
    match upgrade_of(&head, &request, compression, service) {
        Ok(upgrade) => Ok(Handshake {
            request,
            upgrade,
            early: Vec::new(),
        }),
        Err(Turned::Improper(answer)) => Err(refused(answer)),
        Err(Turned::Barred(answer)) => {
            Counters::one(&counters.not_admitted);
            Err(answer)
        }
    }
}
