//! Whatever bytes come: the contract's answer, bounded memory, and nobody else notices.

use wshub_protocol::CloseCode;
use wshub_protocol::reader::FRAGMENTS;

use crate::world::wire::{self, BINARY, CLOSE, FIN, PING, PONG, RSV1, TEXT};
use crate::world::{Client, World, secs};

/// A world of two, in which the first misbehaves and the second must be served all the same.
fn two(seed: u64) -> (World, Client, Client) {
    let world = World::with_seed(seed);
    let [ann, bob] = world.connect_all(["ann", "bob"]);
    (world, ann, bob)
}

#[test]
fn a_bad_message_is_answered_by_an_error_and_the_connection_stays() {
    let deep = format!(
        r#"{{"type":"broadcast","data":{}1{}}}"#,
        "[".repeat(129),
        "]".repeat(129)
    );
    let table = [
        ("", "invalid_json"),
        ("no JSON", "invalid_json"),
        (r#"{"type":"ping"} {}"#, "invalid_json"),
        ("[]", "invalid_message"),
        (r#"{"data":1}"#, "invalid_message"),
        (r#"{"type":"ping","type":"ping"}"#, "invalid_message"),
        (r#"{"type":"broadcast"}"#, "invalid_message"),
        (
            r#"{"type":"user","target_ids":[],"data":1}"#,
            "invalid_message",
        ),
        (
            r#"{"type":"room","room_id":"a\u0000","data":1}"#,
            "invalid_message",
        ),
        (r#"{"type":"join","room_id":""}"#, "invalid_message"),
        (
            r#"{"type":"broadcast","id":"a:b","data":1}"#,
            "invalid_message",
        ),
        (r#"{"type":"shout","data":1}"#, "unknown_type"),
        (&deep, "too_deep"),
    ];
    let (_world, ann, bob) = two(70);
    table.iter().for_each(|(text, _)| ann.sends(text));
    assert_eq!(ann.errors(), table.map(|(_, code)| code));
    ann.broadcasts("fine");
    assert_eq!(
        (ann.heard(), bob.types().len()),
        (vec!["fine".to_owned()], 2)
    );
}

#[test]
fn an_error_names_the_request_it_answers() {
    let (_world, ann, _) = two(71);
    ann.sends(r#"{"type":"room","room_id":"news","id":"m7"}"#);
    assert_eq!(ann.last("error", |said| said.id.clone()).unwrap(), "m7");
    assert_eq!(
        ann.last("error", |said| said.room_id.clone()).unwrap(),
        "news"
    );
}

#[test]
fn text_that_is_not_utf8_in_a_binary_message_is_not_json() {
    let (_world, ann, _) = two(72);
    ann.sends_frame(BINARY | FIN, b"{\"type\":\"\xff\"}");
    ann.sends_frame(BINARY | FIN, br#"{"type":"ping"}"#);
    assert_eq!(ann.types(), ["connected", "error", "pong"]);
    assert_eq!(ann.errors(), ["invalid_json"]);
}

/// What ends a connection, and with which code.
fn fatal_bytes() -> Vec<(Vec<u8>, u16)> {
    let masked = |first, payload: &[u8]| wire::frame(first, payload, [9, 8, 7, 6]);
    let announced = |first, length| wire::header(first, length, [0; 4]);
    vec![
        (vec![0x81, 0x02, b'h', b'i'], 1002),
        (masked(TEXT | FIN | RSV1, b"{}"), 1002),
        (masked(TEXT | FIN | 0x20, b"{}"), 1002),
        (masked(0x83, b""), 1002),
        (masked(0x8b, b""), 1002),
        (masked(PING, b"a ping in fragments"), 1002),
        (masked(PING | FIN, &[0; 126]), 1002),
        (masked(FIN, b"continues nothing"), 1002),
        (
            [masked(TEXT, b"{"), masked(TEXT | FIN, b"}")].concat(),
            1002,
        ),
        (vec![0x82, 0xfe, 0, 5, 0, 0, 0, 0], 1002),
        (vec![0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0], 1002),
        (announced(BINARY | FIN, 1 << 63), 1002),
        (masked(CLOSE | FIN, b"x"), 1002),
        (masked(CLOSE | FIN, &wire::close(1005)), 1002),
        (masked(CLOSE | FIN, &[0x03, 0xe8, 0xff]), 1007),
        (masked(TEXT | FIN, b"\xff"), 1007),
        (masked(TEXT, b"begins badly \xf8"), 1007),
        (announced(TEXT | FIN, 512 * 1024 + 1), 1009),
        (announced(TEXT | FIN, (1 << 63) - 1), 1009),
        (
            [masked(TEXT, &[b' '; 300_000]), announced(FIN, 300_000)].concat(),
            1009,
        ),
    ]
}

#[test]
fn bad_bytes_end_their_connection_with_the_right_code_and_no_other() {
    for (at, (bytes, code)) in fatal_bytes().into_iter().enumerate() {
        let (world, ann, bob) = two(100 + at as u64);
        ann.ignores_the_close();
        world.hurry(|| {
            ann.writes(&bytes);
            ann.writes(&vec![0x5a; 200_000]);
        });
        bob.broadcasts("undisturbed");
        assert_eq!(
            ann.close_code(),
            Some(code),
            "{at}: {:x?}",
            &bytes[..bytes.len().min(20)]
        );
        assert_eq!(bob.heard(), ["undisturbed"]);
        assert_eq!(world.sum(|shard| shard.partial_bytes.get()), 0);
        world.advance(secs(3));
        assert!(!ann.has_a_socket() && bob.has_a_socket());
    }
}

#[test]
fn too_big_is_said_before_the_payload_has_come() {
    let (_world, ann, _) = two(73);
    ann.writes(&wire::header(TEXT | FIN, 600_000, [0; 4]));
    assert_eq!(ann.close_code(), Some(1009));
}

#[test]
fn a_message_may_come_in_single_bytes_and_fragments_with_pings_between() {
    let world = World::with_seed(74);
    let ann = world.visitor("ann").in_pieces_of(1).comes();
    let text = r#"{"type":"broadcast","data":"in pieces, ü too"}"#.as_bytes();
    for (at, piece) in text.chunks(3).enumerate() {
        let last = (at + 1) * 3 >= text.len();
        let opcode = if at == 0 { TEXT } else { 0 };
        ann.sends_frame(opcode | if last { FIN } else { 0 }, piece);
        ann.sends_frame(PING | FIN, at.to_string().as_bytes());
    }
    assert_eq!(ann.heard(), ["in pieces, ü too"]);
    assert_eq!(
        ann.pongs(),
        (0..text.len().div_ceil(3))
            .map(|n| n.to_string())
            .collect::<Vec<_>>()
    );
    assert_eq!(world.sum(|shard| shard.partial_bytes.get()), 0);
}

#[test]
fn a_million_empty_fragments_are_too_many() {
    let (world, ann, bob) = two(75);
    let empty = wire::frame(0, b"", [0; 4]);
    world.hurry(|| {
        ann.sends_frame(TEXT, b"");
        ann.writes(&empty.repeat(FRAGMENTS as usize + 10));
    });
    bob.broadcasts("undisturbed");
    assert_eq!((ann.close_code(), bob.heard().len()), (Some(1009), 1));
}

#[test]
fn half_messages_beyond_the_budget_of_the_shard_are_sent_away() {
    let world = World::with_seed(76).limits(|limits| limits.partial_bytes = 1_000_000);
    let clients = world.connect_all(["ann", "bob", "cid", "dan"]);
    for client in &clients {
        client.sends_frame(TEXT, &[b' '; 300_000]);
        let held = world.sum(|shard| shard.partial_bytes.get());
        assert!(held <= 1_000_000, "{held} bytes are held");
    }
    let closed = world.closed_with(CloseCode::TryAgainLater);
    assert!(closed > 0 && world.clients() == 4 - closed);
    clients
        .iter()
        .filter(|client| client.is_connected())
        .for_each(|client| {
            client.sends_frame(FIN, br#"{"type":"ping"}"#);
            assert_eq!(client.types(), ["connected", "pong"]);
        });
    assert_eq!(world.sum(|shard| shard.partial_bytes.get()), 0);
}

#[test]
fn who_is_sent_away_within_a_message_reads_why_though_the_rest_is_under_way() {
    for seed in 0..50 {
        let world = World::with_seed(seed).limits(|limits| limits.partial_bytes = 100_000);
        let [ann, bob] = world.connect_all(["ann", "bob"]);
        // To whoever takes the rest for frames these are close frames without a code.
        let rest = [CLOSE | FIN, 0x80, 0, 0, 0, 0].repeat(80_000);
        world.hurry(|| ann.writes(&wire::header(BINARY | FIN, 480_000, [0; 4])));
        world.hurry(|| ann.writes(&rest));
        bob.broadcasts("undisturbed");
        assert_eq!((ann.close_code(), bob.heard().len()), (Some(1013), 1));
        world.advance(secs(3));
        assert!(!ann.has_a_socket());
    }
}

#[test]
fn pongs_without_a_ping_and_empty_pings_are_fine() {
    let (_world, ann, _) = two(77);
    ann.sends_frame(PONG | FIN, b"unasked");
    ann.sends_frame(PING | FIN, b"");
    ann.sends_frame(PING | FIN, &[b'p'; 125]);
    assert_eq!(ann.pongs(), ["".to_owned(), "p".repeat(125)]);
    assert_eq!(ann.types(), ["connected"]);
}

#[test]
fn random_bytes_never_hurt_anybody_else() {
    for seed in 0..100 {
        let (world, ann, bob) = two(seed);
        let bytes: Vec<u8> = (0..1 + world.chance(400))
            .map(|_| world.chance(256) as u8)
            .collect();
        ann.writes(&bytes);
        ann.hangs_up();
        bob.broadcasts("undisturbed");
        assert!(
            bob.heard().ends_with(&["undisturbed".to_owned()]),
            "seed {seed}"
        );
        assert_eq!(world.sum(|shard| shard.partial_bytes.get()), 0);
    }
}
