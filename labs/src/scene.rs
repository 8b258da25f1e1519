//! A picture of one moment: a few kinds of shapes, placed by the figure, written as SVG.
//!
//! Units are CSS pixels of a page as wide as a phone: a picture is at most [`WIDTH_MAX`] wide, and
//! grows with the page. A phone of 360 pixels shows it in its own size, so words of 11 can be read. A shape has a key; the page's script moves the shape with the same key from
//! one picture to the next. Colours are the style sheet's (`page/lab.css`): a figure gives a shape a
//! [`Tone`], and each tone has an outline of its own as the second sign.

use std::fmt::Write as _;

/// The greatest width of a picture, in its own units.
pub const WIDTH_MAX: f64 = 304.0;

/// How many letters of code are as wide as a picture (see [`Shape::mono`]).
pub const COLUMNS: usize = 45;

/// What a shape means, by colour and outline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    #[default]
    Plain,
    /// Not in use, or old.
    Faint,
    /// The first of the things to be told apart.
    A,
    /// The second.
    B,
    /// The third.
    C,
    /// The fourth.
    D,
    /// As it should be; marked with a tick.
    Good,
    /// Broken, lost or wrong; marked with a cross.
    Bad,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Tone::Plain => "plain",
            Tone::Faint => "faint",
            Tone::A => "a",
            Tone::B => "b",
            Tone::C => "c",
            Tone::D => "d",
            Tone::Good => "good",
            Tone::Bad => "bad",
        }
    }
}

enum Outline {
    Rect { width: f64, height: f64 },
    Circle { radius: f64 },
    Line { dx: f64, dy: f64 },
    Path { points: Vec<(f64, f64)> },
    Words,
}

/// One shape of a picture.
pub struct Shape {
    key: String,
    x: f64,
    y: f64,
    outline: Outline,
    tone: Tone,
    label: String,
    small: bool,
    mono: bool,
    strong: bool,
    anchor: &'static str,
    dashed: bool,
    arrow: bool,
    tap: Option<(usize, i64, String)>,
}

impl Shape {
    fn new(key: impl Into<String>, x: f64, y: f64, outline: Outline) -> Shape {
        Shape {
            key: key.into(),
            x,
            y,
            outline,
            tone: Tone::Plain,
            label: String::new(),
            small: false,
            mono: false,
            strong: false,
            anchor: "middle",
            dashed: false,
            arrow: false,
            tap: None,
        }
    }

    /// A box with its upper left corner at `x`, `y`.
    pub fn rect(key: impl Into<String>, x: f64, y: f64, width: f64, height: f64) -> Shape {
        Shape::new(key, x, y, Outline::Rect { width, height })
    }

    /// A disc around `x`, `y`.
    pub fn circle(key: impl Into<String>, x: f64, y: f64, radius: f64) -> Shape {
        Shape::new(key, x, y, Outline::Circle { radius })
    }

    /// A line from one point to another.
    pub fn line(key: impl Into<String>, x1: f64, y1: f64, x2: f64, y2: f64) -> Shape {
        let (dx, dy) = (x2 - x1, y2 - y1);
        Shape::new(key, x1, y1, Outline::Line { dx, dy })
    }

    /// A line through several points, such as a curve over time.
    pub fn path(key: impl Into<String>, points: Vec<(f64, f64)>) -> Shape {
        Shape::new(key, 0.0, 0.0, Outline::Path { points })
    }

    /// Words that begin at `x`, with their middle line at `y`.
    pub fn words(key: impl Into<String>, x: f64, y: f64, text: impl Into<String>) -> Shape {
        let mut shape = Shape::new(key, x, y, Outline::Words);
        shape.label = text.into();
        shape.anchor = "start";
        shape
    }

    /// What the shape means.
    pub fn tone(mut self, tone: Tone) -> Shape {
        self.tone = tone;
        self
    }

    /// Words in the middle of the shape.
    pub fn label(mut self, label: impl Into<String>) -> Shape {
        self.label = label.into();
        self
    }

    /// Smaller words.
    pub fn small(mut self) -> Shape {
        self.small = true;
        self
    }

    /// Words as in code: letters of one width, of which [`COLUMNS`] are as wide as the picture, and
    /// every space counts.
    pub fn mono(mut self) -> Shape {
        self.mono = true;
        self
    }

    /// Bold words, or a thick line.
    pub fn strong(mut self) -> Shape {
        self.strong = true;
        self
    }

