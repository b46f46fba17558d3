//! The query of a request to upgrade: what the client asks for beside the connection itself.

use crate::ids::RoomId;

/// The parameters of the query, form-decoded. Of one that comes twice the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The user, not yet checked; `None` also where the value is not UTF-8.
    pub user_id: Option<String>,
    /// The rooms to join at once, in their order; in place of what is no room's id its text.
    pub rooms: Vec<Result<RoomId, String>>,
}

impl Query {
    /// Reads a query as a form is read: `+` is a space, `%` and two hexadecimal digits are a byte.
    #[must_use]
    pub fn parse(query: &str) -> Self {
        let (mut user_id, mut rooms) = (None, None);
        for parameter in query.split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            // The first one counts even where it is bad.
            match &*form_decoded(name) {
                b"user_id" if user_id.is_none() => {
                    user_id = Some(String::from_utf8(form_decoded(value)).ok());
                }
                b"rooms" if rooms.is_none() => rooms = Some(form_decoded(value)),
                _ => {}
            }
        }
        let rooms = rooms.unwrap_or_default();
        let named = rooms
            .split(|&byte| byte == b',')
            .filter(|name| !name.is_empty());
        Self {
            user_id: user_id.flatten(),
            rooms: named.map(room).collect(),
        }
    }
}

fn room(name: &[u8]) -> Result<RoomId, String> {
    let id = std::str::from_utf8(name)
        .ok()
        .and_then(|name| RoomId::parse(name).ok());
    id.ok_or_else(|| String::from_utf8_lossy(name).into_owned())
}

/// Decodes as the URL Standard's urlencoded parser does, but keeps the bytes, so that what is not
/// UTF-8 can be told from a replacement character that was sent.
fn form_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        decoded.push(match (byte, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    rest = &after[2..];
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => *byte,
        });
    }
    decoded
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
