//! Servers of which any will do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clickhouse::Client;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;

use super::address::Address;
use super::error::ClientError;
use super::host::{Answer, Host};
use super::statement::Statement;
use super::tls;
use crate::config::ClickHouseConfig;

/// ClickHouse closes connections that are idle for 3 seconds (older servers) or 10; ours are closed before.
const POOL_IDLE: std::time::Duration = std::time::Duration::from_secs(2);

/// Servers that can answer the same statements. A statement goes to one of them, in turn; where that one cannot be reached or
/// breaks off before the first bytes of its answer, to the next one. So only what may be executed twice goes through here.
#[derive(Clone)]
pub struct Hosts {
    hosts: Arc<[Host]>,
    turn: Arc<AtomicUsize>,
}

impl Hosts {
    /// The servers that the configuration names. Connects to none of them.
    ///
    /// # Errors
    /// [`ClientError::Config`]
    pub fn new(config: &ClickHouseConfig) -> Result<Self, ClientError> {
        config.check()?;
        let addresses = config.addresses.iter().map(|text| Address::parse(text)).collect::<Result<Vec<_>, _>>()?;
        Self::at(config, &addresses)
    }

    /// Servers at these addresses, spoken to as the configuration says.
    ///
    /// # Errors
    /// [`ClientError::Config`]
    pub(crate) fn at(config: &ClickHouseConfig, addresses: &[Address]) -> Result<Self, ClientError> {
        let connector = tls::connector(config)?;
        let http = HttpClient::builder(TokioExecutor::new()).pool_idle_timeout(POOL_IDLE).build(connector);
        let mut client = Client::with_http_client(http)
            .with_user(&config.username)
            .with_product_info("luminate", env!("CARGO_PKG_VERSION"));
        if let Some(password) = &config.password {
            client = client.with_password(password.secret().expose());
        }
        Ok(Self::of(addresses.iter().map(|address| Host::new(address, client.clone())).collect()))
    }

    pub(crate) fn of(hosts: Vec<Host>) -> Self {
        Self { hosts: hosts.into(), turn: Arc::default() }
    }

    /// The servers.
    #[must_use]
    pub fn all(&self) -> &[Host] {
        &self.hosts
    }

    /// The servers in the order in which they are to be tried now: in turn, those that failed lately last.
    #[must_use]
    pub fn in_turn(&self) -> Vec<&Host> {
        let start = self.turn.fetch_add(1, Ordering::Relaxed) % self.hosts.len().max(1);
        let (before, from) = self.hosts.split_at(start.min(self.hosts.len()));
        let mut hosts: Vec<&Host> = from.iter().chain(before).collect();
        hosts.sort_by_key(|host| host.is_aside());
        hosts
    }

    /// [`Host::execute`] on one of them. Only for statements that may be executed twice.
    ///
    /// # Errors
    /// [`ClientError`] of the last one tried.
    pub async fn execute(&self, statement: &Statement) -> Result<(), ClientError> {
        let mut last = none();
        for host in self.in_turn() {
            match host.execute(statement.clone()).await {
                Err(error) if error.is_of_the_host() => last = error,
                done => return done,
            }
        }
        Err(last)
    }

    /// [`Host::fetch`] on one of them.
    ///
    /// # Errors
    /// [`ClientError`] of the last one tried.
    pub async fn fetch(&self, statement: &Statement, format: &str) -> Result<Answer, ClientError> {
        let mut last = none();
        for host in self.in_turn() {
            match host.fetch(statement.clone(), format).await {
                Err(error) if error.is_of_the_host() => last = error,
                done => return done,
            }
        }
        Err(last)
    }

    /// [`Host::rows`] on one of them.
    ///
    /// # Errors
    /// [`ClientError`] of the last one tried.
    pub async fn rows<T: DeserializeOwned>(&self, statement: &Statement) -> Result<Vec<T>, ClientError> {
        let mut last = none();
        for host in self.in_turn() {
            match host.rows(statement.clone()).await {
                Err(error) if error.is_of_the_host() => last = error,
                done => return done,
            }
        }
        Err(last)
    }

    /// Whether one of them could be spoken to the last time; else why not. For health, cheap.
    ///
    /// # Errors
    /// The reason, naming the server.
    pub fn reachable(&self) -> Result<(), String> {
        let faults: Option<Vec<String>> = self.hosts.iter().map(Host::fault).collect();
        match faults.as_deref() {
            Some([first, ..]) => Err(first.clone()),
            _ => Ok(()),
        }
    }
}

fn none() -> ClientError {
    ClientError::Statement("there is no server to send it to".to_owned())
}
