//! What there is to query: metrics, dimensions and their values, with the number of their samples.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::{HeaderMap, Uri};
use luminate_auth::ReadAccess;
use luminate_model::TenantId;
use luminate_model::time::{END_TIMESTAMP, MIN_TIMESTAMP};
use luminate_model::validation::SampleLimits;
use luminate_query::request::parse_instant;
use luminate_query::{QueryError, Stats};
use luminate_runtime::http::{Authenticated, Problem};
use luminate_storage::{CatalogueEntry, CataloguePage, CatalogueRequest, QueryContext, StorageError};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problems;
use crate::receipt::await_receipts;
use crate::render;
use crate::service::QueryService;

/// What a page of the catalogue is asked by.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CatalogueParams {
    /// Only dimensions or values of this metric. `/api/v1/metrics` does not take it.
    metric: Option<String>,
    /// Only names that begin with this.
    prefix: Option<String>,
    /// Only of samples from this time on: ms since 1970, or RFC 3339.
    start: Option<String>,
    /// Only of samples before this time: ms since 1970, or RFC 3339.
    end: Option<String>,
    /// Most names to answer.
    #[param(value_type = Option<u32>, minimum = 1)]
    limit: Option<String>,
    /// Only names after this one, in the order of their bytes: the last name of the page before.
    after: Option<String>,
}

/// The metrics of a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct MetricsPage {
    /// Names, ascending by their bytes.
    metrics: Vec<NamedCount>,
    /// Page and cost.
    #[serde(flatten)]
    page: PageFoot,
}

/// The dimensions of a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct DimensionsPage {
    /// Keys, ascending by their bytes.
    dimensions: Vec<KeyCount>,
    /// Page and cost.
    #[serde(flatten)]
    page: PageFoot,
}

/// The values of a dimension.
#[derive(Debug, Serialize, ToSchema)]
pub struct ValuesPage {
    /// Values, ascending by their bytes.
    values: Vec<ValueCount>,
    /// Page and cost.
    #[serde(flatten)]
    page: PageFoot,
}

/// What every page of the catalogue says.
#[derive(Debug, Serialize, ToSchema)]
pub struct PageFoot {
    /// Whether the limit left names out.
    truncated: bool,
    /// The receipt of everything that was readable when the query began.
    watermark: Option<String>,
    /// What it cost.
    #[schema(value_type = crate::openapi::StatsBody)]
    stats: Stats,
}

/// A metric.
#[derive(Debug, Serialize, ToSchema)]
pub struct NamedCount {
    /// The metric's name.
    name: String,
    /// Its samples.
    samples: u64,
}

/// A dimension.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyCount {
    /// The dimension's key.
    key: String,
    /// Samples that have it.
    samples: u64,
}

/// A dimension's value.
#[derive(Debug, Serialize, ToSchema)]
pub struct ValueCount {
    /// The value.
    value: String,
    /// Samples that have it.
    samples: u64,
}

