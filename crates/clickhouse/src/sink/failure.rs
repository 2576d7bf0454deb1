//! A statement's error as the store's.

use luminate_storage::StorageError;

use crate::client::{ClientError, codes};

/// What a writer does about it. Nearly everything may get well by itself or by an operator, and is tried again: nothing that was
/// accepted is dropped because a server is away, misses a table or refuses a password.
pub(super) fn unavailable(error: ClientError) -> StorageError {
    match error.server_code() {
        Some(codes::NOT_ENOUGH_SPACE) => StorageError::DiskFull(error.to_string()),
        Some(codes::TOO_MANY_PARTS) if error.is_too_many_parts() => {
            StorageError::Unavailable(format!("it merges more slowly than it is written to; slow down ({error})"))
        }
        Some(codes::TOO_MANY_PARTS) => StorageError::Damaged(format!("a block of more than one partition ({error})")),
        Some(codes::UNKNOWN_TABLE | codes::UNKNOWN_DATABASE) => {
            StorageError::Unavailable(format!("a table is missing; run `luminate migrate` ({error})"))
        }
        _ => StorageError::Unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clickhouse::error::Error;

    use super::*;

    fn code_of(text: &str) -> &'static str {
        unavailable(ClientError::of("http://ch", Error::BadResponse(text.to_owned()))).code()
    }

    #[test]
    fn what_may_get_well_is_tried_again() {
        assert_eq!(code_of("Code: 252. DB::Exception: Too many parts (300)"), "storage_unavailable");
        assert_eq!(code_of("Code: 252. DB::Exception: Too many partitions for single INSERT block"), "storage_damaged");
        assert_eq!(code_of("Code: 243. DB::Exception: Cannot reserve 1.00 MiB"), "storage_disk_full");
        assert_eq!(code_of("Code: 516. DB::Exception: Authentication failed"), "storage_unavailable");
        assert_eq!(code_of("502 Bad Gateway"), "storage_unavailable");
    }
}
