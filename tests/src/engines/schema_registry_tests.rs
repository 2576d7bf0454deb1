//! The registry speaks as the documentation of schema registries says, and misbehaves when told.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::Agent;

use super::{Behaviour, SchemaRegistry};

const SCHEMA: &str = r#"{"type":"string"}"#;

fn agent() -> Agent {
    Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent()
}

fn get(registry: &SchemaRegistry, path: &str) -> Result<(u16, Value), ureq::Error> {
    let mut answer = agent().get(format!("{}{path}", registry.url())).call()?;
    Ok((answer.status().as_u16(), answer.body_mut().read_json()?))
}

fn post(registry: &SchemaRegistry, path: &str, body: &Value) -> (u16, Value) {
    let mut answer = agent().post(format!("{}{path}", registry.url())).send_json(body).expect("an answer");
    (answer.status().as_u16(), answer.body_mut().read_json().expect("JSON"))
}

#[test]
fn a_registered_schema_is_found_by_its_id() {
    let registry = SchemaRegistry::start();
    let (status, answer) = post(&registry, "/subjects/samples-value/versions", &json!({"schema": SCHEMA}));
    assert_eq!((status, &answer), (200, &json!({"id": 1})));
    assert_eq!(registry.register("other-value", SCHEMA), 1, "the same schema has the same id under every subject");
    assert_eq!(registry.register("other-value", r#"{"type":"long"}"#), 2);

    assert_eq!(get(&registry, "/schemas/ids/1").expect("an answer"), (200, json!({"schema": SCHEMA})));
    let (status, answer) = get(&registry, "/schemas/ids/3").expect("an answer");
    assert_eq!((status, &answer["error_code"]), (404, &json!(40403)));
    let (status, answer) = post(&registry, "/subjects/samples-value/versions", &json!({"schema": 1}));
    assert_eq!((status, &answer["error_code"]), (422, &json!(42201)));
    assert_eq!(registry.requests(), 4);
}

#[test]
fn it_fails_is_slow_hangs_up_and_goes_away_when_told() {
    let registry = SchemaRegistry::start();
    registry.register("samples-value", SCHEMA);
    registry.behave(Behaviour::Fail(500));
    assert_eq!(get(&registry, "/schemas/ids/1").expect("an answer").0, 500);

    let delay = Duration::from_millis(300);
    registry.behave(Behaviour::Slow(delay));
    let began = Instant::now();
    assert_eq!(get(&registry, "/schemas/ids/1").expect("an answer").0, 200);
    assert!(began.elapsed() >= delay);

    registry.behave(Behaviour::HangUp);
    assert!(get(&registry, "/schemas/ids/1").is_err());

    registry.behave(Behaviour::Answer);
    registry.go_away();
    assert!(get(&registry, "/schemas/ids/1").is_err());
    registry.come_back();
    assert_eq!(get(&registry, "/schemas/ids/1").expect("an answer").0, 200);
}
