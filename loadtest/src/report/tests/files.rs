//! From files to files.

use std::fs;

use super::made_up;
use crate::report::{PlotArgs, ReportArgs, plot, render, run};

#[test]
fn results_become_a_page_and_a_picture() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("results.json");
    fs::write(&file, serde_json::to_string(&made_up::run()).expect("JSON")).expect("written");
    let out = folder.path().join("report.html");
    run(&ReportArgs { file: file.clone(), out: Some(out.clone()) }).expect("a page");
    assert_eq!(fs::read_to_string(out).expect("it is there"), render(&made_up::run()));
    let out = folder.path().join("report.svg");
    plot(&PlotArgs { file, out: Some(out.clone()) }).expect("a picture");
    assert!(fs::read_to_string(out).expect("it is there").starts_with("<svg "));
    let beside = run(&ReportArgs { file: folder.path().join("results.json"), out: None }).expect("a page");
    assert_eq!(beside, folder.path().join("results.html"));
    assert!(beside.exists());
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = |name: &str, content: Option<&str>| {
        let file = folder.path().join(name);
        if let Some(content) = content {
            fs::write(&file, content).expect("written");
        }
        let error = run(&ReportArgs { file, out: Some(folder.path().join("out.html")) })
            .expect_err("no page")
            .to_string();
        assert!(error.contains(name), "{error}");
        error
    };
    assert!(said("missing.json", None).contains("No such file"));
    assert!(said("broken.json", Some("{")).contains("not the results of a load test"));
    assert!(
        said("other.json", Some("{\"schema\":\"fanlight-loadtest/99\"}")).contains("fanlight-loadtest/99")
    );
    assert!(said("short.json", Some("{\"schema\":\"fanlight-loadtest/1\"}")).contains("missing field"));
    assert!(!folder.path().join("out.html").exists());
    let file = folder.path().join("good.json");
    fs::write(&file, serde_json::to_string(&made_up::run()).expect("JSON")).expect("written");
    let out = folder.path().join("nowhere/out.html");
    assert!(
        run(&ReportArgs { file, out: Some(out) })
            .expect_err("no such folder")
            .to_string()
            .contains("nowhere")
    );
}
