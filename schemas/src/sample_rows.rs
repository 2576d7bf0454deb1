//! The value of a direct producer's record: `SampleRows` of `avro/SampleRows.v1.avsc`.

use luminate_model::validation::{SampleLimits, excerpt};
use luminate_model::{Reject, SampleColumns, SampleColumnsBuilder, TenantId};

use crate::avro::{Reader, write_block_end, write_block_start, write_long, write_string};
use crate::error::DecodeError;
use crate::judged::{JudgedSamples, Rejects};
use crate::single_object::{self, HEADER_BYTES};

/// CRC-64-AVRO of the parsing canonical form of [`SAMPLE_ROWS_V1`](crate::SAMPLE_ROWS_V1).
pub const FINGERPRINT_V1: u64 = 0x20b0_1371_95a0_d099;

/// The smallest sample: two lengths and a timestamp of one byte each, a value, the end of no dimensions.
const SMALLEST_SAMPLE_BYTES: usize = 1 + 1 + 8 + 1;

/// Writes samples as the value of a record, single-object encoded. `tenant` is what the record says of its owner; retentions
/// have no place in this form.
#[must_use]
pub fn encode(tenant: Option<&TenantId>, samples: &SampleColumns) -> Vec<u8> {
    let mut out = begin(tenant);
    write_block_start(&mut out, samples.len());
    for row in samples.rows() {
        write_string(&mut out, row.metric());
        write_long(&mut out, row.timestamp);
        out.extend_from_slice(&row.value.to_le_bytes());
        write_block_start(&mut out, row.dimension_indexes().count());
        for (key, value) in row.dimensions() {
            write_string(&mut out, key);
            write_string(&mut out, value);
        }
        write_block_end(&mut out);
    }
    write_block_end(&mut out);
    out
}

/// Reads the datum of a record and judges each of its samples by [`SampleLimits::DIRECT`] at the record's append time (ms since
/// 1970). Whatever the bytes are, it never panics, and holds about twenty times their size in memory at most. `owner` is the
/// tenant that the record belongs to.
///
/// # Errors
/// [`DecodeError`] where the record as a whole belongs to the dead letters.
pub fn decode_v1(datum: &[u8], owner: &TenantId, append_time: i64) -> Result<JudgedSamples, DecodeError> {
    let mut reader = Reader::new(datum);
    if let Some(named) = read_tenant(&mut reader)?
        && named != owner.as_str()
    {
        return Err(DecodeError::TenantMismatch { named: excerpt(named).to_owned(), owner: owner.clone() });
    }
    let mut samples = SampleColumnsBuilder::new();
    let mut rejects = Rejects::new();
    let mut dimensions = Vec::new();
    let mut index = 0_u32;
    loop {
        let block = reader.block(SMALLEST_SAMPLE_BYTES)?;
        if block == 0 {
            break;
        }
        for _ in 0..block {
            let begin = reader.rest();
            let sample = read_sample(&mut reader, &mut dimensions)?;
            match judge(&sample, &mut dimensions, append_time) {
                Ok(()) => samples.push(sample.name, 0, sample.timestamp, sample.value, &dimensions),
                Err(reject) => {
                    let size = begin.len() - reader.rest().len();
                    rejects.push(index, reject, begin.get(..size).unwrap_or_default());
                }
            }
            index += 1;
        }
    }
    reader.finish()?;
    Ok(JudgedSamples { samples: samples.finish(), rejected: rejects.finish(value_of) })
}

/// A sample as it stands in the datum, its dimensions aside.
struct RawSample<'a> {
    name: &'a str,
    timestamp: i64,
    value: f64,
}

fn judge(sample: &RawSample<'_>, dimensions: &mut Vec<(&str, &str)>, append_time: i64) -> Result<(), Reject> {
    SampleLimits::DIRECT.check(sample.name, sample.timestamp, sample.value, dimensions, append_time, 0)
}

fn read_tenant<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a str>, DecodeError> {
    match reader.index()? {
        0 => Ok(None),
        1 => reader.string().map(Some),
        _ => Err(reader.fault("a branch of tenant that does not exist")),
    }
}

/// Reads the next sample; its dimensions replace what `dimensions` held.
#[inline(always)]
fn read_sample<'a>(
    reader: &mut Reader<'a>,
    dimensions: &mut Vec<(&'a str, &'a str)>,
) -> Result<RawSample<'a>, DecodeError> {
    let name = reader.string()?;
    let timestamp = reader.long()?;
    let value = reader.double()?;
    dimensions.clear();
    loop {
        // Two lengths.
        let block = reader.block(2)?;
        if block == 0 {
            return Ok(RawSample { name, timestamp, value });
        }
        for _ in 0..block {
            dimensions.push((reader.string()?, reader.string()?));
        }
    }
}

/// The value of a record that holds the samples of these bytes, each as it stands in a datum.
fn value_of(samples: &[&[u8]]) -> Vec<u8> {
    let mut out = begin(None);
    write_block_start(&mut out, samples.len());
    for sample in samples {
        out.extend_from_slice(sample);
    }
    write_block_end(&mut out);
    out
}

/// Header and tenant of a value.
fn begin(tenant: Option<&TenantId>) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES + 128);
    out.extend_from_slice(&single_object::header(FINGERPRINT_V1));
    write_long(&mut out, i64::from(tenant.is_some()));
    if let Some(tenant) = tenant {
        write_string(&mut out, tenant.as_str());
    }
    out
}
