//! The table of contents that every page carries in its own HTML: parts, chapters, and below the
//! chapter that is read its sections. It needs no script and no second request.
//!
//! Knows of the book's items and of finished pages.

use mdbook_driver::book::{Book, BookItem, Chapter};

/// What the template has in place of the table of contents.
pub const PLACE: &str = "@contents()";

/// One line of the table.
struct Line {
    /// Address below the site's root, or nothing for a part's title.
    address: Option<String>,
    html: String,
}

/// The table of contents of one book.
pub struct Contents(Vec<Line>);

impl Contents {
    /// Reads the parts and chapters of a book, in order. Drafts are left out.
    pub fn of(book: &Book) -> Contents {
        let mut lines = Vec::new();
        for item in book.iter() {
            match item {
                BookItem::PartTitle(title) => lines.push(Line {
                    address: None,
                    html: escaped(title),
                }),
                BookItem::Chapter(chapter) => lines.extend(address(chapter).map(|address| Line {
                    address: Some(address),
                    html: escaped(&chapter.name),
                })),
                BookItem::Separator => {}
            }
        }
        Contents(lines)
    }

    /// The address of every chapter below the site's root, in the book's order.
    pub fn addresses(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|line| line.address.as_deref())
    }

    /// The page at `address` (below the site's root, with `/`) with its table of contents.
    /// `root` leads from the page to the site's root: `../`, or nothing.
    pub fn put_into(&self, page: &str, address: &str, root: &str) -> String {
        let Some((before, after)) = page.split_once(PLACE) else {
            return page.to_owned();
        };
        let mut list = String::from("<ol>");
        for line in &self.0 {
            match &line.address {
                None => list.push_str(&format!("<li class=\"part\">{}</li>", line.html)),
                Some(other) if other == address => list.push_str(&format!(
                    "<li><a href=\"{root}{other}\" aria-current=\"page\">{}</a>{}</li>",
                    line.html,
                    sections(after)
                )),
                Some(other) => list.push_str(&format!(
                    "<li><a href=\"{root}{other}\">{}</a></li>",
                    line.html
                )),
            }
        }
        list.push_str("</ol>");
        format!("{before}{list}{after}")
    }
}

/// Where a chapter's page is, below the site's root.
fn address(chapter: &Chapter) -> Option<String> {
    let path = chapter.path.as_deref()?.with_extension("html");
    Some(path.to_string_lossy().replace('\\', "/"))
}

/// The links to a page's own sections, as an ordered list, or nothing if it has none.
fn sections(page: &str) -> String {
    let links: String = page
        .split("<h2 id=\"")
        .skip(1)
        .filter_map(|rest| {
            let (id, rest) = rest.split_once('"')?;
            let (_, rest) = rest.split_once("class=\"header\"")?;
            let (_, rest) = rest.split_once('>')?;
            let (title, _) = rest.split_once("</a>")?;
            Some(format!("<li><a href=\"#{id}\">{title}</a></li>"))
        })
        .collect();
    if links.is_empty() {
        links
    } else {
        format!("<ol>{links}</ol>")
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_lists_every_chapter_and_its_own_sections() {
        let mut book = Book::new();
        book.push_item(BookItem::PartTitle("Part I & II".to_owned()));
        for (name, path) in [("One", "part/one.md"), ("Two", "part/two.md")] {
            let chapter = Chapter::new(name, String::new(), path, Vec::new());
            book.push_item(BookItem::Chapter(chapter));
        }
        let page = "<nav>@contents()</nav><h2 id=\"why\"><a class=\"header\" href=\"#why\">Why <code>x</code></a></h2>";
        let done = Contents::of(&book).put_into(page, "part/two.html", "../");
        assert!(
            done.starts_with(
                "<nav><ol><li class=\"part\">Part I &amp; II</li>\
                 <li><a href=\"../part/one.html\">One</a></li>\
                 <li><a href=\"../part/two.html\" aria-current=\"page\">Two</a>\
                 <ol><li><a href=\"#why\">Why <code>x</code></a></li></ol></li></ol></nav>"
            ),
            "{done}"
        );
    }
}
