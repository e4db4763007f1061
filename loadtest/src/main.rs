//! The command.

fn main() {
    print!("{}", loadtest::schema());
}
