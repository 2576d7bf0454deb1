-- From which incarnations of each topic samples were taken: a row is there before the first of them is stored. A topic that was
-- made again is known by it, also where the brokers have forgotten all else. Rows are only ever added, and one may be there twice.
-- Every server of a cluster has the whole of it.
CREATE TABLE IF NOT EXISTS $database.incarnations$on_cluster
(
    topic String,
    incarnation String,
    noted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = $merge_tree_of_all
ORDER BY (topic, incarnation)
SETTINGS index_granularity = 8192$durable;
