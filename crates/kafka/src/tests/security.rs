//! Brokers that are spoken to in encryption, and that ask who is there.

use std::path::PathBuf;
use std::sync::OnceLock;

use luminate_auth::Secret;
use luminate_queue::{Producer, PublishError};
use luminate_tests::engines::kafka::Certificates;
use luminate_tests::engines::{Kafka, KafkaOptions};

use super::groups::all_given;
use super::{cluster, config, eventually, record, shared_brokers};
use crate::config::SaslMechanism;
use crate::{KafkaCluster, KafkaConfig, KafkaConsumer, KafkaError, KafkaProducer, TopicAdmin};

const PASSWORD: &str = "the admin's password";

/// One broker with TLS and users, for all tests of this file.
async fn secured() -> &'static Kafka {
    static SECURED: OnceLock<Kafka> = OnceLock::new();
    let users = vec![("admin".to_owned(), PASSWORD.to_owned())];
    let start = || SECURED.get_or_init(|| Kafka::start(KafkaOptions { users, tls: true, ..KafkaOptions::default() }));
    tokio::task::spawn_blocking(start).await.unwrap()
}

/// A configuration that is let in.
fn welcome(kafka: &Kafka) -> KafkaConfig {
    let mut config = config(kafka.brokers().split(',').map(str::to_owned).collect());
    config.tls.enabled = true;
    config.tls.ca_file = Some(kafka.certificates().authority);
    config.sasl.username = Some("admin".to_owned());
    config.sasl.password = Some(Secret::new(PASSWORD).into());
    config
}

/// Goes once through all kinds of clients: topics are made, a record is written, read and committed.
async fn round_trip(config: KafkaConfig) {
    let cluster = cluster(config).await;
    let producer = KafkaProducer::new(&cluster).unwrap();
    let placement = producer.publish(vec![record("a", "hello")]).await.remove(0).unwrap();
    let mut consumer = KafkaConsumer::start(&cluster).unwrap();
    let mut partitions = all_given(&mut consumer, 3).await;
    let partition = partitions.iter_mut().find(|partition| partition.source() == placement.source).unwrap();
    let records = partition.poll(1).await.unwrap();
    assert_eq!((records[0].offset, records[0].value.as_ref()), (placement.offset, b"hello".as_slice()));
    partition.commit(placement.offset.next(), "").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn both_mechanisms_and_a_private_authority_are_spoken() {
    let kafka = secured().await;
    for mechanism in [SaslMechanism::ScramSha256, SaslMechanism::ScramSha512] {
        let mut config = welcome(kafka);
        config.sasl.mechanism = mechanism;
        round_trip(config).await;
    }
}

/// Brokers that let nobody in without a certificate of their authority.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_shows_its_certificate_where_it_must() {
    let properties = vec![("listener.name.client.ssl.client.auth".to_owned(), "required".to_owned())];
    let options = KafkaOptions { tls: true, properties, ..KafkaOptions::default() };
    let kafka = tokio::task::spawn_blocking(|| Kafka::start(options)).await.unwrap();
    let mut config = config(vec![kafka.brokers()]);
    let Certificates { authority, client, client_key } = kafka.certificates();
    config.tls.enabled = true;
    config.tls.ca_file = Some(authority);
    let without = refusal(config.clone()).await;
    assert!(without.contains("kafka_tls_failed"), "{without}");
    config.tls.certificate_file = Some(client);
    config.tls.key_file = Some(client_key);
    round_trip(config).await;
}

/// What is told where no broker lets a client in: by what asks, by what makes topics, and by a producer.
async fn refusal(config: KafkaConfig) -> String {
    let cluster = KafkaCluster::new(config).unwrap();
    let error = cluster.ready().await.unwrap_err();
    assert_eq!(error.code(), "queue_unavailable");
    let admin = TopicAdmin::new(&cluster).unwrap().check(&[]).await.unwrap_err();
    assert_eq!(admin.code(), "kafka_unavailable");
    let producer = KafkaProducer::new(&cluster).unwrap();
    let refused = producer.publish(vec![record("a", "no")]).await.remove(0).unwrap_err();
    assert!(matches!(refused, PublishError::Unavailable { .. }), "{refused}");
    eventually("the producer says so", || async { producer.available().is_err() }).await;
    let told = [error.to_string(), admin.to_string(), refused.to_string(), producer.available().unwrap_err()];
    let code = ["kafka_tls_failed", "kafka_login_failed", "kafka_unreachable"];
    let code = code.into_iter().find(|code| told[0].contains(code)).unwrap_or_else(|| panic!("no code: {told:?}"));
    for text in &told {
        assert!(text.contains(code), "{code} is not in {text}");
        assert!(!text.contains("password of") && !text.contains(PASSWORD), "a secret is told: {text}");
    }
    told[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_refused_is_told_why_and_no_secret() {
    let kafka = secured().await;
    let with = |change: &dyn Fn(&mut KafkaConfig)| {
        let mut config = welcome(kafka);
        change(&mut config);
        tokio::spawn(refusal(config))
    };
    let another_authority = with(&|config| config.tls.ca_file = Some(kafka.certificates().client));
    let systems_authorities = with(&|config| config.tls.ca_file = None);
    let wrong_password = with(&|config| config.sasl.password = Some(Secret::new("a password of nobody").into()));
    let unknown_user = with(&|config| config.sasl.username = Some("nobody".to_owned()));
    let not_logged_in = with(&|config| {
        config.sasl.username = None;
        config.sasl.password = None;
    });
    let not_encrypted = with(&|config| {
        config.tls.enabled = false;
        config.tls.ca_file = None;
    });
    for refused in [another_authority, systems_authorities] {
        let told = refused.await.unwrap();
        assert!(told.contains("kafka_tls_failed") && told.contains("certificate verify failed"), "{told}");
    }
    for refused in [wrong_password, unknown_user] {
        let told = refused.await.unwrap();
        assert!(told.contains("kafka_login_failed") && told.contains("invalid credentials"), "{told}");
    }
    for refused in [not_logged_in, not_encrypted] {
        let told = refused.await.unwrap();
        assert!(told.contains("kafka_unreachable") && told.contains("see kafka.tls and kafka.sasl"), "{told}");
    }
}

/// The other way round: the brokers do not encrypt, or ask for no password.
#[tokio::test(flavor = "multi_thread")]
async fn plain_brokers_are_not_trusted_by_clients_that_want_more() {
    let mut encrypted = config(shared_brokers().await);
    encrypted.tls.enabled = true;
    let told = refusal(encrypted).await;
    assert!(told.contains("kafka_tls_failed"), "{told}");
    let mut logged_in = config(shared_brokers().await);
    logged_in.sasl.username = Some("admin".to_owned());
    logged_in.sasl.password = Some(Secret::new("a password of nobody").into());
    let told = refusal(logged_in).await;
    assert!(told.contains("kafka_login_failed") || told.contains("kafka_unreachable"), "{told}");
}

/// Nothing is begun with files that are not there.
#[test]
fn a_missing_file_is_told_at_once() {
    let mut config = config(vec!["127.0.0.1:1".to_owned()]);
    config.tls.enabled = true;
    config.tls.ca_file = Some(PathBuf::from("/nowhere/authority.pem"));
    let error = KafkaCluster::new(config).err().unwrap();
    assert_eq!(error.code(), "kafka_client_invalid");
    let KafkaError::Client(cause) = &error else { panic!("{error}") };
    assert!(cause.to_string().contains("ssl.ca.location"), "{cause}");
}
