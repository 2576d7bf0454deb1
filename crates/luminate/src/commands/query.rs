//! `luminate query`

use std::fs;
use std::io::{self, Read as _};

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use luminate_query::request::parse_duration;
use serde_json::{Map, Value, json};

use crate::client::Connection;
use crate::client::answers::QueryAnswer;
use crate::failure::CommandFailure;
use crate::output;
use crate::render::{plot, query_table, table, time};

/// The largest request that is read, in bytes.
const MAX_REQUEST_BYTES: u64 = 16 * 1024 * 1024;

/// Ask for samples, or what they add up to
#[derive(Debug, Args)]
#[command(after_help = "\
A request is given by flags, or whole as JSON (POST /api/v1/query in the API's documentation).

A filter is KEY=VALUE, KEY!=VALUE, KEY=~REGEX (anchored), KEY^=PREFIX, KEY (the dimension is there) or !KEY (it is not).

Example:
  luminate query --metric http_response_bytes --aggregation p95 --group-by status --last 24h
  luminate query --metric api_latency -a avg --filter endpoint^=/api/ --step 5m --last 2h --plot
  luminate query --metric api_latency --raw --filter customer=c17 --start 2025-01-01 --end 2025-01-02
  luminate query '{\"queryType\":\"aggregate\",\"metricName\":\"m\",\"aggregation\":\"sum\",\"timeRange\":{\"relative\":\"1h\"}}'")]
pub(crate) struct QueryArgs {
    /// The request as JSON, a file that holds it, or - for standard input
    #[arg(value_name = "REQUEST", conflicts_with_all = ["metric", "raw"])]
    request: Option<String>,

    #[command(flatten)]
    flags: QueryFlags,

    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,

    /// Draw the answer: bars for groups, a chart over time with --step
    #[arg(long, conflicts_with_all = ["json", "raw"])]
    plot: bool,

    /// Answer only once what this receipt of a write request stands for can be read
    #[arg(long, value_name = "RECEIPT")]
    receipt: Option<String>,

    #[command(flatten)]
    connection: Connection,
}

/// The request as flags.
#[derive(Debug, Args)]
#[command(next_help_heading = "Request")]
struct QueryFlags {
    /// The metric
    #[arg(long, short, value_name = "NAME", required_unless_present = "request")]
    metric: Option<String>,

    /// avg, sum, min, max, count, stddev, distinct, first, last, or a percentile such as p95
    #[arg(long, short, value_name = "NAME", default_value = "avg", conflicts_with_all = ["raw", "request"])]
    aggregation: String,

    /// The dimension whose values `distinct` counts, in place of series
    #[arg(long, value_name = "KEY", conflicts_with = "request")]
    of: Option<String>,

    /// The samples themselves
    #[arg(long)]
    raw: bool,

    /// Dimensions that make the groups, separated by commas
    #[arg(long, short, value_name = "KEYS", value_delimiter = ',', conflicts_with_all = ["raw", "request"])]
    group_by: Vec<String>,

    /// A condition that samples must meet; may be given several times
    #[arg(long, short, value_name = "FILTER", value_parser = parse_filter, conflicts_with = "request")]
    filter: Vec<Value>,

    /// The time up to now: 30s, 5m, 24h, 7d, 2w [default: 1h, where no --start is given]
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["start", "end", "request"])]
    last: Option<String>,

    /// From this time on (RFC 3339, a date, or ms since 1970)
    #[arg(long, value_name = "TIME", value_parser = time::parse_instant, conflicts_with = "request")]
    start: Option<i64>,

    /// Up to this time, which is outside [default: now]
    #[arg(long, value_name = "TIME", value_parser = time::parse_instant, requires = "start", conflicts_with = "request")]
    end: Option<i64>,

    /// A value for each stretch of this length
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["raw", "request"])]
    step: Option<String>,

    /// Where steps lie: on multiples since 1970, or on the start of the range
    #[arg(long, value_enum, requires = "step", conflicts_with = "request")]
    align: Option<Align>,

    /// What groups are ordered by
    #[arg(long, value_enum, conflicts_with_all = ["raw", "request"])]
    order_by: Option<OrderBy>,

    /// Which way [default: asc by group, desc by value]
    #[arg(long, value_enum, conflicts_with_all = ["raw", "request"])]
    order: Option<Order>,

    /// At most this many groups, or raw samples
    #[arg(long, short, value_name = "N", conflicts_with = "request")]
    limit: Option<u64>,

    /// Where the answer before went on, for raw samples
    #[arg(long, value_name = "CURSOR", requires = "raw")]
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Align {
    Epoch,
    Start,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OrderBy {
    Group,
    Value,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Order {
    Asc,
    Desc,
}

pub(crate) fn run(args: &QueryArgs) -> Result<(), CommandFailure> {
    let client = args.connection.client("read")?;
    let request = match &args.request {
        Some(given) => read_request(given)?,
        None => args.flags.request()?,
    };
    let body = request.to_string();
    let receipt = args.receipt.as_deref().map(|receipt| ("X-Luminate-Receipt", receipt));
    let headers: Vec<(&str, &str)> = receipt.into_iter().collect();
    let answer = client.post("/api/v1/query", "application/json", body.as_bytes(), &headers)?;
    if args.json {
        return output::data(&answer.text());
    }
    show(&answer.read()?, &request, args.plot)
}

fn show(answer: &QueryAnswer, request: &Value, as_plot: bool) -> Result<(), CommandFailure> {
    let group_by = strings(request.get("groupBy"));
    let value_name = request.get("aggregation").and_then(Value::as_str).unwrap_or("value");
    let is_empty = answer.results.is_empty() && answer.samples.as_ref().is_none_or(Vec::is_empty);
    if is_empty {
        output::message("no samples match: look at `luminate metrics` and at the time range");
    } else if as_plot {
        // The server has read it as well.
        let step = request.get("step").and_then(Value::as_str).and_then(|step| parse_duration(step).ok());
        output::data(&plot::draw(&answer.results, &group_by, step, table::terminal_width()))?;
    } else {
        output::data(&query_table::of_answer(answer, &group_by, value_name).to_string())?;
    }
    if let Some(stats) = &answer.stats {
        output::message(&query_table::cost(stats));
    }
    match (&answer.cursor, answer.truncated) {
        (Some(cursor), _) => output::message(&format!("there are more: go on with --cursor {cursor}")),
        (None, true) => output::message("the limit left groups out"),
        (None, false) => {}
    }
    Ok(())
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A request in the argument itself, in a file, or on standard input.
fn read_request(given: &str) -> Result<Value, CommandFailure> {
    let text = if given.trim_start().starts_with('{') {
        given.to_owned()
    } else if given == "-" {
        let mut text = String::new();
        io::stdin().take(MAX_REQUEST_BYTES).read_to_string(&mut text).context("cannot read the request")?;
        text
    } else {
        let size = fs::metadata(given).with_context(|| format!("cannot read the request from {given}"))?.len();
        if size > MAX_REQUEST_BYTES {
            return Err(anyhow!("{given} is larger than {MAX_REQUEST_BYTES} bytes").into());
        }
        fs::read_to_string(given).with_context(|| format!("cannot read the request from {given}"))?
    };
    Ok(serde_json::from_str(&text).context("the request is not JSON")?)
}

impl QueryFlags {
    fn request(&self) -> Result<Value, CommandFailure> {
        let mut request = Map::new();
        let mut set = |key: &str, value: Option<Value>| value.and_then(|value| request.insert(key.to_owned(), value));
        set("queryType", Some(json!(if self.raw { "raw" } else { "aggregate" })));
        set("metricName", self.metric.as_ref().map(|metric| json!(metric)));
        set("timeRange", Some(self.time_range()?));
        set("filters", (!self.filter.is_empty()).then(|| json!(self.filter)));
        set("aggregation", (!self.raw).then(|| json!(self.aggregation)));
        set("of", self.of.as_ref().map(|of| json!(of)));
        set("groupBy", (!self.group_by.is_empty()).then(|| json!(self.group_by)));
        set("step", self.step.as_ref().map(|step| json!(step)));
        set(
            "align",
            self.align.map(|align| {
                json!(match align {
                    Align::Epoch => "epoch",
                    Align::Start => "start",
                })
            }),
        );
        set(
            "orderBy",
            self.order_by.map(|by| {
                json!(match by {
                    OrderBy::Group => "group",
                    OrderBy::Value => "value",
                })
            }),
        );
        set(
            "order",
            self.order.map(|order| {
                json!(match order {
                    Order::Asc => "asc",
                    Order::Desc => "desc",
                })
            }),
        );
        set("limit", self.limit.map(|limit| json!(limit)));
        set("cursor", self.cursor.as_ref().map(|cursor| json!(cursor)));
        Ok(Value::Object(request))
    }

    fn time_range(&self) -> Result<Value, CommandFailure> {
        let Some(start) = self.start else {
            return Ok(json!({ "relative": self.last.as_deref().unwrap_or("1h") }));
        };
        let end = match self.end {
            Some(end) => end,
            None => now_ms().context("the clock stands before 1970")?,
        };
        if end <= start {
            return Err(CommandFailure::Usage("the time range is empty: --end is not after --start".to_owned()));
        }
        Ok(json!({ "start": start, "end": end }))
    }
}

fn now_ms() -> Result<i64, anyhow::Error> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(i64::try_from(since.as_millis())?)
}

/// Reads a filter as people write it. The first operator counts, so that values may hold any character.
fn parse_filter(text: &str) -> Result<Value, String> {
    let operators = [("!=", "ne"), ("=~", "regex"), ("^=", "prefix"), ("=", "eq")];
    let found = operators.iter().filter_map(|(sign, op)| Some((text.find(sign)?, *sign, *op)));
    // At one place the longer sign counts; it stands first in the list, and `min_by_key` keeps the first of equals.
    let Some((at, sign, op)) = found.min_by_key(|(at, _, _)| *at) else {
        let (key, exists) = text.strip_prefix('!').map_or((text, true), |key| (key, false));
        if key.is_empty() {
            return Err("the filter names no dimension".to_owned());
        }
        return Ok(json!({ "dimension": key, "op": "exists", "value": exists }));
    };
    let (key, value) = (&text[..at], &text[at + sign.len()..]);
    if key.is_empty() {
        return Err(format!("the filter names no dimension before {sign}"));
    }
    Ok(json!({ "dimension": key, "op": op, "value": value }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: QueryArgs,
    }

    fn request(line: &[&str]) -> Value {
        let line = Line::try_parse_from(std::iter::once("query").chain(line.iter().copied())).unwrap();
        line.args.flags.request().unwrap()
    }

    #[test]
    fn filters_are_told_by_their_first_operator() {
        let filter = |text: &str| {
            let filter = parse_filter(text).unwrap();
            let value = filter["value"].as_str().map_or_else(|| filter["value"].to_string(), str::to_owned);
            format!("{} {} {value}", filter["dimension"].as_str().unwrap(), filter["op"].as_str().unwrap())
        };
        assert_eq!(filter("a=b"), "a eq b");
        assert_eq!(filter("a="), "a eq ");
        assert_eq!(filter("a!=b=c"), "a ne b=c");
        assert_eq!(filter("a=b!=c"), "a eq b!=c");
        assert_eq!(filter("a=~b.*"), "a regex b.*");
        assert_eq!(filter("path^=/api/?x=1"), "path prefix /api/?x=1");
        assert_eq!(filter("a"), "a exists true");
        assert_eq!(filter("!a"), "a exists false");
        for bad in ["", "!", "=b", "!=b"] {
            assert!(parse_filter(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn flags_become_the_request() {
        let wanted = json!({
            "queryType": "aggregate", "metricName": "m", "timeRange": {"relative": "24h"},
            "filters": [{"dimension": "e", "op": "eq", "value": "/x"}],
            "aggregation": "p95", "groupBy": ["a", "b"], "step": "5m", "orderBy": "value", "limit": 10,
        });
        let given = "-m m -a p95 -g a,b -f e=/x --step 5m --order-by value --limit 10 --last 24h";
        assert_eq!(request(&given.split(' ').collect::<Vec<_>>()), wanted);
        let raw = request(&["-m", "m", "--raw", "--start", "2024-12-31", "--end", "1735603200001"]);
        assert_eq!(raw["timeRange"], json!({"start": 1_735_603_200_000_i64, "end": 1_735_603_200_001_i64}));
        assert!(raw.get("aggregation").is_none());
        assert_eq!(request(&["-m", "m"])["timeRange"], json!({"relative": "1h"}));
    }

    #[test]
    fn what_makes_no_sense_together_is_refused() {
        for line in ["", "-m m --raw -a sum", "-m m --end 5", "{} -m m", "-m m --raw --plot", "-m m --align start"] {
            let words = std::iter::once("query").chain(line.split(' ').filter(|word| !word.is_empty()));
            assert!(Line::try_parse_from(words).is_err(), "{line}");
        }
    }
}
