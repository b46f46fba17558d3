//! The query of a request to upgrade: what the client asks for beside the connection itself.

use crate::cursor::After;
use crate::ids::{RoomId, SessionId};
use crate::percent::form_decoded;

/// The parameters of the query, form-decoded. Of one that comes twice the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The user, not yet checked; `None` also where the value is not UTF-8.
    pub user_id: Option<String>,
    /// The rooms to join at once, in their order; in place of what is no room's id its text.
    pub rooms: Vec<Result<RoomId, String>>,
    /// The session to go on with; `None` also where the value is no session's label.
    pub session_id: Option<SessionId>,
    /// The newest places seen; `None` where the value is empty, [`After::Unreadable`] where it is not UTF-8.
    pub after: Option<After>,
    /// Whether the client acknowledges `user` messages itself: `ack` is `1`, and nothing else.
    pub acks: bool,
}

impl Query {
    /// Reads a query as a form is read: `+` is a space, `%` and two hexadecimal digits are a byte.
    #[must_use]
    pub fn parse(query: &str) -> Self {
        let (mut user_id, mut rooms) = (None, None);
        let (mut session_id, mut after, mut acks) = (None, None, None);
        for parameter in query.split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let place = match &*form_decoded(name) {
                b"user_id" => &mut user_id,
                b"rooms" => &mut rooms,
                b"session_id" => &mut session_id,
                b"after" => &mut after,
                b"ack" => &mut acks,
                _ => continue,
            };
            // The first one counts even where it is bad.
            place.get_or_insert_with(|| form_decoded(value));
        }
        Self {
            user_id: user_id.and_then(|id| String::from_utf8(id).ok()),
            rooms: rooms.as_deref().map(each_room).unwrap_or_default(),
            session_id: session_id.as_deref().and_then(session),
            after: after.as_deref().and_then(places),
            acks: acks.as_deref() == Some(b"1"),
        }
    }
}

fn each_room(names: &[u8]) -> Vec<Result<RoomId, String>> {
    let named = names
        .split(|&byte| byte == b',')
        .filter(|name| !name.is_empty());
    named.map(room).collect()
}

fn room(name: &[u8]) -> Result<RoomId, String> {
    let id = std::str::from_utf8(name)
        .ok()
        .and_then(|name| RoomId::parse(name).ok());
    id.ok_or_else(|| String::from_utf8_lossy(name).into_owned())
}

fn session(label: &[u8]) -> Option<SessionId> {
    std::str::from_utf8(label).ok().and_then(SessionId::parse)
}

fn places(after: &[u8]) -> Option<After> {
    std::str::from_utf8(after).map_or(Some(After::Unreadable), After::parse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cursor::Cursor;

    fn user_id(query: &str) -> Option<String> {
        Query::parse(query).user_id
    }

    #[test]
    fn a_user_id_is_form_decoded() {
        for (query, expected) in [
            ("user_id=ann", Some("ann")),
            ("a=b&user_id=ann+b%20c%2b%2Bd", Some("ann b c++d")),
            ("user%5Fid=ann", Some("ann")),
            ("user_id=%F0%9F%A6%80", Some("🦀")),
            ("user_id=🦀", Some("🦀")),
            ("user_id=a=b", Some("a=b")),
            ("user_id=%zz%4", Some("%zz%4")),
            ("user_id=%+1%", Some("% 1%")),
            ("user_id=%00", Some("\0")),
            ("user_id", Some("")),
            ("user_id=", Some("")),
            ("user_id=ann&user_id=bob", Some("ann")),
            ("user_id=%EF%BF%BD", Some("\u{fffd}")),
            ("user_id=%ff", None),
            ("user_id=%ff&user_id=ann", None),
            ("USER_ID=ann", None),
            ("", None),
            ("&&=&", None),
        ] {
            assert_eq!(user_id(query).as_deref(), expected, "{query}");
        }
    }

    #[test]
    fn rooms_are_split_at_commas_and_each_is_a_room_or_its_text() {
        let rooms = |query| Query::parse(query).rooms;
        let id = |text| Ok(RoomId::parse(text).unwrap());
        assert_eq!(rooms("user_id=a"), []);
        assert_eq!(rooms("rooms=&rooms=later"), []);
        assert_eq!(
            rooms("rooms=a,b+c,,%C3%BC%2Cd"),
            [id("a"), id("b c"), id("ü"), id("d")]
        );
        assert_eq!(
            rooms("rooms=%ff,ok"),
            [Err("\u{fffd}".to_owned()), id("ok")]
        );
        assert_eq!(rooms("rooms=%00"), [Err("\0".to_owned())]);
    }

    #[test]
    fn a_session_is_its_label_or_nothing() {
        const LABEL: &str = "l2eTLj0KSzgVkjiRE6b6kg";
        for (query, known) in [
            (format!("session_id={LABEL}"), true),
            (format!("session%5Fid=%6c{}", &LABEL[1..]), true),
            (format!("session_id={LABEL}&session_id=x"), true),
            (format!("session_id=x&session_id={LABEL}"), false),
            (format!("session_id=&session_id={LABEL}"), false),
            (format!("session_id={LABEL}%3D%3D"), false),
            (format!("session_id=+{LABEL}"), false),
            ("session_id=%ff".to_owned(), false),
            ("session_id".to_owned(), false),
            (String::new(), false),
        ] {
            let expected = known.then(|| SessionId::parse(LABEL).unwrap());
            assert_eq!(Query::parse(&query).session_id, expected, "{query}");
        }
    }

    #[test]
    fn after_is_places_or_unreadable_or_empty() {
        let unreadable = Some(After::Unreadable);
        let places = |text| Some(After::Places(Cursor::parse_list(text).unwrap().into()));
        for (query, expected) in [
            ("user_id=a", None),
            ("after", None),
            ("after=", None),
            ("after=&after=x", None),
            ("after=2.beef:0:5-3", places("2.beef:0:5-3")),
            (
                "after=2.beef%3A0%3A17%2C2.beef:1:4",
                places("2.beef:0:17,2.beef:1:4"),
            ),
            ("after=1.0:0:1&after=1.0:0:2", places("1.0:0:1")),
            ("after=x&after=1.0:0:2", unreadable.clone()),
            ("after=+", unreadable.clone()),
            ("after=1.0:0:1,", unreadable.clone()),
            ("after=%ff", unreadable.clone()),
            ("after=1.0:0:1%00", unreadable),
        ] {
            assert_eq!(Query::parse(query).after, expected, "{query}");
        }
    }

    #[test]
    fn a_client_that_acknowledges_says_1() {
        for (query, expected) in [
            ("ack=1", true),
            ("ack=%31&ack=0", true),
            ("ack=0&ack=1", false),
            ("ack&ack=1", false),
            ("ack=", false),
            ("ack=true", false),
            ("ack=01", false),
            ("ack=1+", false),
            ("ACK=1", false),
            ("", false),
        ] {
            assert_eq!(Query::parse(query).acks, expected, "{query}");
        }
    }
}
