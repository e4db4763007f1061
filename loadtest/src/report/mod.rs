//! Renders results: a self-contained HTML page, and a picture.
//!
//! # Layout
//!
//! - `page`: the order of the sections. `summary` says in sentences what they show.
//! - `glance`, `latency`, `stacks` (bytes, CPU, memory), `series`, `rivals`, `cells`, `manifest`: a section each.
//! - `model`, `fit`: the run's cost model. `breakeven`, `contour`: the map that is drawn from it. `modelview`: the model
//!   laid open.
//! - `scenes`, `ranking`: which cells stand beside each other, and what the run says of two.
//! - `chart`, `scale`, `format`, `style.css`: what all of them look like.
//!
//! The page needs no network and no script: charts are SVG made here, choices are radio buttons and CSS.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::results::{Results, SCHEMA};

mod breakeven;
mod cells;
mod chart;
mod contour;
mod fit;
mod format;
mod glance;
mod latency;
mod manifest;
mod model;
mod modelview;
mod page;
mod plot;
mod ranking;
mod rivals;
mod scale;
mod scenes;
mod series;
mod stacks;
mod summary;
#[cfg(test)]
mod tests;

/// The results as one self-contained page.
pub fn render(results: &Results) -> String {
    page::page(results).into_string()
}

/// The results as one picture (SVG): latency, bytes and the break-even map, with commit, machine and command.
pub fn picture(results: &Results) -> String {
    plot::picture(results).into_string()
}

/// `loadtest report`: a page from results.
#[derive(Clone, Debug, clap::Args)]
pub struct ReportArgs {
    /// The results of a run
    #[arg(value_name = "FILE.json")]
    pub file: PathBuf,
    /// Where to write the page; beside the results, if it is not said
    #[arg(long, value_name = "FILE.html")]
    pub out: Option<PathBuf>,
}

/// `loadtest plot`: a picture from results.
#[derive(Clone, Debug, clap::Args)]
pub struct PlotArgs {
    /// The results of a run
    #[arg(value_name = "FILE.json")]
    pub file: PathBuf,
    /// Where to write the picture; beside the results, if it is not said
    #[arg(long, value_name = "FILE.svg")]
    pub out: Option<PathBuf>,
}

/// Why no page or picture was made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The results cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// They are no results.
    #[error("{}: not the results of a load test: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// They are the results of another version.
    #[error("{}: its schema is {found:?}, this program renders {SCHEMA:?}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// The page cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Reads results and writes the page; says where.
///
/// # Errors
/// If the file cannot be read or is not the results of this version, or the page cannot be written.
pub fn run(args: &ReportArgs) -> Result<PathBuf, Error> {
    write(args.out.as_deref(), &args.file, "html", &render(&read(&args.file)?))
}

/// Reads results and writes the picture; says where.
///
/// # Errors
/// If the file cannot be read or is not the results of this version, or the picture cannot be written.
pub fn plot(args: &PlotArgs) -> Result<PathBuf, Error> {
    write(args.out.as_deref(), &args.file, "svg", &picture(&read(&args.file)?))
}

/// Reads the results of a run.
///
/// # Errors
/// If the file cannot be read, or is not the results of this version.
pub fn read(path: &Path) -> Result<Results, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })?;
    let parse = |source| Error::Parse { path: path.into(), source };
    // The version first: what else is wrong with another version's document says nothing.
    let value: serde_json::Value = serde_json::from_str(&text).map_err(parse)?;
    if let Some(found) =
        value.get("schema").and_then(|schema| schema.as_str()).filter(|found| *found != SCHEMA)
    {
        return Err(Error::Schema { path: path.into(), found: found.into() });
    }
    serde_json::from_str(&text).map_err(parse)
}

fn write(out: Option<&Path>, file: &Path, extension: &str, text: &str) -> Result<PathBuf, Error> {
    let path = out.map_or_else(|| file.with_extension(extension), Path::to_path_buf);
    match fs::write(&path, text) {
        Ok(()) => Ok(path),
        Err(source) => Err(Error::Write { path, source }),
    }
}
