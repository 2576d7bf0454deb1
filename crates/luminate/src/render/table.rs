//! Tables.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement, Table, TableComponent};

use super::visible::visible;

/// A table with these headings; as wide as the terminal at most, where there is one.
pub(crate) fn new(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    // A line under the headings and none else, so that rows can be counted and cut by other tools.
    table.set_style(TableComponent::HeaderLines, '─');
    table.set_style(TableComponent::MiddleHeaderIntersections, '─');
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(headings.iter().map(|heading| visible(heading)));
    table
}

/// Aligns a column for numbers.
pub(crate) fn align_right(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// The width of the terminal in characters; 100 where there is none.
pub(crate) fn terminal_width() -> usize {
    Table::new().width().map_or(100, usize::from)
}
