//! What a message carries: JSON that begins with a stamp, as long as asked, the same for every server.

use crate::stamp;

/// The `data` of a message, rendered once; only its stamp changes from one sending to the next.
#[derive(Clone)]
pub struct Payload {
    /// The JSON text.
    pub json: Vec<u8>,
    /// Where in it the stamp stands.
    pub stamp_at: usize,
}

impl Payload {
    /// A JSON string of `size` characters: the stamp, then padding.
    pub fn text(size: usize) -> Payload {
        let mut json = vec![b'x'; size.max(stamp::LENGTH) + 2];
        let last = json.len() - 1;
        json[0] = b'"';
        json[last] = b'"';
        stamp::write(&mut json[1..], 0);
        Payload { json, stamp_at: 1 }
    }

    /// About `size` bytes of the JSON that applications send: a list of records with names, numbers and flags. Random
    /// enough that deflate has the work of a real message, and the same in every run.
    pub fn records(size: usize) -> Payload {
        const NAMES: [&str; 8] = [
            "copper", "nickel", "cobalt", "indium", "silver", "barium", "osmium", "radium",
        ];
        let mut seed = 0x9e37_79b9_7f4a_7c15u64;
        let mut random = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        let opening = r#"{"stamp":""#;
        let mut json = format!(r#"{opening}{}","records":["#, "-".repeat(stamp::LENGTH));
        loop {
            let r = random();
            let record = format!(
                r#"{{"id":{},"name":"{}","price":{}.{:02},"change":-0.{:03},"open":{}}},"#,
                r % 1_000_000,
                NAMES[(r >> 20) as usize % NAMES.len()],
                (r >> 24) % 5_000,
                (r >> 36) % 100,
                (r >> 42) % 1_000,
                r >> 63 == 1,
            );
            if json.len() + record.len() + 1 > size {
                break;
            }
            json.push_str(&record);
        }
        if json.ends_with(',') {
            json.pop();
        }
        json.push_str("]}");
        Payload {
            json: json.into_bytes(),
            stamp_at: opening.len(),
        }
        .stamped(0)
    }

    fn stamped(mut self, now: u64) -> Payload {
        stamp::write(&mut self.json[self.stamp_at..], now);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_json_of_the_size_asked_for() {
        for payload in [Payload::text(64), Payload::text(1), Payload::records(1_024)] {
            serde_json::from_slice::<serde_json::Value>(&payload.json).expect("a payload is JSON");
            assert_eq!(stamp::Clock::default().find(&payload.json), Some(0));
        }
        assert_eq!(Payload::text(64).json.len(), 66);
        let records = Payload::records(1_024).json.len();
        assert!((940..=1_024).contains(&records), "{records} bytes");
    }
}
