//! The page, the picture and the model as a whole, on a run that nobody measured.

mod breakeven;
mod files;
mod made_up;
mod model;
mod page;
mod reference;
mod summary;
