//! Makes the index that the page's search reads: small files that a browser loads when its reader
//! searches, and only those that the query needs.
//!
//! Knows of finished pages and of nothing else. `page/search.js` reads the files, and splits a
//! query into words as [`words`] splits a page; `search/words.json` holds both to the same cases.
//!
//! - `search/index.json` names the pages, the sections and the files below;
//! - `search/terms-N.txt` is a run of the sorted vocabulary: a line a term, that says in which
//!   sections it stands and whether in the heading, in prose, in code or in recorded output;
//! - `search/prose-PAGE.json` and `search/code-PAGE.json` hold the words of one page, from which
//!   excerpts are cut.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::thread;

use anyhow::{Context, Result, anyhow};
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer,
};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::assets::Assets;

/// The file that names the others, as the template names it.
pub const INDEX: &str = "search/index.json";

/// Longer words are digests and the like, which nobody types.
const LONGEST_WORD: usize = 40;

/// Where a file of terms is cut, in bytes: about 15 kB with gzip.
const TERMS_FILE: usize = 24_000;

/// A finished page.
pub struct Page {
    /// Its path below the site's root, with `/` between folders.
    pub path: String,
    /// The whole of it.
    pub html: String,
}

/// What a piece of a section is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Heading,
    Prose,
    Code,
    Output,
}

/// What stands under one heading, up to the next.
#[derive(Debug)]
struct Section {
    /// 1 to 6, as in `h1` to `h6`; 7 for a term of the glossary.
    level: u8,
    /// The id of the heading, or nothing for what stands before the first heading.
    anchor: String,
    title: String,
    pieces: Vec<(Kind, String)>,
}

impl Section {
    /// The pieces of some kinds.
    fn texts(&self, wanted: fn(Kind) -> bool) -> Vec<&str> {
        let wanted = self.pieces.iter().filter(|(kind, _)| wanted(*kind));
        wanted.map(|(_, text)| text.as_str()).collect()
    }
}

/// What is in the index of one page.
struct Indexed {
    hash: [u8; 32],
    sections: Vec<Section>,
    /// For each section its terms with their weight, and how many words it has.
    terms: Vec<(Vec<(String, u32)>, usize)>,
}

/// What one build read of the pages, so that the next reads only those that changed.
#[derive(Default)]
pub struct Read(HashMap<String, Indexed>);

impl Read {
    /// Adds the index of `pages`, in the book's order, to the site's files: [`INDEX`], and what
    /// that names. The same pages give the same bytes.
    ///
    /// # Errors
    /// When a page has no `<main>`.
    pub fn add_index(&mut self, pages: &[&Page], assets: &mut Assets) -> Result<()> {
        self.read(pages)?;
        let mut terms = Terms::new();
        let mut listed_pages = Vec::new();
        let mut listed_sections = Vec::new();
        for (number, page) in pages.iter().enumerate() {
            let Indexed {
                sections,
                terms: words,
                ..
            } = &self.0[&page.path];
            let slug = page.path.trim_end_matches(".html").replace('/', "-");
            let mut add = |kind, wanted: fn(Kind) -> bool| -> Result<String> {
                let texts: Vec<_> = sections
                    .iter()
                    .map(|section| section.texts(wanted))
                    .collect();
                let name = format!("search/{kind}-{slug}.json");
                Ok(assets.add(&name, serde_json::to_vec(&texts)?))
            };
            let prose = add("prose", |kind| kind == Kind::Prose)?;
            let code = add("code", |kind| matches!(kind, Kind::Code | Kind::Output))?;
            let title = sections
                .iter()
                .find(|section| section.level == 1)
                .map_or("", |section| &section.title);
            listed_pages.push(json!([page.path, title, prose, code]));
            for (section, (weights, count)) in sections.iter().zip(words) {
                for (term, weight) in weights {
                    let places = terms.entry(term).or_default();
                    places.push((listed_sections.len(), *weight));
                }
                listed_sections.push(json!([
                    number,
                    section.level,
                    section.anchor,
                    section.title,
                    count
                ]));
            }
        }
        let mut listed_terms = Vec::new();
        for (number, (first, text)) in term_files(&terms).into_iter().enumerate() {
            let name = assets.add(&format!("search/terms-{number}.txt"), text.into_bytes());
            listed_terms.push(json!([first, name]));
        }
        let list = json!({
            "pages": listed_pages,
            "sections": listed_sections,
            "terms": listed_terms,
        });
        assets.add(INDEX, list.to_string().into_bytes());
        Ok(())
    }

