//! The tables of a run as CSV: the time series, and who first heard of a rumor from whom.

use std::io::Write;

use serde::Serialize;

use crate::results::summary::{RumorRow, RunResult, SeriesRow};

/// The columns of `series.csv`.
const SERIES: [&str; 6] = ["t_ms", "missing", "ghosts", "messages", "bytes", "updates"];
/// The columns of `rumors.csv`.
const RUMORS: [&str; 7] = ["rumor", "node", "sent_ms", "first_ms", "hop", "from", "via"];

/// Writes `series.csv`.
///
/// # Errors
/// When the writer fails.
pub fn write_series(to: impl Write, rows: &[SeriesRow]) -> Result<(), csv::Error> {
    let mut writer = table(to, &SERIES, rows)?;
    Ok(writer.flush()?)
}

/// Writes `rumors.csv`; a last row says how many are missing when the limit left some out.
///
/// # Errors
/// When the writer fails.
pub fn write_rumors(to: impl Write, run: &RunResult) -> Result<(), csv::Error> {
    let rows: &[RumorRow] = &run.rumor_rows;
    let mut writer = table(to, &RUMORS, rows)?;
    if run.rumor_rows_left_out > 0 {
        // With all columns, so that readers that insist on a rectangle still read the rest.
        let remark = format!("# {} more rows: see rumor_rows_max", run.rumor_rows_left_out);
        writer.write_record([remark.as_str(), "", "", "", "", "", ""])?;
    }
    Ok(writer.flush()?)
}

/// The columns are written even when there are no rows.
fn table<W: Write>(
    to: W,
    columns: &[&str],
    rows: &[impl Serialize],
) -> Result<csv::Writer<W>, csv::Error> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(to);
    writer.write_record(columns)?;
    rows.iter().try_for_each(|row| writer.serialize(row))?;
    Ok(writer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixture;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_columns_are_those_of_the_rows() {
        let run = fixture::partition(3, 1, 1);
        let keys = |row: serde_json::Value| {
            let row = row.as_object().expect("a row has named columns");
            row.keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(keys(serde_json::to_value(run.series[0]).unwrap()), SERIES);
        assert_eq!(keys(serde_json::to_value(&run.rumor_rows[0]).unwrap()), RUMORS);
    }

    #[test]
    fn a_series_has_a_line_each_sample() {
        let run = fixture::partition(3, 1, 1);
        let csv = text(|to| write_series(to, &run.series[..2]).unwrap());
        let expected = "t_ms,missing,ghosts,messages,bytes,updates\n\
                        0.0,6,0,0,0,0\n100.0,0,0,80,9000,1\n";
        assert_eq!(csv, expected);
        assert_eq!(
            text(|to| write_series(to, &[]).unwrap()),
            "t_ms,missing,ghosts,messages,bytes,updates\n"
        );
    }

    #[test]
    fn the_source_of_a_rumor_has_no_sender() {
        let csv = text(|to| write_rumors(to, &fixture::partition(3, 1, 1)).unwrap());
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[0], "rumor,node,sent_ms,first_ms,hop,from,via");
        assert_eq!(lines[1], "metadata-0,0,,10000.0,0,,source");
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn rows_that_were_left_out_are_announced_in_a_full_row() {
        let mut run = fixture::partition(3, 1, 1);
        run.rumor_rows_left_out = 12;
        let csv = text(|to| write_rumors(to, &run).unwrap());
        assert_eq!(csv.lines().last(), Some("# 12 more rows: see rumor_rows_max,,,,,,"));
    }
}
