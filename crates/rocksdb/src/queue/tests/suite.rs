//! The suite of all queues.

use std::sync::Arc;

use async_trait::async_trait;
use luminate_queue::conformance::{self, Ending, OpenQueue, QueueFactory};
use luminate_runtime::clock::system_clock;
use tempfile::TempDir;

use super::super::{EmbeddedQueue, EmbeddedQueueConfig, Limits};
use super::copy_of;

/// The queue of a test. A crash is played by copying its files while it is open.
struct Factory {
    folder: TempDir,
    queue: Option<EmbeddedQueue>,
}

impl Factory {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), queue: None }
    }

    fn open_now(&mut self) -> OpenQueue {
        let config =
            EmbeddedQueueConfig { partitions: Some(conformance::PARTITIONS), ..EmbeddedQueueConfig::default() };
        let limits = Limits {
            held_bytes: conformance::MAX_BYTES as u64,
            record_bytes: conformance::MAX_RECORD_BYTES,
            ..Limits::of(&config)
        };
        let queue = EmbeddedQueue::open_with_limits(self.folder.path(), &config, limits, system_clock());
        let queue = Arc::new(queue.unwrap());
        self.queue = Some((*queue).clone());
        let consumer = Box::new(queue.consumer());
        OpenQueue { producer: queue.clone(), consumer, dead_letters: queue.clone(), admin: queue }
    }
}

#[async_trait]
impl QueueFactory for Factory {
    async fn open(&mut self) -> OpenQueue {
        self.open_now()
    }

    async fn reopen(&mut self, queue: OpenQueue, ending: Ending) -> OpenQueue {
        match ending {
            Ending::Close => self.queue.take().unwrap().close().await,
            Ending::Crash => {
                let copy = copy_of(self.folder.path());
                self.queue = None;
                drop(queue);
                self.folder = copy;
                return self.open_now();
            }
        }
        drop(queue);
        self.open_now()
    }

    async fn close(&mut self) {
        self.queue.as_ref().unwrap().close().await;
    }
}

luminate_queue::queue_conformance!(Factory::new());
