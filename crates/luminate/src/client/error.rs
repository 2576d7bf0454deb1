//! What can go wrong between a command and the server.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Deserialize;

/// Errors of a problem that are shown to people.
const SHOWN_ERRORS: usize = 5;

/// Why the server did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// No answer came.
    #[error("cannot reach {url}: {reason}; is Luminate running there? LUMINATE_URL or --url name another address")]
    Unreachable {
        /// The server's address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// No token was given.
    #[error(
        "no token: set LUMINATE_TOKEN or give --token-file FILE; where the server's secret is at hand, \
         `export LUMINATE_TOKEN=$(luminate token --tenant NAME --scopes {scopes})` makes one"
    )]
    NoToken {
        /// The scopes that the command needs, separated by commas.
        scopes: &'static str,
    },
    /// The token file cannot be used.
    #[error("the token file {path} cannot be used: {reason}")]
    TokenFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The address is no URL.
    #[error("{url:?} is not the address of a server: it looks like http://127.0.0.1:8080")]
    BadUrl {
        /// What was given.
        url: String,
    },
    /// The server answered with an error.
    #[error("{}{}", .problem.for_people(), advice(*.status, &.problem.code))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// When to try again, where the server said so.
        retry_after: Option<Duration>,
        /// What the server said.
        problem: Box<Problem>,
    },
    /// The server answers, and says that it is not all right.
    #[error("the server at {url} is {status}")]
    NotWell {
        /// The server's address.
        url: String,
        /// What it says it is.
        status: String,
    },
    /// The answer is not what the API promises.
    #[error("{url} answered something that is not an answer of this API: {reason}; is it a Luminate server?")]
    NotUnderstood {
        /// The server's address.
        url: String,
        /// What was wrong with it.
        reason: String,
    },
}

/// An error as the server tells it (RFC 9457).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    /// The error in a few words.
    pub(crate) title: String,
    /// What is wrong in this request.
    pub(crate) detail: Option<String>,
    /// The stable code.
    pub(crate) code: String,
    /// What is wrong with single samples.
    pub(crate) errors: Vec<ItemError>,
}

/// What is wrong with one sample of a request.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ItemError {
    /// Which one, from 0.
    pub(crate) index: Option<u64>,
    /// The stable code.
    pub(crate) code: String,
    /// A sentence for people.
    #[serde(default)]
    pub(crate) detail: String,
}

impl ClientError {
    /// Whether what was asked may have been done all the same.
    pub(crate) fn leaves_doubt(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NotUnderstood { .. } => true,
            // A server that refuses with 503 may have stored some of a request's records.
            Self::Refused { status, .. } => *status >= 500,
            Self::NoToken { .. } | Self::TokenFile { .. } | Self::BadUrl { .. } | Self::NotWell { .. } => false,
        }
    }

    /// The exit code; `luminate --help` lists them.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } => 3,
            Self::NoToken { .. } | Self::TokenFile { .. } | Self::Refused { status: 401 | 403, .. } => 4,
            Self::BadUrl { .. } => 2,
            Self::Refused { .. } | Self::NotWell { .. } | Self::NotUnderstood { .. } => 1,
        }
    }
}

/// What to do about a refused token; the problem itself says what to do about the rest.
fn advice(status: u16, code: &str) -> &'static str {
    match status {
        404 if code == "not_found" => {
            "; in a cluster LUMINATE_URL names the port in front of gateways and query-apis, LUMINATE_ADMIN_URL a writer"
        }
        401 | 403 => "; where the server's secret is at hand, `luminate token` makes another token",
        _ => "",
    }
}

impl Problem {
    /// What an answer says that carries no problem.
    pub(crate) fn of_status(status: u16, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        let detail = (!text.is_empty()).then(|| text.chars().take(200).collect());
        Self { title: format!("the server answered HTTP {status}"), detail, ..Self::default() }
    }

    /// One to a few lines.
    pub(crate) fn for_people(&self) -> String {
        let mut text = match &self.detail {
            Some(detail) if !detail.is_empty() => detail.clone(),
            _ => self.title.clone(),
        };
        if !self.code.is_empty() {
            // Writing to a String cannot fail, here and below.
            let _ = write!(text, " ({})", self.code);
        }
        for error in self.errors.iter().take(SHOWN_ERRORS) {
            text.push_str("\n  ");
            if let Some(index) = error.index {
                let _ = write!(text, "sample {index}: ");
            }
            let _ = write!(text, "{} ({})", error.detail, error.code);
        }
        if self.errors.len() > SHOWN_ERRORS {
            let _ = write!(text, "\n  and {} more", self.errors.len() - SHOWN_ERRORS);
        }
        text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_with_its_code_and_first_errors() {
        let problem: Problem = serde_json::from_str(
            r#"{"type":"/docs/errors#nothing_valid","title":"Nothing valid","status":400,"code":"nothing_valid","detail":"no sample is valid",
                "errors":[{"index":3,"code":"value_not_finite","detail":"value must be a finite number"}]}"#,
        )
        .unwrap();
        assert_eq!(
            problem.for_people(),
            "no sample is valid (nothing_valid)\n  sample 3: value must be a finite number (value_not_finite)"
        );
    }

    #[test]
    fn refusals_of_the_token_have_a_code_and_advice_of_their_own() {
        for (status, code) in [(401, 4), (403, 4), (400, 1), (503, 1)] {
            let refused = ClientError::Refused { status, retry_after: None, problem: Box::default() };
            let advises = refused.to_string().contains("luminate token");
            assert_eq!((refused.exit_code(), advises), (code, code == 4), "{status}");
        }
    }
}
