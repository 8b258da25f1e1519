//! Reads the tags of a piece of raw HTML: enough for ids, links and headings, no more.

/// A start tag.
#[derive(Debug)]
pub(crate) struct Tag {
    /// Its name in lower case.
    pub(crate) name: String,
    /// Where its `<` stands in the piece.
    pub(crate) at: usize,
    /// Its attributes with lower-case names, and where each begins in the piece.
    pub(crate) attributes: Vec<(String, String, usize)>,
}

impl Tag {
    /// The value of an attribute.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(key, ..)| key == name)
            .map(|(_, value, _)| value.as_str())
    }
}

/// The start tags of `html`; comments, end tags and the insides of scripts and styles are passed
/// over.
pub(crate) fn tags(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some(found) = html[at..].find('<') {
        at += found;
        let rest = &html[at..];
        if rest.starts_with("<!--") {
            at += rest.find("-->").map_or(rest.len(), |end| end + 3);
        } else if rest[1..].starts_with(|letter: char| letter.is_ascii_alphabetic()) {
            let (tag, end) = start_tag(html, at);
            at = end;
            if matches!(tag.name.as_str(), "script" | "style") {
                let close = format!("</{}", tag.name);
                at += html[at..]
                    .to_ascii_lowercase()
                    .find(&close)
                    .unwrap_or(html.len() - at);
            }
            tags.push(tag);
        } else {
            at += 1;
        }
    }
    tags
}

/// `html` without its comments.
pub(crate) fn without_comments(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some(start) = rest.find("<!--") {
        out.push_str(&rest[..start]);
        rest = rest[start..]
            .find("-->")
            .map_or("", |end| &rest[start + end + 3..]);
    }
    out + rest
}

/// The tag that begins at `at`, and where it ends.
fn start_tag(html: &str, at: usize) -> (Tag, usize) {
    let until = |from: usize, stop: fn(char) -> bool| {
        html[from..]
            .find(stop)
            .map_or(html.len(), |found| from + found)
    };
    let mut end = until(at + 1, |c| c.is_whitespace() || c == '/' || c == '>');
    let mut tag = Tag {
        name: html[at + 1..end].to_ascii_lowercase(),
        at,
        attributes: Vec::new(),
    };
    loop {
        let start = until(end, |c| !c.is_whitespace() && c != '/');
        if start == html.len() || html[start..].starts_with('>') {
            return (tag, (start + 1).min(html.len()));
        }
        // A name may not be empty, or a stray `=` would be read for ever.
        let first = html[start..].chars().next().map_or(1, char::len_utf8);
        end = until(start + first, |c| {
            c.is_whitespace() || matches!(c, '=' | '/' | '>')
        });
        let name = html[start..end].to_ascii_lowercase();
        let mut value = String::new();
        let equals = until(end, |c| !c.is_whitespace());
        if html[equals..].starts_with('=') {
            let from = until(equals + 1, |c| !c.is_whitespace());
            let (inside, stop): (usize, fn(char) -> bool) = match html[from..].chars().next() {
                Some('"') => (from + 1, |c| c == '"'),
                Some('\'') => (from + 1, |c| c == '\''),
                _ => (from, |c| c.is_whitespace() || c == '>'),
            };
            let close = until(inside, stop);
            value = html[inside..close].replace("&amp;", "&");
            end = if inside > from {
                (close + 1).min(html.len())
            } else {
                close
            };
        }
        tag.attributes.push((name, value, start));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_quoted_or_bare_and_comments_are_not() {
        let html = "<!-- <a id=no> --><A\n Href='x y' id=\"é\" open src=z><script>'<b id=no>'</script><i/>";
        let found: Vec<String> = tags(html)
            .iter()
            .map(|tag| {
                let words: Vec<String> = tag
                    .attributes
                    .iter()
                    .map(|(key, value, _)| format!("{key}={value}"))
                    .collect();
                format!("{} {}", tag.name, words.join(","))
            })
            .collect();
        assert_eq!(found, ["a href=x y,id=é,open=,src=z", "script ", "i "]);
    }

    #[test]
    fn broken_html_is_read_to_its_end() {
        for html in [
            "<a",
            "<a =",
            "<a href=",
            "<a href='x",
            "<",
            "<a ==>",
            "<!-- ",
            "<script>",
            "<é>",
        ] {
            tags(html);
            without_comments(html);
        }
    }
}
