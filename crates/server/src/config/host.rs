//! What the defaults ask this machine for: its name and its cores.

use std::num::NonZero;
use std::process::Command;

/// The cores this process may use (a container's share of them, not the machine's).
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// The host name, as far as it can be a node's name.
pub(super) fn node_name() -> String {
    as_node_name(&host_name())
}

/// A host name that can't be told apart from nothing becomes `node`: a default must never be what
/// keeps a node from starting.
fn as_node_name(host: &[u8]) -> String {
    let visible = host
        .iter()
        .filter(|byte| byte.is_ascii_graphic())
        .take(super::keys::LONGEST_NODE);
    let name: String = visible.map(|byte| char::from(*byte)).collect();
    if name.is_empty() {
        "node".to_owned()
    } else {
        name
    }
}

/// Linux keeps it in a file. Elsewhere the program of that name is asked, which every Unix has: the
/// system call would need `unsafe` for what is read once.
fn host_name() -> Vec<u8> {
    std::fs::read("/proc/sys/kernel/hostname")
        .or_else(|_| {
            Command::new("hostname")
                .output()
                .map(|output| output.stdout)
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_host_name_makes_a_node_name() {
        assert_eq!(as_node_name(b"web-3.example.org"), "web-3.example.org");
        assert_eq!(as_node_name("k\u{fc}che 1".as_bytes()), "kche1");
        assert_eq!(as_node_name(b""), "node");
        assert_eq!(as_node_name(b"\n\n"), "node");
        assert_eq!(as_node_name(&[b'a'; 300]).len(), 64);
    }

    #[test]
    fn this_machine_has_a_name_and_a_core() {
        assert!(!node_name().is_empty());
        assert!(cores() > 0);
    }
}
