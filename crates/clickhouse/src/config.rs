//! The section of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use luminate_runtime::config::{ConfigSecret, HumanDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The ClickHouse store: where samples are kept and queried in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ClickHouseConfig {
    /// Servers, each as `host`, `host:port` or a URL (`https://` for TLS). The HTTP interface is meant, whose port is 8123, or
    /// 8443 with TLS; the native ports 9000 and 9440 are taken as those.
    pub addresses: Vec<String>,
    /// The cluster's name in `system.clusters`, from which shards and replicas are known. Without it there is one endpoint: a
    /// single server, or a managed service behind a balancer.
    pub cluster: Option<String>,
    /// The database.
    pub database: String,
    /// The user.
    pub username: String,
    /// The user's password.
    pub password: Option<ConfigSecret>,
    /// A PEM file with the certificates of the authorities that sign the servers' certificates, where those are private.
    pub ca_file: Option<PathBuf>,
    /// Time to connect to a server.
    pub connect_timeout: HumanDuration,
    /// How batches are inserted.
    pub insert: InsertConfig,
    /// Who brings replicas up to date before a query-api answers what a receipt or a cursor stands for, which a read-only user may
    /// not (`SYSTEM SYNC REPLICA`). Without it `username` does. Of no meaning where the tables are not replicated.
    pub replica_sync: Option<UserConfig>,
}

/// A user of the servers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct UserConfig {
    /// The user.
    pub username: String,
    /// The user's password.
    pub password: Option<ConfigSecret>,
}

/// How batches are inserted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct InsertConfig {
    /// Time for one insert. It never outlasts the writer's permission to store.
    pub timeout: HumanDuration,
    /// How many replicas must have a batch before it counts as stored: a number, or `auto` for the majority. Of no meaning on a
    /// server without replicas.
    pub quorum: String,
}

/// A value of the section makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("storage.clickhouse.{key}: {fault}")]
pub struct InvalidClickHouseConfig {
    /// The key within the section.
    pub key: &'static str,
    /// What is wrong with its value.
    pub fault: String,
}

impl Default for ClickHouseConfig {
    fn default() -> Self {
        Self {
            addresses: vec!["localhost:8123".to_owned()],
            cluster: None,
            database: "luminate".to_owned(),
            username: "default".to_owned(),
            password: None,
            ca_file: None,
            connect_timeout: Duration::from_secs(3).into(),
            insert: InsertConfig::default(),
            replica_sync: None,
        }
    }
}

impl Default for InsertConfig {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30).into(), quorum: "auto".to_owned() }
    }
}

impl ClickHouseConfig {
    /// Refuses what cannot work.
    ///
    /// # Errors
    /// [`InvalidClickHouseConfig`] names the key.
    pub fn check(&self) -> Result<(), InvalidClickHouseConfig> {
        let ensure = |holds: bool, key, fault: &str| {
            if holds { Ok(()) } else { Err(InvalidClickHouseConfig { key, fault: fault.to_owned() }) }
        };
        ensure(!self.addresses.is_empty(), "addresses", "must name at least one server")?;
        // Names stand in statements: parameters cannot be used everywhere a name stands.
        let rule = "must be 1 to 64 letters, digits and underscores, and not begin with a digit";
        ensure(is_plain_name(&self.database), "database", rule)?;
        ensure(
            self.cluster.as_deref().is_none_or(is_cluster_name),
            "cluster",
            "must be letters, digits, `_`, `-` and `.`",
        )?;
        let names_user = self.replica_sync.as_ref().is_none_or(|user| !user.username.is_empty());
        ensure(names_user, "replicaSync.username", "must name a user")?;
        ensure(!self.connect_timeout.get().is_zero(), "connectTimeout", "must be more than 0")?;
        ensure(self.insert.timeout.get() >= Duration::from_secs(1), "insert.timeout", "must be at least 1s")?;
        let quorum = &self.insert.quorum;
        let is_quorum = quorum == "auto" || quorum.parse::<u8>().is_ok();
        ensure(is_quorum, "insert.quorum", "must be `auto` or a number of replicas")
    }
}

/// Whether a name can stand in a statement as it is.
pub(crate) fn is_plain_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    first && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether a cluster's name can stand in quotes as it is.
fn is_cluster_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !name.is_empty() && name.len() <= 128 && name.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_by_its_key() {
        let ok = ClickHouseConfig::default();
        assert_eq!(ok.check(), Ok(()));
        let key = |change: &dyn Fn(&mut ClickHouseConfig)| {
            let mut config = ok.clone();
            change(&mut config);
            config.check().map_err(|fault| fault.key)
        };
        assert_eq!(key(&|c| c.addresses.clear()), Err("addresses"));
        for bad in ["", "1a", "a-b", "a`b", "a.b"] {
            assert_eq!(key(&|c| c.database = bad.to_owned()), Err("database"), "{bad}");
        }
        assert_eq!(key(&|c| c.cluster = Some("it's".to_owned())), Err("cluster"));
        assert_eq!(key(&|c| c.replica_sync = Some(UserConfig::default())), Err("replicaSync.username"));
        assert_eq!(key(&|c| c.insert.quorum = "most".to_owned()), Err("insert.quorum"));
        assert_eq!(key(&|c| c.insert.timeout = Duration::ZERO.into()), Err("insert.timeout"));
    }
}
