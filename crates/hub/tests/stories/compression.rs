//! permessage-deflate: what was agreed on, for whom, and what comes out is what went in.

use wshub_protocol::CloseCode;
use wshub_protocol::frame::Opcode;

use crate::world::wire::{self, FIN, RSV1, TEXT};
use crate::world::{World, secs};

const FULL: &str = "permessage-deflate";

/// A text that compresses well.
fn long() -> String {
    "a word and another word, ".repeat(100)
}

#[test]
fn who_agreed_on_deflate_is_given_compressed_frames_of_the_same_text() {
    let world = World::with_seed(80).shards(3);
    let clients =
        ["ann", "bob", "cid", "dan"].map(|user| world.visitor(user).offering(FULL).comes());
    let plain = world.connect("eve");
    (0..5).for_each(|_| world.broadcast(&long()));
    for client in &clients {
        assert_eq!(
            (client.heard(), client.compressed_frames()),
            (vec![long(); 5], 5)
        );
    }
    assert_eq!(
        (plain.heard(), plain.compressed_frames()),
        (vec![long(); 5], 0)
    );
}

#[test]
fn short_messages_go_out_as_they_are() {
    let world = World::with_seed(81);
    let ann = world.visitor("ann").offering(FULL).comes();
    world.broadcast("short");
    assert_eq!((ann.heard().len(), ann.compressed_frames()), (1, 0));
}

#[test]
fn what_may_not_fit_a_small_window_goes_out_as_it_is() {
    let world = World::with_seed(82);
    let small = "permessage-deflate; server_max_window_bits=10";
    let [ann, bob] = [("ann", small), ("bob", FULL)]
        .map(|(user, offer)| world.visitor(user).offering(offer).comes());
    world.broadcast(&long());
    world.broadcast(&long()[..800]);
    assert_eq!((ann.heard().len(), ann.compressed_frames()), (2, 1));
    assert_eq!((bob.heard().len(), bob.compressed_frames()), (2, 2));
}

#[test]
fn a_compressed_message_of_a_client_is_inflated() {
    let world = World::with_seed(83);
    let ann = world.visitor("ann").offering(FULL).comes();
    let text = format!(r#"{{"type":"broadcast","data":"{}"}}"#, long());
    let deflated = wire::deflate(text.as_bytes());
    ann.sends_frame(TEXT | FIN | RSV1, &deflated);
    let (head, tail) = deflated.split_at(deflated.len() / 2);
    ann.sends_frame(TEXT | RSV1, head);
    ann.sends_frame(FIN, tail);
    assert_eq!(ann.heard(), [long(), long()]);
}

#[test]
fn a_bomb_is_too_big_and_garbage_is_invalid() {
    let bomb = wire::deflate(&vec![b' '; 10_000_000]);
    for (payload, code) in [(&bomb[..], 1009), (b"garbage", 1007), (&[0xff; 10], 1007)] {
        let world = World::with_seed(84);
        let ann = world.visitor("ann").offering(FULL).comes();
        ann.sends_frame(TEXT | FIN | RSV1, payload);
        assert_eq!(ann.close_code(), Some(code));
    }
}

#[test]
fn a_stalled_reader_of_compressed_frames_is_left_with_whole_ones() {
    let world = World::with_seed(85).limits(|limits| limits.queue_messages = 10);
    let ann = world.visitor("ann").offering(FULL).with_buffer(300).comes();
    ann.stops_reading();
    (0..30).for_each(|_| world.broadcast(&long()));
    assert_eq!(world.closed_with(CloseCode::TooSlow), 1);
    world.advance(secs(1) / 2);
    ann.reads_on();
    assert_eq!(ann.close_code(), Some(4008));
    assert!(!ann.is_left_within_a_frame() && ann.heard().iter().all(|text| *text == long()));
}

#[test]
fn an_echo_comes_back_with_its_opcode_compressed_or_not() {
    let world = World::with_seed(86).that_echoes();
    let [ann, bob] = ["permessage-deflate", "nothing"]
        .map(|offer| world.visitor("ann").offering(offer).keeping_texts().comes());
    for client in [&ann, &bob] {
        client.sends(&long());
        client.sends_frame(wire::BINARY | FIN, b"short");
        let back = [(Opcode::Text, long()), (Opcode::Binary, "short".to_owned())];
        assert_eq!(client.texts(), back);
    }
    assert_eq!((ann.compressed_frames(), bob.compressed_frames()), (1, 0));
}
