//! The buffer that all connections of a thread read into: what waits for bytes holds none itself.

use std::cell::RefCell;

/// How much one read may bring: enough for a few hundred pipelined requests.
const SCRATCH_BYTES: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// Lends the thread's buffer for as long as `read` runs, which must not lend it again.
pub(super) fn with_scratch<T>(read: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with(|scratch| read(&mut scratch.borrow_mut()))
}