    /// Words that stand around their point rather than behind it.
    pub fn centred(mut self) -> Shape {
        self.anchor = "middle";
        self
    }

    /// Words that end at their point.
    pub fn to_the_left(mut self) -> Shape {
        self.anchor = "end";
        self
    }

    /// A broken line.
    pub fn dashed(mut self) -> Shape {
        self.dashed = true;
        self
    }

    /// A line with a head at its end.
    pub fn arrow(mut self) -> Shape {
        self.arrow = true;
        self
    }

    /// A shape that the reader can press: the action's place and value, and what pressing it does,
    /// in words: `Stop server 2`.
    pub fn tap(mut self, action: usize, value: i64, does: impl Into<String>) -> Shape {
        self.tap = Some((action, value, does.into()));
        self
    }

    fn write(&self, svg: &mut String, live: bool) -> std::fmt::Result {
        write!(svg, "<g class=\"tone-{}", self.tone.class())?;
        for (says, class) in [
            (self.small, " small"),
            (self.mono, " mono"),
            (self.strong, " strong"),
            (self.dashed, " dashed"),
            (matches!(self.outline, Outline::Words), " words"),
        ] {
            if says {
                svg.push_str(class);
            }
        }
        write!(svg, "\"")?;
        if live {
            write!(svg, " data-key=\"{}\"", escaped(&self.key))?;
            if let Some((action, value, does)) = &self.tap {
                // The words that one sees are part of the name by which one asks for it aloud
                // (WCAG 2.2, 2.5.3).
                let name = if contains(does, &self.label) {
                    escaped(does)
                } else {
                    escaped(&format!("{}: {does}", self.label))
                };
                write!(
                    svg,
                    " role=\"button\" tabindex=\"0\" data-act=\"{action}\" data-value=\"{value}\" \
                     aria-label=\"{name}\""
                )?;
            }
        }
        let (x, y) = (Px(self.x), Px(self.y));
        write!(svg, " style=\"transform:translate({x}px,{y}px)\">")?;
        // Where the label stands, and the corner for the sign of a tone.
        let (mut middle, mut corner) = ((0.0, 0.0), None);
        match &self.outline {
            Outline::Rect { width, height } => {
                let (w, h) = (Px(*width), Px(*height));
                write!(svg, "<rect width=\"{w}\" height=\"{h}\" rx=\"3\"/>")?;
                middle = (width / 2.0, height / 2.0);
                corner = Some((*width, 0.0));
            }
            Outline::Circle { radius } => {
                write!(svg, "<circle r=\"{}\"/>", Px(*radius))?;
                corner = Some((radius * 0.8, -radius * 0.8));
            }
            Outline::Line { dx, dy } => {
                write!(svg, "<path d=\"M0 0L{} {}", Px(*dx), Px(*dy))?;
                let length = dx.hypot(*dy);
                if self.arrow && length > 0.0 {
                    let (ux, uy) = (dx / length * 6.0, dy / length * 6.0);
                    for (sx, sy) in [(-uy, ux), (uy, -ux)] {
                        let (hx, hy) = (dx - ux + sx * 0.6, dy - uy + sy * 0.6);
                        write!(svg, "M{} {}L{} {}", Px(*dx), Px(*dy), Px(hx), Px(hy))?;
                    }
                }
                write!(svg, "\"/>")?;
                middle = (dx / 2.0, dy / 2.0 - 8.0);
            }
            Outline::Path { points } => {
                write!(svg, "<path d=\"")?;
                for (place, (x, y)) in points.iter().enumerate() {
                    let letter = if place == 0 { 'M' } else { 'L' };
                    write!(svg, "{letter}{} {}", Px(*x), Px(*y))?;
                }
                write!(svg, "\"/>")?;
            }
            Outline::Words => {}
        }
        if !self.label.is_empty() {
            let (x, y) = (Px(middle.0), Px(middle.1));
            write!(
                svg,
                "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{}\">{}</text>",
                self.anchor,
                escaped(&self.label)
            )?;
        }
        if let (Some((x, y)), Some(sign)) = (corner, self.sign()) {
            let (x, y) = (Px(x), Px(y));
            write!(
                svg,
                "<text class=\"sign\" x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{sign}</text>"
            )?;
        }
        write!(svg, "</g>")
    }

