//! The value of a gateway's record: `SampleColumns` of `avro/SampleColumns.v1.avsc`, single-object encoded.

use luminate_model::columns::{ColumnParts, SampleRow};
use luminate_model::validation::{SampleLimits, has_control_characters};
use luminate_model::{SampleColumns, SampleColumnsBuilder, StringTable};

use crate::avro::{Reader, write_array, write_block_end, write_block_start, write_long, write_string};
use crate::error::DecodeError;
use crate::judged::{JudgedSamples, Rejects};
use crate::single_object::{self, HEADER_BYTES};

/// CRC-64-AVRO of the parsing canonical form of [`SAMPLE_COLUMNS_V1`](crate::SAMPLE_COLUMNS_V1).
pub const FINGERPRINT_V1: u64 = 0x31af_8e15_c61c_c90b;

/// Writes columns as the value of a record.
#[must_use]
pub fn encode(columns: &SampleColumns) -> Vec<u8> {
    let parts = columns.parts();
    let mut out = Vec::with_capacity(expected_size(parts));
    out.extend_from_slice(&single_object::header(FINGERPRINT_V1));

    write_block_start(&mut out, parts.metrics.len());
    for (name, &days) in parts.metrics.iter().zip(&parts.retention_days) {
        write_string(&mut out, name);
        write_long(&mut out, i64::from(days));
    }
    write_block_end(&mut out);
    write_strings(&mut out, &parts.keys);
    write_strings(&mut out, &parts.values);
    write_shapes(&mut out, parts);
    write_array(&mut out, parts.sample_metric.iter().map(|at| i64::from(*at)));
    write_array(&mut out, parts.sample_shape.iter().map(|at| i64::from(*at)));
    let mut previous = 0_i64;
    write_array(
        &mut out,
        parts.timestamps.iter().map(|&timestamp| {
            // Both lie in the years 1900 to 2299, so their difference fits.
            let delta = timestamp.wrapping_sub(previous);
            previous = timestamp;
            delta
        }),
    );
    write_block_start(&mut out, parts.sample_values.len());
    for value in &parts.sample_values {
        out.extend_from_slice(&value.to_le_bytes());
    }
    write_block_end(&mut out);
    write_array(&mut out, parts.dimension_values.iter().map(|at| i64::from(*at)));
    out
}

/// Reads the value of a record, whatever its bytes are: it never panics, and holds about ten times the value's size in
/// memory at most.
///
/// # Errors
/// [`DecodeError`]; the record belongs to the dead letters.
pub fn decode(value: &[u8]) -> Result<SampleColumns, DecodeError> {
    let (fingerprint, datum) = single_object::split(value)?;
    match fingerprint {
        FINGERPRINT_V1 => decode_v1(datum),
        _ => Err(DecodeError::SchemaUnknown { fingerprint }),
    }
}

/// Reads the datum of a record, as [`decode`] does what stands behind the header.
///
/// # Errors
/// [`DecodeError`]; the record belongs to the dead letters.
pub fn decode_v1(datum: &[u8]) -> Result<SampleColumns, DecodeError> {
    let mut reader = Reader::new(datum);
    let mut parts = ColumnParts::default();
    read_metrics(&mut reader, &mut parts)?;
    parts.keys = read_strings(&mut reader)?;
    parts.values = read_strings(&mut reader)?;
    read_shapes(&mut reader, &mut parts)?;
    parts.sample_metric = reader.indexes()?;
    parts.sample_shape = reader.indexes()?;
    parts.timestamps = read_timestamps(&mut reader)?;
    parts.sample_values = reader.doubles()?;
    parts.dimension_values = reader.indexes()?;
    reader.finish()?;
    Ok(SampleColumns::try_from_parts(parts)?)
}

/// Judges each of a direct producer's samples by [`SampleLimits::DIRECT`] at the record's append time (ms since 1970). What
/// gateways wrote is judged already.
#[must_use]
pub fn judge(columns: SampleColumns, append_time: i64) -> JudgedSamples {
    if all_are_valid(columns.parts(), append_time) {
        return JudgedSamples::all_valid(columns);
    }
    let mut samples = SampleColumnsBuilder::new();
    let mut rejects = Rejects::new();
    let mut dimensions = Vec::new();
    for (index, row) in columns.rows().enumerate() {
        dimensions.clear();
        dimensions.extend(row.dimensions());
        match SampleLimits::DIRECT.check(row.metric(), row.timestamp, row.value, &mut dimensions, append_time, 0) {
            Ok(()) => samples.push(row.metric(), row.retention_days(), row.timestamp, row.value, &dimensions),
            Err(reject) => rejects.push(index as u32, reject, row),
        }
    }
    JudgedSamples { samples: samples.finish(), rejected: rejects.finish(value_of) }
}

