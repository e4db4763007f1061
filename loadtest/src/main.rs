//! The command.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use loadtest::{
    cli::{Cli, Command, Measure},
    cores::Cores,
    interrupt,
    plan::{self, Plan},
    progress::Progress,
    report,
    results::Results,
    run::{self, Target},
    server::{gateway, rival::Rival},
    table,
};
use rustix::fs::{Access, access};

/// Figures were written that are not to be used.
const INVALID: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match done(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("loadtest: {error}");
            ExitCode::FAILURE
        }
    }
}

fn done(cli: Cli) -> Result<ExitCode, String> {
    match cli.command {
        None => measure(&cli.measure, cli.measure.plan(plan::comparison())?, false),
        Some(Command::Rivals { names, no_install, measure: how }) => rivals(&names, !no_install, &how),
        Some(Command::Compare { before, after }) => {
            let (before, after) = (read(&before)?, read(&after)?);
            let comparisons = run::across(&before, &after);
            if comparisons.is_empty() {
                return Err("the two have no cell in common".to_owned());
            }
            print!("{}", table::comparisons(&comparisons));
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Report(what)) => made(report::run(&what)),
        Some(Command::Plot(what)) => made(report::plot(&what)),
        Some(Command::Plan { measure }) => {
            print!("{}", measure.plan(plan::comparison())?.text());
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Schema) => {
            print!("{}", loadtest::schema());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn rivals(names: &[String], install: bool, how: &Measure) -> Result<ExitCode, String> {
    let known: Vec<&str> = Rival::ALL.iter().map(|rival| rival.name()).collect();
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(format!(
            "`{name}` is none that can be started ({}): start it yourself, and use --url with --adapter",
            known.join(", ")
        ));
    }
    let names: Vec<&str> = if names.is_empty() { known } else { names.iter().map(String::as_str).collect() };
    measure(how, how.plan(plan::rivals(&names))?, install)
}

fn measure(how: &Measure, plan: Plan, install: bool) -> Result<ExitCode, String> {
    // Known before a minute and a half is measured for nothing.
    writable(&how.out).map_err(|error| format!("{}: {error}", how.out.display()))?;
    let cores = Cores::divide(how.server_cores);
    let mut targets = BTreeMap::new();
    for (name, server) in plan.servers() {
        let gateway = || match &how.server {
            Some(program) => {
                program.canonicalize().map_err(|error| format!("{}: {error}", program.display()))
            }
            None => gateway::find(|doing| eprintln!("{doing} …")),
        };
        targets.insert(name.clone(), Target::prepare(&name, &server, gateway, install, &cores)?);
    }
    interrupt::listen().map_err(|error| format!("listening for Ctrl-C: {error}"))?;
    let mut progress = Progress::new(plan.estimate()?, how.quiet);
    let results = run::run(&plan, &targets, &cores, &mut progress)?;
    progress.over();
    println!("{}", table::table(&results));
    save(&how.out, &results)?;
    Ok(match results.validity.valid {
        _ if interrupt::asked() => ExitCode::from(interrupt::STATUS),
        true => ExitCode::SUCCESS,
        false => ExitCode::from(INVALID),
    })
}

fn writable(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

fn save(folder: &Path, results: &Results) -> Result<(), String> {
    let json = serde_json::to_string(results).map_err(|error| error.to_string())? + "\n";
    write(&folder.join("report.json"), &json)?;
    write(&folder.join("report.html"), &report::render(results))
}

fn write(file: &PathBuf, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    println!("wrote {}", file.display());
    Ok(())
}

fn read(file: &Path) -> Result<Results, String> {
    report::read(file).map_err(|error| error.to_string())
}

fn made(written: Result<PathBuf, report::Error>) -> Result<ExitCode, String> {
    println!("wrote {}", written.map_err(|error| error.to_string())?.display());
    Ok(ExitCode::SUCCESS)
}
