//! What is a head, what is too much of one, and what is refused so that nothing can be smuggled.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Head<'_> {
    parse(text.as_bytes())
        .expect("a head that is taken")
        .expect("a whole head")
}

fn refusal(bytes: &[u8]) -> HeadError {
    parse(bytes).err().expect("a refusal")
}

fn with_fields(minor: u8, fields: &str) -> String {
    format!("POST /publish HTTP/1.{minor}\r\nHost: a\r\n{fields}\r\n")
}

#[test]
fn a_head_ends_at_its_blank_line() {
    let text = "GET /ws?user_id=ann HTTP/1.1\r\nHost: a\r\nX-One:  two \r\n\r\n\x01rest";
    let head = read(text);
    assert_eq!(
        (head.method, head.target, head.minor),
        ("GET", "/ws?user_id=ann", 1)
    );
    assert_eq!(&text[head.length..], "\x01rest");
    assert_eq!(head.header("x-one"), Some("two"));
    assert_eq!(head.header("x-two"), None);
}

#[test]
fn a_head_that_another_server_has_read_is_as_good_as_one_of_ours() {
    let fields = [("host", b"a".as_slice()), ("x-one", b"two")];
    let head = Head::of("GET", "/ws?user_id=ann", 1, fields).expect("a head that is taken");
    assert_eq!((head.path(), head.query()), ("/ws", "user_id=ann"));
    assert_eq!(head.only("X-One"), Some("two"));

    let without_host = Head::of("GET", "/", 1, fields[1..].iter().copied());
    assert!(matches!(without_host, Err(HeadError::Malformed(_))));
    let too_many = std::iter::repeat_n(fields[1], HEADERS + 1);
    assert_eq!(
        Head::of("GET", "/", 0, too_many).err(),
        Some(HeadError::TooLarge)
    );
}

#[test]
fn every_part_of_a_head_is_incomplete() {
    let text = "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for end in 0..text.len() {
        assert!(
            matches!(parse(&text.as_bytes()[..end]), Ok(None)),
            "after {end} bytes"
        );
    }
    assert_eq!(read(text).length, text.len());
}

#[test]
fn a_target_is_split_into_path_and_query() {
    for (target, path, query) in [
        ("/", "/", ""),
        ("/ws?a=b?c", "/ws", "a=b?c"),
        ("/ws?", "/ws", ""),
        ("/ws?to=http://b/c", "/ws", "to=http://b/c"),
        ("http://a:80/ws?x=y", "/ws", "x=y"),
        ("HTTP://a", "/", ""),
        ("http://a?x=/y", "/", "x=/y"),
        ("*", "*", ""),
        ("a:443", "a:443", ""),
        ("?x=://y", "/", "x=://y"),
    ] {
        let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = read(&text);
        assert_eq!((head.path(), head.query()), (path, query), "{target}");
    }
}

#[test]
fn a_request_line_of_8_kib_is_taken_and_a_longer_one_refused() {
    let line = |bytes: usize| {
        let target = "a".repeat(bytes - "GET / HTTP/1.1".len());
        format!("GET /{target} HTTP/1.1\r\n")
    };
    let taken = format!("{}Host: a\r\n\r\n", line(LINE_BYTES));
    assert_eq!(read(&taken).length, taken.len());
    let longer = line(LINE_BYTES + 1);
    assert_eq!(refusal(longer.as_bytes()), HeadError::LineTooLong);
    let endless = "a".repeat(LINE_BYTES + 2);
    assert_eq!(refusal(endless.as_bytes()), HeadError::LineTooLong);
    assert!(matches!(
        parse(&line(LINE_BYTES).as_bytes()[..LINE_BYTES + 1]),
        Ok(None)
    ));
}

#[test]
fn a_head_of_16_kib_is_taken_and_a_longer_one_refused() {
    let head = |bytes: usize| {
        let start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        let filler = "x".repeat(bytes - start.len() - "\r\n\r\n".len());
        format!("{start}{filler}\r\n\r\n")
    };
    assert_eq!(read(&head(HEAD_BYTES)).length, HEAD_BYTES);
    assert_eq!(
        refusal(head(HEAD_BYTES + 1).as_bytes()),
        HeadError::TooLarge
    );
    assert_eq!(
        refusal(&head(100_000).as_bytes()[..HEAD_BYTES]),
        HeadError::TooLarge
    );
    assert!(matches!(
        parse(&head(100_000).as_bytes()[..HEAD_BYTES - 1]),
        Ok(None)
    ));
    assert_eq!(
        refusal("\r\n".repeat(HEAD_BYTES).as_bytes()),
        HeadError::TooLarge
    );
}

#[test]
fn a_hundred_headers_are_taken_and_one_more_refused() {
    let fields = |n: usize| with_fields(1, &"X: y\r\n".repeat(n - 1));
    assert_eq!(read(&fields(100)).count, 100);
    assert_eq!(refusal(fields(101).as_bytes()), HeadError::TooLarge);
}

