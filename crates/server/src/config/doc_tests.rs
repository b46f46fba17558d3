//! Holds `docs/configuration.md` against the code: every key, its default and its bounds.

use std::collections::BTreeMap;

use super::keys::{KEYS, Key};
use super::{Config, Sources};

const PAGE: &str = include_str!("../../../../docs/configuration.md");

/// A row of the page: the cells behind the key's name.
struct Row {
    default: &'static str,
    bounds: &'static str,
    meaning: &'static str,
}

/// The rows whose first cell is a key in backquotes.
fn rows() -> BTreeMap<&'static str, Row> {
    let cells = |line: &'static str| line.split('|').map(str::trim).collect::<Vec<_>>();
    let of_key = |cells: Vec<&'static str>| match *cells.as_slice() {
        ["", key, default, bounds, meaning, ""] => {
            let key = key.strip_prefix('`')?.strip_suffix('`')?;
            Some((
                key,
                Row {
                    default,
                    bounds,
                    meaning,
                },
            ))
        }
        _ => None,
    };
    PAGE.lines().map(cells).filter_map(of_key).collect()
}

fn row(key: &Key) -> Row {
    rows().remove(key.name).unwrap_or_else(|| {
        panic!(
            "{} is not in docs/configuration.md: add a row with default, bounds, meaning",
            key.name
        )
    })
}

#[test]
fn every_key_is_documented_and_nothing_else() {
    for key in KEYS {
        assert!(
            !row(key).meaning.is_empty(),
            "{} has no meaning in the documentation",
            key.name
        );
    }
    for key in rows().keys() {
        assert!(
            KEYS.iter().any(|known| known.name == *key),
            "{key} is documented and doesn't exist"
        );
    }
}

#[test]
fn the_documented_defaults_are_those_of_the_code() {
    for key in KEYS {
        let default = row(key).default;
        // What depends on the machine, or is off, is said in words.
        if let Some(words) = default.strip_prefix('(') {
            let in_words = [
                "node",
                "shards",
                "limits.connections",
                "redis.url",
                "redis.password_file",
            ];
            assert!(
                in_words.contains(&key.name),
                "{}: write the default, not ({words}",
                key.name
            );
            continue;
        }
        let value = default.trim_matches('`');
        let set = vec![format!("{}={value}", key.name)];
        let documented = Sources {
            set,
            ..Sources::default()
        }
        .resolve();
        let documented =
            documented.unwrap_or_else(|refusal| panic!("documented default: {refusal}"));
        assert_eq!(
            documented.config,
            Config::default(),
            "{} = {value} is documented",
            key.name
        );
    }
}

#[test]
fn the_documented_bounds_are_those_of_the_code() {
    for key in KEYS {
        assert_eq!(
            row(key).bounds,
            key.form.to_string(),
            "the bounds of {}",
            key.name
        );
    }
}
