//! What is known of the terminal.

use std::io::{IsTerminal, stderr, stdout};

/// Whether stdout is a terminal.
pub fn is_terminal() -> bool {
    stdout().is_terminal()
}

/// Whether stderr is a terminal that can move its cursor.
pub fn can_draw() -> bool {
    stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether stdout is a terminal that can move its cursor.
pub fn can_redraw() -> bool {
    is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether stdout takes colour: a terminal, and nobody said no (<https://no-color.org>).
pub fn has_colour() -> bool {
    is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Columns of the terminal; `None` where there is none, or it does not say.
pub fn width() -> Option<u16> {
    if !is_terminal() {
        return None;
    }
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    said.or_else(|| comfy_table::Table::new().width()).filter(|&width| width > 0)
}

/// Lines of the terminal, likewise.
pub fn height() -> Option<u16> {
    if !is_terminal() {
        return None;
    }
    let said = std::env::var("LINES").ok().and_then(|lines| lines.parse().ok());
    said.or_else(|| terminal_size::terminal_size().map(|(_, height)| height.0)).filter(|&height| height > 0)
}
