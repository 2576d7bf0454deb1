//! One tenant's view of a server.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

use crate::observed;

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub bytes: Vec<u8>,
}

impl Answer {
    /// An answer that came; its codes are noted.
    pub fn new(status: u16, headers: BTreeMap<String, String>, bytes: Vec<u8>) -> Self {
        let answer = Self { status, headers, bytes };
        observed::note(&answer);
        answer
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or(Value::Null)
    }

    /// The code of a problem.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// Speaks HTTP with a server for one token.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    url: String,
    token: String,
}

impl Client {
    pub fn new(url: &str, token: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_global(Some(Duration::from_secs(120)));
        Self { agent: config.build().new_agent(), url: url.to_owned(), token: token.to_owned() }
    }

    /// Sends a request with the token. `Err` where no answer came: whether it was carried out is unknown.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, ureq::Error> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        if !self.token.is_empty() {
            request = request.header("Authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = self.agent.run(request.body(body).expect("a request"))?;
        let headers = response.headers().iter();
        let headers =
            headers.map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned())).collect();
        let bytes = response.body_mut().with_config().limit(1 << 30).read_to_vec()?;
        Ok(Answer::new(response.status().as_u16(), headers, bytes))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"").expect("an answer")
    }

    pub fn post_json(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Result<Answer, ureq::Error> {
        let headers = [&[("Content-Type", "application/json")], headers].concat();
        self.send("POST", path, &headers, body.to_string().as_bytes())
    }

    /// Writes samples; `Err` where no answer came.
    pub fn write(&self, body: &Value) -> Result<Answer, ureq::Error> {
        self.post_json("/api/v1/write", &[], body)
    }

    /// Writes samples, all of which must be accepted; returns the receipt.
    pub fn write_all(&self, body: &Value) -> String {
        let answer = self.write(body).expect("an answer");
        let json = answer.json();
        assert_eq!(answer.status, 202, "{json}");
        assert_eq!(json["rejected"], 0, "{json}");
        json["receipt"].as_str().expect("a receipt").to_owned()
    }

    /// Asks a query, which must be answered, once the store has passed `receipt` (where one is given).
    pub fn query(&self, receipt: Option<&str>, body: &Value) -> Value {
        let headers: Vec<_> = receipt.iter().map(|receipt| ("X-Luminate-Receipt", *receipt)).collect();
        let answer = self.post_json("/api/v1/query", &headers, body).expect("an answer");
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.bytes));
        answer.json()
    }

    /// How many samples of `metric` there are, in all time.
    pub fn count(&self, receipt: Option<&str>, metric: &str) -> u64 {
        let body = json!({
            "queryType": "aggregate", "metricName": metric, "aggregation": "count",
            "timeRange": {"start": 0, "end": 4_102_444_800_000_i64},
        });
        let answer = self.query(receipt, &body);
        answer["results"][0]["value"].as_f64().unwrap_or_default() as u64
    }

    /// All samples of `metric` in all time, by pages.
    pub fn raw(&self, receipt: Option<&str>, metric: &str) -> Vec<Value> {
        let mut body = json!({
            "queryType": "raw", "metricName": metric, "limit": 10_000,
            "timeRange": {"start": 0, "end": 4_102_444_800_000_i64},
        });
        let mut samples = Vec::new();
        loop {
            let mut answer = self.query(receipt, &body);
            let page = answer["samples"].as_array_mut().expect("samples");
            samples.append(page);
            if answer["cursor"].is_null() {
                return samples;
            }
            body["cursor"] = answer["cursor"].take();
        }
    }

    /// How often each value of dimension `key` occurs among the samples of `metric`.
    pub fn count_by(&self, receipt: Option<&str>, metric: &str, key: &str) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for sample in self.raw(receipt, metric) {
            *counts.entry(sample["dimensions"][key].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        counts
    }
}
