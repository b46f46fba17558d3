//! An answer and its bytes on the wire.

use std::borrow::Cow;
use std::io::Write as _;

use wshub_protocol::ErrorCode;

/// The content type of everything that is JSON.
pub const JSON: &str = "application/json";

/// What the service says to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// Headers beyond `Content-Type`, `Content-Length`, `Connection` and `X-Content-Type-Options`,
    /// which the front writes itself.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body; left away when the request was `HEAD`.
    pub body: Cow<'static, [u8]>,
}

/// What the request decides about how its answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// The connection stays open behind this answer.
    pub(super) keep: bool,
    /// The request was `HEAD`: the answer tells the length of the body that it doesn't have.
    pub(super) head_only: bool,
    /// The request spoke HTTP/1.0, where staying open must be said and closing must not.
    pub(super) old: bool,
}

impl Form {
    /// The last answer on a connection.
    pub(super) const LAST: Self = Self {
        keep: false,
        head_only: false,
        old: false,
    };
}

impl Answer {
    /// An answer with a body of any type.
    #[must_use]
    pub fn new(
        status: u16,
        content_type: &'static str,
        body: impl Into<Cow<'static, [u8]>>,
    ) -> Self {
        Self {
            status,
            content_type,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// An answer whose body is JSON already.
    #[must_use]
    pub fn json(status: u16, body: impl Into<Cow<'static, [u8]>>) -> Self {
        Self::new(status, JSON, body)
    }

    /// An error with the status that goes with its code.
    #[must_use]
    pub fn error(code: ErrorCode, sentence: &str) -> Self {
        Self::error_with(code.status(), code, sentence)
    }

    /// An error with a status of its own: a request that breaks HTTP itself is 400 where the same
    /// code within JSON is 422.
    #[must_use]
    pub fn error_with(status: u16, code: ErrorCode, sentence: &str) -> Self {
        let sentence = serde_json::Value::from(sentence);
        let body = format!(r#"{{"error":{sentence},"code":"{}"}}"#, code.name());
        let answer = Self::json(status, body.into_bytes());
        match status {
            // Surely nothing was done: the client may come back in a second.
            503 => answer.with_header("Retry-After", "1"),
            _ => answer,
        }
    }

    /// 405: the path is there, the method isn't. `allow` lists those that are.
    #[must_use]
    pub fn method_not_allowed(allow: &'static str) -> Self {
        Self::error(
            ErrorCode::MethodNotAllowed,
            "this path does not take this method",
        )
        .with_header("Allow", allow)
    }

    /// 503: come back in a second.
    #[must_use]
    pub fn overloaded(sentence: &str) -> Self {
        Self::error(ErrorCode::Overloaded, sentence)
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Appends the answer's bytes to what will be written.
    pub(super) fn write_to(&self, output: &mut Vec<u8>, form: Form) {
        output.reserve(192 + if form.head_only { 0 } else { self.body.len() });
        output.extend_from_slice(b"HTTP/1.1 ");
        write_number(output, usize::from(self.status));
        output.push(b' ');
        output.extend_from_slice(reason(self.status).as_bytes());
        output.extend_from_slice(b"\r\nX-Content-Type-Options: nosniff\r\nContent-Type: ");
        output.extend_from_slice(self.content_type.as_bytes());
        output.extend_from_slice(b"\r\nContent-Length: ");
        write_number(output, self.body.len());
        output.extend_from_slice(b"\r\n");
        for (name, value) in &self.headers {
            write_header(output, name, value);
        }
        match (form.keep, form.old) {
            (false, false) => output.extend_from_slice(b"Connection: close\r\n"),
            (true, true) => output.extend_from_slice(b"Connection: keep-alive\r\n"),
            (true, false) | (false, true) => {}
        }
        output.extend_from_slice(b"\r\n");
        if !form.head_only {
            output.extend_from_slice(&self.body);
        }
    }
}

/// A value with a line break would end the head early: it is left away, whoever put it there.
fn write_header(output: &mut Vec<u8>, name: &str, value: &str) {
    if value.bytes().any(|byte| byte < b' ' && byte != b'\t') {
        tracing::error!(
            name,
            "an answer's header held a control character and was left away"
        );
        return;
    }
    output.extend_from_slice(name.as_bytes());
    output.extend_from_slice(b": ");
    output.extend_from_slice(value.as_bytes());
    output.extend_from_slice(b"\r\n");
}

fn write_number(output: &mut Vec<u8>, number: usize) {
    // Writing to a Vec can't fail.
    let _ = write!(output, "{number}");
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        // The phrase may be empty (RFC 9112 section 4); the status says it all.
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: &Answer, form: Form) -> String {
        let mut output = Vec::new();
        answer.write_to(&mut output, form);
        String::from_utf8(output).unwrap()
    }

    const KEPT: Form = Form {
        keep: true,
        head_only: false,
        old: false,
    };

    #[test]
    fn an_answer_says_its_length_its_type_and_that_it_is_not_to_be_guessed() {
        assert_eq!(
            text(&Answer::json(200, b"[]".as_slice()), KEPT),
            "HTTP/1.1 200 OK\r\nX-Content-Type-Options: nosniff\r\n\
             Content-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"
        );
    }

    #[test]
    fn an_answer_to_head_tells_the_length_of_the_body_that_it_leaves_away() {
        let answer = Answer::json(200, b"[1,2]".as_slice());
        let text = text(
            &answer,
            Form {
                head_only: true,
                ..KEPT
            },
        );
        assert!(
            text.contains("Content-Length: 5\r\n") && text.ends_with("\r\n\r\n"),
            "{text}"
        );
    }

    #[test]
    fn a_sentence_with_quotes_stays_json() {
        let answer = Answer::error(ErrorCode::NotFound, "there is no \"x\"\n");
        assert_eq!(
            std::str::from_utf8(&answer.body).unwrap(),
            r#"{"error":"there is no \"x\"\n","code":"not_found"}"#
        );
    }

    #[test]
    fn every_error_that_is_503_says_when_to_come_back() {
        for code in [ErrorCode::Overloaded, ErrorCode::Unavailable] {
            let text = text(&Answer::error(code, "not now"), KEPT);
            assert!(text.contains("\r\nRetry-After: 1\r\n"), "{text}");
        }
    }

    #[test]
    fn a_header_cannot_smuggle_a_second_one() {
        let answer = Answer::json(200, b"".as_slice()).with_header("X-A", "b\r\nX-Evil: c");
        assert!(!text(&answer, KEPT).contains("X-Evil"));
    }
}
