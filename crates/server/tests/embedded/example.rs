//! The example of a program around a hub, as it is compiled and run for whoever tries it.

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use wshub::Farewell;

use crate::world::{Person, Program, get, post};

#[path = "../../examples/embedded.rs"]
#[expect(dead_code, reason = "its `main` listens on a port of its own")]
mod embedded;

#[test]
fn the_example_connects_its_users_notifies_them_and_has_them_leave() {
    let runtime = Program::runtime();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = oneshot::channel::<()>();
    let served = runtime.spawn(async move {
        let until = async { ended.await.unwrap_or(()) };
        let farewell = embedded::serve(listener, until).await;
        farewell.map_err(|error| error.to_string())
    });

    let (status, page) = get(address, "/");
    assert_eq!(status, 200);
    assert!(page.starts_with("<!doctype html>"), "{page}");
    let (status, id) = post(address, "/notify/bob", "it has waited");
    assert_eq!(status, 200, "{id}");
    let mut ann = Person::comes(address, "/ws/ann");
    let mut bob = Person::comes(address, "/ws/bob");
    assert_eq!(bob.hear("user")["data"], "it has waited");
    ann.say(r#"{"type":"broadcast","data":"hello"}"#);
    for person in [&mut ann, &mut bob] {
        let heard = person.hear("broadcast");
        assert_eq!(
            (&heard["from"], &heard["data"]),
            (&"ann".into(), &"hello".into())
        );
    }

    end.send(()).unwrap();
    for person in [&mut ann, &mut bob] {
        person.hear("reconnect");
        assert_eq!(person.hear_close(), 1012);
    }
    let farewell = runtime.block_on(served).unwrap();
    assert_eq!(farewell, Ok(Farewell { moved: 2, lost: 0 }));
}
