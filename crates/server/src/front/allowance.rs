//! How many bytes of bodies may be held by all connections together: a bound per body alone would
//! let ten thousand connections hold forty gigabytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is left for bodies that have not come in one piece.
#[derive(Clone, Debug)]
pub(super) struct Allowance(Arc<AtomicUsize>);

/// The part of the allowance that one body has taken; dropping it gives it back.
#[derive(Debug, Default)]
pub(super) struct Share(Option<(Allowance, usize)>);

impl Allowance {
    /// An allowance of so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }
}

impl Share {
    /// Takes so much that it is `bytes` altogether; `false` when that isn't left.
    pub(super) fn grow_to(&mut self, allowance: &Allowance, bytes: usize) -> bool {
        let left = &allowance.0;
        let bytes = bytes.saturating_sub(self.0.as_ref().map_or(0, |(_, taken)| *taken));
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(bytes)
        });
        if taken.is_ok() {
            self.0.get_or_insert_with(|| (allowance.clone(), 0)).1 += bytes;
        }
        taken.is_ok()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some((allowance, bytes)) = self.0.take() {
            allowance.0.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_that_is_dropped_gives_back_what_it_took() {
        let allowance = Allowance::new(10);
        let (mut one, mut two) = (Share::default(), Share::default());
        assert!(one.grow_to(&allowance, 4) && one.grow_to(&allowance, 8));
        assert!(!two.grow_to(&allowance, 3) && two.grow_to(&allowance, 2));
        drop(one);
        assert!(two.grow_to(&allowance, 10) && !two.grow_to(&allowance, 11));
    }
}
