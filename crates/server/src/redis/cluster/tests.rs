//! What a node keeps in step with its tail while Redis comes and goes.

use mio::Poll;
use wshub_engine::redis::Keys;
use wshub_hub::queues::QueueLimits;
use wshub_hub::tail::{Stamp, TailConfig};
use wshub_protocol::server_message::ResetReason;
use wshub_protocol::{After, Epoch, Offset, SessionId};

use super::*;

const NODE: Incarnation = 7;

struct World {
    cluster: Arc<Cluster>,
    _poll: Poll,
}

fn epoch(ordinal: u32) -> Epoch {
    Epoch { ordinal, random: 1 }
}

fn place(ordinal: u64, number: u64) -> u64 {
    let (major, minor) = (ordinal, number);
    Offset { major, minor }.place()
}

impl World {
    fn new() -> Self {
        let poll = Poll::new().unwrap();
        let shards = [(poll.registry(), Arc::default())].into_iter();
        let inboxes = Arc::new(Inboxes::new(shards, 1 << 20).unwrap());
        let tail = Tail::new(TailConfig {
            epoch: epoch(1),
            origin: place(1, 1) - 1,
            shards: 1,
            retention_ms: 60_000,
            bytes: 1 << 20,
            seed: 1,
        });
        let terms = Terms {
            keys: Keys::new("websocket:"),
            queues: QueueLimits {
                messages: 3,
                ttl_ms: 60_000,
                user_bytes: 2_000,
                total_bytes: 1 << 20,
            },
            id_ms: 60_000,
            id_bytes: 1 << 20,
            message_bytes: 1 << 20,
        };
        let tail = Arc::new(Mutex::new(tail));
        let cluster = Cluster::new(tail, inboxes, Clock::start(), terms, ("n1", 1), NODE, 1);
        cluster.is_back();
        Self {
            cluster: Arc::new(cluster),
            _poll: poll,
        }
    }

    fn reads(&self, entries: u64) {
        let at = self.cluster.clock.now();
        let unix_seconds = 0;
        for _ in 0..entries {
            lock(&self.cluster.tail).pass_over(Stamp { unix_seconds, at });
        }
    }

    fn comes(&self, after: Option<u64>) {
        let cursor = |place| lock(&self.cluster.tail).cursor(place);
        let wanted = Wanted {
            user: user("ann"),
            session: SessionId([1; 16]),
            handed: None,
            after: after.map(|place| After::Places([cursor(place)].into())),
            acks: false,
            deflates: false,
            again: None,
            rooms: Vec::new(),
        };
        let now = self.cluster.clock.now();
        self.cluster.enter(now, 0, Token::from_number(1), wanted);
    }

    fn looks(&self) -> Vec<Look> {
        lock(&self.cluster.lane).take_looks(|_| true)
    }
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

#[test]
fn who_can_be_given_nothing_from_their_place_any_more_is_looked_up_as_going_on_from_the_end() {
    let world = World::new();
    world.reads(5);
    world.comes(Some(place(1, 3)));
    let look = world.looks().pop().unwrap();
    assert!(look.resumes);
    let (reason, looked_at) = (ResetReason::LogLost, place(1, 5));
    let (now, inboxes) = (world.cluster.clock.now(), &*world.cluster.inboxes);
    lock(&world.cluster.tail).go_on_from(now, (epoch(2), place(2, 1) - 1), reason, inboxes);
    world.reads(1);
    let mut looked = Looked::default();
    looked.found.missed = 3;
    world.cluster.looked(look, looked.into(), looked_at);
    world.cluster.let_in();
    let again = world.looks();
    assert_eq!((again.len(), again[0].missed), (1, 3));
    assert!(!again[0].resumes, "it is remembered as told to go on");
}

#[test]
fn a_node_is_asked_as_soon_as_it_says_that_it_is_there() {
    let world = World::new();
    let here = br#"{"say":"here","node":"0000000000000002","name":"n2"}"#;
    assert!(world.cluster.hear(here));
    let nodes = world.cluster.nodes().into_iter();
    assert_eq!(
        nodes.map(|node| node.name).collect::<Vec<_>>(),
        ["n1", "n2"]
    );
    let answers = world.cluster.ask(&user("ann")).unwrap();
    assert_eq!(answers.missing(), ["n2"], "until it has answered");
}