/// What is seen from the dictionaries and the timestamps; checked columns keep the other limits.
fn all_are_valid(parts: &ColumnParts, append_time: i64) -> bool {
    let newest = append_time.saturating_add(SampleLimits::DIRECT.future_ms.unwrap_or(i64::MAX));
    let has_text_only = |table: &StringTable| !table.iter().any(has_control_characters);
    has_text_only(&parts.metrics) && has_text_only(&parts.keys) && parts.timestamps.iter().all(|time| *time <= newest)
}

/// The value of a record that holds these samples.
fn value_of(rows: &[SampleRow<'_>]) -> Vec<u8> {
    let mut samples = SampleColumnsBuilder::new();
    for row in rows {
        let dimensions: Vec<_> = row.dimensions().collect();
        samples.push(row.metric(), row.retention_days(), row.timestamp, row.value, &dimensions);
    }
    encode(&samples.finish())
}

/// A guess that is seldom too small: growing would copy what is written already.
fn expected_size(parts: &ColumnParts) -> usize {
    let texts = [&parts.metrics, &parts.keys, &parts.values];
    let dictionaries: usize = texts.iter().map(|table| table.text_bytes() + table.len() * 3).sum();
    // Metric and shape are small; a delta of some hours takes 4 bytes, a value 8.
    let samples = parts.timestamps.len() * (1 + 1 + 4 + 8);
    HEADER_BYTES + dictionaries + parts.shape_keys.len() * 2 + samples + parts.dimension_values.len() * 3 + 64
}

fn write_strings(out: &mut Vec<u8>, table: &StringTable) {
    write_block_start(out, table.len());
    for string in table.iter() {
        write_string(out, string);
    }
    write_block_end(out);
}

fn write_shapes(out: &mut Vec<u8>, parts: &ColumnParts) {
    write_block_start(out, parts.shape_ends.len());
    let mut start = 0;
    for &end in &parts.shape_ends {
        let keys = parts.shape_keys.get(start..end as usize).unwrap_or_default();
        write_array(out, keys.iter().map(|at| i64::from(*at)));
        start = end as usize;
    }
    write_block_end(out);
}

fn read_metrics(reader: &mut Reader<'_>, parts: &mut ColumnParts) -> Result<(), DecodeError> {
    // A name's length and the days: two bytes at least.
    loop {
        let metrics = reader.block(2)?;
        if metrics == 0 {
            return Ok(());
        }
        for _ in 0..metrics {
            let name = reader.string()?;
            let days = reader.index()?;
            parts.metrics.push(name);
            // What does not fit is too long in any case: the check of all columns refuses it.
            parts.retention_days.push(u16::try_from(days).unwrap_or(u16::MAX));
        }
    }
}

fn read_strings(reader: &mut Reader<'_>) -> Result<StringTable, DecodeError> {
    let mut table = StringTable::new();
    loop {
        let strings = reader.block(1)?;
        if strings == 0 {
            return Ok(table);
        }
        for _ in 0..strings {
            table.push(reader.string()?);
        }
    }
}

fn read_shapes(reader: &mut Reader<'_>, parts: &mut ColumnParts) -> Result<(), DecodeError> {
    loop {
        let shapes = reader.block(1)?;
        if shapes == 0 {
            return Ok(());
        }
        for _ in 0..shapes {
            loop {
                let keys = reader.block(1)?;
                if keys == 0 {
                    break;
                }
                for _ in 0..keys {
                    parts.shape_keys.push(reader.index()?);
                }
            }
            parts.shape_ends.push(parts.shape_keys.len() as u32);
        }
    }
}

fn read_timestamps(reader: &mut Reader<'_>) -> Result<Vec<i64>, DecodeError> {
    let mut timestamps = Vec::new();
    let mut timestamp = 0_i64;
    loop {
        let deltas = reader.block(1)?;
        if deltas == 0 {
            return Ok(timestamps);
        }
        timestamps.reserve(deltas);
        for _ in 0..deltas {
            // From a timestamp that a record may hold, a sum that wraps is one that it may not: the check of all columns
            // refuses it.
            timestamp = timestamp.wrapping_add(reader.long()?);
            timestamps.push(timestamp);
        }
    }
}
