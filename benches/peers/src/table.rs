//! The table, for people.

use std::fmt::Write;

use serde_json::Value;

use crate::results::{Figure, Row};

/// All rows; a column of speed for each of `texts` (its name, and what stands above it).
pub fn table(rows: &[Row], texts: &[(&str, &str)]) -> String {
    let mut lines = vec![heads(texts)];
    lines.extend(rows.iter().filter(|row| row.missing.is_none()).map(|row| cells(row, texts)));
    let widths: Vec<usize> = (0..lines[0].len())
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for line in &lines {
        let mut text = String::new();
        for (i, (cell, &width)) in line.iter().zip(&widths).enumerate() {
            // Writing to a string does not fail.
            let _ = match i {
                0 => write!(text, "{cell:width$}"),
                _ => write!(text, "  {cell:>width$}"),
            };
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    for row in rows {
        if let Some(why) = &row.missing {
            let _ = writeln!(out, "absent: {} ({why})", row.peer.what);
        }
    }
    out
}

fn heads(texts: &[(&str, &str)]) -> Vec<String> {
    let speeds = texts.iter().map(|(_, head)| format!("{head}, MB/s"));
    let others = ["CPU s/GB", "RSS MiB", "start ms", "planted left", "corpus left"].map(str::to_owned);
    ["peer".to_owned()].into_iter().chain(speeds).chain(others).collect()
}

fn cells(row: &Row, texts: &[(&str, &str)]) -> Vec<String> {
    let speed = |&(name, _): &(&str, &str)| shown(row.speed(name), 0);
    let cpu = texts.first().and_then(|(name, _)| row.cpu(name));
    let rss = row.rss_mib().map_or("-".to_owned(), |mib| format!("{mib:.1}"));
    let (planted, corpus) = match &row.left {
        Some((planted, corpus)) => (left(planted, "left", "planted"), left(corpus, "leaked", "records")),
        None if row.peer.rewrites => ("-".to_owned(), "-".to_owned()),
        None => ("detects".to_owned(), "detects".to_owned()),
    };
    let start = shown(row.start_ms(), 1);
    [row.peer.what.to_owned()]
        .into_iter()
        .chain(texts.iter().map(speed))
        .chain([shown(cpu, 2), rss, start, planted, corpus])
        .collect()
}

/// The best, and the median in brackets.
fn shown(figure: Option<Figure>, digits: usize) -> String {
    figure.map_or("-".to_owned(), |Figure { best, median }| format!("{best:.digits$} ({median:.digits$})"))
}

fn left(told: &Value, left: &str, of: &str) -> String {
    match (told[left].as_u64(), told[of].as_u64()) {
        (Some(left), Some(of)) => format!("{left} of {of}"),
        _ => told["error"].as_str().unwrap_or("-").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::peers::Peer;
    use crate::results::tests::row;

    #[test]
    fn rows_align_and_the_absent_are_named() {
        let mut ours = row("kasm-scrub", 1000.0);
        ours.left =
            Some((json!({"planted": 12, "left": 3}), json!({"records": 5, "error": "4 lines came out"})));
        let absent = Row::new(Peer::by_id("kingfisher").expect("row"), Some("not installed".to_owned()));
        let rows = [ours, row("vectorscan-lines", 100.0), absent];
        let text = table(&rows, &[("log", "log"), ("json", "JSON")]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[0].chars().count(), lines[1].chars().count().max(lines[0].chars().count()));
        assert!(
            lines[1].contains("1000 (") && lines[1].contains("3 of 12") && lines[1].contains("4 lines came")
        );
        assert!(lines[2].contains("detects"));
        assert_eq!(lines[3], "absent: Kingfisher, its own rules (not installed)");
    }
}
