//! What Redis answers, as far as our scripts use it.

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// There is nothing.
    Nothing,
    /// A number.
    Number(i64),
    /// A text.
    Text(Vec<u8>),
    /// Answers in their order.
    List(Vec<Reply>),
}

impl Reply {
    /// The list, or none.
    #[must_use]
    pub fn list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            Self::Nothing | Self::Number(_) | Self::Text(_) => &[],
        }
    }

    /// The bytes of a text; of anything else there are none.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(bytes) => bytes,
            Self::Nothing | Self::Number(_) | Self::List(_) => &[],
        }
    }

    /// The text, where it is one in UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }

    /// The number, also where it stands in a text; 0 where there is none.
    #[must_use]
    pub fn number(&self) -> u64 {
        match self {
            Self::Number(number) => u64::try_from(*number).unwrap_or(0),
            Self::Text(_) => self.text().parse().unwrap_or(0),
            Self::Nothing | Self::List(_) => 0,
        }
    }
}
