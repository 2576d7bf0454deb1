//! Changing a store's files as no code of ours would: directory entries and pages of arrival blocks, by their keys.

use std::ops::Range;
use std::path::Path;

use rocksdb::{DB, IteratorMode, Options, WriteBatch};

const FAMILIES: [&str; 4] = ["default", "arrivals", "blocks", "directory"];
/// Where the number of the next block stands in the family `default`.
const NEXT_BLOCK: &[u8] = b"n";
/// In a directory entry: the number of the block's run; then, after a window and the number of ranges, the first range's source,
/// first and next offset.
const RUN: Range<usize> = 1..9;
const FIRST: Range<usize> = 49..57;
const NEXT: Range<usize> = 57..65;

/// A store's database, open behind its back.
pub(crate) struct Tampering {
    db: DB,
}

/// A block's directory entry and its pages.
struct RawBlock {
    entry: Vec<u8>,
    pages: Vec<Vec<u8>>,
}

impl Tampering {
    pub(crate) fn open(store: &Path) -> Self {
        Self { db: DB::open_cf(&Options::default(), store, FAMILIES).unwrap() }
    }

    /// The block is not in the directory any more.
    pub(crate) fn lose(&self, block: u64) {
        self.db.delete_cf(self.family("directory"), block.to_be_bytes()).unwrap();
    }

    /// The block is there twice, the second time with another range of offsets.
    pub(crate) fn double(&self, block: u64, offsets: Range<u64>) {
        let mut copy = self.read(block);
        copy.entry[FIRST].copy_from_slice(&offsets.start.to_be_bytes());
        copy.entry[NEXT].copy_from_slice(&offsets.end.to_be_bytes());
        self.put(copy);
    }

    /// The only block of another store is in the place of a block.
    pub(crate) fn replace(&self, block: u64, other: &Self) {
        self.lose(block);
        self.add(other);
    }

    /// The only block of another store is here as well.
    pub(crate) fn add(&self, other: &Self) {
        self.put(other.read(0));
    }

    fn family(&self, name: &str) -> &rocksdb::ColumnFamily {
        self.db.cf_handle(name).unwrap()
    }

    fn read(&self, block: u64) -> RawBlock {
        let prefix = block.to_be_bytes();
        let entry = self.db.get_cf(self.family("directory"), prefix).unwrap().expect("a block of this number");
        let pages = self.db.iterator_cf(self.family("arrivals"), IteratorMode::Start).map(Result::unwrap);
        let pages = pages.filter(|(key, _)| key.starts_with(&prefix)).map(|(_, page)| page.to_vec()).collect();
        RawBlock { entry, pages }
    }

    fn put(&self, mut block: RawBlock) {
        let next = self.db.get(NEXT_BLOCK).unwrap().expect("the number of the next block");
        let number = u64::from_be_bytes(next.as_slice().try_into().unwrap());
        block.entry[RUN].copy_from_slice(&number.to_be_bytes());
        let mut write = WriteBatch::default();
        write.put_cf(self.family("directory"), number.to_be_bytes(), block.entry);
        for (page, bytes) in (0_u32..).zip(block.pages) {
            write.put_cf(self.family("arrivals"), [&number.to_be_bytes()[..], &page.to_be_bytes()].concat(), bytes);
        }
        write.put(NEXT_BLOCK, (number + 1).to_be_bytes());
        self.db.write(write).unwrap();
    }
}
