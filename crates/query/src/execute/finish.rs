//! From accumulators to an answer: values, order and limit.

use std::cmp::Ordering;

use luminate_storage::{
    AggregateAnswer, AggregateFunction, AggregateGroup, AggregateRequest, Direction, GroupOrder, QueryContext,
    StorageError,
};

use super::accumulate::Accumulator;
use super::aggregate::Part;
use super::cells::{ByGroup, GroupCells};
use super::groups::Groups;
use super::memory::Reservation;

/// Groups that are valued between two looks at deadline and cancellation.
const CHECK_GROUPS: usize = 1024;

/// Values, orders and limits the groups. Only what the answer shows is computed: with an order by group the values of the
/// groups within the limit, and steps for these alone in any case.
pub(super) fn finish<A: Accumulator>(
    part: Part<A>,
    request: &AggregateRequest,
    most_values: usize,
    context: &QueryContext,
) -> Result<AggregateAnswer, StorageError> {
    let Part { groups, cells, mut memory, .. } = part;
    let cells = cells.by_group(&mut memory)?;
    let mut valuer = Valuer { cells: &cells, function: &request.function, memory, valued: 0, context };
    let mut ranked = Vec::new();
    for group in cells.groups() {
        let value = match request.order {
            GroupOrder::Value(_) => valuer.whole(group)?,
            GroupOrder::GroupAscending | GroupOrder::GroupDescending => 0.0,
        };
        valuer.memory.reserve(&mut ranked, 1)?;
        ranked.push((value, group));
    }
    let limit = request.limit.unwrap_or(usize::MAX);
    let truncated = ranked.len() > limit;
    keep_first(&mut ranked, limit, |a, b| compare(request.order, &groups, a, b));
    let mut answer = AggregateAnswer { groups: Vec::with_capacity(ranked.len()), truncated };
    let mut values = 0;
    for (value, group) in ranked {
        let value = if matches!(request.order, GroupOrder::Value(_)) { value } else { valuer.whole(group)? };
        let steps = valuer.steps(group)?;
        values += steps.len();
        if values > most_values {
            return Err(StorageError::RowsLimit { limit: most_values as u64 });
        }
        let group = AggregateGroup { group: groups.key(group.group), value, steps };
        valuer.memory.grow(answer_bytes(&group))?;
        answer.groups.push(group);
    }
    Ok(answer)
}

/// Bytes that a group of the answer takes.
fn answer_bytes(group: &AggregateGroup) -> usize {
    let key: usize =
        group.group.iter().map(|value| size_of::<Option<String>>() + value.as_ref().map_or(0, String::len)).sum();
    size_of::<AggregateGroup>() + key + group.steps.len() * size_of::<(i64, f64)>()
}

/// Sorts the first `limit` of a list and drops the others.
fn keep_first<T>(list: &mut Vec<T>, limit: usize, compare: impl Fn(&T, &T) -> Ordering) {
    if limit < list.len() {
        list.select_nth_unstable_by(limit, &compare);
        list.truncate(limit);
    }
    list.sort_unstable_by(&compare);
}

fn compare(order: GroupOrder, groups: &Groups, a: &(f64, GroupCells), b: &(f64, GroupCells)) -> Ordering {
    let by_group = || groups.compare(a.1.group, b.1.group, false);
    match order {
        GroupOrder::GroupAscending => by_group(),
        GroupOrder::GroupDescending => groups.compare(a.1.group, b.1.group, true),
        GroupOrder::Value(Direction::Ascending) => a.0.total_cmp(&b.0).then_with(by_group),
        GroupOrder::Value(Direction::Descending) => b.0.total_cmp(&a.0).then_with(by_group),
    }
}

/// Computes values of groups and buckets.
struct Valuer<'a, A> {
    cells: &'a ByGroup<'a, A>,
    function: &'a AggregateFunction,
    memory: Reservation,
    valued: usize,
    context: &'a QueryContext,
}

impl<A: Accumulator> Valuer<'_, A> {
    /// The value of a group over the whole range.
    fn whole(&mut self, group: GroupCells) -> Result<f64, StorageError> {
        let parts: Vec<&A> = self.cells.accumulators(group).collect();
        self.value(&parts)
    }

    /// The values of a group's buckets, by time.
    fn steps(&mut self, group: GroupCells) -> Result<Vec<(i64, f64)>, StorageError> {
        let cells = self.cells;
        cells.buckets(group).map(|(start, accumulator)| Ok((start, self.value(&[accumulator])?))).collect()
    }

    fn value(&mut self, parts: &[&A]) -> Result<f64, StorageError> {
        self.valued += 1;
        if self.valued.is_multiple_of(CHECK_GROUPS) {
            self.context.check()?;
        }
        // There is no negative zero in answers: whether a sum or minimum is one depends on the order of the samples.
        Ok(A::value(parts, self.function, &mut self.memory)? + 0.0)
    }
}
