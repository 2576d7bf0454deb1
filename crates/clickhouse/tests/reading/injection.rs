//! What a user sends never becomes SQL: it is found again as it is, in names, keys, values and conditions.

use luminate_model::Sample;
use luminate_storage::conformance::batches::sample;
use luminate_storage::conformance::collect::{in_order, read};
use luminate_storage::conformance::generate::tenant;
use luminate_storage::conformance::{NOW, ample};
use luminate_storage::{
    AggregateFunction, AggregateRequest, CatalogueRequest, DimensionFilter, DimensionTest, SampleSource, ScanRequest,
};

use crate::database::Database;

const NASTY: [&str; 18] = [
    "'",
    "\"",
    "`",
    "\\",
    "\\'",
    "\\\\n",
    "a\nb\r\tc",
    "\0",
    "{p0:String}",
    "{x:Identifier}",
    "?",
    "'; DROP TABLE samples; --",
    "' OR 1=1 OR tenant = '",
    "')) UNION ALL SELECT tenant, 1 FROM samples --",
    "[]'],['",
    "\r\n--boundary--\r\n",
    "ä\u{1f980}\u{202e}",
    "\\N",
];

fn filtered(metric: &str, key: &str, test: DimensionTest) -> ScanRequest {
    let mut request = ScanRequest::new(tenant("acme"), metric, NOW);
    request.filters = vec![DimensionFilter { key: key.to_owned(), test }];
    request
}

#[tokio::test]
async fn nasty_strings_are_strings() {
    let database = Database::new();
    let of_beta = sample("m", NOW, 666.0, &[("k", "beta's")]);
    database.insert(&tenant("beta"), &[of_beta]);
    let mut samples: Vec<Sample> = Vec::new();
    for (at, nasty) in NASTY.iter().enumerate() {
        samples.push(sample("m", NOW, at as f64, &[("k", nasty)]));
        samples.push(sample("m", NOW, at as f64, &[(nasty, "v")]));
        samples.push(sample(nasty, NOW, at as f64, &[("k", "v")]));
    }
    database.insert(&tenant("acme"), &samples);
    let source = database.source();
    let values = async |request: ScanRequest| -> Vec<f64> {
        read(&source, &request).await.iter().map(|sample| sample.value).collect()
    };
    for (at, nasty) in (0_u32..).zip(NASTY) {
        let expected = [f64::from(at)];
        let text = nasty.to_owned();
        assert_eq!(values(filtered("m", "k", DimensionTest::Equal(text.clone()))).await, expected, "{nasty:?}");
        let both = DimensionTest::In([text.clone(), "x".to_owned()].into());
        assert_eq!(values(filtered("m", "k", both)).await, expected, "{nasty:?}");
        assert_eq!(values(filtered("m", nasty, DimensionTest::Exists(true))).await, expected, "{nasty:?}");
        assert_eq!(values(ScanRequest::new(tenant("acme"), nasty, NOW)).await, expected, "{nasty:?}");
        let others = values(filtered("m", "k", DimensionTest::NotIn([text.clone()].into()))).await;
        assert_eq!(others.len(), 2 * NASTY.len() - 1, "{nasty:?}");
        let prefixed = values(filtered("m", "k", DimensionTest::Prefix(text.clone()))).await;
        let begins = NASTY.iter().filter(|other| other.starts_with(nasty)).count();
        assert_eq!(prefixed.len(), begins, "{nasty:?}");

        let mut grouped = AggregateRequest::new(
            ScanRequest::new(tenant("acme"), "m", NOW),
            AggregateFunction::Distinct { of: Some(text.clone()) },
        );
        grouped.group_by = vec![text.clone()];
        let answer = source.aggregate(&grouped, &ample()).await.unwrap().unwrap();
        let groups: Vec<_> = answer.groups.iter().map(|group| (group.group[0].as_deref(), group.value)).collect();
        assert_eq!(groups, [(Some("v"), 1.0), (None, 0.0)], "{nasty:?}");

        let mut page = CatalogueRequest::new(tenant("acme"), 100, NOW);
        page.prefix = text.clone();
        page.metric = Some("m".to_owned());
        let keys = source.dimension_keys(&page, &ample()).await.unwrap();
        assert!(keys.entries.iter().any(|entry| entry.name == nasty && entry.samples == 1), "{nasty:?}");
        let metrics = source.metrics(&page, &ample()).await.unwrap();
        assert!(metrics.entries.iter().any(|entry| entry.name == nasty), "{nasty:?}");
        page.prefix = String::new();
        page.after = Some(text);
        let after = source.dimension_values("k", &page, &ample()).await.unwrap();
        assert_eq!(after.entries.len(), NASTY.iter().filter(|other| **other > nasty).count(), "{nasty:?}");
    }
    let of_m: Vec<Sample> = samples.iter().filter(|sample| sample.metric == "m").cloned().collect();
    assert_eq!(read(&source, &ScanRequest::new(tenant("acme"), "m", NOW)).await, in_order(of_m));
}

/// More than the server takes in one parameter.
#[tokio::test]
async fn long_conditions_hold_like_short_ones() {
    let database = Database::new();
    let long = "ä\\'".repeat(16_000);
    let samples =
        [sample("m", NOW, 1.0, &[("k", &long)]), sample("m", NOW, 2.0, &[("k", "b")]), sample("m", NOW, 3.0, &[])];
    database.insert(&tenant("acme"), &samples);
    let source = database.source();
    let values = async |test: DimensionTest| -> Vec<f64> {
        let found = read(&source, &filtered("m", "k", test)).await;
        let mut values: Vec<f64> = found.iter().map(|sample| sample.value).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let mut many: std::collections::BTreeSet<String> = (0..10_000).map(|at| format!("some value \\{at}")).collect();
    assert_eq!(values(DimensionTest::NotIn(many.clone())).await, [1.0, 2.0, 3.0]);
    many.extend([long.clone(), "b".to_owned()]);
    assert_eq!(values(DimensionTest::In(many.clone())).await, [1.0, 2.0]);
    assert_eq!(values(DimensionTest::NotIn(many)).await, [3.0]);
    assert_eq!(values(DimensionTest::Equal(long.clone())).await, [1.0]);
    assert_eq!(values(DimensionTest::Prefix(long)).await, [1.0]);
}
