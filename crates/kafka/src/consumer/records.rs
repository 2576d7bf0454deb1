//! Kafka's messages as records.

use bytes::Bytes;
use luminate_model::Offset;
use luminate_queue::ConsumedRecord;
use rdkafka::Timestamp;
use rdkafka::message::{BorrowedMessage, Headers, Message};

/// A message as a record; `None` where it has no offset, which no fetched one is.
pub(crate) fn consumed(message: &BorrowedMessage<'_>) -> Option<ConsumedRecord> {
    let offset = Offset(u64::try_from(message.offset()).ok()?);
    let append_time = message.timestamp().to_millis().unwrap_or_default();
    Some(ConsumedRecord {
        offset,
        append_time,
        key: bytes(message.key()),
        headers: headers(message),
        value: bytes(message.payload()),
    })
}

/// Whether its time is when it was appended, not what the producer said.
pub(crate) fn has_append_time(message: &BorrowedMessage<'_>) -> bool {
    matches!(message.timestamp(), Timestamp::LogAppendTime(_))
}

/// Names and values beside the payload.
pub(crate) fn headers(message: &BorrowedMessage<'_>) -> Vec<(String, Bytes)> {
    let Some(headers) = message.headers() else { return Vec::new() };
    headers.iter().map(|header| (header.key.to_owned(), bytes(header.value))).collect()
}

fn bytes(part: Option<&[u8]>) -> Bytes {
    part.map(Bytes::copy_from_slice).unwrap_or_default()
}