#[utoipa::path(
    get, path = "/api/v1/metrics", operation_id = "metrics_of_tenant", tag = "catalogue",
    summary = "The tenant's metrics",
    params(CatalogueParams, crate::openapi::ReceiptHeaders),
    responses(
        (status = 200, description = "The metrics", body = MetricsPage),
        (status = "default", description = "An error", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn metrics(
    Authenticated(access): Authenticated<ReadAccess>,
    State(service): State<QueryService>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let params = params(&uri)?;
    if params.metric.is_some() {
        return Err(invalid("metric belongs to the paths of dimensions".to_owned()));
    }
    let (entries, page) = ask(&service, access.tenant(), &headers, &params, Asked::Metrics).await?;
    let metrics = entries.into_iter().map(|CatalogueEntry { name, samples }| NamedCount { name, samples }).collect();
    render::json(MetricsPage { metrics, page }, false).await
}

#[utoipa::path(
    get, path = "/api/v1/dimensions", operation_id = "dimensions", tag = "catalogue",
    summary = "The keys of the tenant's dimensions",
    params(CatalogueParams, crate::openapi::ReceiptHeaders),
    responses(
        (status = 200, description = "The keys", body = DimensionsPage),
        (status = "default", description = "An error", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn dimensions(
    Authenticated(access): Authenticated<ReadAccess>,
    State(service): State<QueryService>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    let params = params(&uri)?;
    let (entries, page) = ask(&service, access.tenant(), &headers, &params, Asked::Keys).await?;
    let dimensions =
        entries.into_iter().map(|CatalogueEntry { name, samples }| KeyCount { key: name, samples }).collect();
    render::json(DimensionsPage { dimensions, page }, false).await
}

#[utoipa::path(
    get, path = "/api/v1/dimensions/{key}/values", operation_id = "dimension_values", tag = "catalogue",
    summary = "The values of a dimension",
    params(
        ("key" = String, Path, description = "The dimension's key, percent-encoded"),
        CatalogueParams,
        crate::openapi::ReceiptHeaders,
    ),
    responses(
        (status = 200, description = "The values", body = ValuesPage),
        (status = "default", description = "An error", body = crate::openapi::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn dimension_values(
    Authenticated(access): Authenticated<ReadAccess>,
    State(service): State<QueryService>,
    headers: HeaderMap,
    key: Result<Path<String>, axum::extract::rejection::PathRejection>,
    uri: Uri,
) -> Result<Response, Problem> {
    let Path(key) = key.map_err(|_| invalid("the dimension's key is not UTF-8".to_owned()))?;
    check_size("the dimension's key", key.len(), SampleLimits::RECORD.dimension_key_bytes)?;
    let params = params(&uri)?;
    let (entries, page) = ask(&service, access.tenant(), &headers, &params, Asked::Values(&key)).await?;
    let values =
        entries.into_iter().map(|CatalogueEntry { name, samples }| ValueCount { value: name, samples }).collect();
    render::json(ValuesPage { values, page }, false).await
}

/// Which names are asked for.
#[derive(Clone, Copy)]
enum Asked<'a> {
    Metrics,
    Keys,
    Values(&'a str),
}

fn params(uri: &Uri) -> Result<CatalogueParams, Problem> {
    let Query(params) = Query::<CatalogueParams>::try_from_uri(uri).map_err(|error| invalid(error.body_text()))?;
    let sizes = [("metric", &params.metric), ("prefix", &params.prefix), ("after", &params.after)];
    for (name, value) in sizes {
        check_size(name, value.as_ref().map_or(0, String::len), SampleLimits::RECORD.dimension_value_bytes)?;
    }
    Ok(params)
}

async fn ask(
    service: &QueryService,
    tenant: &TenantId,
    headers: &HeaderMap,
    params: &CatalogueParams,
    asked: Asked<'_>,
) -> Result<(Vec<CatalogueEntry>, PageFoot), Problem> {
    let state = service.state();
    state.rate_limit.count(tenant)?;
    let mut request = request(service, tenant, params)?;
    await_receipts(headers, state.source.as_ref(), &state.config).await?;
    let _admitted = state.admission.admit(tenant).await?;
    request.as_of = (state.clock)();
    let context = QueryContext::new(state.config.query_limits());
    let work = async {
        let stop_when_dropped = context.cancel_on_drop();
        let watermark = luminate_query::watermark(state.source.as_ref()).await?;
        let page = match asked {
            Asked::Metrics => state.source.metrics(&request, &context).await?,
            Asked::Keys => state.source.dimension_keys(&request, &context).await?,
            Asked::Values(key) => state.source.dimension_values(key, &request, &context).await?,
        };
        stop_when_dropped.disarm();
        Ok::<_, StorageError>((page, watermark))
    };
    let (CataloguePage { entries, truncated }, watermark) = service.run(&context, work).await?;
    Ok((entries, PageFoot { truncated, watermark, stats: Stats::of(&context) }))
}

fn request(service: &QueryService, tenant: &TenantId, params: &CatalogueParams) -> Result<CatalogueRequest, Problem> {
    let state = service.state();
    let limits = &state.request_limits;
    let limit = match &params.limit {
        None => limits.default_samples,
        Some(text) => match text.parse::<usize>() {
            Ok(limit) if (1..=limits.rows).contains(&limit) => limit,
            Ok(limit) if limit > 0 => {
                let (size, limit) = (limit as u64, limits.rows as u64);
                let error = QueryError::TooLarge { field: "limit".to_owned(), unit: "rows", size, limit };
                return Err(problems::of_query_error(&error));
            }
            _ => return Err(invalid(format!("limit: expected a whole number from 1 to {}", limits.rows))),
        },
    };
    let mut request = CatalogueRequest::new(tenant.clone(), limit, 0);
    request.metric.clone_from(&params.metric);
    request.prefix = params.prefix.clone().unwrap_or_default();
    request.after.clone_from(&params.after);
    request.retention = state.retention.of(tenant);
    if let Some(start) = &params.start {
        request.time.start = instant("start", start)?;
    }
    if let Some(end) = &params.end {
        request.time.end = instant("end", end)?;
    }
    if request.time.is_empty() {
        return Err(Problem::new(&problems::TIME_RANGE_INVALID).detail("end must be after start"));
    }
    Ok(request)
}

fn instant(name: &str, text: &str) -> Result<i64, Problem> {
    let instant = text.parse().ok().or_else(|| parse_instant(text));
    match instant {
        Some(instant) if (MIN_TIMESTAMP..=END_TIMESTAMP).contains(&instant) => Ok(instant),
        _ => {
            let detail = format!("{name}: expected ms since 1970 or a time as in RFC 3339, of the years 1900 to 2299");
            Err(Problem::new(&problems::TIME_RANGE_INVALID).detail(detail))
        }
    }
}

fn check_size(name: &str, size: usize, limit: usize) -> Result<(), Problem> {
    if size <= limit {
        return Ok(());
    }
    let (size, limit) = (size as u64, limit as u64);
    Err(problems::of_query_error(&QueryError::TooLarge { field: name.to_owned(), unit: "bytes", size, limit }))
}

fn invalid(detail: String) -> Problem {
    Problem::new(&problems::QUERY_FIELD_INVALID).detail(detail)
}