    /// Reads the pages that an earlier build did not have, and forgets those that are gone.
    fn read(&mut self, pages: &[&Page]) -> Result<()> {
        let mut earlier = std::mem::take(&mut self.0);
        let mut changed = Vec::new();
        for page in pages {
            let main = main_of(page)?;
            let hash: [u8; 32] = Sha256::digest(main).into();
            match earlier.remove(&page.path) {
                Some(indexed) if indexed.hash == hash => {
                    self.0.insert(page.path.clone(), indexed);
                }
                _ => changed.push((page.path.as_str(), main, hash)),
            }
        }
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let share = changed.len().div_ceil(threads).max(1);
        thread::scope(|scope| {
            let shares: Vec<_> = changed
                .chunks(share)
                .map(|share| {
                    scope.spawn(move || {
                        share
                            .iter()
                            .map(|(path, main, hash)| {
                                let sections = sections(path, main);
                                let terms = sections.iter().map(terms_of).collect();
                                (
                                    path.to_string(),
                                    Indexed {
                                        hash: *hash,
                                        sections,
                                        terms,
                                    },
                                )
                            })
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            for share in shares {
                let read = share
                    .join()
                    .map_err(|_| anyhow!("a page could not be read"))?;
                self.0.extend(read);
            }
            Ok(())
        })
    }
}

/// How a term stands in a section; the page knows these numbers.
fn weight(counts: &[u32; 4]) -> u32 {
    match *counts {
        [heading, ..] if heading > 0 => 6,
        [_, prose, ..] if prose > 3 => 5,
        [_, prose, ..] if prose > 1 => 4,
        [_, prose, ..] if prose > 0 => 3,
        [_, _, code, _] if code > 1 => 2,
        [_, _, code, _] => code,
    }
}

/// One more than the greatest [`weight`].
const WEIGHTS: u32 = 7;

/// For each term the sections that hold it, in their order, with its weight there.
type Terms<'words> = BTreeMap<&'words str, Vec<(usize, u32)>>;

/// The terms of a section with their weight in it, and how many words it has.
fn terms_of(section: &Section) -> (Vec<(String, u32)>, usize) {
    let mut counts: HashMap<String, [u32; 4]> = HashMap::new();
    let mut count = 0;
    let title = [(Kind::Heading, section.title.clone())];
    for (kind, text) in title.iter().chain(&section.pieces) {
        for word in words(text) {
            count += 1;
            for form in word.parts.into_iter().chain([word.whole]) {
                if form.len() <= LONGEST_WORD {
                    counts.entry(form).or_default()[*kind as usize] += 1;
                }
            }
        }
    }
    let weighed = counts
        .into_iter()
        .map(|(term, counts)| (term, weight(&counts)));
    (weighed.collect(), count)
}

/// The vocabulary, cut into files: the first term of each and its lines.
///
/// A line is how many letters the term shares with the one before it, its other letters, a space,
/// and for each section the distance to the one before it and the weight, as one number.
fn term_files(terms: &Terms) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    let mut before = "";
    for (term, places) in terms {
        if files.last().is_none_or(|(_, text)| text.len() > TERMS_FILE) {
            files.push(((*term).to_owned(), String::new()));
            before = "";
        }
        let Some((_, text)) = files.last_mut() else {
            continue;
        };
        let shared: String = before
            .chars()
            .zip(term.chars())
            .take_while(|(one, other)| one == other)
            .map(|(letter, _)| letter)
            .collect();
        // Counted as the page's script counts letters.
        write_number(text, shared.encode_utf16().count() as u32);
        text.push_str(&term[shared.len()..]);
        text.push(' ');
        let mut next = 0;
        for (section, weight) in places {
            write_number(text, (section - next) as u32 * WEIGHTS + weight);
            next = section + 1;
        }
        text.push('\n');
        before = term;
    }
    files
}

/// How many of the 94 visible ASCII characters end a number; the others say that more follows.
const LAST_DIGITS: u32 = 70;

/// Writes a number with visible ASCII characters, small ones with one.
fn write_number(text: &mut String, mut number: u32) {
    let visible = |digit: u32| char::from(b'!' + digit as u8);
    const MORE: u32 = 94 - LAST_DIGITS;
    while number >= LAST_DIGITS {
        number -= LAST_DIGITS;
        text.push(visible(LAST_DIGITS + number % MORE));
        number /= MORE;
    }
    text.push(visible(number));
}

/// A word of a text, in lower case.
#[derive(Debug, PartialEq, Eq)]
pub struct Word {
    /// The word: `fetch_add`, `rwlock`, `write-ahead`, `o(log n)` without its space, `99.9`.
    pub whole: String,
    /// What a compound is made of: `fetch` and `add`, `rw` and `lock`. Empty for other words.
    pub parts: Vec<String>,
}

/// The words of a text.
pub fn words(text: &str) -> Vec<Word> {
    let letters: Vec<char> = text.chars().collect();
    let mut words = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        if !letters[at].is_alphanumeric() {
            at += 1;
        } else if let Some((order, end)) = order_of_growth(&letters, at) {
            words.push(Word {
                whole: order,
                parts: Vec::new(),
            });
            at = end;
        } else {
            let start = at;
            while at < letters.len() && belongs(&letters, at) {
                at += 1;
            }
            words.push(word(&letters[start..at]));
        }
    }
    words
}

/// `O(…)` at `at`, as one word, and where it ends.
fn order_of_growth(letters: &[char], at: usize) -> Option<(String, usize)> {
    const LONGEST: usize = 24;
    if !matches!(letters[at], 'O' | 'o') || letters.get(at + 1) != Some(&'(') {
        return None;
    }
    let inside = &letters[at + 2..];
    let length = inside
        .iter()
        .take(LONGEST + 1)
        .position(|letter| matches!(letter, '(' | ')' | '\n'))?;
    if inside[length] != ')' || length == 0 {
        return None;
    }
    let inside = inside[..length].iter().filter(|l| !l.is_whitespace());
    let order = format!("o({})", inside.collect::<String>().to_lowercase());
    Some((order, at + 2 + length + 1))
}

/// Whether the letter at `at` belongs to the word that the letter before it is part of.
fn belongs(letters: &[char], at: usize) -> bool {
    if letters[at].is_alphanumeric() {
        return true;
    }
    let beside = |test: fn(&char) -> bool| {
        at > 0 && test(&letters[at - 1]) && letters.get(at + 1).is_some_and(test)
    };
    match letters[at] {
        '_' | '-' | '\'' | '’' => beside(|letter| letter.is_alphanumeric()),
        '.' | ',' => beside(char::is_ascii_digit),
        _ => false,
    }
}

fn word(letters: &[char]) -> Word {
    let letters = match letters {
        [word @ .., '\'' | '’', 's'] => word,
        word => word,
    };
    let digits = letters[0].is_ascii_digit();
    let mut whole = String::new();
    let mut parts = vec![String::new()];
    for (at, letter) in letters.iter().enumerate() {
        match letter {
            '\'' | '’' | ',' => continue,
            '_' if digits => continue,
            '_' | '-' => parts.push(String::new()),
            _ => {
                if at > 0 && new_hump(letters, at) {
                    parts.push(String::new());
                }
                if let Some(part) = parts.last_mut() {
                    part.extend(letter.to_lowercase());
                }
            }
        }
        whole.extend(letter.to_lowercase());
    }
    if parts.len() == 1 {
        parts.clear();
    }
    Word { whole, parts }
}

/// Whether a part begins at `at`, as `Lock` does in `RwLock` and `Server` in `HTTPServer`; `CPUs`
/// and `IPv4` are whole.
fn new_hump(letters: &[char], at: usize) -> bool {
    let (before, letter) = (letters[at - 1], letters[at]);
    letter.is_uppercase()
        && (before.is_lowercase()
            || before.is_numeric()
            || (before.is_uppercase()
                && letters.len() > at + 2
                && letters[at + 1..at + 3].iter().all(|l| l.is_lowercase())))
}

/// What stands in a page's `<main>`.
fn main_of(page: &Page) -> Result<&str> {
    let (_, after) = page
        .html
        .split_once("<main")
        .with_context(|| format!("{} has no <main>", page.path))?;
    let (_, after) = after.split_once('>').unwrap_or_default();
    Ok(after.rsplit_once("</main>").map_or(after, |(main, _)| main))
}

/// The sections of a page.
fn sections(path: &str, main: &str) -> Vec<Section> {
    let reader = Tokenizer::new(
        Reader {
            state: RefCell::new(State {
                terms_are_sections: path == "glossary.html",
                ..State::default()
            }),
        },
        Default::default(),
    );
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(main));
    let _ = reader.feed(&input);
    reader.end();
    let mut sections = reader.sink.state.into_inner().sections;
    for section in &mut sections {
        section.title = section
            .title
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        for (kind, text) in &mut section.pieces {
            if *kind == Kind::Prose {
                *text = tidy(text);
            }
        }
        section.pieces.retain(|(_, text)| !text.trim().is_empty());
    }
    sections.retain(|section| !section.anchor.is_empty() || !section.pieces.is_empty());
    sections
}

/// Prose with one space or one line break between its words.
fn tidy(text: &str) -> String {
    let lines = text.split(BREAK).map(|line| {
        let cells = line.split(CELL);
        let cells = cells.map(|cell| cell.split_whitespace().collect::<Vec<_>>().join(" "));
        let cells: Vec<String> = cells.filter(|cell| !cell.is_empty()).collect();
        cells.join(" · ")
    });
    let lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

/// Stands between the paragraphs of prose while a page is read: a line break in HTML is a space.
const BREAK: &str = "\u{1}";

/// Stands between the cells of a table's row while a page is read.
const CELL: &str = "\u{2}";

/// Reads a page's tags and words one after the other.
struct Reader {
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    terms_are_sections: bool,
    sections: Vec<Section>,
    /// The heading that is open.
    heading: Option<String>,
    /// Inside `pre`: what its words are.
    block: Option<Kind>,
    /// The element that is passed over, and how many of its name are open in it.
    passed_over: Option<(String, usize)>,
}

impl State {
    fn start(&mut self, tag: &Tag) {
        let name = &*tag.name;
        if let Some((passed_over, depth)) = &mut self.passed_over {
            if passed_over == name && !tag.self_closing {
                *depth += 1;
            }
            return;
        }
        let class = attribute(tag, "class");
        let has_class = |wanted: &str| class.split_whitespace().any(|class| class == wanted);
        // Hidden lines of a block are not on the page, and stand below each block of a program.
        if matches!(name, "script" | "style" | "defs" | "button" | "template")
            || has_class("code-bar")
            || has_class("boring")
        {
            if !tag.self_closing {
                self.passed_over = Some((name.to_owned(), 1));
            }
            return;
        }
        let level = match name.as_bytes() {
            [b'h', digit @ b'1'..=b'6'] => digit - b'0',
            b"dt" if self.terms_are_sections => 7,
            _ => 0,
        };
        let id = attribute(tag, "id");
        if level > 0 && !id.is_empty() {
            self.heading = Some(name.to_owned());
            self.sections.push(Section {
                level,
                anchor: id.to_owned(),
                title: String::new(),
                pieces: Vec::new(),
            });
        } else if name == "pre" {
            self.block = Some(Kind::Code);
        } else if name == "code" && self.block.is_some() {
            let output = ["language-text", "language-console", "language-output"];
            if output.into_iter().any(has_class) {
                self.block = Some(Kind::Output);
            }
        } else {
            self.separate(name);
        }
    }

    fn end(&mut self, tag: &Tag) {
        let name = &*tag.name;
        if let Some((passed_over, depth)) = &mut self.passed_over {
            if passed_over == name {
                *depth -= 1;
                if *depth == 0 {
                    self.passed_over = None;
                }
            }
            return;
        }
        if self.heading.as_deref() == Some(name) {
            self.heading = None;
        } else if name == "pre" {
            self.block = None;
            // The next block is another piece.
            self.text(Kind::Prose, "");
        } else {
            self.separate(name);
        }
    }

    /// Keeps the words of neighbouring elements apart.
    fn separate(&mut self, name: &str) {
        if self.block.is_some() || self.heading.is_some() {
            return;
        }
        let between = match name {
            "td" | "th" => CELL,
            "text" | "tspan" | "foreignobject" => " ",
            "a" | "abbr" | "b" | "code" | "del" | "em" | "i" | "kbd" | "mark" | "s" | "small"
            | "span" | "strong" | "sub" | "sup" | "u" | "var" => return,
            _ => BREAK,
        };
        self.text(Kind::Prose, between);
    }

    fn text(&mut self, kind: Kind, text: &str) {
        if self.sections.is_empty() {
            if text.trim().is_empty() {
                return;
            }
            self.sections.push(Section {
                level: 1,
                anchor: String::new(),
                title: String::new(),
                pieces: Vec::new(),
            });
        }
        let Some(section) = self.sections.last_mut() else {
            return;
        };
        match section.pieces.last_mut() {
            Some((last, words)) if *last == kind => words.push_str(text),
            _ => section.pieces.push((kind, text.to_owned())),
        }
    }
}

fn attribute<'tag>(tag: &'tag Tag, name: &str) -> &'tag str {
    tag.attrs
        .iter()
        .find(|attribute| &*attribute.name.local == name)
        .map_or("", |attribute| &attribute.value)
}

