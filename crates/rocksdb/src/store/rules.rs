//! What merges leave out: what retention no longer keeps, and what is erased.

use std::collections::{BTreeMap, HashSet};

use luminate_model::{RetentionRules, TenantId, TenantRetention};

use super::directory::Block;
use crate::block::{BlockId, MergeRules, Section, SectionRule};

/// The rules of one merge.
pub(crate) struct Rules {
    now: i64,
    default: TenantRetention,
    tenants: BTreeMap<TenantId, TenantRetention>,
    erase: Option<(TenantId, HashSet<BlockId>)>,
}

impl Rules {
    /// Retention as it is set, judged at `now` (ms since 1970).
    pub(crate) fn new(retention: &RetentionRules, now: i64) -> Self {
        let default = TenantRetention { default_days: retention.default_days, metrics: BTreeMap::new() };
        Self { now, default, tenants: retention.tenants.clone(), erase: None }
    }

    /// Besides, everything that a tenant has in these blocks is erased.
    pub(crate) fn erasing(self, tenant: TenantId, blocks: HashSet<BlockId>) -> Self {
        Self { erase: Some((tenant, blocks)), ..self }
    }

    /// The first timestamp of a section's samples that is still kept.
    pub(crate) fn floor(&self, section: &Section) -> i64 {
        self.floor_of(&section.tenant, &section.metric, section.retention_days)
    }

    /// Whether retention keeps nothing of a block.
    pub(crate) fn expires_whole(&self, block: &Block) -> bool {
        block.summary.sections.iter().all(|section| section.last_timestamp < self.floor(section))
    }

    fn floor_of(&self, tenant: &TenantId, metric: &str, written_days: u16) -> i64 {
        self.tenants.get(tenant).unwrap_or(&self.default).floor(metric, written_days, self.now)
    }
}

impl MergeRules for Rules {
    fn section(&self, block: BlockId, tenant: &TenantId, metric: &str, written_days: u16) -> SectionRule {
        if let Some((erased, blocks)) = &self.erase
            && erased == tenant
            && blocks.contains(&block)
        {
            return SectionRule::Erase;
        }
        SectionRule::KeepFrom(self.floor_of(tenant, metric, written_days))
    }
}
