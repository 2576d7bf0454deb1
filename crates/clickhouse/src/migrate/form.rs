//! One text of a migration, rendered for the server or cluster that it is applied to.

use crate::config::ClickHouseConfig;

/// Writes of one machine are made durable before they are acknowledged, and merges before what they replace is deleted; so
/// that can happen sooner than after the 8 minutes in which an operating system has surely written everything.
const DURABLE: &str = ",\n    fsync_after_insert = 1,\n    fsync_part_directory = 1,\n    \
                       min_rows_to_fsync_after_merge = 1,\n    old_parts_lifetime = 60, cleanup_delay_period = 10, max_cleanup_delay_period = 60";

/// What the tables are made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// One server.
    Single,
    /// One endpoint of a managed service, which replicates by itself.
    Managed,
    /// A cluster of this name: replicated tables on every server, and a distributed one over all shards.
    Cluster(String),
}

impl Form {
    /// The statements of a migration's text, in order. What the text may hold:
    ///
    /// | in the text | stands for |
    /// |---|---|
    /// | `$database` | the database |
    /// | `$cluster` | the cluster's name |
    /// | `$local(name)` | the table of one server's rows: `name`, in a cluster `name_local` |
    /// | `$on_cluster` | `ON CLUSTER ...` |
    /// | `$merge_tree` | the engine of rows that each shard has a part of |
    /// | `$merge_tree_of_all` | the engine of rows that every server has all of |
    /// | `$durable` | further settings that make what one machine acknowledges durable |
    /// | `@cluster` on a line | the statement is for clusters only |
    /// | `--` at the beginning of a line | a comment |
    /// | `;` at the end of a line | the end of a statement |
    #[must_use]
    pub fn render(&self, text: &str, database: &str) -> Vec<String> {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("--"));
        let code: String = lines.flat_map(|line| [line, "\n"]).collect();
        let statements = code.split(";\n").map(str::trim).filter(|statement| !statement.is_empty());
        let wanted = statements.filter_map(|statement| match (statement.strip_prefix("@cluster"), self) {
            (None, _) => Some(statement),
            (Some(statement), Self::Cluster(_)) => Some(statement.trim_start()),
            (Some(_), _) => None,
        });
        wanted.map(|statement| self.fill_in(statement, database)).collect()
    }

    /// `ON CLUSTER ...` with a space before it, where there is a cluster.
    #[must_use]
    pub fn on_cluster(&self) -> String {
        match self {
            Self::Cluster(name) => format!(" ON CLUSTER '{name}'"),
            Self::Single | Self::Managed => String::new(),
        }
    }

    /// The settings of a statement that changes tables: where there is a cluster, all its servers must have done it.
    #[must_use]
    pub const fn settings(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Cluster(_) => &[("distributed_ddl_output_mode", "throw"), ("distributed_ddl_task_timeout", "180")],
            Self::Single | Self::Managed => &[],
        }
    }

    fn fill_in(&self, statement: &str, database: &str) -> String {
        let (merge_tree, of_all, durable, cluster) = match self {
            Self::Single => ("MergeTree", "MergeTree", DURABLE, ""),
            Self::Managed => ("MergeTree", "MergeTree", "", ""),
            Self::Cluster(name) => (
                "ReplicatedMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}')",
                "ReplicatedMergeTree('/clickhouse/tables/{uuid}/all', '{shard}-{replica}')",
                "",
                name.as_str(),
            ),
        };
        let local = if matches!(self, Self::Cluster(_)) { "_local" } else { "" };
        let mut filled = statement
            .replace("$on_cluster", &self.on_cluster())
            .replace("$merge_tree_of_all", of_all)
            .replace("$merge_tree", merge_tree)
            .replace("$durable", durable)
            .replace("$database", database)
            .replace("$cluster", cluster);
        while let Some((before, rest)) = filled.split_once("$local(") {
            let Some((name, after)) = rest.split_once(')') else { break };
            filled = format!("{before}{name}{local}{after}");
        }
        filled
    }
}

/// The table of samples that inserts and mutations name: of one server's rows.
pub(crate) fn local_samples(config: &ClickHouseConfig) -> &'static str {
    if config.cluster.is_some() { "samples_local" } else { "samples" }
}
