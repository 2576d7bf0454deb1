//! Errors as clients see them: `application/problem+json` (RFC 9457).

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
pub use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};
use serde::Serialize;
use serde_json::{Map, Value};

/// What `type` begins with: `/docs/errors#body_too_large`. A relative reference, because nobody knows the installation's name;
/// the page of that name in the docs lists every code.
const TYPE_PREFIX: &str = "/docs/errors#";

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A kind of problem: what the table of codes holds. Services define theirs with [`problem_types`](crate::problem_types).
#[derive(Debug, PartialEq, Eq)]
pub struct ProblemType {
    /// The stable code, snake_case.
    pub code: &'static str,
    /// The status of the answer.
    pub status: StatusCode,
    /// What is wrong, in a few words, the same for every occurrence.
    pub title: &'static str,
    /// What it means and what to do about it, for the docs.
    pub help: &'static str,
}

/// Defines the kinds of problems of a service: a constant for each, and `ALL` of them for the docs. One line each:
/// `NAME: STATUS "code", "title", "help";`
#[macro_export]
macro_rules! problem_types {
    ($($name:ident: $status:ident $code:literal, $title:literal, $help:literal;)*) => {
        $(
            #[doc = concat!("`", $code, "`: ", $title, ".")]
            pub const $name: $crate::http::ProblemType = $crate::http::ProblemType {
                code: $code,
                status: $crate::http::problem::StatusCode::$status,
                title: $title,
                help: $help,
            };
        )*

        /// All of them.
        pub const ALL: &[&$crate::http::ProblemType] = &[$(&$name),*];
    };
}

/// One occurrence of a problem. Return it from handlers.
// Boxed, because it stands in the `Err` of results that are nearly always `Ok`.
#[derive(Debug, Clone)]
pub struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    problem_type: &'static ProblemType,
    detail: Option<Cow<'static, str>>,
    instance: Option<String>,
    items: Vec<ProblemItem>,
    members: Map<String, Value>,
    headers: HeaderMap,
}

/// What is wrong with one item of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProblemItem {
    /// The item's position in the request, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The stable code.
    pub code: Cow<'static, str>,
    /// What is wrong with it.
    pub detail: String,
}

/// An extension of a response: the stable code of the error that it tells, in whatever form. The middleware counts it.
/// A [`Problem`] brings its own; answers in another API's form add it by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnsweredCode(pub &'static str);

impl Problem {
    /// A problem of this kind, with nothing more to say.
    #[must_use]
    pub fn new(problem_type: &'static ProblemType) -> Self {
        Self(Box::new(Parts {
            problem_type,
            detail: None,
            instance: None,
            items: Vec::new(),
            members: Map::new(),
            headers: HeaderMap::new(),
        }))
    }

    /// Says what is wrong this time: for the client, so nothing internal.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Says what is wrong with single items of the request: `errors`.
    #[must_use]
    pub fn items(mut self, items: Vec<ProblemItem>) -> Self {
        self.0.items = items;
        self
    }

    /// Adds a member of its own to the answer.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.members.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Says after how long a retry makes sense: whole seconds, at least one.
    #[must_use]
    pub fn retry_after(self, after: Duration) -> Self {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        self.header(RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// Names the occurrence, where it has no name yet. The middleware gives it the request's id.
    #[must_use]
    pub(super) fn instance(mut self, instance: String) -> Self {
        self.0.instance.get_or_insert(instance);
        self
    }

    /// The kind of the problem.
    #[must_use]
    pub fn problem_type(&self) -> &'static ProblemType {
        self.0.problem_type
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.problem_type.code
    }

    /// What is wrong this time, if it says so.
    #[must_use]
    pub fn detail_text(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    fn to_json(&self) -> Value {
        let Parts { problem_type, detail, instance, items, members, headers: _ } = &*self.0;
        // Last, so that a member of its own can hide none of these.
        let mut members = members.clone();
        let mut member = |name: &str, value: Value| members.insert(name.to_owned(), value);
        member("type", format!("{TYPE_PREFIX}{}", problem_type.code).into());
        member("title", problem_type.title.into());
        member("status", problem_type.status.as_u16().into());
        member("code", problem_type.code.into());
        if let Some(detail) = detail {
            member("detail", detail.as_ref().into());
        }
        if let Some(instance) = instance {
            member("instance", instance.as_str().into());
        }
        if !items.is_empty() {
            let items = items.iter().map(ProblemItem::to_json).collect();
            member("errors", Value::Array(items));
        }
        Value::Object(members)
    }
}

impl ProblemItem {
    fn to_json(&self) -> Value {
        let mut members = Map::new();
        if let Some(index) = self.index {
            members.insert("index".to_owned(), index.into());
        }
        members.insert("code".to_owned(), self.code.as_ref().into());
        members.insert("detail".to_owned(), self.detail.as_str().into());
        Value::Object(members)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.to_json().to_string()));
        *response.status_mut() = self.0.problem_type.status;
        *response.headers_mut() = self.0.headers.clone();
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
        response.extensions_mut().insert(AnsweredCode(self.code()));
        // For the middleware, which knows the request's id and writes the body again with it.
        response.extensions_mut().insert(std::sync::Arc::new(self));
        response
    }
}

/// The kinds of problems as a table for the docs: code, status, title, what to do.
#[must_use]
pub fn markdown(types: &[&ProblemType]) -> String {
    let mut page = String::from("| code | status | title | what it means |\n|---|---|---|---|\n");
    for ProblemType { code, status, title, help } in types {
        page.push_str(&format!("| <a id=\"{code}\"></a>`{code}` | {} | {title} | {help} |\n", status.as_u16()));
    }
    page
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::http::codes;

    async fn body_of(response: Response) -> Value {
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    #[tokio::test]
    async fn an_answer_has_the_members_of_rfc_9457_and_ours() {
        let problem = Problem::new(&codes::OVERLOADED)
            .detail("too much at once")
            .member("accepted", 3)
            .items(vec![ProblemItem { index: Some(7), code: "name_empty".into(), detail: "no name".to_owned() }])
            .retry_after(Duration::from_millis(1200));
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        assert_eq!(response.extensions().get(), Some(&AnsweredCode("overloaded")));
        assert_eq!(
            body_of(response).await,
            serde_json::json!({
                "type": "/docs/errors#overloaded", "title": codes::OVERLOADED.title, "status": 503, "code": "overloaded",
                "detail": "too much at once", "accepted": 3,
                "errors": [{"index": 7, "code": "name_empty", "detail": "no name"}],
            })
        );
    }

    #[tokio::test]
    async fn members_cannot_hide_the_code() {
        let problem = Problem::new(&codes::INTERNAL).member("code", "fine").member("status", 200);
        let body = body_of(problem.into_response()).await;
        assert_eq!(body["code"], "internal");
        assert_eq!(body["status"], 500);
    }

    #[test]
    fn a_retry_is_never_due_at_once() {
        let response = Problem::new(&codes::OVERLOADED).retry_after(Duration::ZERO).into_response();
        assert_eq!(response.headers()[RETRY_AFTER], "1");
    }

    #[test]
    fn the_docs_have_an_anchor_for_every_code() {
        let page = markdown(codes::ALL);
        for problem_type in codes::ALL {
            assert!(page.contains(&format!("<a id=\"{}\"></a>", problem_type.code)));
        }
    }
}
