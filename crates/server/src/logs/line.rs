//! How an event becomes a line that nobody outside can forge.
//!
//! `2026-01-02T03:04:05.678901Z  INFO wshub::front: refused reason=head_too_large user="ann lee"`
//!
//! Two things keep outside text in its place: whatever could end the line or move the cursor is
//! escaped wherever it stands, and a field's value that isn't one plain word stands in quotes.
//! Events must therefore give outside text as a field, `info!(user = %id, "connected")`, never in
//! the message.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The text with everything escaped that could end a line or disguise what stands on it.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    let _ = Escaping(&mut line).write_str(text);
    line
}

/// The format of all our lines. There are no spans: an event says all there is to say.
#[derive(Debug)]
pub(super) struct LineFormat<T> {
    clock: T,
}

impl<T> LineFormat<T> {
    pub(super) fn new(clock: T) -> Self {
        Self { clock }
    }
}

impl<S, N, T> FormatEvent<S, N> for LineFormat<T>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    T: FormatTime,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        self.clock.format_time(&mut writer)?;
        let (level, target) = (event.metadata().level(), event.metadata().target());
        write!(writer, " {level:>5} {target}:")?;
        let mut words = Words {
            message: String::new(),
            fields: String::new(),
        };
        event.record(&mut words);
        let mut escaping = Escaping(&mut writer);
        if !words.message.is_empty() {
            write!(escaping, " {}", words.message)?;
        }
        escaping.write_str(&words.fields)?;
        writer.write_char('\n')
    }
}

/// The message and the fields of an event; the message comes first wherever the macro put it.
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            // Writing to a String can't fail.
            let _ = write!(self.fields, " {}={}", field.name(), Quoted(value));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // `%value` arrives here too and may print anything, so what it printed is looked at as
        // text.
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_str(field, &value.to_string());
    }
}

/// A value, in quotes unless it is one plain word, so that `ann level=ERROR` is one value.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_the_way =
            |c: char| c.is_whitespace() || c == '"' || c == '=' || c == '\\' || is_unsafe(c);
        if !self.0.is_empty() && !self.0.contains(in_the_way) {
            return f.write_str(self.0);
        }
        f.write_char('"')?;
        for c in self.0.chars() {
            if c == '"' || c == '\\' {
                f.write_char('\\')?;
            }
            f.write_char(c)?;
        }
        f.write_char('"')
    }
}

/// Passes text on with everything escaped that a terminal or a reader of lines would act on.
struct Escaping<W>(W);

impl<W: Write> Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain_from = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| is_unsafe(*c)) {
            self.0.write_str(&text[plain_from..at])?;
            write!(self.0, "{}", c.escape_default())?;
            plain_from = at + c.len_utf8();
        }
        self.0.write_str(&text[plain_from..])
    }
}

/// Control characters (a newline, the escape of terminal sequences), the separators that some
/// readers take for a newline, and the marks that make text run backwards on a screen.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{feff}'
        )
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::subscriber::with_default;
    use tracing_subscriber::fmt::layer;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::registry;

    use super::*;

    struct Noon;

    impl FormatTime for Noon {
        fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
            writer.write_str("2026-01-02T12:00:00Z")
        }
    }

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What these events look like in the log.
    fn logged(events: impl FnOnce()) -> String {
        let page = Page::default();
        let writer = page.clone();
        let lines = layer()
            .event_format(LineFormat::new(Noon))
            .with_writer(move || writer.clone());
        with_default(registry().with(lines), events);
        String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn an_event_is_its_time_level_module_message_and_fields() {
        let text =
            logged(|| tracing::info!(target: "wshub::front", port = 8080, user = "ann", "ready"));
        assert_eq!(
            text,
            "2026-01-02T12:00:00Z  INFO wshub::front: ready port=8080 user=ann\n"
        );
    }

    #[test]
    fn a_user_id_with_a_newline_stays_in_its_line() {
        let id = "\n2026 INFO forged";
        let text = logged(|| {
            tracing::warn!(target: "wshub", user = %id, "refused");
            tracing::warn!(target: "wshub", user = id, "refused");
            tracing::warn!(target: "wshub", user = ?id, "refused");
            tracing::warn!(target: "wshub", "refused {id}");
        });
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(
            text.lines()
                .all(|line| line.starts_with("2026-01-02T12:00:00Z  WARN wshub: refused"))
        );
        assert!(text.starts_with(
            "2026-01-02T12:00:00Z  WARN wshub: refused user=\"\\n2026 INFO forged\"\n"
        ));
    }

    #[test]
    fn a_value_can_not_pass_for_a_field() {
        let text = logged(|| {
            tracing::info!(target: "wshub", user = "ann admin=true", room = "say \"x\"", none = "", "in");
        });
        assert!(
            text.ends_with(": in user=\"ann admin=true\" room=\"say \\\"x\\\"\" none=\"\"\n"),
            "{text}"
        );
    }

    #[test]
    fn what_a_terminal_would_act_on_is_escaped() {
        assert_eq!(
            one_line("red \u{1b}[31m\r\u{7f}\u{9b}"),
            "red \\u{1b}[31m\\r\\u{7f}\\u{9b}"
        );
        assert_eq!(one_line("\u{202e}live\u{2028}"), "\\u{202e}live\\u{2028}");
        assert_eq!(
            one_line("Zoë 東京 🎉"),
            "Zoë 東京 🎉",
            "what is only foreign is left as it is"
        );
    }
}
