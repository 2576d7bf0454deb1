//! The HTTP scaffold of every process.
//!
//! | module | holds |
//! |---|---|
//! | [`server`] | [`HttpServer`]: bind, serve, drain; deadlines and limits of connections |
//! | [`layers`] | the middleware of every route, as one list |
//! | [`problem`] | [`Problem`]: RFC 9457 answers, from [`ProblemType`]s |
//! | [`codes`] | the [`ProblemType`]s that all services share |
//! | [`auth`] | [`Authenticated`]: handlers receive the access that was checked |
//! | [`body`] | [`read_limited`]: a request's body under limits |
//! | [`budget`] | [`MemoryBudget`]: bytes that may be in flight |
//! | [`rate_limit`] | [`TenantRateLimiter`]: requests and samples per tenant and second |
//! | [`service`] | [`ServiceParts`]: what a service needs of the process around it |
//! | [`probes`] | the routes of health and metrics |
//! | [`starting`] | what a port answers while its process starts |
//! | [`api_document`] | the route of the document of all routes |

pub mod api_document;
pub mod auth;
pub mod body;
pub mod budget;
pub mod codes;
pub mod layers;
pub mod probes;
pub mod problem;
pub mod rate_limit;
pub mod server;
pub mod service;
pub mod starting;
mod unread;

pub use api_document::{OPENAPI_PATH, openapi_routes};
pub use auth::{Authenticated, Authenticator};
pub use body::{BodyLimits, LimitedBody, read_limited};
pub use budget::{BudgetExhausted, MemoryBudget, MemoryPermit};
pub use layers::{RequestId, with_standard_layers};
pub use probes::probe_routes;
pub use problem::{AnsweredCode, Problem, ProblemItem, ProblemType};
pub use rate_limit::{RateLimit, RateLimitRefusal, RateLimited, TenantRateLimiter};
pub use server::{BindError, Http2Config, HttpConfig, HttpServer};
pub use service::{ServiceParts, count_answers};
pub use starting::StartingPort;
