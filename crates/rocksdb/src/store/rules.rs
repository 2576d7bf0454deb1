//! What merges leave out: what retention no longer keeps, and what is erased.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use luminate_model::{RetentionRules, TenantId, TenantRetention};

use super::directory::Block;
use super::state::Ledger;
use crate::block::{BlockId, MergeRules, Section, SectionRule};

/// Retention as it is set, at one moment.
pub(crate) struct Rules {
    now: i64,
    default: TenantRetention,
    tenants: BTreeMap<TenantId, TenantRetention>,
}

/// The rules of one merge: retention, and what the ledger covers of its inputs.
pub(crate) struct MergingRules<'a> {
    rules: &'a Rules,
    erased: HashMap<BlockId, Vec<TenantId>>,
}

impl<'a> MergingRules<'a> {
    /// Besides retention, what the ledger covers of `inputs` is left out.
    pub(crate) fn new(rules: &'a Rules, ledger: &Ledger, inputs: &[&Arc<Block>]) -> Self {
        Self { rules, erased: covered(ledger, inputs) }
    }

    /// Whether the ledger, as it is now, covers of the inputs what it covered when these rules were made.
    pub(crate) fn hold_for(&self, ledger: &Ledger, inputs: &[&Arc<Block>]) -> bool {
        covered(ledger, inputs) == self.erased
    }
}

/// The tenants that the ledger covers, for each block that holds something of theirs.
fn covered(ledger: &Ledger, blocks: &[&Arc<Block>]) -> HashMap<BlockId, Vec<TenantId>> {
    let mut covered = HashMap::<BlockId, Vec<TenantId>>::new();
    for tenant in ledger.tenants() {
        for block in blocks.iter().filter(|block| block.is_covered(ledger, tenant)) {
            covered.entry(block.id).or_default().push(tenant.clone());
        }
    }
    covered
}

impl Rules {
    /// Retention as it is set, judged at `now` (ms since 1970).
    pub(crate) fn new(retention: &RetentionRules, now: i64) -> Self {
        let default = TenantRetention { default_days: retention.default_days, metrics: BTreeMap::new() };
        Self { now, default, tenants: retention.tenants.clone() }
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

impl MergeRules for MergingRules<'_> {
    fn section(&self, block: BlockId, tenant: &TenantId, metric: &str, written_days: u16) -> SectionRule {
        if self.erased.get(&block).is_some_and(|tenants| tenants.contains(tenant)) {
            return SectionRule::Erase;
        }
        SectionRule::KeepFrom(self.rules.floor_of(tenant, metric, written_days))
    }
}
