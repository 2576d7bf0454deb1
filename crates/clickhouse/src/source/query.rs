//! SQL over one tenant's samples.
//!
//! A query begins with the tenant, and every selection from the table carries its condition: there is no way to make one
//! without. Whatever comes from a request is a parameter; the text of a query tells its shape alone.

use luminate_model::TenantId;

use super::table::{self, Table};
use crate::client::Statement;
use crate::client::statement::{PARAMETER_BYTES, lists};

/// What is asked of one tenant's samples.
pub(super) struct TenantQuery<'t> {
    table: &'t Table,
    tenant: TenantId,
    conditions: Vec<String>,
    parameters: Vec<Parameter>,
}

/// SQL that selects from a tenant's samples. Only [`TenantQuery::select`] makes one.
pub(super) struct Selection(String);

enum Parameter {
    Text(String),
    Texts(Vec<String>),
    Integer(i64),
    Integers(Vec<i64>),
    Number(f64),
}

impl<'t> TenantQuery<'t> {
    pub(super) fn of(table: &'t Table, tenant: &TenantId) -> Self {
        let mut query = Self { table, tenant: tenant.clone(), conditions: Vec::new(), parameters: Vec::new() };
        let name = query.text(tenant.as_str());
        query.require(format!("{} = {name}", table::TENANT));
        query
    }

    /// A condition that all samples must meet.
    pub(super) fn require(&mut self, condition: String) {
        self.conditions.push(condition);
    }

    /// An expression with this string as its value.
    pub(super) fn text(&mut self, value: &str) -> String {
        let pieces: Vec<String> = pieces(value).map(|piece| self.add(Parameter::Text(piece.to_owned()))).collect();
        match pieces.as_slice() {
            [whole] => whole.clone(),
            pieces => format!("concat({})", pieces.join(", ")),
        }
    }

    /// Conditions of which one holds where `expression` has one of these values.
    pub(super) fn one_of<'v>(&mut self, expression: &str, values: impl IntoIterator<Item = &'v str>) -> Vec<String> {
        let (long, short): (Vec<&str>, Vec<&str>) = values.into_iter().partition(|value| value.len() > PARAMETER_BYTES);
        let lists = lists(short);
        let mut conditions: Vec<String> = lists
            .into_iter()
            .map(|list| {
                let list = self.add(Parameter::Texts(list.into_iter().map(str::to_owned).collect()));
                format!("{expression} IN {list}")
            })
            .collect();
        conditions.extend(long.into_iter().map(|value| format!("{expression} = {}", self.text(value))));
        conditions
    }

    /// An expression with the number that belongs to the value of `expression`, or `default` where none does.
    pub(super) fn number_of(&mut self, expression: &str, numbers: &[(&str, i64)], default: i64) -> String {
        let mut found = self.integer(default);
        for list in lists(numbers.iter().map(|(name, _)| *name)) {
            let is_listed = |name: &str| list.contains(&name);
            let values = numbers.iter().filter(|(name, _)| is_listed(name)).map(|(_, number)| *number).collect();
            let names = list.iter().map(|name| (*name).to_owned()).collect();
            let (names, values) = (self.add(Parameter::Texts(names)), self.add(Parameter::Integers(values)));
            found = format!("transform({expression}, {names}, {values}, {found})");
        }
        found
    }

    /// An expression with this whole number as its value.
    pub(super) fn integer(&mut self, value: i64) -> String {
        self.add(Parameter::Integer(value))
    }

    /// An expression with this number as its value.
    pub(super) fn number(&mut self, value: f64) -> String {
        self.add(Parameter::Number(value))
    }

    /// Selects from the samples that meet the conditions so far; `clauses` is what follows `WHERE`.
    pub(super) fn select(&self, columns: &str, clauses: &str) -> Selection {
        let (table, conditions) = (self.table.name(), self.conditions.join(" AND "));
        Selection(format!("SELECT {columns} FROM {table} WHERE {conditions} {clauses}"))
    }

    /// The statement that executes a selection of this query. It names the tenant once more, for the server's log of queries
    /// and for a row policy, the second wall (`deploy/clickhouse/`).
    pub(super) fn statement(self, selection: Selection) -> Statement {
        // The query's deadline is watched where it is executed.
        let statement = Statement::new(selection.0).setting("log_comment", &self.tenant).within_callers_limit();
        self.parameters.into_iter().enumerate().fold(statement, |statement, (at, parameter)| {
            let name = format!("p{at}");
            match parameter {
                Parameter::Text(text) => statement.text(name, &text),
                Parameter::Texts(texts) => statement.texts(name, texts.iter().map(String::as_str)),
                Parameter::Integer(integer) => statement.number(name, integer),
                Parameter::Integers(integers) => statement.numbers(name, integers),
                Parameter::Number(number) => statement.number(name, number),
            }
        })
    }

    fn add(&mut self, parameter: Parameter) -> String {
        let at = self.parameters.len();
        let kind = match parameter {
            Parameter::Text(_) => "String",
            Parameter::Texts(_) => "Array(String)",
            Parameter::Integer(_) => "Int64",
            Parameter::Integers(_) => "Array(Int64)",
            Parameter::Number(_) => "Float64",
        };
        self.parameters.push(parameter);
        format!("{{p{at}:{kind}}}")
    }
}

