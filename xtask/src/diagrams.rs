//! Turns mermaid sources into inline SVG that follows the page's light or dark theme.
//!
//! Knows of mermaid (through `merman`) and of SVG; knows nothing of chapters or pages. What a
//! drawing looks like (colours, line widths) stands in `assets/diagrams.css`, once for the whole
//! site, in place of the 15 KB of style that each drawing would otherwise carry.

use std::collections::{BTreeSet, HashMap};
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use merman::svg::{
    DeterministicTextMeasurer, MeasurementProfileId, SvgRenderOptions, TextMeasurementPolicy,
    TextMeasurementProfile, TextMeasurementProfileIdentity, TextStyle,
};
use merman::{
    Engine, MermaidConfig, OperationControl, ParseOptions, RenderOutput, RenderRequest, Renderer,
    SvgEnvironment, SvgRequest,
};
use quick_xml::events::{BytesEnd, BytesStart, Event};
use quick_xml::{Reader, Writer};

/// The font that a drawing is laid out for; `assets/diagrams.css` names the same.
const FONT_FAMILY: &str = "Arial, Helvetica, sans-serif";

/// How many verdicts are remembered: several times the diagrams of a large book.
const VERDICTS_MAX: usize = 1000;

/// How far a drawing shrinks on a narrow page before it scrolls in its frame: its words of 16 px
/// stay at 10 px.
const SCALE_MIN: f64 = 0.625;

/// The colours of mermaid's default theme and the custom property of `assets/diagrams.css` that
/// stands in for each.
const COLOURS: &[(&str, &str)] = &[
    ("#ececff", "--diagram-fill"),
    ("hsl(240, 100%, 100%)", "--diagram-paper"),
    ("hsl(240, 100%, 97.2745098039%)", "--diagram-fill-odd"),
    ("#9370db", "--diagram-line"),
    ("rgb(147, 112, 219)", "--diagram-line"),
    ("rgb(236, 236, 255)", "--diagram-fill"),
    ("#333", "--diagram-text"),
    ("#333333", "--diagram-text"),
    ("#131300", "--diagram-text"),
    ("#000", "--diagram-text"),
    ("#000000", "--diagram-text"),
    ("black", "--diagram-text"),
    ("white", "--diagram-paper"),
    ("#fff", "--diagram-paper"),
    ("#ffffff", "--diagram-paper"),
    ("#fff5ad", "--diagram-note"),
    ("#edf2ae", "--diagram-note"),
    ("#ffffde", "--diagram-group"),
    ("#aaaa33", "--diagram-note-line"),
    ("#8493a6", "--diagram-accent"),
    ("#eaeaea", "--diagram-fill"),
    ("#666", "--diagram-line"),
    ("#999", "--diagram-line"),
    ("#d3d3d3", "--diagram-line"),
    ("lightgrey", "--diagram-line"),
];

/// Whether the site can draw a mermaid source. Verdicts are remembered, because `serve` asks for
/// the same sources at each rebuild.
///
/// # Errors
/// The parser's own words when the source is not a diagram that the site can draw.
pub fn draw(source: &str) -> Result<(), String> {
    static VERDICTS: LazyLock<Mutex<HashMap<String, Result<(), String>>>> =
        LazyLock::new(Mutex::default);
    let verdicts = || VERDICTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(verdict) = verdicts().get(source) {
        return verdict.clone();
    }
    let verdict = draw_for_page(source, "diagram", "caption")
        .map(drop)
        .map_err(|error| format!("{error:#}"));
    let mut verdicts = verdicts();
    if verdicts.len() >= VERDICTS_MAX {
        verdicts.clear();
    }
    verdicts.insert(source.to_owned(), verdict.clone());
    verdict
}

/// Draws one mermaid source for a page. `id` prefixes every id in the drawing, so that two
/// drawings on a page do not meet; `caption_id` is the id of the element whose words are the
/// drawing's text alternative.
///
/// # Errors
/// When the source does not parse, or carries colours of its own, which could not follow the
/// reader's theme.
pub fn draw_for_page(source: &str, id: &str, caption_id: &str) -> Result<String> {
    let raw = render(source, id).map_err(anyhow::Error::msg)?;
    site_svg(&raw, id, caption_id)
}

