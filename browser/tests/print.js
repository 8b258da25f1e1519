// On paper: the text and nothing of the bar, code that is not cut off, what is folded unfolded, dark
// text whatever the theme; and the page of the whole book holds every chapter with its drawings.

import { group, refuse } from "../lib/checks.js";
import { inPage } from "../lib/inpage.js";
import { tokens } from "../lib/html.js";
import { chapters, pages, printPage } from "../lib/site.js";

// A4 less two margins of 10 mm, at 96 CSS pixels an inch.
const PAPER = { width: 718, height: 1047 };

function onPaper(_, { where, seen, colour, contrast, hex, texts }) {
  const faults = [];
  // What the browser itself does before it prints.
  window.dispatchEvent(new Event("beforeprint"));
  for (const element of document.querySelectorAll(".bar, .skip, nav.pager, nav#contents, button")) {
    if (seen(element)) faults.push(`is printed, though paper has no use for it: ${where(element)}`);
  }
  for (const block of document.querySelectorAll("pre, .table-wrapper, figure.diagram, table")) {
    if (block.scrollWidth > block.clientWidth + 1 && getComputedStyle(block).overflowX !== "visible") {
      faults.push(`is cut off on paper (${block.scrollWidth} px in ${block.clientWidth} px): ${where(block)}`);
    }
    const { right } = block.getBoundingClientRect();
    if (right > document.documentElement.clientWidth + 1) faults.push(`reaches beyond the paper: ${where(block)}`);
  }
  for (const block of document.querySelectorAll("pre")) {
    const range = document.createRange();
    range.selectNodeContents(block);
    const { right } = range.getBoundingClientRect();
    if (right > document.documentElement.clientWidth + 1) faults.push(`a line runs off the paper: ${where(block)}`);
  }
  for (const details of document.querySelectorAll("main details")) {
    const inner = [...details.children].find((child) => child.localName !== "summary");
    if (inner && !inner.checkVisibility()) faults.push(`stays folded on paper: ${where(details)}`);
  }
  // Backgrounds are not printed by default: what counts is the text on white.
  const white = [255, 255, 255, 1];
  const pale = new Set();
  for (const { element } of texts(document.querySelector("main"))) {
    if (element.closest("svg")) continue;
    const ink = colour(getComputedStyle(element).color);
    const key = hex(ink);
    if (contrast(ink, white) >= 4.5 || pale.has(key)) continue;
    pale.add(key);
    faults.push(`pale on paper (${key}): ${where(element)}`);
  }
  return faults;
}

for (const colorScheme of ["light", "dark"]) {
  group(`print, ${colorScheme}`, ({ each }) => {
    const some = pages.filter(({ type }) => type !== "404" && (type !== "print" || colorScheme === "light"));
    each(some, { colorScheme, viewport: PAPER }, async (page, tab) => {
      await tab.emulateMedia({ media: "print" });
      return inPage(tab, onPaper);
    });
  });
}

/** The text of each heading of the first level, and the ids of the drawings' captions. */
function partsOf(page) {
  const parts = { headings: [], captions: [] };
  let heading;
  for (const token of tokens(page.html)) {
    if (token.open === "h1") heading = "";
    if (heading !== undefined && token.text) heading += token.text;
    if (token.close === "h1") {
      parts.headings.push(heading.replace(/\s+/g, " ").trim());
      heading = undefined;
    }
    if (token.open === "figcaption" && token.attributes.get("id")) parts.captions.push(token.attributes.get("id"));
  }
  return parts;
}

group("the whole book", ({ one }) => {
  one("holds every chapter and every drawing", () => {
    if (!printPage) return refuse(["the site has no print.html"]);
    const faults = [];
    const whole = partsOf(printPage);
    for (const page of chapters) {
      if (page.file === "index.html") continue;
      const { headings, captions } = partsOf(page);
      for (const heading of headings) {
        if (!whole.headings.includes(heading)) faults.push(`print.html lacks the chapter "${heading}" of ${page.file}`);
      }
      for (const caption of captions) {
        if (!whole.captions.some((each) => each?.endsWith(caption))) {
          faults.push(`print.html lacks the drawing ${caption} of ${page.file}`);
        }
      }
    }
    const drawn = chapters.filter(({ file }) => file !== "index.html").reduce((sum, page) => sum + page.diagrams, 0);
    if (printPage.diagrams !== drawn) faults.push(`print.html has ${printPage.diagrams} drawings, the chapters ${drawn}`);
    refuse(faults);
  });
});
