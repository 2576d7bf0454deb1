//! What a process tells about itself: logs and metrics.

pub mod logs;
pub mod metrics;

pub use logs::{LogConfig, LogError, LogFormat};
pub use metrics::{Metrics, MetricsError, Process};
