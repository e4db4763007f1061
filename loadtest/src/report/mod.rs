//! Renders results as HTML.

use crate::results::Results;

/// The results as one self-contained page.
pub fn render(results: &Results) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let mut rows = String::new();
    for cell in &results.cells {
        let at = |quantile| cell.total.latency.as_ref().and_then(|latency| latency.at(quantile));
        let said =
            |value: Option<f64>| value.map_or("not measured".to_owned(), |value| format!("{value:.3}"));
        rows += &format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            escape(&cell.id),
            said(at(0.5)),
            said(at(0.99)),
            escape(&cell.validity.reasons.join(" ")),
        );
    }
    format!(
        "<!doctype html><meta charset=\"utf-8\"><title>{0}</title><h1>{0}</h1>\n<table>\
         <tr><th>cell</th><th>p50 ms</th><th>p99 ms</th><th>invalid because</th></tr>\n{rows}</table>\n",
        escape(&results.manifest.title),
    )
}
