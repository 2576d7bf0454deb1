//! Blocks as a whole, held against plain lists of rows.

mod damage;
mod merging;
mod needle;
mod scanning;
mod support;
