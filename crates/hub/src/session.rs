//! The labels of sessions: random, and such that a node can tell its own label for a user from any other text.
//!
//! A label is no credential. That it carries a keyed hash of its user only keeps one user's client from living under the
//! label of another's, by mistake or to confuse who reads the logs.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;
use wshub_protocol::{SessionId, UserId};

/// What makes labels of this hub unlike any other's.
#[derive(Clone, Copy, Debug)]
pub struct SessionKey([u8; 16]);

impl SessionKey {
    /// A key of 16 random bytes.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// A fresh label for a user: 8 random bytes and their hash with the user.
    #[must_use]
    pub fn label(&self, user: &UserId, random: [u8; 8]) -> SessionId {
        let mut label = [0; 16];
        label[..8].copy_from_slice(&random);
        label[8..].copy_from_slice(&self.hash(user, &random));
        SessionId(label)
    }

    /// Whether a label was given to this user.
    #[must_use]
    pub fn is_of(&self, user: &UserId, label: &SessionId) -> bool {
        let (random, hash) = label.0.split_at(8);
        hash == self.hash(user, random)
    }

    fn hash(&self, user: &UserId, random: &[u8]) -> [u8; 8] {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(random);
        hasher.write(user.as_str().as_bytes());
        hasher.finish().to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_known_again_for_its_user_only_and_under_its_key_only() {
        let [ann, bob] = ["ann", "bob"].map(|user| UserId::parse(user).expect("a user"));
        let (ours, theirs) = (SessionKey::new([1; 16]), SessionKey::new([2; 16]));
        let label = ours.label(&ann, [7; 8]);
        assert!(ours.is_of(&ann, &label));
        assert!(!ours.is_of(&bob, &label));
        assert!(!theirs.is_of(&ann, &label));
        let mut changed = label;
        changed.0[3] ^= 1;
        assert!(!ours.is_of(&ann, &changed));
    }
}
