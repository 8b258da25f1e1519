//! The tables of a finished page, as a screen reader meets them.
//!
//! Knows of the HTML that mdBook writes for a table and of nothing else.

/// The page with each heading of a table that says nothing, such as the corner above the first
/// column, as a plain cell. A heading is read out with each cell below it; an empty one is a riddle.
pub fn plain_corners(page: &str) -> String {
    const CLOSE: &str = "</th>";
    let mut plain = String::with_capacity(page.len());
    let mut rest = page;
    while let Some(start) = rest.find("<th") {
        let (before, cell) = rest.split_at(start);
        plain.push_str(before);
        let end = cell.find('>').map_or(cell.len(), |end| end + 1);
        let (open, after) = cell.split_at(end);
        let is_heading = open == "<th>" || open.starts_with("<th ");
        match after.strip_prefix(CLOSE) {
            Some(after) if is_heading => {
                plain.push_str(&open.replacen("<th", "<td", 1));
                plain.push_str("</td>");
                rest = after;
            }
            _ => {
                plain.push_str(open);
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::plain_corners;

    #[test]
    fn a_heading_that_says_nothing_is_a_plain_cell() {
        let page =
            "<thead><tr><th></th><th style=\"text-align: right\"></th><th>Cost</th></tr></thead>";
        assert_eq!(
            plain_corners(page),
            "<thead><tr><td></td><td style=\"text-align: right\"></td><th>Cost</th></tr></thead>"
        );
        assert_eq!(plain_corners("1 <th"), "1 <th");
    }
}
