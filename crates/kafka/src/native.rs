//! The calls of librdkafka that rdkafka does not offer: ids of topics, whether a record that failed may have been stored, how far a
//! fetch saw a partition reach, and brokers that are told to a client. All unsafe code of this crate is here.
#![allow(unsafe_code, reason = "calls of a C library, each with the reason why it is sound")]

use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;
use std::time::Duration;

use luminate_model::{Incarnation, Offset};
use rdkafka::ClientContext;
use rdkafka::bindings as native;
use rdkafka::client::Client;
use rdkafka::message::BorrowedMessage;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};

/// What brokers say of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicDescription {
    pub(crate) name: String,
    /// The topic's id: another one after the topic was made again.
    pub(crate) incarnation: Incarnation,
    pub(crate) partitions: u32,
}

/// What brokers say of topics; those that do not exist are in neither list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) topics: Vec<TopicDescription>,
    /// Topics of which they say nothing now, by name, and why.
    pub(crate) refused: Vec<(String, RDKafkaErrorCode)>,
}

/// Owns what librdkafka gave, and gives it back.
struct Owned<T> {
    pointer: NonNull<T>,
    release: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// `None` where librdkafka gave nothing.
    ///
    /// # Safety
    /// The pointer is null, or owned by the caller and to be given back by `release`.
    unsafe fn new(pointer: *mut T, release: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        NonNull::new(pointer).map(|pointer| Self { pointer, release })
    }

    fn get(&self) -> *mut T {
        self.pointer.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: `new` took it as owned, and nothing uses it after this.
        unsafe { (self.release)(self.get()) }
    }
}

/// Asks for the ids and the number of partitions of topics. Blocks.
pub(crate) fn describe_topics<C: ClientContext>(
    client: &Client<C>,
    names: &[String],
    timeout: Duration,
) -> Result<Described, RDKafkaErrorCode> {
    let mut described = Described::default();
    if names.is_empty() {
        return Ok(described);
    }
    let names: Vec<CString> = names
        .iter()
        .map(|name| CString::new(name.as_str()))
        .collect::<Result<_, _>>()
        .map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let out_of_memory = RDKafkaErrorCode::Fail;
    let mut text = [0; 256];
    // SAFETY: the client outlives this call; every object is checked for null and given back by its own function, after the
    // last use of what is borrowed from it (`Owned` values are dropped in the reverse order of their making). librdkafka copies
    // the names before `of_topic_names` returns.
    unsafe {
        let collection = native::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr().cast(), pointers.len());
        let collection = Owned::new(collection, native::rd_kafka_TopicCollection_destroy).ok_or(out_of_memory)?;
        let operation = native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = native::rd_kafka_AdminOptions_new(client.native_ptr(), operation);
        let options = Owned::new(options, native::rd_kafka_AdminOptions_destroy).ok_or(out_of_memory)?;
        let refused =
            native::rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout_ms, text.as_mut_ptr(), text.len());
        check(refused)?;
        let queue = native::rd_kafka_queue_new(client.native_ptr());
        let queue = Owned::new(queue, native::rd_kafka_queue_destroy).ok_or(out_of_memory)?;
        native::rd_kafka_DescribeTopics(client.native_ptr(), collection.get(), options.get(), queue.get());
        // The request has its own time-out; a little more, so that its answer says what was wrong.
        let event = native::rd_kafka_queue_poll(queue.get(), timeout_ms.saturating_add(500));
        let event = Owned::new(event, native::rd_kafka_event_destroy).ok_or(RDKafkaErrorCode::OperationTimedOut)?;
        check(native::rd_kafka_event_error(event.get()))?;
        let result = native::rd_kafka_event_DescribeTopics_result(event.get());
        if result.is_null() {
            return Err(RDKafkaErrorCode::Fail);
        }
        let mut count = 0;
        let topics = native::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        for at in 0..count {
            read_description(*topics.add(at), &mut described)?;
        }
    }
    Ok(described)
}

/// Adds nothing where there is no such topic.
///
/// # Safety
/// `topic` belongs to an event that lives.
unsafe fn read_description(
    topic: *const native::rd_kafka_TopicDescription_t,
    described: &mut Described,
) -> Result<(), RDKafkaErrorCode> {
    // SAFETY: what is read belongs to `topic`.
    unsafe {
        let error = native::rd_kafka_TopicDescription_error(topic);
        let code = if error.is_null() {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
        } else {
            native::rd_kafka_error_code(error)
        };
        let name = CStr::from_ptr(native::rd_kafka_TopicDescription_name(topic)).to_string_lossy().into_owned();
        match RDKafkaErrorCode::from(code) {
            RDKafkaErrorCode::NoError => {}
            RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => return Ok(()),
            code => {
                described.refused.push((name, code));
                return Ok(());
            }
        }
        let id = native::rd_kafka_TopicDescription_topic_id(topic);
        let mut incarnation = [0; 16];
        let (high, low) = incarnation.split_at_mut(8);
        high.copy_from_slice(&native::rd_kafka_Uuid_most_significant_bits(id).to_be_bytes());
        low.copy_from_slice(&native::rd_kafka_Uuid_least_significant_bits(id).to_be_bytes());
        let mut partitions = 0;
        native::rd_kafka_TopicDescription_partitions(topic, &raw mut partitions);
        let partitions = u32::try_from(partitions).map_err(|_| RDKafkaErrorCode::Fail)?;
        described.topics.push(TopicDescription { name, incarnation: Incarnation(incarnation), partitions });
    }
    Ok(())
}

fn check(code: RDKafkaRespErr) -> Result<(), RDKafkaErrorCode> {
    match RDKafkaErrorCode::from(code) {
        RDKafkaErrorCode::NoError => Ok(()),
        code => Err(code),
    }
}

/// Whether a record that was not acknowledged may stand in the topic all the same.
pub(crate) fn may_be_stored(record: &BorrowedMessage<'_>) -> bool {
    // SAFETY: the message lives as long as the borrow, and the call only reads it.
    let status = unsafe { native::rd_kafka_message_status(record.ptr()) };
    status != native::rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_NOT_PERSISTED
}

/// What librdkafka calls a client.
pub(crate) fn name<C: ClientContext>(client: &Client<C>) -> String {
    // SAFETY: the client outlives this call, and has a name as long as it lives.
    let name = unsafe { CStr::from_ptr(native::rd_kafka_name(client.native_ptr())) };
    name.to_string_lossy().into_owned()
}

/// Tells a client of brokers (comma separated), as its configuration did when it was made.
pub(crate) fn add_brokers<C: ClientContext>(client: &Client<C>, brokers: &str) {
    let Ok(brokers) = CString::new(brokers) else { return };
    // SAFETY: the client and the text outlive this call, and librdkafka copies the text.
    let added = unsafe { native::rd_kafka_brokers_add(client.native_ptr(), brokers.as_ptr()) };
    tracing::debug!(added, "brokers were added");
}

/// How far a partition reaches by the last answer to a fetch; `None` where there was none yet.
pub(crate) fn fetched_end<C: ClientContext>(client: &Client<C>, topic: &str, partition: i32) -> Option<Offset> {
    let topic = CString::new(topic).ok()?;
    let (mut begin, mut end) = (0, 0);
    // SAFETY: the client and the name outlive this call, which writes nothing but the two numbers.
    let code = unsafe {
        native::rd_kafka_get_watermark_offsets(
            client.native_ptr(),
            topic.as_ptr(),
            partition,
            &raw mut begin,
            &raw mut end,
        )
    };
    check(code).ok()?;
    // Unknown ends are negative.
    u64::try_from(end).ok().map(Offset)
}
