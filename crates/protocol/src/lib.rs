//! The words on the wire: frames, the upgrade, compression, client and server messages, ids, cursors and codes.
//!
//! Nothing here owns a socket or reads a clock: bytes go in, values or bytes come out. Whatever a peer sends is an
//! expected value of these types, never a panic. The contract is docs/protocol.md.

pub mod client_message;
pub mod codes;
pub mod cursor;
pub mod deflate;
pub mod extensions;
pub mod frame;
pub mod head;
pub mod ids;
pub mod json;
pub mod percent;
pub mod reader;
pub mod server_message;
pub mod upgrade;
pub mod utf8;

pub use codes::{CloseCode, ErrorCode};
pub use cursor::{After, Cursor, CursorError, Epoch, Offset};
pub use ids::{MessageId, RoomId, SessionId, UserId};