fn render(source: &str, id: &str) -> Result<String, String> {
    static RENDERER: LazyLock<Renderer> = LazyLock::new(|| {
        let config = MermaidConfig::from_value(serde_json::json!({
            "theme": "default",
            "look": "classic",
            "fontFamily": FONT_FAMILY,
            "htmlLabels": true,
            // Boxes as narrow as their words: a drawing has to be read on a phone.
            "flowchart": {
                "htmlLabels": true, "wrappingWidth": 200, "minNodeWidth": 40, "nodeSpacing": 30,
            },
            "state": { "minNodeWidth": 40 },
            "class": { "htmlLabels": true },
        }));
        Renderer::new()
            .with_engine(Engine::new().with_site_config(config))
            .with_parse_options(ParseOptions::strict())
    });
    let request = SvgRequest {
        environment: environment().map_err(|error| format!("{error:#}"))?,
        options: SvgRenderOptions {
            diagram_id: Some(id.to_owned()),
            ..SvgRenderOptions::default()
        },
        ..SvgRequest::default()
    };
    match RENDERER.render(RenderRequest::svg(source, OperationControl::new(), request)) {
        Ok(RenderOutput::Svg(Some(svg))) => Ok(svg.svg().to_owned()),
        Ok(_) => Err("it names no kind of diagram".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// An environment that measures text as Arial and its metric-compatible kin set it.
fn environment() -> Result<SvgEnvironment> {
    let measurer = DeterministicTextMeasurer {
        line_height_factor: 1.5,
        ..DeterministicTextMeasurer::default()
    }
    .with_width_callback(text_width_px);
    let identity =
        TextMeasurementProfileIdentity::new(MeasurementProfileId::new("helvetica")?, "1")?;
    let profile = TextMeasurementProfile::new(identity, measurer);
    Ok(SvgEnvironment::deterministic()
        .with_text_measurement_policy(TextMeasurementPolicy::uniform(profile)))
}

/// The width of a line of text in CSS pixels: Helvetica's advance widths, which Arial and
/// Liberation Sans share, plus one part in twenty for a reader's machine that has neither.
fn text_width_px(text: &str, style: &TextStyle) -> f64 {
    // Adobe's font metrics for Helvetica (Core 14 AFM), 1/1000 em, U+0020 to U+007E.
    #[rustfmt::skip]
    const ADVANCE: [u16; 95] = [
        278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
        556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
        1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
        667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
        333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
        556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
    ];
    const SPARE: f64 = 1.05;
    const BOLD: f64 = 1.08;
    let thousandths: u32 = text
        .chars()
        .map(|letter| {
            let index = (letter as usize).wrapping_sub(0x20);
            u32::from(ADVANCE.get(index).copied().unwrap_or(600))
        })
        .sum();
    let bold = style
        .font_weight
        .as_deref()
        .is_some_and(|weight| weight.starts_with("bold") || weight > "500");
    f64::from(thousandths) / 1000.0 * style.font_size * SPARE * if bold { BOLD } else { 1.0 }
}

/// Makes a drawing of merman's into one of the site's: no style element, no colour of its own,
/// no marker that nothing points to, coordinates to two decimals, all on one line.
fn site_svg(raw: &str, id: &str, caption_id: &str) -> Result<String> {
    let used = referenced_ids(raw)?;
    let mut reader = Reader::from_str(raw);
    let mut writer = Writer::new(Vec::new());
    // Depth below an element that is dropped with all it holds.
    let mut dropped: usize = 0;
    let mut first = true;
    loop {
        let event = reader.read_event().context("the drawing is not XML")?;
        match event {
            Event::Eof => break,
            Event::Start(_) | Event::End(_) if dropped > 0 => {
                dropped = match event {
                    Event::Start(_) => dropped + 1,
                    _ => dropped - 1,
                };
            }
            _ if dropped > 0 => {}
            Event::Start(ref element) if is_dead(element, &used)? => dropped = 1,
            Event::Empty(ref element) if is_dead(element, &used)? => {}
            Event::Start(ref element) => {
                let mended = mend(element, id, &used, first.then_some(caption_id))?;
                first = false;
                writer.write_event(Event::Start(mended))?;
            }
            Event::Empty(ref element) => {
                let name = element.name();
                let mended = mend(element, id, &used, None)?;
                // `<div/>` is no empty element to an HTML parser, and a drawing holds both kinds.
                writer.write_event(Event::Start(mended))?;
                if name.as_ref() != "br" {
                    let name = name.as_ref().to_owned();
                    writer.write_event(Event::End(BytesEnd::new(name)))?;
                }
            }
            Event::Text(ref text) if text.trim().is_empty() => {}
            Event::Text(text) => {
                writer
                    .get_mut()
                    .extend_from_slice(text.replace(['\n', '\r'], " ").as_bytes());
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            Event::End(ref element) if element.name().as_ref() == "br" => {}
            other => writer.write_event(other)?,
        }
    }
    String::from_utf8(writer.into_inner()).context("the drawing is not UTF-8")
}

/// The ids that a drawing points to, by `url(#…)` or `href="#…"`.
fn referenced_ids(raw: &str) -> Result<BTreeSet<String>> {
    let mut used = BTreeSet::new();
    let mut reader = Reader::from_str(raw);
    loop {
        match reader.read_event().context("the drawing is not XML")? {
            Event::Eof => return Ok(used),
            Event::Start(element) | Event::Empty(element) => {
                for attribute in element.attributes() {
                    let attribute = attribute?;
                    let value = attribute.value;
                    let pointed = match attribute.key.local_name().as_ref() {
                        "href" => value.strip_prefix('#'),
                        _ => value
                            .split_once("url(#")
                            .and_then(|(_, rest)| rest.split_once(')'))
                            .map(|(id, _)| id),
                    };
                    used.extend(pointed.map(str::to_owned));
                }
            }
            _ => {}
        }
    }
}

/// Whether an element says nothing on the site: the drawing's own style, shadows, and markers
/// and symbols that nothing points to.
fn is_dead(element: &BytesStart, used: &BTreeSet<String>) -> Result<bool> {
    Ok(match element.local_name().as_ref() {
        "style" | "filter" => true,
        "marker" | "symbol" => match element.try_get_attribute("id")? {
            Some(id) => !used.contains(id.value.as_ref()),
            None => true,
        },
        _ => false,
    })
}

/// One element with the attributes that the site keeps. `root` is given for the outermost one,
/// with the id of its caption.
fn mend<'a>(
    element: &'a BytesStart,
    id: &str,
    used: &BTreeSet<String>,
    root: Option<&str>,
) -> Result<BytesStart<'a>> {
    let name = element.name().as_ref().to_owned();
    let mut mended = BytesStart::new(name);
    let mut style = String::new();
    for attribute in element.attributes() {
        let attribute = attribute?;
        let key = attribute.key.as_ref().to_owned();
        let value = attribute.value.into_owned();
        match key.as_str() {
            "id" if root.is_some() => {}
            "id" if !used.contains(&value) => {}
            "role" | "aria-roledescription" | "xmlns" | "xmlns:xlink" | "name" | "filter" => {}
            _ if key.starts_with("data-") || key.starts_with("aria-") => {}
            "style" => style.push_str(&themed_style(&value)?),
            "fill" | "stroke" => match themed(&value)? {
                Some(colour) => style.push_str(&format!("{key}:{colour};")),
                None => mended.push_attribute((key.as_str(), value.as_str())),
            },
            "class" => {
                let words: BTreeSet<&str> = value.split_whitespace().collect();
                let words: Vec<&str> = words.into_iter().collect();
                mended.push_attribute(("class", words.join(" ").as_str()));
            }
            "d" | "points" | "transform" | "x" | "y" | "x1" | "x2" | "y1" | "y2" | "width"
            | "height" | "viewBox" | "cx" | "cy" | "r" => {
                mended.push_attribute((key.as_str(), rounded(&value).as_str()));
            }
            _ => mended.push_attribute((key.as_str(), value.as_str())),
        }
    }
    if let Some(caption_id) = root {
        if let Some(view) = element.try_get_attribute("viewBox")? {
            let width: f64 = view
                .value
                .split_whitespace()
                .nth(2)
                .unwrap_or("0")
                .parse()?;
            style.push_str(&format!("min-width:{:.0}px;", width * SCALE_MIN));
        }
        mended.push_attribute(("id", id));
        mended.push_attribute(("role", "img"));
        mended.push_attribute(("aria-labelledby", caption_id));
    }
    if !style.is_empty() {
        mended.push_attribute(("style", style.as_str()));
    }
    Ok(mended)
}

/// A style attribute with its colours made to follow the theme and its widths rounded.
fn themed_style(style: &str) -> Result<String> {
    let mut themed_style = String::new();
    for declaration in style.split(';') {
        let Some((property, value)) = declaration.split_once(':') else {
            continue; // mermaid writes empty declarations, and the word "undefined"
        };
        let (property, value) = (property.trim(), value.trim());
        match property {
            "fill" | "stroke" | "color" | "background" | "background-color" => {
                let value = themed(value)?.unwrap_or_else(|| value.to_owned());
                themed_style.push_str(&format!("{property}:{value};"));
            }
            "font-family" => {}
            _ => themed_style.push_str(&format!("{property}:{};", rounded(value))),
        }
    }
    Ok(themed_style)
}

/// The site's own colour in place of one of mermaid's, or nothing where the value is no colour.
fn themed(value: &str) -> Result<Option<String>> {
    let plain = value.trim().trim_end_matches("!important").trim();
    let lower = plain.to_ascii_lowercase();
    if matches!(
        lower.as_str(),
        "none" | "transparent" | "inherit" | "currentcolor" | ""
    ) || lower.starts_with("url(")
    {
        return Ok(None);
    }
    match COLOURS.iter().find(|(colour, _)| *colour == lower) {
        Some((_, property)) => Ok(Some(format!("var({property})"))),
        None => bail!(
            "it sets the colour {plain}, which cannot follow the reader's light or dark theme: \
             leave colours to the site"
        ),
    }
}

/// Every number in `value` cut to two decimals.
fn rounded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut number = String::new();
    let flush = |number: &mut String, out: &mut String| {
        match number.parse::<f64>() {
            Ok(parsed) if number.contains('.') => {
                let short = (parsed * 100.0).round() / 100.0;
                out.push_str(&short.to_string());
            }
            _ => out.push_str(number),
        }
        number.clear();
    };
    for letter in value.chars() {
        let continues = letter.is_ascii_digit() || letter == '.';
        if continues {
            number.push(letter);
        } else {
            flush(&mut number, &mut out);
            out.push(letter);
        }
    }
    flush(&mut number, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAMILIES: [(&str, &str); 6] = [
        (
            "flowchart",
            "flowchart TD\n A[Client] -->|asks| B{Balancer}\n subgraph z [Zone]\n C[(Store)]\n end\n B -.-> C",
        ),
        (
            "sequence",
            "sequenceDiagram\n autonumber\n actor U as User\n participant S\n U->>+S: GET\n loop twice\n S-xU: lost\n end\n alt up\n S-->>-U: 200\n else down\n S--)U: 503\n end\n Note over U,S: done",
        ),
        (
            "state",
            "stateDiagram-v2\n [*] --> Up\n Up --> Down: 3 failures\n state Down {\n [*] --> Wait\n }\n Down --> [*]\n note right of Up\n gets traffic\n end note",
        ),
        (
            "class",
            "classDiagram\n class Policy {\n <<trait>>\n +pick() ServerId\n }\n Policy <|.. RoundRobin\n Policy o-- \"1..n\" Server : knows",
        ),
        (
            "er",
            "erDiagram\n ACCOUNT ||--o{ TRANSFER : sends\n ACCOUNT {\n int id PK\n int balance_cents\n }\n TRANSFER {\n int id PK\n int amount_cents \"never negative\"\n }",
        ),
        (
            "xychart",
            "xychart-beta\n title \"p99\"\n x-axis [random, p2c]\n y-axis \"ms\" 0 --> 400\n bar [390, 120]\n line [390, 120]",
        ),
    ];

    #[test]
    fn every_family_is_drawn_in_the_colours_of_the_theme_alone() {
        for (family, source) in FAMILIES {
            let svg = draw_for_page(source, "one-1", "one-1-caption").expect(family);
            assert!(svg.starts_with("<svg"), "{family}");
            assert!(!svg.contains("<style"), "{family} carries its own style");
            assert!(
                !svg.contains('\n'),
                "{family} would end a Markdown HTML block"
            );
            assert!(
                svg.contains(r#"aria-labelledby="one-1-caption""#),
                "{family}"
            );
            assert!(
                svg.contains("min-width:"),
                "{family} shrinks until it cannot be read"
            );
            let coloured = svg.split(['"', ':', ';']).find(|part| {
                part.len() > 3
                    && part.starts_with('#')
                    && u32::from_str_radix(&part[1..], 16).is_ok()
                    || part.trim_start().starts_with("rgb(")
                    || part.trim_start().starts_with("hsl(")
            });
            assert_eq!(coloured, None, "{family} holds a fixed colour");
        }
    }

    #[test]
    fn what_a_drawing_points_to_is_in_it() {
        for (family, source) in FAMILIES {
            let svg = draw_for_page(source, "one-1", "c").expect(family);
            for id in referenced_ids(&svg).expect(family) {
                assert!(svg.contains(&format!("id=\"{id}\"")), "{family} lost #{id}");
                assert!(
                    id.starts_with("one-1"),
                    "{family}: #{id} could meet another drawing's"
                );
            }
        }
    }

    #[test]
    fn a_source_that_does_not_parse_says_why() {
        let error = draw("flowchart TD\n A --> [").expect_err("unfinished label");
        assert!(error.contains("Unterminated node label"), "{error}");
        assert!(draw("flowchrt TD\n A --> B").is_err());
    }

    #[test]
    fn a_colour_in_the_source_is_refused_because_it_cannot_follow_the_theme() {
        let error = draw("flowchart TD\n A --> B\n style A fill:#ff0000").expect_err("a colour");
        assert!(error.contains("it sets the colour #ff0000"), "{error}");
    }

    #[test]
    fn the_same_source_is_drawn_the_same_twice() {
        for (family, source) in FAMILIES {
            let drawn = || draw_for_page(source, "one-1", "c").expect(family);
            assert_eq!(drawn(), drawn(), "{family}");
        }
    }

    #[test]
    fn numbers_are_cut_to_two_decimals_and_words_left_alone() {
        assert_eq!(rounded("M1.23456,-7.999L10 3"), "M1.23,-8L10 3");
        assert_eq!(
            rounded("translate(155.39499999999998,88.5)"),
            "translate(155.39,88.5)"
        );
    }
}
