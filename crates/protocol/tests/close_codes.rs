//! The browser client keeps the same table of close codes as the server: neither knows one that the other doesn't.

use wshub_protocol::CloseCode;
use wshub_protocol::codes::ComeBack;

const CLIENTS_TABLE: &str = include_str!("../../../clients/js/wshub/codes.js");

/// A row as it stands in the client's table: number, what the client does, the least delay in milliseconds.
fn row(line: &str) -> Option<(u16, String, u32)> {
    let (number, rest) = line.trim().split_once(": row(")?;
    let mut words = rest.trim_end_matches("),").split(", ").skip(1);
    let come_back = words.next()?.trim_matches('"').to_owned();
    let least = words
        .next()
        .map_or(0, |word| word.replace('_', "").parse().unwrap_or(u32::MAX));
    Some((number.parse().ok()?, come_back, least))
}

#[test]
fn the_browser_client_knows_each_close_code_and_does_what_the_server_expects() {
    let clients: Vec<_> = CLIENTS_TABLE.lines().filter_map(row).collect();
    let servers = CloseCode::ALL.map(|code| {
        let (word, seconds) = match code.come_back() {
            ComeBack::No => ("no", 0),
            ComeBack::AtOnce => ("at_once", 0),
            ComeBack::WithFreshToken => ("fresh_token", 0),
            ComeBack::BackingOff(seconds) => ("back_off", seconds),
        };
        (code.number(), word.to_owned(), seconds * 1000)
    });
    assert_eq!(clients, servers);
}
