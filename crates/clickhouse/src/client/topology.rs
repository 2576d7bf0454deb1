//! Which host is which shard and replica.

use super::address::Address;
use super::error::ClientError;
use super::host::Host;
use super::hosts::Hosts;
use super::statement::Statement;
use crate::config::{ClickHouseConfig, InvalidClickHouseConfig};

/// The name of the only shard where there is no cluster.
pub const ONE_ENDPOINT: &str = "one";

/// One shard: replicas that hold the same rows.
#[derive(Clone)]
pub struct Shard {
    /// Its name in `system.clusters`.
    pub name: String,
    /// Its replicas.
    pub replicas: Hosts,
}

/// The shards, ascending by name.
#[derive(Clone)]
pub struct Topology {
    shards: Vec<Shard>,
}

/// A row of `system.clusters`: shard, host, native port.
type Replica = (String, String, u16);

impl Topology {
    /// What `system.clusters` of one of the `hosts` says of the configured cluster; without a cluster all hosts as one shard.
    ///
    /// Clusters name hosts by their native port, and this program speaks HTTP: a replica is the configured host of the same
    /// name, and where several of those share a name, the one that says that it has that native port. A replica that is not
    /// configured is spoken to as the first configured host is, at its own name.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Config`] where the servers know no such cluster.
    pub async fn read(config: &ClickHouseConfig, hosts: &Hosts) -> Result<Self, ClientError> {
        let Some(cluster) = &config.cluster else {
            return Ok(Self { shards: vec![Shard { name: ONE_ENDPOINT.to_owned(), replicas: hosts.clone() }] });
        };
        let sql = "SELECT if(empty(shard_name), toString(shard_num), shard_name) AS shard, host_name, port \
                   FROM system.clusters WHERE cluster = {cluster:String} ORDER BY shard, replica_num";
        let replicas: Vec<Replica> =
            hosts.rows(&Statement::new(sql).text("cluster", cluster).within(config.insert.timeout.get())).await?;
        if replicas.is_empty() {
            return Err(unknown_cluster(cluster));
        }
        let addresses = config.addresses.iter().map(|text| Address::parse(text)).collect::<Result<Vec<_>, _>>()?;
        let mut shards: Vec<(String, Vec<Host>)> = Vec::new();
        for (shard, host, port) in replicas {
            let host = host_of(config, hosts, &addresses, &host, port).await?;
            match shards.last_mut() {
                Some((name, replicas)) if *name == shard => replicas.push(host),
                _ => shards.push((shard, vec![host])),
            }
        }
        let shards = shards.into_iter().map(|(name, replicas)| Shard { name, replicas: Hosts::of(replicas) });
        Ok(Self { shards: shards.collect() })
    }

    /// Whether one of the `hosts` knows the configured cluster, if one is configured.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Config`] where it does not.
    pub async fn check_cluster(config: &ClickHouseConfig, hosts: &Hosts) -> Result<(), ClientError> {
        let Some(cluster) = &config.cluster else { return Ok(()) };
        let sql = "SELECT count() FROM system.clusters WHERE cluster = {cluster:String}";
        let found: Vec<(u64,)> = hosts.rows(&Statement::new(sql).text("cluster", cluster)).await?;
        if found == [(0,)] { Err(unknown_cluster(cluster)) } else { Ok(()) }
    }

    /// The shards.
    #[must_use]
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The shard of this name.
    #[must_use]
    pub fn shard(&self, name: &str) -> Option<&Shard> {
        self.shards.iter().find(|shard| shard.name == name)
    }
}

/// The host that a cluster calls `name`, with this native port.
async fn host_of(
    config: &ClickHouseConfig,
    hosts: &Hosts,
    addresses: &[Address],
    name: &str,
    port: u16,
) -> Result<Host, ClientError> {
    let of_name: Vec<&Host> =
        hosts.all().iter().zip(addresses).filter(|(_, address)| address.is_host(name)).map(|(host, _)| host).collect();
    match (of_name.as_slice(), addresses) {
        ([only], _) => Ok((*only).clone()),
        ([], [first, ..]) => {
            let made = Hosts::at(config, &[first.on_host(name)])?;
            made.all().first().cloned().ok_or_else(|| unknown(name, port))
        }
        (several, _) => {
            for host in several {
                if host.row::<(u16,)>(Statement::new("SELECT tcpPort()").within(config.insert.timeout.get())).await?
                    == (port,)
                {
                    return Ok((*host).clone());
                }
            }
            Err(unknown(name, port))
        }
    }
}

fn unknown_cluster(cluster: &str) -> ClientError {
    let fault = format!("the servers know no cluster `{cluster}` (see system.clusters)");
    InvalidClickHouseConfig { key: "cluster", fault }.into()
}

fn unknown(name: &str, port: u16) -> ClientError {
    let fault = format!("none of them is the replica {name} with native port {port} of the cluster");
    InvalidClickHouseConfig { key: "addresses", fault }.into()
}
