//! Topics made as the configuration wants them.

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ConfigSource, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;

use super::{config, eventually, shared_brokers, tenant};
use crate::topic_admin::{Difference, TopicDifference};
use crate::{KafkaCluster, TopicAdmin};

async fn check(admin: &TopicAdmin) -> Vec<TopicDifference> {
    admin.check(&[tenant("acme")]).await.unwrap()
}

/// What is missing is made, what differs is mended, what an operator has set besides is kept, and nothing is taken away.
#[tokio::test(flavor = "multi_thread")]
async fn differences_are_told_and_mended() {
    let config = config(shared_brokers().await);
    let topic = config.topics.samples.clone();
    let admin = TopicAdmin::new(&KafkaCluster::new(config.clone()).unwrap()).unwrap();
    let missing = check(&admin).await;
    assert_eq!(missing.len(), 3);
    assert!(missing.iter().all(|difference| difference.what == Difference::Missing));
    let applied = admin.apply(&[tenant("acme")]).await.unwrap();
    assert_eq!((applied.mended, applied.left), (missing, Vec::new()));
    eventually("nothing differs", || async { check(&admin).await.is_empty() }).await;

    let client: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", config.brokers.join(",")).create().unwrap();
    let change = AlterConfig::new(ResourceSpecifier::Topic(&topic))
        .set("segment.ms", "7200000")
        .set("message.timestamp.type", "CreateTime");
    client.alter_configs(&[change], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
    let mut config = config;
    config.topics.partitions = 4;
    config.topics.replication = Some(2);
    let admin = TopicAdmin::new(&KafkaCluster::new(config).unwrap()).unwrap();
    let differences = || async { check(&admin).await.iter().map(ToString::to_string).collect::<Vec<_>>() };
    let wanted = format!("{topic}: message.timestamp.type is CreateTime, LogAppendTime wanted");
    eventually("the differences are told", || async { differences().await.contains(&wanted) }).await;
    let applied = admin.apply(&[]).await.unwrap();
    assert!(applied.mended.iter().any(|mended| mended.what == Difference::Partitions { wanted: 4, found: 3 }));
    assert!(applied.left.iter().all(|left| left.what == Difference::Replication { wanted: 2, found: 1 }));
    assert_eq!(applied.left.len(), 2, "the copies of both topics are left to an operator");
    eventually("only copies differ", || async {
        admin.check(&[]).await.unwrap().iter().all(|difference| !difference.what.is_mendable())
    })
    .await;
    let settings = client.describe_configs(&[ResourceSpecifier::Topic(&topic)], &AdminOptions::new()).await.unwrap();
    let settings = settings.into_iter().next().unwrap().unwrap();
    let kept = settings.get("segment.ms").unwrap();
    assert_eq!((kept.value.as_deref(), &kept.source), (Some("7200000"), &ConfigSource::DynamicTopic));
}

/// A value that differs from any that is wanted.
fn another(setting: &str, wanted: &str) -> &'static str {
    match (setting, wanted) {
        ("cleanup.policy", "delete") => "compact",
        ("cleanup.policy", _) => "delete",
        ("compression.type", _) => "gzip",
        ("max.message.bytes", _) => "12345",
        ("message.timestamp.type", _) => "CreateTime",
        ("min.insync.replicas", _) => "2",
        ("retention.bytes", _) => "1073741824",
        ("retention.ms", _) => "86400000",
        ("unclean.leader.election.enable", _) => "true",
        (other, _) => panic!("{other} has no other value here"),
    }
}

/// Every setting that is wanted is compared, of the shared topic, a tenant's and that of dead letters.
#[tokio::test(flavor = "multi_thread")]
async fn every_setting_is_checked() {
    let config = config(shared_brokers().await);
    let admin = TopicAdmin::new(&KafkaCluster::new(config.clone()).unwrap()).unwrap();
    admin.apply(&[tenant("acme")]).await.unwrap();
    eventually("nothing differs", || async { check(&admin).await.is_empty() }).await;
    let desired = admin.desired(&[tenant("acme")]).await.unwrap();
    let compressed = |topic: &str| topic.contains("acme");
    for wanted in &desired {
        let compression = wanted.settings.get("compression.type").map(String::as_str);
        assert_eq!(compression, compressed(&wanted.name).then_some("zstd"), "{}", wanted.name);
    }
    let client: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", config.brokers.join(",")).create().unwrap();
    let mut expected = Vec::new();
    for wanted in &desired {
        let mut change = AlterConfig::new(ResourceSpecifier::Topic(&wanted.name));
        for (name, value) in &wanted.settings {
            let found = another(name, value);
            change = change.set(name, found);
            let what = Difference::Setting { name, wanted: value.clone(), found: found.to_owned() };
            expected.push(TopicDifference { topic: wanted.name.clone(), what });
        }
        client.alter_configs(&[change], &AdminOptions::new()).await.unwrap().remove(0).unwrap();
    }
    eventually("all differences are told", || async {
        let found = check(&admin).await;
        expected.iter().all(|difference| found.contains(difference))
    })
    .await;
    admin.apply(&[tenant("acme")]).await.unwrap();
    eventually("all are mended", || async { check(&admin).await.is_empty() }).await;
}
