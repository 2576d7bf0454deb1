//! The section that says how long samples are kept.

use std::collections::BTreeMap;

use luminate_model::time::MAX_RETENTION_DAYS;
use luminate_model::{RetentionRules, TenantId, TenantRetention};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long samples are kept: for ever, unless set here. Queries never show more than what is set now; samples that a shorter
/// setting has dropped do not come back with a longer one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct RetentionConfig {
    /// Days that samples of tenants are kept that are not named below; 0 for ever. 10000 at most.
    pub default_days: u16,
    /// Retention of single tenants.
    pub tenants: BTreeMap<String, TenantRetentionConfig>,
}

/// Retention of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct TenantRetentionConfig {
    /// Days that samples are kept of metrics that are not named below; 0 for ever. Unless set: `retention.defaultDays`.
    pub default_days: Option<u16>,
    /// Days of single metrics, by name; 0 for ever.
    pub metrics: BTreeMap<String, u16>,
}

/// A value of the section makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("retention.{key}: {fault}")]
pub struct InvalidRetention {
    key: String,
    fault: String,
}

impl RetentionConfig {
    /// The rules that this section sets.
    ///
    /// # Errors
    /// [`InvalidRetention`] names the key.
    #[allow(clippy::disallowed_methods, reason = "the configuration is the operator's, not a client's")]
    pub fn rules(&self) -> Result<RetentionRules, InvalidRetention> {
        check_days("defaultDays", self.default_days)?;
        let mut tenants = BTreeMap::new();
        for (name, retention) in &self.tenants {
            let key = format!("tenants.{name}");
            let tenant = TenantId::parse(name)
                .map_err(|error| InvalidRetention { key: key.clone(), fault: error.to_string() })?;
            let default_days = retention.default_days.unwrap_or(self.default_days);
            check_days(&format!("{key}.defaultDays"), default_days)?;
            for (metric, days) in &retention.metrics {
                check_days(&format!("{key}.metrics.{metric}"), *days)?;
            }
            let metrics = retention.metrics.clone();
            tenants.insert(tenant, TenantRetention { default_days, metrics });
        }
        Ok(RetentionRules { default_days: self.default_days, tenants })
    }
}

fn check_days(key: &str, days: u16) -> Result<(), InvalidRetention> {
    if days > MAX_RETENTION_DAYS {
        let fault = format!("{days} days are above {MAX_RETENTION_DAYS}, the most that can be set");
        return Err(InvalidRetention { key: key.to_owned(), fault });
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn config(json: &str) -> RetentionConfig {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_section_becomes_rules() {
        let rules =
            config(r#"{"defaultDays":30,"tenants":{"acme":{"defaultDays":0,"metrics":{"m":7}}}}"#).rules().unwrap();
        assert_eq!(rules.of(&TenantId::parse("other").unwrap()).days("m"), 30);
        let acme = rules.of(&TenantId::parse("acme").unwrap());
        assert_eq!((acme.days("m"), acme.days("other")), (7, 0));
    }

    #[test]
    fn a_tenant_without_a_default_of_its_own_has_that_of_all() {
        let rules = config(r#"{"defaultDays":30,"tenants":{"acme":{"metrics":{"m":0}}}}"#).rules().unwrap();
        let acme = rules.of(&TenantId::parse("acme").unwrap());
        assert_eq!((acme.days("m"), acme.days("other")), (0, 30));
    }

    #[test]
    fn faults_name_their_key() {
        let fault = |json: &str| config(json).rules().unwrap_err().to_string();
        assert!(fault(r#"{"defaultDays":10001}"#).starts_with("retention.defaultDays: 10001 days"));
        assert!(fault(r#"{"tenants":{"a/b":{}}}"#).starts_with("retention.tenants.a/b: a tenant's name"));
        let metric = fault(r#"{"tenants":{"a":{"metrics":{"m":20000}}}}"#);
        assert!(metric.starts_with("retention.tenants.a.metrics.m: 20000 days"), "{metric}");
    }
}