impl TokenSink for Reader {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut state = self.state.borrow_mut();
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => state.start(&tag),
            Token::TagToken(tag) => state.end(&tag),
            Token::CharacterTokens(text) if state.passed_over.is_none() => {
                if state.heading.is_some() {
                    if let Some(section) = state.sections.last_mut() {
                        section.title.push_str(&text);
                    }
                } else {
                    let kind = state.block.unwrap_or(Kind::Prose);
                    state.text(kind, &text);
                }
            }
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A chapter with a hidden line, a comment, an output, a table and a diagram's label.
    const CHAPTER: &str = r##"<nav>contents</nav><main id="content">
        <h1 id="one"><a class="header" href="#one">Caching &amp; more</a></h1>
        <p>Words of
        <em>prose</em>.</p><p>Next.</p>
        <h2 id="code-here"><a class="header" href="#code-here">Code <code>here</code></a></h2>
        <div class="code"><div class="code-bar"><span>Rust</span><button>Run</button></div>
        <pre><code class="language-rust"><span class="boring">let <span>hiddenword</span>;
        </span>// a zebra in a comment
        cache.<span>fetch_add</span>(1);</code></pre></div>
        <div class="code output"><pre><code class="language-text">hits  42</code></pre></div>
        <table><tr><td>left</td><td>right</td></tr></table>
        <figure><svg><defs><title>unseen</title></defs><text>drawn label</text></svg>
        <figcaption>A caption.</figcaption></figure></main><footer>below</footer>"##;

