//! Which paths there are, and the one method that each takes: the table that the router walks and to which the OpenAPI
//! document is held.

use crate::front::Method;

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Health,
    Live,
    Ready,
    Stats,
    Metrics,
    Document,
    Socket,
    Publish,
    User,
    UserConnections,
    Room,
}

/// A path of the API.
#[derive(Debug)]
pub(super) struct Route {
    /// A name in braces stands for one segment, which isn't empty.
    path: &'static str,
    pub(super) takes: Method,
    pub(super) place: Place,
}

const ROUTES: &[Route] = &[
    route("/health", Method::Get, Place::Health),
    route("/live", Method::Get, Place::Live),
    route("/ready", Method::Get, Place::Ready),
    route("/stats", Method::Get, Place::Stats),
    route("/metrics", Method::Get, Place::Metrics),
    route("/openapi.json", Method::Get, Place::Document),
    route("/ws", Method::Get, Place::Socket),
    route("/publish", Method::Post, Place::Publish),
    route("/users/{user_id}", Method::Get, Place::User),
    route(
        "/users/{user_id}/connections",
        Method::Delete,
        Place::UserConnections,
    ),
    route("/rooms/{room_id}", Method::Get, Place::Room),
];

const fn route(path: &'static str, takes: Method, place: Place) -> Route {
    Route { path, takes, place }
}

/// The route that a path takes, and the segment in the place of the name in braces, as it was sent.
pub(super) fn find(path: &str) -> Option<(&'static Route, &str)> {
    ROUTES
        .iter()
        .find_map(|route| Some((route, route.segment_of(path)?)))
}

impl Route {
    /// What the header `Allow` says of the path.
    pub(super) fn allows(&self) -> &'static str {
        match self.takes {
            Method::Post => "POST",
            Method::Delete => "DELETE",
            _ => super::READ_ONLY,
        }
    }

    fn segment_of<'p>(&self, path: &'p str) -> Option<&'p str> {
        let Some((before, name)) = self.path.split_once('{') else {
            return (path == self.path).then_some("");
        };
        let (_, behind) = name.split_once('}')?;
        let segment = path.strip_prefix(before)?.strip_suffix(behind)?;
        (!segment.is_empty() && !segment.contains('/')).then_some(segment)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::page;

    /// Files that others load and nobody asks for by hand are no part of the contract.
    const PAGES: [&str; 2] = ["/", "/wshub.js"];

    #[test]
    fn the_document_has_each_path_with_its_method_and_none_else() {
        let document: Value = serde_json::from_slice(super::super::DOCUMENT).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        let written: BTreeSet<_> = paths
            .iter()
            .flat_map(|(path, item)| {
                let keys = item.as_object().expect("an object").keys();
                let methods = keys.filter(|key| *key != "parameters");
                methods.map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect();
        let routes = ROUTES.iter().map(|route| (route.allows(), route.path));
        let pages = PAGES.map(|path| (super::super::READ_ONLY, path));
        let served: BTreeSet<_> = routes
            .chain(pages)
            .flat_map(|(methods, path)| {
                let methods = methods.split(", ");
                methods.map(move |method| format!("{method} {path}"))
            })
            .collect();
        assert_eq!(written, served);
        assert!(PAGES.iter().all(|path| page::at(path).is_some()));
    }

    #[test]
    fn a_name_stands_for_one_segment() {
        let found = |path| find(path).map(|(route, segment)| (route.place, segment));
        assert_eq!(found("/users/a%2Fb"), Some((Place::User, "a%2Fb")));
        assert_eq!(
            found("/users/connections"),
            Some((Place::User, "connections"))
        );
        assert_eq!(
            found("/users/a/connections"),
            Some((Place::UserConnections, "a"))
        );
        for path in [
            "/users",
            "/users/",
            "/users//connections",
            "/users/a/",
            "/users/a/b/connections",
            "/rooms/a/b",
            "/health/",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }
}
