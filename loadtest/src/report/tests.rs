//! The page and the picture as a whole.

use crate::{report::render, sample};

#[test]
fn writes_the_sample() {
    let page = render(&sample::results());
    std::fs::write("/tmp/shot/sample.html", page).unwrap();
}
