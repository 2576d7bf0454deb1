//! A cluster of real processes: gateways onto Kafka, writers into ClickHouse, query-apis over both.
//!
//! | module | what holds |
//! |---|---|
//! | `verdict` | the judge of the others finds what is doubled, lost or foreign |
//! | `mending` | what was lost in the store is stored again from Kafka |
//! | `end_to_end` | real data through two gateways and a direct producer comes out whole; a repeat is stored once |
//! | `environment` | each service runs from the environment alone |
//! | `erase` | a tenant is erased under load at one of two writers, which is killed meanwhile |
//! | `schema_registry` | records that name their schema by a number wait for a registry that is away |
//! | `writer_kills` | `kill -9` of writers at any moment |
//! | `protocol_steps` | `kill -9` of writers at each step of their protocol |
//! | `engine_steps` | `kill -9` of ClickHouse and of the broker while a writer is at a step with them |
//! | `scaling` | writers come and go under load; a storm of rebalances |
//! | `frozen_writer` | a writer that stood still past its session and goes on |
//! | `store_outage` | ClickHouse is killed, or gone for a while |
//! | `store_torn` | ClickHouse is killed when it knows an insert's token and has not its rows |
//! | `broker_kills` | `kill -9` of the leader and of the coordinator of three brokers |
//! | `queue_outage` | Kafka is gone for a while, or answers nothing |
//! | `gateway_kills` | `kill -9` of gateways: what was not answered is repeated with its key |
//! | `direct_producers` | who may write where, and what becomes of records that cannot be used |
//! | `kafka_security` | Kafka that encrypts and asks for a password; gateways that are not let in |
//! | `metrics` | each service exports what is documented of it |
//! | `health` | engines that are gone are told and not named; a service that waits for one says so |
//! | `stopped_partitions` | idle partitions go on; removed records and lost commits stop a partition loudly |
//! | `topics_made_again` | a topic that was made again stops its partitions until an operator says where to go on |

mod broker_kills;
mod direct_producers;
mod end_to_end;
mod engine_steps;
mod environment;
mod erase;
mod frozen_writer;
mod gateway_kills;
mod health;
mod kafka_security;
mod mending;
mod metrics;
mod protocol_steps;
mod queue_outage;
mod scaling;
mod schema_registry;
mod stopped_partitions;
mod store_outage;
mod store_torn;
mod topics_made_again;
mod verdict;
mod writer_kills;
