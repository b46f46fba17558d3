//! Every close code and every error code, in one place: what it means and whether the client comes back.

/// Why a WebSocket connection is closed. The same table stands in clients/js/wshub/codes.js; a test compares them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// 1000: both sides are done.
    Normal,
    /// 1001: the server stops without draining.
    GoingAway,
    /// 1002: the peer broke RFC 6455.
    ProtocolError,
    /// 1007: a text that is not UTF-8, or data that does not inflate.
    InvalidData,
    /// 1009: a message beyond `limits.message_bytes`.
    TooBig,
    /// 1011: a fault of the server's own.
    InternalError,
    /// 1012: the node drains.
    Draining,
    /// 1013: overloaded, or a resume that this node cannot serve in time.
    TryAgainLater,
    /// 4000: nothing was heard for `heartbeat.timeout`.
    HeartbeatMissed,
    /// 4001: no identity, or a bad one.
    NotAuthenticated,
    /// 4002: the token has expired.
    TokenExpired,
    /// 4003: not allowed to connect.
    Forbidden,
    /// 4008: too much waits behind a socket that takes no more.
    TooSlow,
    /// 4009: the user has `limits.connections_per_user` connections already.
    TooManyConnections,
    /// 4010: an operator disconnected the user.
    Disconnected,
    /// 4029: over the rate limit for too long.
    RateLimited,
}

/// What a client does after a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComeBack {
    /// It stays away.
    No,
    /// It reconnects at once: it has waited as long as the server wanted.
    AtOnce,
    /// It reconnects with a fresh token.
    WithFreshToken,
    /// It reconnects with a growing delay, from this many seconds.
    BackingOff(u32),
}

impl CloseCode {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 16] = [
        Self::Normal,
        Self::GoingAway,
        Self::ProtocolError,
        Self::InvalidData,
        Self::TooBig,
        Self::InternalError,
        Self::Draining,
        Self::TryAgainLater,
        Self::HeartbeatMissed,
        Self::NotAuthenticated,
        Self::TokenExpired,
        Self::Forbidden,
        Self::TooSlow,
        Self::TooManyConnections,
        Self::Disconnected,
        Self::RateLimited,
    ];

    /// The number on the wire (RFC 6455 section 7.4; 4000 to 4999 are ours).
    #[must_use]
    pub fn number(self) -> u16 {
        self.row().0
    }

    /// A short name: the reason in the close frame, and the label in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Whether a client that is closed with this code comes back.
    #[must_use]
    pub fn come_back(self) -> ComeBack {
        self.row().2
    }

    fn row(self) -> (u16, &'static str, ComeBack) {
        use ComeBack::{AtOnce, BackingOff, No, WithFreshToken};
        match self {
            Self::Normal => (1000, "normal", No),
            Self::GoingAway => (1001, "going_away", BackingOff(0)),
            Self::ProtocolError => (1002, "protocol_error", BackingOff(0)),
            Self::InvalidData => (1007, "invalid_data", BackingOff(0)),
            Self::TooBig => (1009, "too_big", BackingOff(0)),
            Self::InternalError => (1011, "internal", BackingOff(0)),
            Self::Draining => (1012, "draining", AtOnce),
            Self::TryAgainLater => (1013, "overloaded", BackingOff(0)),
            Self::HeartbeatMissed => (4000, "heartbeat_missed", BackingOff(0)),
            Self::NotAuthenticated => (4001, "not_authenticated", No),
            Self::TokenExpired => (4002, "token_expired", WithFreshToken),
            Self::Forbidden => (4003, "forbidden", No),
            Self::TooSlow => (4008, "too_slow", BackingOff(0)),
            Self::TooManyConnections => (4009, "too_many_connections", BackingOff(30)),
            Self::Disconnected => (4010, "disconnected", No),
            Self::RateLimited => (4029, "rate_limited", BackingOff(10)),
        }
    }
}

/// Why a request was refused, on the socket and over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// No user id, or one that breaks the rules.
    UserIdRequired,
    /// Not allowed to do this.
    Forbidden,
    /// Not JSON.
    InvalidJson,
    /// JSON, but not one object, a key twice, or a field missing, wrong or out of bounds.
    InvalidMessage,
    /// A `type` that is none of the contract's.
    UnknownType,
    /// Nested deeper than 128.
    TooDeep,
    /// Beyond a size limit.
    TooLarge,
    /// The id was used for another message within `dedupe.window`.
    IdReused,
    /// An `ack` whose cursor can't be read, or was not given to the connection.
    BadCursor,
    /// Beyond `limits.rooms_per_connection`.
    TooManyRooms,
    /// The node has as much waiting as it may hold; surely not published.
    Overloaded,
    /// The log takes nothing now; surely not published.
    Unavailable,
    /// Whether it was published is not known: to be sent again with the same id.
    OutcomeUnknown,
    /// A fault of the server's own.
    Internal,
    /// HTTP: no such path.
    NotFound,
    /// HTTP: the path does not take this method.
    MethodNotAllowed,
    /// HTTP: a body that is not application/json.
    UnsupportedMediaType,
    /// HTTP: the path takes WebSocket upgrades of version 13 only.
    UpgradeRequired,
    /// HTTP: a request line over 8 KiB.
    UriTooLong,
    /// HTTP: a head over 16 KiB or 100 headers.
    HeadTooLarge,
}

impl ErrorCode {
    /// All of them, in the order in which they are declared.
    pub const ALL: [Self; 20] = [
        Self::UserIdRequired,
        Self::Forbidden,
        Self::InvalidJson,
        Self::InvalidMessage,
        Self::UnknownType,
        Self::TooDeep,
        Self::TooLarge,
        Self::IdReused,
        Self::BadCursor,
        Self::TooManyRooms,
        Self::Overloaded,
        Self::Unavailable,
        Self::OutcomeUnknown,
        Self::Internal,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::UnsupportedMediaType,
        Self::UpgradeRequired,
        Self::UriTooLong,
        Self::HeadTooLarge,
    ];

    /// The code as it stands in `code`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UserIdRequired => "user_id_required",
            Self::Forbidden => "forbidden",
            Self::InvalidJson => "invalid_json",
            Self::InvalidMessage => "invalid_message",
            Self::UnknownType => "unknown_type",
            Self::TooDeep => "too_deep",
            Self::TooLarge => "too_large",
            Self::IdReused => "id_reused",
            Self::BadCursor => "bad_cursor",
            Self::TooManyRooms => "too_many_rooms",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Internal => "internal",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::UpgradeRequired => "upgrade_required",
            Self::UriTooLong => "uri_too_long",
            Self::HeadTooLarge => "head_too_large",
        }
    }

    /// The HTTP status that goes with the code.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidJson => 400,
            Self::UserIdRequired => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::IdReused => 409,
            Self::TooLarge => 413,
            Self::UriTooLong => 414,
            Self::UnsupportedMediaType => 415,
            Self::InvalidMessage
            | Self::UnknownType
            | Self::TooDeep
            | Self::BadCursor
            | Self::TooManyRooms => 422,
            Self::UpgradeRequired => 426,
            Self::HeadTooLarge => 431,
            Self::Internal => 500,
            Self::Overloaded | Self::Unavailable => 503,
            Self::OutcomeUnknown => 504,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_are_numbers_a_server_may_send() {
        for code in CloseCode::ALL {
            assert!(
                matches!(code.number(), 1000..=1003 | 1007..=1014 | 4000..=4999),
                "{code:?}"
            );
            assert!(
                code.name().len() <= 123,
                "a close reason has at most 123 bytes"
            );
        }
    }
}
