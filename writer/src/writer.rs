//! The writer put together.

use std::sync::Arc;

use axum::Router;
use luminate_auth::TokenVerifier;
use luminate_queue::{Consumer, DeadLetters, QueueAdmin};
use luminate_runtime::clock::Clock;
use luminate_runtime::http::Authenticator;
use luminate_runtime::lifecycle::{Lifecycle, StopStage};
use luminate_storage::{SampleSink, Watermarks};

use crate::admin::{self, Admin, AdminParts};
use crate::assignments::Assignments;
use crate::config::{InvalidWriterConfig, WriterConfig};
use crate::partition::Pipeline;
use crate::progress::Progress;
use crate::schema_registry::{RegisteredSchemas, SchemaRegistry};
use crate::watch::Watch;

/// What a writer needs of the process around it.
pub struct WriterParts {
    /// Where records come from.
    pub consumer: Box<dyn Consumer>,
    /// Where the schemas are kept that records name by a number.
    pub schema_registry: Option<Arc<dyn SchemaRegistry>>,
    /// Where those go that cannot be used.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// What operators need of the queue.
    pub queue: Arc<dyn QueueAdmin>,
    /// How far the partitions of this writer reach, for lag: asked once a second, so it must be cheap.
    pub own_ends: Arc<dyn QueueAdmin>,
    /// How far the partitions of all writers are stored; `None` where this writer has them all.
    pub watermarks: Option<Arc<dyn Watermarks>>,
    /// Where samples go.
    pub sink: Arc<dyn SampleSink>,
    /// Where the writer tells how far its partitions are stored; whoever waits for that has a clone.
    pub progress: Progress,
    /// Checks the tokens of operators.
    pub verifier: Arc<dyn TokenVerifier>,
    /// For delays and for the marks of replays. What is stored depends on append times alone.
    pub clock: Clock,
    /// The process.
    pub lifecycle: Lifecycle,
}

/// A writer that runs.
pub struct Writer {
    /// The routes under `/api/v1/admin`. The standard layers of a port, health and metrics are the composer's.
    pub admin: Router,
    /// How far each source is stored.
    pub progress: Progress,
}

/// Puts a writer together and starts its tasks. They end in the stage [`StopStage::Drain`], when what was read is stored.
///
/// # Errors
/// [`InvalidWriterConfig`] names the key whose value makes no sense.
pub fn build(config: WriterConfig, parts: WriterParts) -> Result<Writer, InvalidWriterConfig> {
    config.check()?;
    let WriterParts {
        consumer,
        schema_registry,
        dead_letters,
        queue,
        own_ends,
        watermarks,
        sink,
        progress,
        verifier,
        clock,
        lifecycle,
    } = parts;
    let pipeline = Arc::new(Pipeline {
        config,
        sink: Arc::clone(&sink),
        dead_letters: Arc::clone(&dead_letters),
        schemas: Arc::new(registered_schemas(schema_registry, &lifecycle)),
        progress: progress.clone(),
        clock: Arc::clone(&clock),
        metrics: lifecycle.metrics().clone(),
    });
    let watch = Watch::new(Arc::clone(&pipeline), own_ends, Arc::clone(&clock), &lifecycle);
    lifecycle.spawn("writer", StopStage::Drain, |stop| Assignments::new(pipeline, consumer, stop).run());
    lifecycle.spawn("writer-watch", StopStage::Drain, |stop| watch.run(stop));
    let parts = AdminParts { dead_letters, queue, sink, progress: progress.clone(), watermarks, clock };
    let admin = Admin::new(Authenticator::new(verifier), parts);
    admin.go_on_erasing();
    Ok(Writer { admin: admin::routes(admin), progress })
}

/// A registry that is configured is one of the process's dependencies.
fn registered_schemas(registry: Option<Arc<dyn SchemaRegistry>>, lifecycle: &Lifecycle) -> RegisteredSchemas {
    let is_configured = registry.is_some();
    let schemas = RegisteredSchemas::new(registry);
    if is_configured { schemas.shown_as(lifecycle.health().dependency("schema_registry")) } else { schemas }
}