    fn page(path: &str, html: &str) -> Page {
        Page {
            path: path.to_owned(),
            html: html.to_owned(),
        }
    }

    /// Each term's sections and weights, as the page's script reads them from the files.
    fn terms_in(assets: &Assets) -> BTreeMap<String, Vec<(usize, u32)>> {
        let mut found = BTreeMap::new();
        for (name, bytes) in assets.files() {
            if !name.starts_with("search/terms-") {
                continue;
            }
            let mut term = String::new();
            for line in std::str::from_utf8(bytes).expect("UTF-8").lines() {
                let (front, numbers) = line.split_once(' ').expect("term and places");
                term.truncate(front.as_bytes()[0] as usize - 33);
                term.push_str(&front[1..]);
                let mut next = 0;
                let places = numbers_of(numbers).into_iter().map(|number| {
                    let section = next + (number / WEIGHTS) as usize;
                    next = section + 1;
                    (section, number % WEIGHTS)
                });
                found.insert(term.clone(), places.collect());
            }
        }
        found
    }

    fn look_up(assets: &Assets, wanted: &str) -> Vec<(usize, u32)> {
        terms_in(assets).remove(wanted).unwrap_or_default()
    }

    fn numbers_of(text: &str) -> Vec<u32> {
        let mut numbers = Vec::new();
        let mut digits = Vec::new();
        for digit in text.bytes().map(|byte| u32::from(byte) - 33) {
            digits.push(digit);
            if digit < LAST_DIGITS {
                let number = digits
                    .drain(..)
                    .rev()
                    .reduce(|number, digit| number * (94 - LAST_DIGITS) + digit);
                numbers.extend(number);
            }
        }
        numbers
    }

