-- Samples, each with where it came from; and what was erased.
--
-- Sorted by time right after tenant and metric. One partition a UTC day: a slice of a batch is one block in one partition.
--
-- The TTL is computed on whole numbers and kept within what DateTime can hold: DateTime's own arithmetic wraps, times before 1970
-- to 2096 and times after 2106 to 1970. It is rounded up to a second, so that nothing goes before a query stops showing it.
CREATE TABLE IF NOT EXISTS $database.$local(samples)$on_cluster
(
    tenant LowCardinality(String),
    metric LowCardinality(String),
    ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)),
    value Float64 CODEC(ZSTD(1)),
    dimensions Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    retention_days UInt16 CODEC(ZSTD(1)) COMMENT '0: for ever',
    source LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'incarnation/partition of the topic',
    batch UInt64 CODEC(ZSTD(1)) COMMENT 'first offset of the batch',
    INDEX batch_range batch TYPE minmax GRANULARITY 1
)
ENGINE = $merge_tree
PARTITION BY toYYYYMMDD(ts)
ORDER BY (tenant, metric, ts)
TTL toDateTime(
        greatest(1, least(4294967295, intDiv(toUnixTimestamp64Milli(ts) + 999, 1000) + toInt64(retention_days) * 86400)),
        'UTC') DELETE WHERE retention_days > 0
SETTINGS
    non_replicated_deduplication_window = 100000,
    replicated_deduplication_window = 100000,
    replicated_deduplication_window_seconds = 604800$durable;

-- The same rows, from all shards.
@cluster
CREATE TABLE IF NOT EXISTS $database.samples$on_cluster
AS $database.$local(samples)
ENGINE = Distributed('$cluster', '$database', '$local(samples)', cityHash64(source));

-- The ledger of erasures: rows of `tenant` from records of `source` before offset `next` are gone and do not come back. Rows
-- are only ever added. Every server of a cluster has the whole of it, because every shard's inserts ask it.
CREATE TABLE IF NOT EXISTS $database.erasures$on_cluster
(
    tenant String,
    source String,
    next UInt64,
    finished Bool COMMENT 'nothing is left to do for it',
    noted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = $merge_tree_of_all
ORDER BY (source, tenant)
SETTINGS index_granularity = 8192$durable;
