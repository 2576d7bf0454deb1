//! What is stored, held against what was written.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use super::load::METRIC;
use super::{Cluster, ServiceProcess, Written, client};

/// How many samples a verdict was about.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub acknowledged: u64,
    pub unknown: u64,
    pub stored: u64,
}

impl Verdict {
    /// Judges one tenant by how often each number is stored, and by how many samples a query counts: every acknowledged sample
    /// must be there once, every unknown one once or not at all and its request not in part, nothing else. `explain` says more
    /// of numbers that are not.
    pub fn add(
        &mut self,
        tenant: &Written,
        stored: &BTreeMap<u64, u64>,
        answered: u64,
        explain: impl Fn(&Range<u64>) -> String,
    ) {
        let name = &tenant.tenant;
        let times = |numbers: &Range<u64>| -> Vec<u64> {
            numbers.clone().map(|number| stored.get(&number).copied().unwrap_or_default()).collect()
        };
        for numbers in &tenant.acknowledged {
            let times = times(numbers);
            let context = || format!("{name}: acknowledged {numbers:?} are there {times:?} times");
            assert!(times.iter().all(|times| *times == 1), "{}\n{}", context(), explain(numbers));
        }
        for numbers in &tenant.unknown {
            let times = times(numbers);
            let whole = times.iter().all(|count| *count == times[0] && *count <= 1);
            assert!(whole, "{name}: {numbers:?} without an answer are there {times:?} times");
        }
        let acknowledged = total(&tenant.acknowledged);
        let unknown = total(&tenant.unknown);
        let all: u64 = stored.values().sum();
        let possible = acknowledged..=acknowledged + unknown;
        assert!(possible.contains(&all), "{name}: {all} samples are stored, and not {possible:?}");
        assert!(possible.contains(&answered), "{name}: {answered} samples are counted, and not {possible:?}");
        self.acknowledged += acknowledged;
        self.unknown += unknown;
        self.stored += all;
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, unknown, stored } = self;
        write!(f, "{acknowledged} samples acknowledged, {unknown} unknown, {stored} stored")
    }
}

impl Cluster {
    /// Waits, by each tenant's receipt, until what it wrote is stored. Then every acknowledged sample must be there once,
    /// every unknown one once or not at all and its request not in part, nothing else; the query-api must count the same; and
    /// `luminate reconcile`, which reads the topics again, must find nothing wrong.
    pub fn assert_exactly_once(&self, query: &ServiceProcess, written: &[Written]) -> Verdict {
        let mut verdict = Verdict { acknowledged: 0, unknown: 0, stored: 0 };
        for tenant in written {
            let name = &tenant.tenant;
            let answered = client(query, name).count(tenant.receipt.as_deref(), METRIC);
            let stored = self.stored_numbers(name, METRIC);
            verdict.add(tenant, &stored, answered, |numbers| self.provenance(name, numbers));
        }
        assert!(verdict.acknowledged > 0, "nothing was acknowledged: this run proves nothing");
        self.operate(&["reconcile"]);
        verdict
    }

    /// How often each number, which is the value, is stored among a tenant's samples of a metric.
    pub fn stored_numbers(&self, tenant: &str, metric: &str) -> BTreeMap<u64, u64> {
        let answer = self.clickhouse.query(&format!(
            "SELECT toUInt64(value), count() FROM {}.samples WHERE tenant = '{tenant}' AND metric = '{metric}' \
             GROUP BY 1 FORMAT TabSeparated",
            self.database()
        ));
        let line = |line: &str| {
            let (number, count) = line.split_once('\t').expect("two columns");
            (number.parse().expect("a number"), count.parse().expect("a number"))
        };
        answer.lines().map(line).collect()
    }

    /// Where numbers that are not there once come from: for the message of a failure.
    fn provenance(&self, tenant: &str, numbers: &Range<u64>) -> String {
        self.clickhouse.query(&format!(
            "SELECT source, batch, count(), uniqExact(value) FROM {}.samples WHERE tenant = '{tenant}' AND metric = '{METRIC}' \
             AND value >= {} AND value < {} GROUP BY source, batch ORDER BY source, batch FORMAT PrettyCompact",
            self.database(),
            numbers.start,
            numbers.end
        ))
    }
}

fn total(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().map(|numbers| numbers.end - numbers.start).sum()
}
