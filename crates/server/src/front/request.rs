//! A request as the service gets it: complete, within bounds, owned.

use std::net::SocketAddr;

use super::allowance::Share;

/// The method of a request. `HEAD` comes as `Get`: the front leaves the body away by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET` or `HEAD`.
    Get,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
    /// `OPTIONS`.
    Options,
    /// One that no path of ours takes.
    Other,
}

impl Method {
    /// The method by its name on the wire, which is case-sensitive.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "GET" | "HEAD" => Self::Get,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }
}

/// One HTTP request. Of its headers only those are kept that the service asks for.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path as it was sent, not percent-decoded.
    pub path: String,
    /// What stands behind the `?`, not decoded; empty without one.
    pub query: String,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Authorization`.
    pub authorization: Option<String>,
    /// `Origin`; [`UNCLEAR`](crate::origin::UNCLEAR) where it is there but can't be relied on.
    pub origin: Option<String>,
    /// `Host`.
    pub host: Option<String>,
    /// The other end of the TCP connection (a proxy's, where one is in front).
    pub peer: SocketAddr,
    /// The decoded body; empty without one.
    pub body: Vec<u8>,
    /// The part of `FrontLimits::bodies_bytes` that the body takes until the request is dropped.
    pub(super) share: Share,
}
