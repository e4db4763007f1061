//! Results as a table, for the terminal.

use comfy_table::{Cell as Field, CellAlignment, Table, presets::UTF8_HORIZONTAL_ONLY};

use crate::results::{Cell, Metric, Pattern, Purpose, Results, Verdict};

/// All that fits a terminal.
pub fn table(results: &Results) -> String {
    let mut text = String::new();
    let cells = |idle: bool| {
        let wanted =
            move |cell: &&Cell| cell.purpose == Purpose::Compare && (cell.pattern == Pattern::Idle) == idle;
        results.cells.iter().filter(wanted).collect::<Vec<_>>()
    };
    let (loaded, idle) = (cells(false), cells(true));
    if !loaded.is_empty() {
        text += &under_load(&loaded);
    }
    if !idle.is_empty() {
        text += &format!("\nIdle connections\n{}", at_rest(&idle));
    }
    text += &verdicts(results);
    text
}

fn under_load(cells: &[&Cell]) -> String {
    let mut table =
        new(&["", "p50 ms", "p99 ms", "max ms", "CPU µs", "user", "B", "requests", "of expected", ""]);
    for cell in cells {
        let total = &cell.total;
        let at = |quantile| total.latency.as_ref().and_then(|latency| latency.at(quantile));
        let cpu = |of: fn(&crate::results::Cpu) -> Option<f64>| {
            total.cpu.as_ref().and_then(of).map(|ns| ns / 1000.0)
        };
        let exactly = &total.exactly;
        let delivered = if exactly.holds() {
            "all, once".to_owned()
        } else {
            format!("{} of {}", exactly.delivered, exactly.expected)
        };
        add(
            &mut table,
            &[
                cell.id.clone(),
                number(at(0.5)),
                number(at(0.99)),
                number(at(1.0)),
                number(cpu(|cpu| cpu.total_ns_per_delivery)),
                number(cpu(|cpu| cpu.user_ns_per_delivery)),
                number(total.wire.sockets.bytes_per_delivery),
                number(total.wire.requests_per_event),
                delivered,
                mark(cell),
            ],
        );
    }
    format!(
        "Latency from the intended time (for poll: staleness); CPU, bytes and requests for each delivery\n{table}\n"
    )
}

fn at_rest(cells: &[&Cell]) -> String {
    let mut table = new(&[
        "",
        "RSS B",
        "kernel's buffers B",
        "kernel's slabs B",
        "CPU µs/s",
        "B/s",
        "connect ms",
        "CPU µs",
        "",
    ]);
    for cell in cells {
        let (total, memory) = (&cell.total, cell.total.memory);
        let connecting = total.connecting.as_ref();
        add(
            &mut table,
            &[
                cell.id.clone(),
                number(memory.and_then(|memory| memory.rss_bytes_per_connection)),
                number(memory.and_then(|memory| memory.socket_buffer_bytes_per_connection)),
                number(memory.and_then(|memory| memory.socket_slab_bytes_per_connection)),
                number(total.cpu.map(|cpu| cpu.total_ns_per_subscriber_second / 1000.0)),
                number(Some(total.wire.sockets.bytes_per_subscriber_second)),
                number(connecting.and_then(|connecting| connecting.time.at(0.5))),
                number(
                    connecting.and_then(|connecting| connecting.cpu_ns_per_connection).map(|ns| ns / 1000.0),
                ),
                mark(cell),
            ],
        );
    }
    format!("{table}\n")
}

fn verdicts(results: &Results) -> String {
    let mut text = String::new();
    if let Some(noise) = &results.noise {
        let floors = noise
            .floors
            .iter()
            .map(|floor| format!("{} {:.1} %", floor.metric.name().0, floor.relative * 100.0));
        let floors: Vec<String> = floors.collect();
        text += &format!("\nNoise floor (the same, {} times): {}.\n", noise.cells.len(), floors.join(", "));
    }
    for metric in Metric::ALL {
        let count = |wanted: &dyn Fn(Verdict) -> bool| {
            let pairs = results.comparisons.iter().filter(|comparison| comparison.metric == metric);
            pairs.filter(|comparison| wanted(comparison.verdict)).count()
        };
        let same = count(&|verdict| verdict == Verdict::NoDifference);
        let apart = count(&|verdict| matches!(verdict, Verdict::Higher | Verdict::Lower));
        let unknown = count(&|verdict| verdict == Verdict::NotComparable);
        if same + apart + unknown > 0 {
            let name = metric.name().0;
            text += &format!(
                "{name}: {apart} pairs differ, {same} show no difference, {unknown} cannot be compared.\n"
            );
        }
    }
    let marked = |wanted: &dyn Fn(&Cell) -> Vec<String>| {
        let lines = results
            .cells
            .iter()
            .flat_map(|cell| wanted(cell).into_iter().map(move |line| format!("  {}: {line}\n", cell.id)));
        lines.collect::<String>()
    };
    let notes = marked(&|cell| cell.validity.notes.clone());
    if !notes.is_empty() || !results.validity.notes.is_empty() {
        text += "\nNotes\n";
        results.validity.notes.iter().for_each(|note| text += &format!("  {note}\n"));
        text += &notes;
    }
    if !results.validity.valid {
        text += "\nINVALID, not to be used:\n";
        results.validity.reasons.iter().for_each(|reason| text += &format!("  {reason}\n"));
    }
    text
}

/// Comparisons that say something, a line each.
pub fn comparisons(all: &[crate::results::Comparison]) -> String {
    let told = all.iter().filter(|comparison| comparison.verdict != Verdict::NoDifference);
    let same = all.iter().filter(|comparison| comparison.verdict == Verdict::NoDifference).count();
    let lines: String = told.map(|comparison| format!("{}\n", comparison.text)).collect();
    format!("{lines}{same} of {} figures show no difference.\n", all.len())
}

fn new(names: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_header(names.to_vec());
    table
}

fn add(table: &mut Table, fields: &[String]) {
    let fields = fields.iter().enumerate().map(|(n, text)| {
        let side = if n == 0 || n + 1 == fields.len() { CellAlignment::Left } else { CellAlignment::Right };
        Field::new(text).set_alignment(side)
    });
    table.add_row(fields);
}

fn mark(cell: &Cell) -> String {
    if cell.validity.valid { String::new() } else { "INVALID".to_owned() }
}

fn number(value: Option<f64>) -> String {
    let Some(value) = value else { return "–".to_owned() };
    match value.abs() {
        0.0 => "0".to_owned(),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{results::Validity, sample};

    #[test]
    fn a_table_says_what_is_invalid() {
        let mut results = sample::results();
        let text = table(&results);
        assert!(text.contains("fanlight/sse 200 × 10/s") && text.contains("all, once"), "{text}");
        assert!(text.contains("Noise floor") && !text.contains("INVALID"), "{text}");
        results.cells[0].validity = Validity::new(vec!["it was busy".to_owned()], Vec::new());
        results.validity = Validity::new(vec!["a cell".to_owned()], Vec::new());
        assert!(table(&results).matches("INVALID").count() >= 2);
    }
}
