//! Aggregate functions in the server's words.

use luminate_storage::AggregateFunction;

use super::query::TenantQuery;
use super::table;

/// A call of one of the server's aggregate functions, which can be made at once or in two steps.
pub(super) struct Call {
    name: &'static str,
    /// In parentheses, or empty.
    parameters: String,
    arguments: String,
}

impl Call {
    /// The call whose result is the value of `function`.
    pub(super) fn of(function: &AggregateFunction, query: &mut TenantQuery<'_>) -> Self {
        let value = table::VALUE;
        let call = |name, arguments: String| Self { name, parameters: String::new(), arguments };
        match function {
            AggregateFunction::Avg => call("avg", value.to_owned()),
            AggregateFunction::Sum => call("sum", value.to_owned()),
            AggregateFunction::Min => call("min", value.to_owned()),
            AggregateFunction::Max => call("max", value.to_owned()),
            AggregateFunction::Count => call("count", String::new()),
            // Not the difference of two large squares.
            AggregateFunction::Stddev => call("stddevPopStable", value.to_owned()),
            AggregateFunction::Distinct { of: None } => call("uniqExact", table::DIMENSIONS.to_owned()),
            AggregateFunction::Distinct { of: Some(key) } => {
                let dimension = table::dimension(&query.text(key));
                call("uniqExactIf", format!("{dimension}, {dimension} != ''"))
            }
            // The largest value among those at the smallest (largest) time.
            AggregateFunction::First => call("maxArgMin", format!("{value}, {}", table::TIME)),
            AggregateFunction::Last => call("maxArgMax", format!("{value}, {}", table::TIME)),
            AggregateFunction::Percentile(percent) => {
                let level = query.number(percent / 100.0);
                let (name, parameters) = ("quantileExactInclusive", format!("({level})"));
                Self { name, parameters, arguments: value.to_owned() }
            }
        }
    }

    /// The value over the rows of a group.
    pub(super) fn value(&self) -> String {
        format!("toFloat64({}{}({}))", self.name, self.parameters, self.arguments)
    }

    /// What of the rows of a group its value can be computed from later, alone or with that of other rows.
    pub(super) fn state(&self) -> String {
        format!("{}State{}({})", self.name, self.parameters, self.arguments)
    }

    /// The value over the rows of all states `state` of a group.
    pub(super) fn merged(&self, state: &str) -> String {
        format!("toFloat64({}Merge{}({state}))", self.name, self.parameters)
    }
}

/// The value over the rows of one state.
pub(super) fn value_of_state(state: &str) -> String {
    format!("toFloat64(finalizeAggregation({state}))")
}
