//! The documents of the contract for programs know each code that the server does, and each with its status.

use std::collections::BTreeSet;

use serde_json::Value;
use wshub_protocol::codes::ComeBack;
use wshub_protocol::{CloseCode, ErrorCode};

const OPENAPI: &str = include_str!("../../../docs/openapi.json");
const ASYNCAPI: &str = include_str!("../../../docs/asyncapi.json");

fn read(document: &str) -> Value {
    serde_json::from_str(document).expect("a document is JSON")
}

/// What a schema lets a value be.
fn choices(schema: &Value) -> BTreeSet<&str> {
    let listed = schema["enum"].as_array().into_iter().flatten();
    listed
        .chain(schema.get("const"))
        .filter_map(Value::as_str)
        .collect()
}

#[test]
fn the_documents_know_each_error_code_and_no_other() {
    let openapi = read(OPENAPI);
    let known = BTreeSet::from(ErrorCode::ALL.map(ErrorCode::name));
    assert_eq!(known.len(), ErrorCode::ALL.len());
    assert_eq!(
        choices(&openapi["components"]["schemas"]["ErrorCode"]),
        known
    );
    let asyncapi = read(ASYNCAPI);
    let error = &asyncapi["components"]["messages"]["error"]["payload"];
    let on_the_socket = choices(&error["properties"]["code"]);
    assert!(on_the_socket.is_subset(&known), "{on_the_socket:?}");
    assert!(!on_the_socket.is_empty());
}

#[test]
fn each_answer_of_the_document_has_codes_that_go_with_its_status() {
    let openapi = read(OPENAPI);
    let mut told = BTreeSet::new();
    let operations = openapi["paths"].as_object().expect("paths").values();
    let operations = operations.flat_map(|item| item.as_object().expect("an item").values());
    for (status, answer) in operations
        .filter_map(|operation| operation["responses"].as_object())
        .flatten()
    {
        let elsewhere = answer["$ref"].as_str();
        let elsewhere = elsewhere.and_then(|name| openapi.pointer(name.trim_start_matches('#')));
        let answer = elsewhere.unwrap_or(answer);
        let schema = &answer["content"]["application/json"]["schema"];
        for code in choices(&schema["properties"]["code"]) {
            let known = ErrorCode::ALL
                .into_iter()
                .find(|known| known.name() == code);
            let known = known.unwrap_or_else(|| panic!("{code} is no error code"));
            // A request that breaks HTTP is 400, the same within JSON 422.
            let breaks_http = status == "400" && known == ErrorCode::InvalidMessage;
            let goes_with = known.status().to_string() == *status || breaks_http;
            assert!(goes_with, "{code} with {status}");
            told.insert(code);
        }
    }
    let untold = ErrorCode::ALL
        .into_iter()
        .filter(|code| !told.contains(code.name()));
    let only_on_the_socket = [
        ErrorCode::UserIdRequired,
        ErrorCode::BadCursor,
        ErrorCode::TooManyRooms,
        ErrorCode::Internal,
    ];
    assert_eq!(untold.collect::<Vec<_>>(), only_on_the_socket);
}

#[test]
fn the_document_of_the_socket_knows_each_close_code_and_what_the_client_does() {
    let asyncapi = read(ASYNCAPI);
    let known = CloseCode::ALL.map(|code| {
        let come_back = match code.come_back() {
            ComeBack::No => "no",
            ComeBack::AtOnce => "at_once",
            ComeBack::WithFreshToken => "with_fresh_token",
            ComeBack::BackingOff(_) => "backing_off",
        };
        serde_json::json!({ "code": code.number(), "name": code.name(), "comeBack": come_back })
    });
    assert_eq!(asyncapi["x-close-codes"], Value::from(known.to_vec()));
}
