//! The page on which a newcomer tries everything, and the browser client: files in the binary.

use crate::front::Answer;

struct File {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! file {
    ($path:literal, $content_type:expr, $from:literal) => {
        File {
            path: $path,
            content_type: $content_type,
            bytes: include_bytes!(concat!("../", $from)),
        }
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const FILES: &[File] = &[
    file!("/", HTML, "page/index.html"),
    file!("/page/page.css", CSS, "page/page.css"),
    file!("/page/card.css", CSS, "page/card.css"),
    file!("/page/announcer.js", SCRIPT, "page/announcer.js"),
    file!("/page/badge.js", SCRIPT, "page/badge.js"),
    file!("/page/cable.js", SCRIPT, "page/cable.js"),
    file!("/page/card.js", SCRIPT, "page/card.js"),
    file!("/page/clipboard.js", SCRIPT, "page/clipboard.js"),
    file!("/page/composer.js", SCRIPT, "page/composer.js"),
    file!("/page/conversation.js", SCRIPT, "page/conversation.js"),
    file!("/page/element.js", SCRIPT, "page/element.js"),
    file!("/page/node.js", SCRIPT, "page/node.js"),
    file!("/page/page.js", SCRIPT, "page/page.js"),
    file!("/page/rooms.js", SCRIPT, "page/rooms.js"),
    file!("/page/stage.js", SCRIPT, "page/stage.js"),
    file!("/page/steps.js", SCRIPT, "page/steps.js"),
    file!("/page/theme.js", SCRIPT, "page/theme.js"),
    file!("/page/typing.js", SCRIPT, "page/typing.js"),
    file!("/page/wire.js", SCRIPT, "page/wire.js"),
    file!("/wshub.js", SCRIPT, "../../clients/js/wshub.js"),
    file!(
        "/wshub/address.js",
        SCRIPT,
        "../../clients/js/wshub/address.js"
    ),
    file!(
        "/wshub/backoff.js",
        SCRIPT,
        "../../clients/js/wshub/backoff.js"
    ),
    file!(
        "/wshub/client.js",
        SCRIPT,
        "../../clients/js/wshub/client.js"
    ),
    file!("/wshub/codes.js", SCRIPT, "../../clients/js/wshub/codes.js"),
    file!(
        "/wshub/errors.js",
        SCRIPT,
        "../../clients/js/wshub/errors.js"
    ),
    file!("/wshub/link.js", SCRIPT, "../../clients/js/wshub/link.js"),
    file!(
        "/wshub/listeners.js",
        SCRIPT,
        "../../clients/js/wshub/listeners.js"
    ),
    file!(
        "/wshub/messages.js",
        SCRIPT,
        "../../clients/js/wshub/messages.js"
    ),
    file!(
        "/wshub/outbox.js",
        SCRIPT,
        "../../clients/js/wshub/outbox.js"
    ),
    file!("/wshub/place.js", SCRIPT, "../../clients/js/wshub/place.js"),
    file!(
        "/wshub/promised.js",
        SCRIPT,
        "../../clients/js/wshub/promised.js"
    ),
    file!(
        "/wshub/receipts.js",
        SCRIPT,
        "../../clients/js/wshub/receipts.js"
    ),
    file!(
        "/wshub/repeats.js",
        SCRIPT,
        "../../clients/js/wshub/repeats.js"
    ),
    file!("/wshub/rooms.js", SCRIPT, "../../clients/js/wshub/rooms.js"),
];

/// Nothing inline, nothing from elsewhere: whatever a message holds, it can't become a script of the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The file at a path.
#[must_use]
pub fn at(path: &str) -> Option<Answer> {
    let file = FILES.iter().find(|file| file.path == path)?;
    let answer = Answer::new(200, file.content_type, file.bytes)
        .with_header("Cache-Control", "no-cache")
        .with_header("Referrer-Policy", "no-referrer")
        .with_header("Content-Security-Policy", POLICY);
    // The client is for anybody's page to import.
    let shared = path.starts_with("/wshub");
    Some(if shared {
        answer.with_header("Access-Control-Allow-Origin", "*")
    } else {
        answer
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::FILES;

    #[test]
    fn each_file_of_the_page_and_of_the_client_is_served() {
        for (folder, path) in [("page", "/page"), ("../../clients/js/wshub", "/wshub")] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            for entry in fs::read_dir(folder).expect("the folder is there") {
                let name = entry.expect("the folder can be read").file_name();
                let name = name.to_str().expect("names of files are plain");
                let is_served = FILES
                    .iter()
                    .any(|file| file.path == format!("{path}/{name}"));
                assert!(
                    is_served || name == "index.html",
                    "add {path}/{name} to FILES in page.rs"
                );
            }
        }
    }
}
