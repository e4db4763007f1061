//! What was measured, as a table and as JSON, with what is needed to measure it again.

use std::process::Command;

use serde::Serialize;

/// A figure, and whether it keeps its bar.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) figure: String,
    /// Of which server, over which transport.
    pub(crate) what: String,
    /// The median.
    pub(crate) value: f64,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// What it was held against, in words.
    pub(crate) bar: String,
    /// Whether it keeps that; `None` where there is none.
    pub(crate) met: Option<bool>,
    /// What makes the figure doubtful.
    pub(crate) remark: String,
}

/// All the figures of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    commit: String,
    machine: String,
    kernel: String,
    command: String,
    servers: String,
    rows: Vec<Row>,
}

impl Report {
    /// An empty one.
    pub(crate) fn new() -> Self {
        let said = |program: &str, words: &[&str]| {
            let output = Command::new(program).args(words).output();
            let output = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
            String::from_utf8_lossy(&output).trim().to_owned()
        };
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find(|line| line.starts_with("model name")).unwrap_or_default().to_owned();
        let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
        Self {
            commit: said("git", &["describe", "--always", "--dirty"]),
            machine: format!("{cores} cores, {}", model.split(": ").nth(1).unwrap_or("unknown")),
            kernel: said("uname", &["-sr"]),
            command: std::env::args().collect::<Vec<_>>().join(" "),
            servers: said("nginx", &["-v"]),
            rows: Vec::new(),
        }
    }

    /// Adds a figure, and says it.
    pub(crate) fn add(&mut self, row: Row) {
        eprintln!("{}", line(&row));
        self.rows.push(row);
    }

    /// The table.
    pub(crate) fn print(&self) {
        println!("commit {}, {}, {}, {}", self.commit, self.machine, self.kernel, self.servers);
        println!("`{}`\n", self.command);
        println!("| figure | what | median | bar | |\n|---|---|--:|---|---|");
        for row in &self.rows {
            println!("{}", line(row));
        }
    }

    /// The same as JSON.
    pub(crate) fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

fn line(row: &Row) -> String {
    let verdict = match row.met {
        Some(true) => "met",
        Some(false) => "**missed**",
        None => "",
    };
    let value = match row.value {
        value if value.abs() >= 1000.0 => format!("{value:.0}"),
        value if value.abs() >= 100.0 => format!("{value:.1}"),
        value => format!("{value:.3}"),
    };
    let remark = if row.remark.is_empty() { String::new() } else { format!(" {}", row.remark) };
    format!("| {} | {} | {value} {} | {} | {verdict}{remark} |", row.figure, row.what, row.unit, row.bar)
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let count = values.len();
    match count {
        0 => f64::NAN,
        _ if count % 2 == 1 => values[count / 2],
        _ => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }
}
