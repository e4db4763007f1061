//! The picture for a README.

use maud::{Markup, html};

use crate::results::Results;

/// Stands alone: its own colours, light and dark.
pub(crate) fn picture(results: &Results) -> Markup {
    html! { svg xmlns="http://www.w3.org/2000/svg" { title { (results.manifest.title) } } }
}
