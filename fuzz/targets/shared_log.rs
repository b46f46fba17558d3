//! What stands in Redis, where any program can write: entries of the log, messages that pass by, and queues. What is read
//! as ours means the same when it is written again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wshub_engine::redis::Reply;
use wshub_engine::redis::entry::{self, What};
use wshub_engine::redis::looking::Looked;
use wshub_hub::Publication;
use wshub_protocol::UserId;

fuzz_target!(|bytes: &[u8]| {
    if let Some(read) = entry::read(b"2-57", bytes) {
        match read.what {
            Some(What::Message(id, publication)) => message(&id, &publication),
            Some(What::Members(node, changes)) => {
                let head = entry::members_head(node, &changes);
                let again = entry::read(b"2-57", written(&head, "").as_bytes());
                let again = again.and_then(|again| again.what);
                assert!(
                    matches!(again, Some(What::Members(same, ref all)) if same == node && *all == changes)
                );
            }
            _ => {}
        }
    }
    if let Some(publication) = entry::read_passing(bytes) {
        let again = entry::read_passing(&entry::passing("id", &publication));
        assert!(again.is_some_and(|again| is_same(&again, &publication)));
    }
    let user = UserId::parse("ann").expect("a user");
    let entries = bytes.split(|byte| *byte == b'\n');
    let entries: Vec<_> = entries.map(|one| Reply::Text(one.to_vec())).collect();
    let count = entries.len();
    let answer = [
        Reply::Text(b"queue".to_vec()),
        Reply::List(entries),
        Reply::Number(0),
        Reply::Text(bytes.to_vec()),
    ];
    let looked = Looked::read(&user, 1_700_000_000_000, &answer);
    assert_eq!(looked.found.waiting.len() + looked.unreadable, count);
});

fn message(id: &str, publication: &Publication) {
    let head = entry::message_head(id, publication);
    let again = entry::read(
        b"2-57",
        written(&head, &publication.publish.data).as_bytes(),
    );
    match again.and_then(|again| again.what) {
        Some(What::Message(same, again)) => {
            assert_eq!(same, id);
            assert!(is_same(&again, publication));
        }
        other => panic!("{head} is read as {other:?}"),
    }
}

fn written(head: &str, data: &str) -> String {
    format!("1 2.beef 56 1700000000000 {head}\n{data}")
}

fn is_same(one: &Publication, other: &Publication) -> bool {
    (
        &one.from,
        &one.publish.target,
        &one.publish.data,
        one.except,
    ) == (
        &other.from,
        &other.publish.target,
        &other.publish.data,
        other.except,
    )
}
