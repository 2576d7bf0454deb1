//! Tests of asking a registry, against a server that answers what it is told.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use luminate_runtime::config::HumanDuration;

use super::*;

/// Answers one request with status and body, and returns the request's head.
fn serve_once(status: u16, body: String) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = String::new();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        while lines.read_line(&mut head).unwrap() > 2 {}
        write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
            .unwrap();
        head
    });
    (url, serving)
}

fn config(url: String) -> SchemaRegistryConfig {
    SchemaRegistryConfig { url: Some(url), ..SchemaRegistryConfig::default() }
}

/// What a registry's answer of this status and body comes to.
async fn ask(status: u16, body: &str) -> Result<Lookup, SchemaRegistryError> {
    let (url, serving) = serve_once(status, body.to_owned());
    let registry = HttpSchemaRegistry::from_config(&config(url)).unwrap().unwrap();
    let lookup = registry.look_up(7).await;
    assert!(serving.join().unwrap().starts_with("GET /schemas/ids/7 HTTP/1.1\r\n"));
    lookup
}

fn answer(schema: &str) -> String {
    serde_json::json!({ "schema": schema, "maxId": 9 }).to_string()
}

#[tokio::test]
async fn a_published_schema_is_recognised_and_another_is_none() {
    for schema in PublishedSchema::ALL {
        assert_eq!(ask(200, &answer(schema.text())).await, Ok(Ok(schema)));
    }
    assert_eq!(ask(200, &answer("\"string\"")).await, Ok(Err(UnusableSchema::NotPublished)));
    let json = r#"{"schema": "{}", "schemaType": "JSON"}"#;
    assert_eq!(ask(200, json).await, Ok(Err(UnusableSchema::NotAvro)));
}

#[tokio::test]
async fn only_the_registrys_own_word_makes_a_number_unknown() {
    let not_found = r#"{"error_code": 40403, "message": "Schema 7 not found"}"#;
    assert_eq!(ask(404, not_found).await, Ok(Err(UnusableSchema::NotRegistered)));
    let proxy = r#"{"error_code": 404, "message": "HTTP 404 Not Found"}"#;
    for (status, body) in [(404, "no such page"), (404, proxy), (500, "{}"), (401, "{}"), (200, "{}"), (302, "")] {
        let error = ask(status, body).await.unwrap_err();
        assert_eq!(error.id, 7, "{status} {body}");
    }
    let huge = answer(&" ".repeat(MAX_ANSWER_BYTES as usize));
    assert!(ask(200, &huge).await.is_err());
}

#[tokio::test]
async fn a_registry_that_is_not_there_or_silent_is_an_error_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = config(format!("http://{}", listener.local_addr().unwrap()));
    config.timeout = HumanDuration::new(Duration::from_millis(50));
    let registry = HttpSchemaRegistry::from_config(&config).unwrap().unwrap();
    assert!(registry.look_up(1).await.is_err(), "it never answers");
    drop(listener);
    assert!(registry.look_up(1).await.is_err(), "nobody listens");
}

#[tokio::test]
async fn user_and_password_are_sent_and_never_shown() {
    let (url, serving) = serve_once(500, String::new());
    let password = Some(Secret::new("swordfish").into());
    let config = SchemaRegistryConfig { username: Some("luminate".to_owned()), password, ..config(url) };
    let registry = HttpSchemaRegistry::from_config(&config).unwrap().unwrap();
    let error = registry.look_up(1).await.unwrap_err();
    let basic = STANDARD.encode("luminate:swordfish");
    assert!(serving.join().unwrap().to_lowercase().contains(&format!("authorization: basic {}", basic.to_lowercase())));
    assert!(!format!("{error} {config:?}").contains("swordfish"));
}

#[test]
fn what_cannot_work_is_refused_by_the_name_of_its_key() {
    let key = |config: &SchemaRegistryConfig| HttpSchemaRegistry::from_config(config).err().map(|error| error.key);
    let good = config("http://registry:8081".to_owned());
    assert!(HttpSchemaRegistry::from_config(&SchemaRegistryConfig::default()).unwrap().is_none());
    assert_eq!(key(&good), None);
    for url in ["registry:8081", "https://", "ftp://registry"] {
        assert_eq!(key(&config(url.to_owned())), Some("url"), "{url}");
    }
    type Spoil = fn(&mut SchemaRegistryConfig);
    let cases: [(&str, Spoil); 5] = [
        ("timeout", |c| c.timeout = HumanDuration::new(Duration::ZERO)),
        ("password", |c| c.username = Some("luminate".to_owned())),
        ("username", |c| c.password = Some(Secret::new("x").into())),
        ("caFile", |c| c.ca_file = Some("/nowhere".into())),
        ("caFile", |c| c.ca_file = Some("/dev/null".into())),
    ];
    for (expected, spoil) in cases {
        let mut config = good.clone();
        spoil(&mut config);
        assert_eq!(key(&config), Some(expected));
    }
}

#[test]
fn an_address_with_a_user_is_refused_and_not_repeated() {
    for url in ["http://user:hunter2@registry:8081", "https://hunter2@registry/path", "https://u:hunter2@registry?x=1"]
    {
        let Err(error) = HttpSchemaRegistry::from_config(&config(url.to_owned())) else { panic!("{url} is taken") };
        assert_eq!(error.key, "url");
        let told = error.to_string();
        assert!(told.contains("`username` and `password`") && !told.contains("hunter2"), "{told}");
    }
    assert!(HttpSchemaRegistry::from_config(&config("http://registry/a@b".to_owned())).is_ok());
}