    fn indexed(pages: &[Page]) -> Assets {
        let mut assets = Assets::default();
        let pages: Vec<_> = pages.iter().collect();
        let added = Read::default().add_index(&pages, &mut assets);
        added.expect("the pages have a <main>");
        assets
    }

    fn list_of(assets: &Assets) -> serde_json::Value {
        let (_, bytes) = assets
            .files()
            .find(|(name, _)| *name == INDEX)
            .expect("the list is there");
        serde_json::from_slice(bytes).expect("JSON")
    }

    #[test]
    fn words_are_split_as_the_pages_script_splits_them() {
        let cases: Vec<(String, Vec<String>)> =
            serde_json::from_str(include_str!("search/words.json")).expect("cases");
        for (text, expected) in cases {
            let found: Vec<String> = words(&text)
                .into_iter()
                .flat_map(|word| std::iter::once(word.whole).chain(word.parts))
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_term_is_found_in_its_section_and_known_to_be_heading_prose_code_or_output() {
        let assets = indexed(&[page("part/one.html", CHAPTER)]);
        for (term, places) in [
            ("caching", vec![(0, 6)]),
            ("prose", vec![(0, 3)]),
            ("here", vec![(1, 6)]),
            ("zebra", vec![(1, 1)]),
            ("fetch_add", vec![(1, 1)]),
            ("fetch", vec![(1, 1)]),
            ("42", vec![(1, 0)]),
            ("right", vec![(1, 3)]),
            ("label", vec![(1, 3)]),
            ("caption", vec![(1, 3)]),
        ] {
            assert_eq!(look_up(&assets, term), places, "{term}");
        }
        let list = list_of(&assets);
        assert_eq!(list["pages"][0][0], "part/one.html");
        assert_eq!(list["pages"][0][1], "Caching & more");
        assert_eq!(list["sections"][1][2], "code-here");
        assert_eq!(list["sections"][1][3], "Code here");
    }

    #[test]
    fn what_the_reader_does_not_see_in_the_text_is_not_found() {
        let assets = indexed(&[page("part/one.html", CHAPTER)]);
        for unseen in ["hiddenword", "unseen", "contents", "below", "run", "rust"] {
            assert_eq!(look_up(&assets, unseen), [], "{unseen}");
        }
    }

    #[test]
    fn excerpts_come_from_the_text_that_the_reader_sees() {
        let assets = indexed(&[page("part/one.html", CHAPTER)]);
        let text = |kind: &str| {
            let name = format!("search/{kind}-part-one.json");
            let (_, bytes) = assets
                .files()
                .find(|(file, _)| *file == name)
                .expect("kept");
            String::from_utf8(bytes.to_vec()).expect("UTF-8")
        };
        assert_eq!(
            text("prose"),
            r#"[["Words of prose.\nNext."],["left · right\ndrawn label\nA caption."]]"#
        );
        assert_eq!(
            text("code"),
            r#"[[],["// a zebra in a comment\n        cache.fetch_add(1);","hits  42"]]"#
        );
    }

    #[test]
    fn a_term_of_the_glossary_is_a_section_and_one_of_a_chapter_is_not() {
        let html = r##"<main><h1 id="t">Terms</h1><dl><dt id="lru"><a href="#lru">LRU</a></dt>
            <dd>Evicts the oldest.</dd></dl></main>"##;
        let assets = indexed(&[page("one.html", html), page("glossary.html", html)]);
        let list = list_of(&assets);
        let sections: Vec<_> = list["sections"]
            .as_array()
            .expect("sections")
            .iter()
            .collect();
        assert_eq!(sections.len(), 3);
        assert_eq!(sections[2][2], "lru");
        assert_eq!(look_up(&assets, "evicts"), [(0, 3), (2, 3)]);
    }

    #[test]
    fn the_same_pages_give_the_same_files_even_when_some_were_read_before() {
        let pages: Vec<Page> = (0..7)
            .map(|number| {
                let html = CHAPTER.replace("zebra", &format!("zebra{number}"));
                page(&format!("{number}.html"), &html)
            })
            .collect();
        let once: Vec<_> = pages.iter().collect();
        let mut read = Read::default();
        read.add_index(&once[1..], &mut Assets::default())
            .expect("read");
        let mut assets = Assets::default();
        read.add_index(&once, &mut assets).expect("read");
        let files = |assets: &Assets| -> BTreeSet<(String, Vec<u8>)> {
            let files = assets.files();
            files
                .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
                .collect()
        };
        assert_eq!(files(&assets), files(&indexed(&pages)));
    }

    #[test]
    fn a_changed_page_is_read_again() {
        let mut read = Read::default();
        let before = page("one.html", CHAPTER);
        read.add_index(&[&before], &mut Assets::default())
            .expect("read");
        let after = page("one.html", &CHAPTER.replace("zebra", "giraffe"));
        let mut assets = Assets::default();
        read.add_index(&[&after], &mut assets).expect("read");
        assert_eq!(look_up(&assets, "zebra"), []);
        assert_eq!(look_up(&assets, "giraffe"), [(1, 1)]);
    }

    #[test]
    fn a_large_vocabulary_is_cut_into_files_and_every_term_is_still_found() {
        let words: Vec<String> = (0..6000).map(|number| format!("word{number:x}")).collect();
        let html = format!("<main><h1 id=\"a\">A</h1>{}</main>", words.join(" "));
        let mut pages = vec![page("one.html", &html)];
        pages.extend((0..300).map(|number| {
            let html = format!("<main><h1 id=\"b\">B</h1><p>filler {number}q</p></main>");
            page(&format!("b{number}.html"), &html)
        }));
        let assets = indexed(&pages);
        let cut = assets
            .files()
            .filter(|(name, _)| name.starts_with("search/terms-"));
        assert!(cut.count() > 1);
        let terms = terms_in(&assets);
        for word in &words {
            assert_eq!(terms[word], [(0, 3)], "{word}");
        }
        // A distance of several digits.
        assert_eq!(terms["299q"], [(300, 3)]);
    }
}
