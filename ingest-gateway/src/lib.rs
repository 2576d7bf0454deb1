//! luminate-ingest-gateway