#[test]
fn a_head_that_breaks_the_grammar_is_refused_with_its_reason() {
    for (text, part) in [
        ("GET / HTTP/1.1\r\n\r\n", "Host header is missing"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "more than once",
        ),
        (
            "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
            "more than once",
        ),
        ("GET / HTTP/2.0\r\n\r\n", "neither HTTP/1.1"),
        ("GET  / HTTP/1.1\r\n", "request line"),
        ("GET /\r\n", "request line"),
        ("G\0T", "request line"),
        ("\x16\x03\x01\x02", "this is TLS"),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", "header's name"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
            "header's name",
        ),
        ("GET / HTTP/1.1\r\n: a\r\n", "header's name"),
        ("GET / HTTP/1.1\r\nHost: a\0\r\n", "control character"),
        ("GET / HTTP/1.1\rX", "carriage return"),
    ] {
        let error = refusal(text.as_bytes());
        assert_eq!(
            (error.status(), error.code()),
            (400, ErrorCode::InvalidMessage),
            "{text}"
        );
        assert!(error.to_string().contains(part), "{text}: {error}");
    }
}

#[test]
fn http_1_0_needs_no_host() {
    assert_eq!(read("GET / HTTP/1.0\r\n\r\n").minor, 0);
}

#[test]
fn a_token_is_found_in_any_field_and_any_case() {
    let text = with_fields(1, "Connection: keep-alive ,\tUPGRADE\r\nConnection: x\r\n");
    let head = read(&text);
    assert!(head.has_token("connection", "upgrade"));
    assert!(head.has_token("Connection", "X"));
    assert!(!head.has_token("connection", "grade"));
    assert!(!head.has_token("upgrade", "websocket"));
}

#[test]
fn a_value_that_is_not_text_counts_as_absent() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nX: \xff\r\nX: y\r\n\r\n";
    let head = parse(head).unwrap().unwrap();
    assert_eq!(head.header("x"), None);
    assert_eq!(head.values("x").collect::<Vec<_>>(), ["y"]);
    assert_eq!((head.only("host"), head.only("x")), (Some("a"), None));
}

#[test]
fn a_field_that_must_be_single_is_absent_text_or_unclear() {
    for (fields, single) in [
        (&b""[..], Single::Absent),
        (b"Origin: http://a\r\n", Single::Text("http://a")),
        (b"Origin:\r\n", Single::Text("")),
        (b"Origin: http://a\xff\r\n", Single::Unclear),
        (b"Origin: http://a\r\norigin: http://a\r\n", Single::Unclear),
        (b"Origin: \xff\r\nOrigin: http://a\r\n", Single::Unclear),
    ] {
        let bytes = [b"GET / HTTP/1.1\r\nHost: a\r\n", fields, b"\r\n"].concat();
        let head = parse(&bytes).unwrap().unwrap();
        assert_eq!(head.single("origin"), single, "{}", fields.escape_ascii());
    }
}

#[test]
fn a_body_is_as_long_as_its_one_header_says() {
    for (fields, body) in [
        ("", Body::None),
        ("Content-Length: 0\r\n", Body::Length(0)),
        (
            "content-length:\t18446744073709551615 \r\n",
            Body::Length(u64::MAX),
        ),
        ("Transfer-Encoding: Chunked\r\n", Body::Chunked),
    ] {
        assert_eq!(read(&with_fields(1, fields)).body(), Ok(body), "{fields}");
    }
}

#[test]
fn a_body_whose_length_two_readers_could_read_differently_is_refused() {
    for (minor, fields) in [
        (1, "Content-Length: 1\r\nContent-Length: 1\r\n"),
        (1, "Content-Length: 1, 1\r\n"),
        (1, "Content-Length: +1\r\n"),
        (1, "Content-Length: 0x1\r\n"),
        (1, "Content-Length: -1\r\n"),
        (1, "Content-Length:\r\n"),
        (1, "Content-Length: 18446744073709551616\r\n"),
        (1, "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
        (1, "Transfer-Encoding: gzip, chunked\r\n"),
        (1, "Transfer-Encoding: chunked, chunked\r\n"),
        (
            1,
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ),
        (1, "Transfer-Encoding: identity\r\n"),
        (1, "Transfer-Encoding:\r\n"),
        (0, "Transfer-Encoding: chunked\r\n"),
    ] {
        let body = read(&with_fields(minor, fields)).body();
        assert!(
            matches!(body, Err(HeadError::Malformed(_))),
            "{fields}: {body:?}"
        );
    }
    let not_text = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \xff\r\n\r\n";
    assert!(parse(not_text).unwrap().unwrap().body().is_err());
}

#[test]
fn a_connection_is_kept_as_its_version_and_header_say() {
    for (minor, fields, kept) in [
        (1, "", true),
        (1, "Connection: close\r\n", false),
        (1, "Connection: keep-alive, Close\r\n", false),
        (0, "", false),
        (0, "Connection: Keep-Alive\r\n", true),
    ] {
        assert_eq!(
            read(&with_fields(minor, fields)).keep_alive(),
            kept,
            "1.{minor} {fields}"
        );
    }
}

proptest! {
    #[test]
    fn whatever_bytes_come_a_head_is_refused_at_the_same_place_or_taken(
        bytes in proptest::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), Just(b':'), Just(b' '), any::<u8>()], 0..80),
        good_start in any::<bool>(),
    ) {
        let start: &[u8] = if good_start { b"GET /ws HTTP/1.1\r\nHost: a\r\n" } else { b"" };
        let bytes = [start, &bytes].concat();
        // An error or a head found early must not change when more bytes come.
        let mut earlier = None;
        for end in 0..=bytes.len() {
            let now = parse(&bytes[..end]).map(|head| head.map(|head| {
                let _ = (head.body(), head.keep_alive(), head.path(), head.query());
                head.length
            }));
            if let Some(earlier) = earlier {
                prop_assert_eq!(now, earlier);
            } else if now != Ok(None) {
                earlier = Some(now);
            }
        }
    }
}
