//! luminate-queue
