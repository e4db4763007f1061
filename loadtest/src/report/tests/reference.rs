//! The report and the picture in the tree are what the figures beside them are made into today.

use std::path::Path;

use crate::report::{picture, read, render};

#[test]
fn the_reference_is_made_of_its_figures() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let results = read(&root.join("reference/report.json")).unwrap();
    let held = [
        ("report", "reference/report.html", render(&results)),
        ("plot", "../docs/loadtest.svg", picture(&results)),
    ];
    for (command, file, made) in held {
        let is_the_same = std::fs::read_to_string(root.join(file)).unwrap() == made;
        assert!(is_the_same, "write {file} again: loadtest {command} loadtest/reference/report.json --out …");
    }
}

#[test]
fn the_reference_is_a_clean_run_in_which_every_figure_counts() {
    let results = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/report.json")).unwrap();
    assert!(!results.manifest.dirty);
    assert!(results.validity.valid, "{:?}", results.validity);
}
