//! From which incarnations of each topic samples were taken, so that a topic that was made again is noticed.

use std::time::Duration;

use luminate_model::Incarnation;
use luminate_storage::StorageError;

use super::failure::unavailable;
use crate::client::{ClientError, Host, Statement};
use crate::layout::Replication;

/// Time for noting and reading incarnations.
const LIMIT: Duration = Duration::from_secs(60);

/// The table of incarnations, asked on one server.
pub(super) struct Incarnations<'a> {
    pub(super) host: &'a Host,
    pub(super) database: &'a str,
    pub(super) replication: Replication,
    /// How many replicas must have what is noted, as ClickHouse's `insert_quorum` takes it.
    pub(super) quorum: &'a str,
}

impl Incarnations<'_> {
    /// All that were noted of a topic before this was called, on whichever server, in the order of their times.
    pub(super) async fn known(&self, topic: &str) -> Result<Vec<Incarnation>, StorageError> {
        let table = format!("{}.incarnations", self.database);
        self.replication.catch_up(self.host, &table, LIMIT).await.map_err(unavailable)?;
        let found = self.read(topic).await.map_err(unavailable)?;
        let parse = |text: String| {
            let unknown = |_| StorageError::Damaged(format!("the incarnation `{text}` of a topic, which cannot be"));
            text.parse().map_err(unknown)
        };
        found.into_iter().map(parse).collect()
    }

    /// Adds one, unless this server has it.
    pub(super) async fn note(&self, topic: &str, incarnation: Incarnation) -> Result<(), ClientError> {
        let incarnation = incarnation.to_string();
        if self.read(topic).await?.contains(&incarnation) {
            return Ok(());
        }
        let sql = format!(
            "INSERT INTO {}.incarnations (topic, incarnation) SELECT {{topic:String}}, {{incarnation:String}}",
            self.database
        );
        let mut statement = Statement::new(sql)
            .text("topic", topic)
            .text("incarnation", &incarnation)
            .setting("async_insert", 0)
            .within(LIMIT);
        if self.replication == Replication::Replicated {
            statement =
                statement.setting("insert_quorum", self.quorum).setting("insert_quorum_timeout", LIMIT.as_millis());
        }
        self.host.execute(statement).await
    }

    async fn read(&self, topic: &str) -> Result<Vec<String>, ClientError> {
        let sql = format!(
            "SELECT incarnation FROM {}.incarnations WHERE topic = {{topic:String}} \
             GROUP BY incarnation ORDER BY min(noted_at), incarnation",
            self.database
        );
        let statement = Statement::new(sql).text("topic", topic).within(LIMIT);
        let rows: Vec<(String,)> = self.host.rows(self.replication.current(statement)).await?;
        Ok(rows.into_iter().map(|(incarnation,)| incarnation).collect())
    }
}
