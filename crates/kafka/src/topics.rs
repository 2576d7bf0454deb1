//! Which topics there are, in which incarnation, and whose they are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use luminate_model::{Incarnation, Source, TenantId};

use crate::config::{TENANT_PLACEHOLDER, TopicsConfig};
use crate::native::TopicDescription;

/// One incarnation of a topic of samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) incarnation: Incarnation,
    pub(crate) partitions: u32,
    /// The tenant whose topic it is; `None` where the records' keys name their tenants.
    pub(crate) owner: Option<TenantId>,
}

impl Topic {
    /// One of its partitions.
    pub(crate) fn source(&self, partition: u32) -> Source {
        Source { incarnation: self.incarnation, partition }
    }

    /// All of its partitions.
    pub(crate) fn sources(&self) -> impl Iterator<Item = Source> + '_ {
        (0..self.partitions).map(|partition| self.source(partition))
    }
}

/// What topics mean by their names.
#[derive(Debug, Clone)]
pub(crate) struct TopicNames {
    samples: String,
    /// What stands before and after the tenant's name; `None` where tenants' topics are not read.
    tenant: Option<(String, String)>,
}

/// What a topic's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TopicRole {
    /// Written by gateways; keys name the tenants.
    Shared,
    /// Written by this tenant.
    Tenant(TenantId),
    /// None of ours, or of a tenant whose name is none.
    Foreign,
}

impl TopicNames {
    pub(crate) fn new(config: &TopicsConfig) -> Self {
        let around = config.tenant.split_once(TENANT_PLACEHOLDER).filter(|_| config.tenant_topics);
        let tenant = around.map(|(before, after)| (before.to_owned(), after.to_owned()));
        Self { samples: config.samples.clone(), tenant }
    }

    /// The topic that gateways write.
    pub(crate) fn samples(&self) -> &str {
        &self.samples
    }

    /// Whether tenants have topics of their own.
    pub(crate) fn has_tenant_topics(&self) -> bool {
        self.tenant.is_some()
    }

    /// What the name of a topic says.
    #[allow(clippy::disallowed_methods, reason = "a topic's name is where a writer takes the tenant from")]
    pub(crate) fn role(&self, topic: &str) -> TopicRole {
        if topic == self.samples {
            return TopicRole::Shared;
        }
        let Some((before, after)) = &self.tenant else { return TopicRole::Foreign };
        let name = topic.strip_prefix(before.as_str()).and_then(|rest| rest.strip_suffix(after.as_str()));
        match name.and_then(|name| TenantId::parse(name).ok()) {
            Some(tenant) => TopicRole::Tenant(tenant),
            None => TopicRole::Foreign,
        }
    }

    /// What a group's member subscribes to; librdkafka takes what begins with `^` for a regular expression.
    pub(crate) fn subscription(&self) -> Vec<String> {
        let mut topics = vec![self.samples.clone()];
        if let Some((before, after)) = &self.tenant {
            let name = "[A-Za-z0-9][A-Za-z0-9_-]*";
            topics.push(format!("^{}{name}{}$", escaped(before), escaped(after)));
        }
        topics
    }

    /// What brokers said, as a topic of ours; `None` where it is none.
    pub(crate) fn topic(&self, description: TopicDescription) -> Option<Topic> {
        let owner = match self.role(&description.name) {
            TopicRole::Shared => None,
            TopicRole::Tenant(tenant) => Some(tenant),
            TopicRole::Foreign => return None,
        };
        let TopicDescription { name, incarnation, partitions } = description;
        Some(Topic { name, incarnation, partitions, owner })
    }
}

/// Dots are all that needs it in the name of a topic.
fn escaped(text: &str) -> String {
    text.replace('.', "\\.")
}

/// Topics as they were at one time.
#[derive(Debug, Clone, Default)]
pub(crate) struct TopicMap {
    by_name: BTreeMap<String, Arc<Topic>>,
    by_incarnation: HashMap<Incarnation, Arc<Topic>>,
}

impl TopicMap {
    pub(crate) fn new(topics: impl IntoIterator<Item = Topic>) -> Self {
        let mut map = Self::default();
        for topic in topics {
            let topic = Arc::new(topic);
            map.by_incarnation.insert(topic.incarnation, Arc::clone(&topic));
            map.by_name.insert(topic.name.clone(), topic);
        }
        map
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name)
    }

    /// The topic of a source; `None` where there is no such topic or partition.
    pub(crate) fn of(&self, source: Source) -> Option<&Arc<Topic>> {
        self.by_incarnation.get(&source.incarnation).filter(|topic| source.partition < topic.partitions)
    }

    /// By name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_name.values()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_whose_a_topic_is() {
        let names = TopicNames::new(&TopicsConfig::default());
        assert_eq!(names.role("luminate.samples.v1"), TopicRole::Shared);
        let acme = TopicRole::Tenant(TenantId::parse("acme-1").unwrap());
        assert_eq!(names.role("luminate.tenant.acme-1.samples.v1"), acme);
        let too_long = format!("luminate.tenant.{}.samples.v1", "a".repeat(65));
        for foreign in
            ["luminate.deadletters.v1", "luminate.tenant..samples.v1", "luminate.tenant.a.b.samples.v1", &too_long]
        {
            assert_eq!(names.role(foreign), TopicRole::Foreign, "{foreign}");
        }
        assert_eq!(
            names.subscription(),
            ["luminate.samples.v1", "^luminate\\.tenant\\.[A-Za-z0-9][A-Za-z0-9_-]*\\.samples\\.v1$"]
        );
    }

    #[test]
    fn without_tenants_topics_there_is_one() {
        let names = TopicNames::new(&TopicsConfig { tenant_topics: false, ..TopicsConfig::default() });
        assert_eq!(names.role("luminate.tenant.acme.samples.v1"), TopicRole::Foreign);
        assert_eq!(names.subscription(), ["luminate.samples.v1"]);
    }
}
