//! The page and the picture as a whole.

use crate::{report::render, sample};

mod made_up;

#[test]
fn writes_the_sample() {
    std::fs::write("/tmp/shot/sample.html", render(&sample::results())).unwrap();
    std::fs::write("/tmp/shot/made_up.html", render(&made_up::run())).unwrap();
    std::fs::write("/tmp/shot/made_up.svg", crate::report::picture(&made_up::run())).unwrap();
    std::fs::write("/tmp/shot/made_up.json", serde_json::to_string(&made_up::run()).unwrap()).unwrap();
}
