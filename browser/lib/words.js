// Words of the chapters that a reader would search for: one that only one chapter's prose holds, one
// that only a comment in code holds. Chosen from the built pages, so that no list goes out of date.
// Knows the HTML of a chapter, no browser.

import { tokens } from "./html.js";
import { chapters } from "./site.js";

/** The letters in which a word must differ from all others, so that no stemmer joins the two. */
const OWN_LETTERS = 5;
const LENGTH_MIN = 8;

/** Each word of a chapter with its place: `prose`, `comment` or `other`, and the heading above it. */
function* wordsOf(page) {
  let main = false;
  let pre = 0;
  let drawing = 0;
  let heading = "";
  let inHeading = false;
  let tools = 0;
  let line = "";
  // Lines of a program that the page shows only on demand are not searched: how deep a span is open
  // since they began.
  let folded = 0;
  for (const token of tokens(page.html)) {
    const { open, close, attributes } = token;
    if (open === "main") main = true;
    if (close === "main") return;
    if (!main) continue;
    if (open === "svg") drawing += 1;
    if (close === "svg") drawing -= 1;
    if (open === "button" || open === "summary") tools += 1;
    if (close === "button" || close === "summary") tools -= 1;
    if (open === "pre") {
      pre += 1;
      line = "";
    }
    if (close === "pre") pre -= 1;
    if (open === "span" && (folded > 0 || attributes.get("class")?.split(/\s+/).includes("boring"))) folded += 1;
    if (close === "span" && folded > 0) folded -= 1;
    if (/^h[1-4]$/.test(open ?? "")) {
      inHeading = true;
      if (attributes.get("id")) heading = attributes.get("id");
    }
    if (/^h[1-4]$/.test(close ?? "")) inHeading = false;
    if (!token.text) continue;
    for (const part of token.text.split(/(\n)/)) {
      if (part === "\n") line = "";
      const before = line;
      line += part;
      if (folded > 0) continue;
      for (const { 0: word, index } of part.matchAll(/\p{L}+/gu)) {
        const comment = pre > 0 && /(^|\s)\/\/[/!]?\s/.test(before + part.slice(0, index));
        const place = pre > 0
          ? comment ? "comment" : "other"
          : drawing || inHeading || tools ? "other" : "prose";
        yield { word: word.toLowerCase(), place, heading };
      }
    }
  }
}

const seen = new Map();
for (const page of chapters) {
  if (page.file === "index.html" || page.file === "glossary.html") continue;
  for (const { word, place, heading } of wordsOf(page)) {
    const start = word.slice(0, OWN_LETTERS);
    const places = seen.get(start) ?? [];
    places.push({ word, place, heading, page });
    seen.set(start, places);
  }
}
for (const page of chapters.filter(({ file }) => file === "glossary.html")) {
  for (const { word } of wordsOf(page)) seen.get(word.slice(0, OWN_LETTERS))?.push({ word, place: "other" });
}

/** The words that stand under one heading of the whole book, always in the given kind of place. */
function only(place) {
  return [...seen.values()]
    .filter((places) => places.every((each) => each.place === place && each.word === places[0].word
      && each.page === places[0].page && each.heading === places[0].heading))
    .map(([found]) => found)
    .filter(({ word, heading }) => /^[a-z]+$/.test(word) && word.length >= LENGTH_MIN && heading);
}

/** Some of them, spread over the book: `{ word, heading, page }`. */
export function sample(place, count) {
  const found = only(place);
  const step = Math.max(1, Math.floor(found.length / count));
  return found.filter((_, index) => index % step === 0).slice(0, count);
}
