//! Whether the front is full, and how those who idle in it hear of that.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// What the door tells the connections of a front about its places.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    full: AtomicBool,
    leave: Notify,
}

impl Crowd {
    /// Says whether the last place is taken. When it has just been, all who idle leave at once, not one per newcomer:
    /// waking each of them every time would cost the square of their number.
    pub(super) fn note(&self, full: bool) {
        // The order (first the flag, then the call) is what `told_to_leave` relies on.
        if !self.full.swap(full, Ordering::SeqCst) && full {
            self.leave.notify_waiters();
        }
    }

    /// Whether the last place is taken.
    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }

    /// Ends when who waits for nothing but another request has to leave; at once while the front is full.
    pub(super) async fn told_to_leave(&self) {
        // Listening begins before the look at the flag, so that no call is lost between the two.
        let call = self.leave.notified();
        if !self.is_full() {
            call.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn a_call_reaches_all_who_idle_even_when_a_place_is_free_again_before_they_look() {
        let crowd = Crowd::default();
        let mut context = Context::from_waker(Waker::noop());
        let (mut one, mut two) = (pin!(crowd.told_to_leave()), pin!(crowd.told_to_leave()));
        assert!(one.as_mut().poll(&mut context).is_pending());
        assert!(two.as_mut().poll(&mut context).is_pending());
        crowd.note(true);
        crowd.note(false);
        assert!(one.poll(&mut context).is_ready() && two.poll(&mut context).is_ready());
    }

    #[test]
    fn who_begins_to_idle_leaves_only_while_the_front_is_full() {
        let crowd = Crowd::default();
        let mut context = Context::from_waker(Waker::noop());
        crowd.note(true);
        assert!(pin!(crowd.told_to_leave()).poll(&mut context).is_ready());
        crowd.note(false);
        assert!(pin!(crowd.told_to_leave()).poll(&mut context).is_pending());
    }
}
