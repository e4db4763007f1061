//! What stands on the page.

use std::collections::BTreeSet;

use scraper::{ElementRef, Html, Selector};

use super::made_up;
use crate::{
    report::{picture, render},
    results::{Metric, Results, Transport, Validity},
    sample,
};

fn select(selector: &str) -> Selector {
    Selector::parse(selector).expect("a selector")
}

fn text(element: ElementRef) -> String {
    element.text().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The texts of a row's fields.
fn row(element: ElementRef) -> String {
    element.select(&select("th, td")).map(text).collect::<Vec<_>>().join(" ")
}

fn parsed(page: &str) -> Html {
    let document = Html::parse_document(page);
    assert!(document.errors.is_empty(), "{:?}", document.errors);
    document
}

/// Runs of all kinds: each has to give a page.
fn runs() -> Vec<Results> {
    let mut empty = sample::results();
    (empty.cells, empty.comparisons, empty.noise) = (Vec::new(), Vec::new(), None);
    let mut bare = made_up::run();
    for cell in &mut bare.cells {
        let total = &mut cell.total;
        (total.latency, total.cpu, total.memory, total.connecting) = (None, None, None, None);
        total.wire.ledger = None;
        total.not_measured.insert("cpu".into(), "the server says nothing of it".into());
        cell.repetitions.clear();
        cell.estimates = crate::results::Estimates::default();
    }
    let mut invalid = made_up::run();
    invalid.cells.iter_mut().for_each(made_up::spoil);
    let mut single = sample::results();
    single.cells.truncate(1);
    single.comparisons.clear();
    vec![sample::results(), made_up::run(), empty, bare, invalid, single]
}

#[test]
fn it_is_well_formed_whatever_was_measured() {
    for results in runs() {
        let page = render(&results);
        let document = parsed(&page);
        for svg in page.split("<svg").skip(1) {
            let svg = format!("<svg{}</svg>", svg.split("</svg>").next().unwrap_or_default());
            roxmltree::Document::parse(&svg).unwrap_or_else(|error| panic!("{error}: {svg}"));
        }
        assert!(!page.contains("NaN") && !page.contains("inf"), "a figure that is none");
        let mut ids = BTreeSet::new();
        for element in document.select(&select("[id]")) {
            let id = element.attr("id").unwrap_or_default();
            assert!(ids.insert(id.to_owned()), "{id} twice");
        }
        for link in document.select(&select("a")) {
            let target =
                link.attr("href").and_then(|href| href.strip_prefix('#')).expect("links stay on the page");
            assert!(ids.contains(target), "{target}");
        }
    }
}

#[test]
fn it_needs_no_network_and_no_script() {
    for text in [render(&made_up::run()), picture(&made_up::run())] {
        let document = Html::parse_document(&text);
        assert_eq!(
            document
                .select(&select(
                    "script, link, img, iframe, object, embed, image, use, [src], [style*='http']"
                ))
                .count(),
            0
        );
        for forbidden in ["@import", "//cdn", "https://"] {
            assert!(!text.contains(forbidden), "{forbidden}");
        }
        let without_namespace = text.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        assert!(!without_namespace.contains("http://"), "an address");
        assert!(text.matches("url(").count() == text.matches("url(#").count(), "a fill from elsewhere");
    }
}

#[test]
fn each_cell_has_its_row_with_its_figures() {
    let results = made_up::run();
    let document = parsed(&render(&results));
    let rows: Vec<Vec<String>> = document
        .select(&select("#cells tbody tr"))
        .map(|row| row.select(&select("th, td")).map(text).collect())
        .collect();
    assert_eq!(rows.len(), results.cells.len());
    for (cell, row) in results.cells.iter().zip(rows) {
        let mark = if cell.validity.valid { "" } else { " invalid" };
        assert_eq!(row[0], format!("{}{mark}", cell.id.replace("  ", " ")));
        assert!(row.contains(&cell.subscribers.to_string()), "{row:?}");
        let missed = row.len() - 7;
        assert_eq!(row[missed], cell.total.exactly.missed.to_string(), "{row:?}");
    }
}

#[test]
fn an_invalid_cell_is_marked_explained_and_left_out() {
    let results = made_up::run();
    let bad = results.cells.iter().find(|cell| !cell.validity.valid).expect("one is");
    let document = parsed(&render(&results));
    let all = |selector: &str| document.select(&select(selector)).map(text).collect::<Vec<_>>();
    let explained = all("#validity [aria-label='Invalid cells'] tbody tr");
    assert_eq!(explained.len(), 1);
    assert!(
        explained[0].contains(&bad.id) && explained[0].contains(&bad.validity.reasons.join(" ")),
        "{explained:?}"
    );
    assert_eq!(all("#glance tr.invalid th"), ["longpoll invalid"]);
    assert_eq!(all("#cells tr.invalid").len(), 1);
    // No curve and no end label in its scene; a hollow bar instead of a full one.
    let panel = document.select(&select("#latency svg")).nth(2).expect("the third scene");
    assert!(
        panel.attr("aria-label").expect("a label").contains("round trip 200"),
        "{:?}",
        panel.attr("aria-label")
    );
    assert_eq!(panel.select(&select("path.longpoll")).count(), 0);
    assert_eq!(panel.select(&select("path.sse")).count(), 1);
    assert_eq!(document.select(&select("#bytes rect.s-invalid")).count(), 1);
    assert_eq!(document.select(&select("#cpu rect.s-invalid")).count(), 1);
    // What the run itself has to say stands beside it.
    let mut ended = results.clone();
    ended.validity.reasons.insert(0, "Interrupted after 3 of 9 runs.".into());
    let rows: Vec<String> = parsed(&render(&ended))
        .select(&select("#validity [aria-label='Invalid cells'] tbody tr"))
        .map(text)
        .collect();
    assert!(rows.len() == 2 && rows[1].contains("Interrupted after 3 of 9 runs."), "{rows:?}");
    // A run without it has no such marks.
    let mut sound = results.clone();
    for cell in &mut sound.cells {
        cell.validity = Validity::new(Vec::new(), Vec::new());
        cell.repetitions.iter_mut().for_each(|repetition| repetition.validity = cell.validity.clone());
    }
    sound.validity = Validity::new(Vec::new(), Vec::new());
    let document = parsed(&render(&sound));
    assert_eq!(document.select(&select(".s-invalid, tr.invalid")).count(), 0);
    assert!(
        document
            .select(&select("#validity"))
            .next()
            .is_some_and(|section| text(section).contains("All 58 cells are valid"))
    );
}

#[test]
fn each_chart_has_a_name_and_a_table() {
    let document = parsed(&render(&made_up::run()));
    for section in ["latency", "bytes", "cpu", "memory", "series", "breakeven"] {
        let figures: Vec<_> = document.select(&select(&format!("#{section} figure"))).collect();
        assert!(!figures.is_empty(), "{section}");
        for figure in figures {
            assert_eq!(figure.select(&select("table")).count(), 1, "{section}");
        }
    }
    for svg in document.select(&select("svg:not([aria-hidden])")) {
        assert_eq!(svg.attr("role"), Some("img"));
        assert!(svg.attr("aria-label").is_some_and(|label| !label.is_empty()));
    }
    for table in document.select(&select("table")) {
        assert!(table.select(&select("th[scope=col]")).next().is_some(), "a table without heads");
    }
    for scroll in document.select(&select(".scroll")) {
        assert!(scroll.attr("tabindex").is_some() && scroll.attr("aria-label").is_some());
    }
}

#[test]
fn each_transport_ends_in_its_name_and_has_its_own_stroke() {
    let document = parsed(&render(&made_up::run()));
    let panel = document.select(&select("#latency svg")).nth(1).expect("the second scene");
    let names: BTreeSet<String> = panel.select(&select("text.name")).map(text).collect();
    assert_eq!(names, Transport::ALL.map(|transport| transport.name().to_owned()).into());
    for transport in Transport::ALL {
        assert_eq!(panel.select(&select(&format!("path.line.{}", transport.name()))).count(), 1);
    }
}

#[test]
fn one_cost_is_chosen_and_each_choice_has_its_maps() {
    let page = render(&made_up::run());
    let document = parsed(&page);
    let chosen: Vec<_> = document.select(&select("#breakeven input[checked]")).collect();
    assert_eq!(chosen.len(), 1);
    assert_eq!(chosen[0].attr("id"), Some("cost-bytes"));
    for (cost, maps) in [("bytes", 3), ("cpu", 9), ("requests", 3)] {
        assert_eq!(document.select(&select(&format!(".maps .map.{cost} svg.chart"))).count(), maps, "{cost}");
        assert!(page.contains(&format!(".maps:has(#cost-{cost}:checked) .{cost} {{ display: block }}")));
    }
    let styles = page.split("@media print").nth(1).expect("rules for print");
    assert!(styles.contains("size: A4"));
    assert!(page.contains("@media (prefers-color-scheme: dark)"));
}

#[test]
fn rivals_are_shown_where_there_are_some() {
    let document = parsed(&render(&made_up::run()));
    let rows: Vec<String> = document.select(&select("#rivals tbody tr")).map(row).collect();
    // Ours over three transports, and the four.
    assert_eq!(rows.len(), 7, "{rows:?}");
    assert!(
        rows.iter().any(|row| row.starts_with("websocket socketio") && row.contains("× 2.50")),
        "{rows:?}"
    );
    assert!(rows.iter().any(|row| row.starts_with("sse nchan") && row.contains("no difference")), "{rows:?}");
    assert!(parsed(&render(&sample::results())).select(&select("#rivals")).next().is_none());
}

#[test]
fn what_a_run_says_cannot_break_out_of_the_page() {
    let mut results = made_up::run();
    let hostile = "</title><script>alert(1)</script>&\"'";
    results.manifest.title = hostile.into();
    results.manifest.command = hostile.into();
    results.manifest.plan = hostile.into();
    results.cells[0].id = hostile.into();
    results.cells[0].server = hostile.into();
    results.cells[0].total.generator.first_error = Some(hostile.into());
    results.manifest.versions.insert("fanlight".into(), hostile.into());
    for server in &mut results.manifest.servers {
        (server.name, server.command, server.version) =
            (hostile.into(), hostile.into(), Some(hostile.into()));
    }
    spoil_with(&mut results, hostile);
    let page = render(&results);
    assert!(!page.contains("<script"), "it did");
    assert!(
        text(parsed(&page).select(&select("h1")).next().expect("a title"))
            .contains("<script>alert(1)</script>")
    );
    roxmltree::Document::parse(&picture(&results)).expect("a picture is XML");
}

fn spoil_with(results: &mut Results, reason: &str) {
    results.cells[1].validity = Validity::new(vec![reason.into()], vec![reason.into()]);
}

#[test]
fn the_picture_stands_alone_and_says_where_it_is_from() {
    for results in runs() {
        let picture = picture(&results);
        let document = roxmltree::Document::parse(&picture).expect("it is XML");
        let said: String = document.descendants().filter_map(|node| node.text()).collect();
        for part in
            [&results.manifest.command, &results.manifest.machine.cpu, &results.manifest.machine.kernel]
        {
            assert!(said.contains(part.as_str()), "{part}");
        }
        assert!(said.contains("0123456789+"), "the commit, and that the tree was changed");
        assert!(said.contains("prefers-color-scheme: dark"));
    }
    let picture = picture(&made_up::run());
    for part in ["Latency", "Bytes per event", "Cheapest transport", "longpoll", "websocket"] {
        assert!(picture.contains(part), "{part}");
    }
}

#[test]
fn figures_of_comparisons_are_those_of_the_cells() {
    let results = made_up::run();
    let document = parsed(&render(&results));
    let rows: Vec<String> = document.select(&select("#comparisons tbody tr")).map(text).collect();
    assert_eq!(rows.len(), results.comparisons.len());
    let (index, comparison) = results
        .comparisons
        .iter()
        .enumerate()
        .find(|(_, c)| c.metric == Metric::CpuPerDelivery)
        .expect("one is");
    let cell = results.cells.iter().find(|cell| cell.id == comparison.a).expect("it is there");
    let micros = cell.estimates.cpu_per_delivery.expect("measured").value / 1e3;
    assert!(rows[index].contains(&format!("{micros:.2} µs")), "{} {micros}", rows[index]);
}