impl Selection {
    /// Selects from the rows of this one.
    pub(super) fn within(self, columns: &str, clauses: &str) -> Self {
        Self(format!("SELECT {columns} FROM ({}) {clauses}", self.0))
    }

    /// The selection's only value, as an expression.
    pub(super) fn scalar(self) -> String {
        format!("({})", self.0)
    }
}

/// A string in pieces that fit into parameters; one piece at least.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let whole = rest.take()?;
        let end = whole.floor_char_boundary(PARAMETER_BYTES);
        let (piece, after) = whole.split_at(end);
        rest = Some(after).filter(|after| !after.is_empty());
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use luminate_storage::conformance::generate::tenant;

    use super::*;

    #[test]
    fn a_query_carries_its_tenant_and_no_value_in_its_text() {
        let table = Table::in_database("d");
        let mut query = TenantQuery::of(&table, &tenant("acme"));
        let nasty = "'; DROP TABLE samples; --{p0:String}";
        let text = query.text(nasty);
        query.require(format!("metric = {text}"));
        let one_of = query.one_of("k", [nasty, "b"]).join(" OR ");
        query.require(format!("({one_of})"));
        let selection = query.select("count()", "GROUP BY k").within("sum(n)", "");
        let statement = query.statement(selection);
        assert_eq!(
            statement.sql(),
            "SELECT sum(n) FROM (SELECT count() FROM d.samples WHERE tenant = {p0:String} AND metric = {p1:String} \
             AND (k IN {p2:Array(String)}) GROUP BY k) "
        );
    }

    #[test]
    fn what_is_long_is_cut_into_parameters() {
        let table = Table::in_database("d");
        let mut query = TenantQuery::of(&table, &tenant("acme"));
        let long = "ä".repeat(PARAMETER_BYTES);
        assert_eq!(pieces(&long).collect::<String>(), long);
        assert_eq!(query.text(&long), "concat({p1:String}, {p2:String})");
        let values: Vec<String> = (0..20_000).map(|at| format!("value {at}")).collect();
        let conditions = query.one_of("k", values.iter().map(String::as_str).chain([long.as_str()]));
        assert!(conditions.len() > 5);
        assert_eq!(conditions[0], "k IN {p3:Array(String)}");
        assert!(conditions.last().is_some_and(|last| last.starts_with("k = concat(")));
        assert_eq!(lists(values.iter().map(String::as_str)).concat(), values);
        assert_eq!(pieces("").collect::<Vec<_>>(), [""]);
    }
}