    fn sign(&self) -> Option<char> {
        match self.tone {
            Tone::Good => Some('✓'),
            Tone::Bad => Some('✕'),
            _ => None,
        }
    }
}

/// A picture with its words.
#[derive(Default)]
pub struct Scene {
    height: f64,
    shapes: Vec<Shape>,
    words: String,
}

impl Scene {
    /// Sets the picture's height; its width is [`WIDTH_MAX`].
    pub fn height(&mut self, height: f64) {
        self.height = height;
    }

    /// Adds a shape above those before it. Two shapes of one picture have different keys.
    pub fn add(&mut self, shape: Shape) {
        self.shapes.push(shape);
    }

    /// Says this moment in words: what a reader who does not see the picture has to know.
    pub fn say(&mut self, words: impl Into<String>) {
        self.words = words.into();
    }

    /// What was said.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// The picture that the page's script moves.
    pub fn svg(&self, title: &str) -> String {
        self.written(title, true)
    }

    /// The picture that stands still: without keys and without anything to press.
    pub fn still(&self, title: &str) -> String {
        self.written(title, false)
    }

    fn written(&self, title: &str, live: bool) -> String {
        let role = if live { "group" } else { "img" };
        let mut svg = format!(
            "<svg class=\"lab-picture\" viewBox=\"0 0 {} {}\" role=\"{role}\" aria-label=\"{}\">",
            Px(WIDTH_MAX),
            Px(self.height),
            escaped(title)
        );
        for shape in &self.shapes {
            // Writing to a text does not fail.
            let _ = shape.write(&mut svg, live);
        }
        svg.push_str("</svg>");
        svg
    }

    /// The keys of the shapes, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.shapes.iter().map(|shape| shape.key.as_str())
    }
}

/// A length to two decimals, without a zero at its end: the same digits on every machine.
struct Px(f64);

impl std::fmt::Display for Px {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hundredths = (self.0 * 100.0).round() as i64;
        let (whole, rest) = (hundredths.abs() / 100, hundredths.abs() % 100);
        if hundredths < 0 {
            out.write_str("-")?;
        }
        write!(out, "{whole}")?;
        match (rest / 10, rest % 10) {
            (0, 0) => Ok(()),
            (tens, 0) => write!(out, ".{tens}"),
            (tens, ones) => write!(out, ".{tens}{ones}"),
        }
    }
}

/// Is `part` somewhere in `text`? By trying each place: the library's search, made for long texts, would
/// add between 0.6 and 4.5 kB to almost every figure.
fn contains(text: &str, part: &str) -> bool {
    let mut places = 0..=text.len().saturating_sub(part.len());
    places.any(|place| {
        let rest = text.get(place..);
        rest.is_some_and(|rest| rest.starts_with(part))
    })
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_shortly() {
        let written = |length| Px(length).to_string();
        assert_eq!(written(-0.001), "0");
        assert_eq!(written(-0.5), "-0.5");
        assert_eq!(written(12.0), "12");
        assert_eq!(written(1.005), "1"); // 1.005 is a little less than it says
        assert_eq!(written(0.07), "0.07");
    }

    #[test]
    fn a_part_is_found_wherever_it_stands() {
        for part in ["", "é", "7", "é 7"] {
            assert!(contains("é 7", part), "{part}");
        }
        assert!(!contains("é 7", "8") && !contains("7", "é 7"));
    }

    #[test]
    fn only_a_living_picture_can_be_pressed() {
        let mut scene = Scene::default();
        scene.height(20.0);
        scene.add(
            Shape::rect("a", 1.0, 2.0, 3.0, 4.0)
                .tone(Tone::Bad)
                .tap(0, 5, "Stop \"a\""),
        );
        scene.add(
            Shape::rect("b", 9.0, 2.0, 30.0, 30.0)
                .label("b 7")
                .tap(0, 6, "Stop b"),
        );
        let live = scene.svg("T & T");
        assert!(live.contains("role=\"button\" tabindex=\"0\" data-act=\"0\" data-value=\"5\""));
        assert!(live.contains("aria-label=\"Stop &quot;a&quot;\""), "{live}");
        assert!(live.contains("aria-label=\"b 7: Stop b\""), "{live}");
        let still = scene.still("T & T");
        assert!(
            !still.contains("button") && !still.contains("data-"),
            "{still}"
        );
        assert!(
            still.contains("✕") && still.contains("T &amp; T"),
            "{still}"
        );
    }
}
