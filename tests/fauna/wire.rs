//! The stand-in against the wire samples and the tables of the fact sheet.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use tests::fauna::{Fauna, ROOT_SECRET, Role};

use crate::vectors::order_stream;

/// The sheet's fold.
pub(crate) const FOLD: &str = r#"{"reduce":{"lambda":["acc","value"],
           "expr":{"merge":{"var":"acc"},"with":{"select":"data","from":{"get":{"var":"value"}}}}},
 "initial":{"object":{}},
 "collection":{"paginate":{"match":{"index":"order_events_by_order_id"},"terms":"guid_123"}}}"#;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Sends a query with the root key by the current API.
pub(crate) async fn post(fauna: &Fauna, query: &str) -> Answer {
    let bearer = format!("Bearer {ROOT_SECRET}");
    post_with(fauna, &[("authorization", &bearer), ("x-faunadb-api-version", "4")], query).await
}

async fn post_with(fauna: &Fauna, headers: &[(&str, &str)], query: &str) -> Answer {
    let mut request = Request::post(format!("{}/", fauna.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request.body(Full::from(query.to_owned())).unwrap()).await.unwrap();
    let (head, body) = answer.into_parts();
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    Answer { status: head.status.as_u16(), headers: head.headers, body }
}

fn reference(id: &str) -> Value {
    let collection = json!({"@ref": {"id": "order_stream", "collection": {"@ref": {"id": "collections"}}}});
    json!({"@ref": {"id": id, "collection": collection}})
}

fn create(id: &str, n: u32) -> String {
    let data = json!({"eventName": "OrderCreated", "orderId": "guid_123", "n": n});
    let create = json!({"ref": {"collection": "order_stream"}, "id": id});
    json!({"create": create, "params": {"quote": {"data": data}}}).to_string()
}

#[tokio::test]
async fn a_created_document_has_its_ref_and_the_time_of_its_commit() {
    let fauna = order_stream().await;
    let answer = post(&fauna, &create("282842364888744451", 1)).await;
    assert_eq!(answer.status, 201);
    let resource = answer.json()["resource"].clone();
    assert_eq!(resource["ref"], reference("282842364888744451"));
    assert_eq!(resource["data"], json!({"eventName": "OrderCreated", "orderId": "guid_123", "n": 1}));
    let committed = answer.headers["x-txn-time"].to_str().unwrap();
    assert_eq!(resource["ts"].to_string(), committed);
    let read = post(&fauna, &json!({"get": reference("282842364888744451")}).to_string()).await;
    assert_eq!((read.status, read.json()["resource"].clone()), (200, resource));
    assert!(read.headers["x-txn-time"].to_str().unwrap() > committed);
    for name in ["x-faunadb-build", "x-compute-ops", "x-byte-read-ops", "x-query-time", "x-txn-retries"] {
        assert!(read.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn a_database_and_a_key_of_it_are_made_as_the_sheet_does() {
    let fauna = Fauna::start().await;
    assert_eq!(post(&fauna, r#"{"create_database":{"object":{"name":"app"}}}"#).await.status, 201);
    let key = post(&fauna, r#"{"create_key":{"object":{"role":"server","database":{"database":"app"}}}}"#).await;
    let secret = key.json()["resource"]["secret"].as_str().unwrap().to_owned();
    let collection = r#"{"create_collection":{"object":{"name":"order_stream","history_days":30}}}"#;
    let bearer = format!("Bearer {secret}");
    let made = post_with(&fauna, &[("authorization", &bearer), ("x-faunadb-api-version", "4")], collection).await;
    assert_eq!((made.status, &made.json()["resource"]["history_days"]), (201, &json!(30)));
    let get = r#"{"get":{"collection":"order_stream"}}"#;
    assert_eq!(post(&fauna, get).await.status, 400, "another database has no such collection");
    let scoped = format!("Bearer {ROOT_SECRET}:app:server-readonly");
    assert_eq!(post_with(&fauna, &[("authorization", &scoped)], get).await.status, 200);
    let write = r#"{"create":{"collection":"order_stream"}}"#;
    let denied = post_with(&fauna, &[("authorization", &scoped)], write).await;
    assert_eq!((denied.status, &denied.json()["errors"][0]["code"]), (403, &json!("permission denied")));
}

#[tokio::test]
async fn a_secret_comes_by_bearer_or_basic_and_another_is_unauthorized() {
    let fauna = order_stream().await;
    // base64 of `secret:` and of `other:`.
    for (authorization, status) in [
        ("Bearer secret", 200),
        ("Basic c2VjcmV0Og==", 200),
        ("Bearer other", 401),
        ("Basic b3RoZXI6", 401),
        ("x", 401),
    ] {
        let answer = post_with(&fauna, &[("authorization", authorization)], r#"{"now":null}"#).await;
        assert_eq!(answer.status, status, "{authorization}");
    }
    let unauthorized = post_with(&fauna, &[], "1").await;
    assert_eq!((unauthorized.status, &unauthorized.json()["errors"][0]["code"]), (401, &json!("unauthorized")));
    assert!(!unauthorized.headers.contains_key("x-txn-time"));
}

#[tokio::test]
async fn without_a_version_refs_say_class() {
    let fauna = order_stream().await;
    post(&fauna, &create("7", 1)).await;
    let old =
        post_with(&fauna, &[("authorization", "Bearer secret")], &json!({"get": reference("7")}).to_string()).await;
    let class = json!({"@ref": {"id": "order_stream", "class": {"@ref": {"id": "classes"}}}});
    assert_eq!(old.json()["resource"]["ref"], json!({"@ref": {"id": "7", "class": class}}));
    let headers = [("authorization", "Bearer secret"), ("x-faunadb-api-version", "9")];
    assert_eq!(post_with(&fauna, &headers, "1").await.status, 400);
}

#[tokio::test]
async fn pages_have_inclusive_cursors_and_sixty_four_elements() {
    let fauna = order_stream().await;
    for n in 1..=70 {
        post(&fauna, &create(&n.to_string(), n)).await;
    }
    let page = |query: &str| {
        let query = query.to_owned();
        let fauna = &fauna;
        async move { post(fauna, &query).await.json()["resource"].clone() }
    };
    let first = page(r#"{"paginate":{"documents":{"collection":"order_stream"}}}"#).await;
    assert_eq!((first["data"].as_array().unwrap().len(), &first["after"]), (64, &json!([reference("65")])));
    assert_eq!(first.get("before"), None);
    let of = |more: &str| format!(r#"{{"paginate":{{"documents":{{"collection":"order_stream"}}}},{more}}}"#);
    let last = page(&of(&format!(r#""after":{}"#, first["after"]))).await;
    assert_eq!(last["data"][0], reference("65"), "`after` is the first element of the next page");
    assert_eq!((last.get("after"), &last["before"]), (None, &first["after"]));
    let earlier = page(&of(&format!(r#""size":2,"before":[{}]"#, reference("10")))).await;
    assert_eq!(earlier["data"], json!([reference("8"), reference("9")]), "`before` is exclusive");
    assert_eq!(page(&of(r#""size":200000"#)).await["data"].as_array().unwrap().len(), 70);
}

#[tokio::test]
async fn an_index_by_ts_has_cursors_of_three_and_takes_a_part_of_one() {
    let fauna = order_stream().await;
    let index = r#"{"create_index":{"object":{"name":"order_stream_by_ts","source":{"collection":"order_stream"},
 "values":[{"object":{"field":["ts"]}},{"object":{"field":["ref"]}}]}}}"#;
    assert_eq!(post(&fauna, index).await.json()["resource"]["active"], true);
    // One transaction: all of its documents have one `ts`.
    let creates: Vec<Value> = (1..=4).map(|n| serde_json::from_str(&create(&n.to_string(), n)).unwrap()).collect();
    assert_eq!(post(&fauna, &Value::from(creates).to_string()).await.status, 200);
    let by_ts = |more: &str| format!(r#"{{"paginate":{{"match":{{"index":"order_stream_by_ts"}}}}{more}}}"#);
    let first = post(&fauna, &by_ts(r#","size":2"#)).await.json()["resource"].clone();
    let ts = first["data"][0][0].clone();
    assert_eq!(first["data"], json!([[ts, reference("1")], [ts, reference("2")]]));
    assert_eq!(first["after"], json!([ts, reference("3"), reference("3")]));
    let more = post(&fauna, &by_ts(&format!(r#","after":{}"#, first["after"]))).await.json()["resource"].clone();
    assert_eq!(more["data"], json!([[ts, reference("3")], [ts, reference("4")]]));
    let from = post(&fauna, &by_ts(&format!(r#","after":[{ts}]"#))).await.json()["resource"].clone();
    assert_eq!(from["data"].as_array().unwrap().len(), 4);
    let later = post(&fauna, &by_ts(&format!(r#","after":[{}]"#, ts.as_i64().unwrap() + 1))).await.json();
    assert_eq!(later["resource"]["data"], json!([]));
}

#[tokio::test]
async fn an_index_over_many_documents_is_built_for_a_while() {
    let fauna = order_stream().await;
    fauna.index_build(std::time::Duration::from_secs(3_600));
    for n in 1..=129 {
        post(&fauna, &create(&n.to_string(), n)).await;
    }
    let index = r#"{"create_index":{"object":{"name":"late","source":{"collection":"order_stream"}}}}"#;
    assert_eq!(post(&fauna, index).await.json()["resource"]["active"], false);
    let of = r#"{"paginate":{"match":{"index":"late"}}}"#;
    let answer = post(&fauna, of).await;
    let error = answer.json()["errors"][0].clone();
    assert_eq!((answer.status, &error["code"]), (400, &json!("instance not found")));
    assert_eq!(error["description"], "Index 'late' is not active.");
    fauna.advance(3_600 * 1_000_000);
    assert_eq!(post(&fauna, of).await.status, 200);
}

#[tokio::test]
async fn history_and_points_in_time_reach_back_fifteen_minutes() {
    let fauna = order_stream().await;
    let made = post(&fauna, &create("1", 1)).await.json()["resource"]["ts"].clone();
    post(&fauna, &json!({"delete": reference("1")}).to_string()).await;
    let past = format!(r#"{{"at":{made},"expr":{{"paginate":{{"documents":{{"collection":"order_stream"}}}}}}}}"#);
    assert_eq!(post(&fauna, &past).await.json()["resource"]["data"], json!([reference("1")]));
    let events = r#"{"paginate":{"events":{"documents":{"collection":"order_stream"}}}}"#;
    let seen = post(&fauna, events).await.json()["resource"]["data"].clone();
    assert_eq!(seen[0], json!({"ts": made, "action": "add", "document": reference("1")}));
    assert_eq!((seen.as_array().unwrap().len(), &seen[1]["action"]), (2, &json!("remove")));
    fauna.advance(16 * 60 * 1_000_000);
    let answer = post(&fauna, &past).await;
    let error = answer.json()["errors"][0]["description"].as_str().unwrap().to_owned();
    assert_eq!(answer.status, 400);
    assert!(error.starts_with("Requested timestamp ") && error.contains(" less than minimum allowed timestamp "));
    assert_eq!(post(&fauna, events).await.json()["resource"]["data"], json!([]));
}

#[tokio::test]
async fn merge_names_every_bad_argument_and_takes_a_resolver() {
    let fauna = order_stream().await;
    let answer = post(&fauna, r#"{"merge":"a","with":[{"object":{}},7]}"#).await;
    let errors = answer.json()["errors"].clone();
    assert_eq!((answer.status, errors.as_array().unwrap().len()), (400, 2));
    assert_eq!((&errors[0]["position"], &errors[1]["position"]), (&json!(["merge"]), &json!(["with", 1])));
    assert_eq!(errors[0]["description"], "Object expected, String provided.");
    let resolve = r#"{"merge":{"object":{"a":1,"b":2}},"with":{"object":{"a":3,"c":4}},
        "lambda":{"lambda":["key","left","right"],"expr":[{"var":"key"},{"var":"left"},{"var":"right"}]}}"#;
    let expected = json!({"a": ["a", 1, 3], "b": 2, "c": ["c", null, 4]});
    assert_eq!(post(&fauna, resolve).await.json()["resource"], expected);
    let one = r#"{"merge":{"object":{}},"with":{"object":{"c":4}},"lambda":{"lambda":"all","expr":{"var":"all"}}}"#;
    assert_eq!(post(&fauna, one).await.json()["resource"], json!({"c": ["c", null, 4]}));
    let many = r#"{"merge":{"object":{"a":1}},"with":[{"object":{"a":2}},{"object":{"a":null,"b":3}}]}"#;
    assert_eq!(post(&fauna, many).await.json()["resource"], json!({"b": 3}));
}

#[tokio::test]
async fn what_is_not_there_is_named_as_the_sheet_names_it() {
    let fauna = order_stream().await;
    let cases = [
        (json!({"get": reference("1")}), 404, "instance not found"),
        (json!({"paginate": {"match": {"index": "none"}}}), 400, "invalid ref"),
        (json!({"paginate": {"documents": {"collection": "none"}}}), 400, "invalid ref"),
        (json!({"nothing": 1}), 400, "invalid expression"),
        (
            json!({"create": {"collection": "order_stream"}, "params": {"object": {"data": 7}}}),
            400,
            "validation failed",
        ),
        (json!({"select": "a", "from": {"object": {}}}), 404, "value not found"),
    ];
    for (query, status, code) in cases {
        let answer = post(&fauna, &query.to_string()).await;
        assert_eq!((answer.status, &answer.json()["errors"][0]["code"]), (status, &json!(code)), "{query}");
    }
    let far = (time_us() + 60_000_000).to_string();
    let headers = [("authorization", "Bearer secret"), ("x-last-seen-txn", far.as_str())];
    assert_eq!(post_with(&fauna, &headers, r#"{"now":null}"#).await.status, 503);
    let client = format!("Bearer {}", fauna.key(Role::Client));
    let read = r#"{"paginate":{"documents":{"collection":"order_stream"}}}"#;
    assert_eq!(post_with(&fauna, &[("authorization", &client)], read).await.status, 403);
}

fn time_us() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}

#[tokio::test]
async fn a_query_that_fails_writes_nothing() {
    let fauna = order_stream().await;
    let first: Value = serde_json::from_str(&create("1", 1)).unwrap();
    let failing = json!([first, {"get": reference("2")}]).to_string();
    let answer = post(&fauna, &failing).await;
    assert_eq!((answer.status, &answer.json()["errors"][0]["position"]), (404, &json!([1])));
    assert_eq!(post(&fauna, &json!({"exists": reference("1")}).to_string()).await.json()["resource"], false);
}

#[tokio::test]
async fn a_later_commit_may_have_a_lower_id() {
    let fauna = order_stream().await;
    let late = fauna.reserve_id();
    let other = post(&fauna, r#"{"create":{"collection":"order_stream"}}"#).await.json()["resource"].clone();
    let committed = post(&fauna, &create(&late.to_string(), 1)).await.json()["resource"].clone();
    let id = |document: &Value| document["ref"]["@ref"]["id"].as_str().unwrap().parse::<i64>().unwrap();
    assert!(id(&committed) < id(&other) && committed["ts"].as_i64() > other["ts"].as_i64());
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let fauna = Fauna::start_with(std::time::Duration::from_millis(50)).await;
    let mut socket = tokio::net::TcpStream::connect(fauna.url.trim_start_matches("http://")).await.unwrap();
    socket.write_all(b"GET /ping?scope=read HTTP/1.1\r\nhost: f\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    assert_eq!(tests::fauna::IDLE_MAX.as_secs(), 5);
}
