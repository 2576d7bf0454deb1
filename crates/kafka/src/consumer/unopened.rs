//! Partitions that are assigned and that nobody can begin with yet.

use std::collections::BTreeMap;

use luminate_queue::QueueError;

use crate::cluster::Place;

/// One stay of a partition among those that wait: another one after it was taken away and came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// The partitions that wait, and why.
#[derive(Debug, Default)]
pub(crate) struct Unopened {
    waiting: BTreeMap<Place, (Ticket, String)>,
    tickets: u64,
}

impl Unopened {
    /// A partition waits from now on.
    pub(crate) fn insert(&mut self, place: Place, reason: &QueueError) {
        self.tickets += 1;
        let reason = reason.to_string();
        tracing::warn!(topic = place.0, partition = place.1, reason, "an assigned partition is not opened yet");
        self.waiting.insert(place, (Ticket(self.tickets), reason));
    }

    /// It waits still; another reason is told.
    pub(crate) fn tell(&mut self, place: &Place, ticket: Ticket, reason: &QueueError) {
        let Some((known, told)) = self.waiting.get_mut(place) else { return };
        let reason = reason.to_string();
        if *known == ticket && *told != reason {
            tracing::warn!(topic = place.0, partition = place.1, reason, "an assigned partition is not opened yet");
            *told = reason;
        }
    }

    /// Whether it waits since this ticket was given.
    pub(crate) fn holds(&self, place: &Place, ticket: Ticket) -> bool {
        self.waiting.get(place).is_some_and(|(known, _)| *known == ticket)
    }

    /// It waits no more.
    pub(crate) fn remove(&mut self, place: &Place) {
        self.waiting.remove(place);
    }

    /// All that wait.
    pub(crate) fn tickets(&self) -> Vec<(Place, Ticket)> {
        self.waiting.iter().map(|(place, (ticket, _))| (place.clone(), *ticket)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_that_comes_back_waits_anew() {
        let (mut unopened, place) = (Unopened::default(), ("topic".to_owned(), 3));
        let ticket = |unopened: &Unopened| unopened.tickets().first().map(|(_, ticket)| *ticket);
        unopened.insert(place.clone(), &QueueError::Closed);
        let before = ticket(&unopened);
        assert!(before.is_some_and(|before| unopened.holds(&place, before)));
        unopened.remove(&place);
        unopened.insert(place.clone(), &QueueError::Closed);
        assert!(before.is_some_and(|before| !unopened.holds(&place, before)));
        assert!(ticket(&unopened).is_some_and(|now| unopened.holds(&place, now)));
    }
}
