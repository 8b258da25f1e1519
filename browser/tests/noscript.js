// Without JavaScript every word, block, drawing, output, the contents and the way on are there, and
// no button that would do nothing.

import { group } from "../lib/checks.js";
import { browser, site } from "../lib/chromium.js";
import { hidden, inPage, mainWords } from "../lib/inpage.js";
import { chapters, pages } from "../lib/site.js";

/** Where two texts part, with some words around. */
function firstDifference(one, other) {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at += 1;
  const around = (text) => JSON.stringify(text.slice(Math.max(0, at - 30), at + 50));
  return `with JavaScript ${around(one)}, without ${around(other)}`;
}

function furniture(_, { where, seen }) {
  const faults = [];
  for (const control of document.querySelectorAll("button, input, select, textarea, dialog")) {
    if (seen(control) && !control.disabled) faults.push(`does nothing without JavaScript: ${where(control)}`);
  }
  const contents = document.querySelector("nav#contents");
  if (!contents) faults.push("no table of contents (nav#contents)");
  for (const link of contents?.querySelectorAll("a") ?? []) {
    if (!seen(link)) faults.push(`a link of the contents that nobody sees: ${where(link)}`);
  }
  for (const link of document.querySelectorAll("a[rel=next], a[rel=prev]")) {
    if (!seen(link)) faults.push(`not to be seen: ${where(link)}`);
  }
  return {
    faults,
    ways: [...document.querySelectorAll("a[rel]")].filter(seen).map((link) => link.rel),
    contents: [...(contents?.querySelectorAll("a") ?? [])].length,
  };
}

async function wordsWithScript(page) {
  const context = await browser.newContext({ serviceWorkers: "block" });
  try {
    const tab = await context.newPage();
    await tab.goto(site.origin + page.address, { waitUntil: "load" });
    return await inPage(tab, mainWords);
  } finally {
    await context.close();
  }
}

for (const width of [1280, 360]) {
  group(`no JavaScript, ${width} px`, ({ each }) => {
    const some = width === 1280 ? pages : pages.filter(({ type }) => type !== "print");
    each(some, { javaScriptEnabled: false, viewport: { width, height: 800 } }, async (page, tab) => {
      const { faults, contents, ways } = await inPage(tab, furniture);
      const chapterCount = chapters.filter(({ file }) => file !== "index.html").length;
      if (contents < chapterCount) faults.push(`the contents hold ${contents} links for ${chapterCount} chapters`);
      const served = /<a\b[^>]*\brel="(prev|next)"/g;
      for (const [, way] of page.html.matchAll(served)) {
        if (!ways.includes(way)) faults.push(`no visible link rel="${way}"`);
      }
      const without = await inPage(tab, mainWords);
      if (without === null) return [...faults, "no <main>"];
      if (width === 1280) {
        const withScript = await wordsWithScript(page);
        if (withScript !== without) {
          faults.push(`the text differs: ${firstDifference(withScript, without)}`);
        }
      }
      faults.push(...(await inPage(tab, hidden)));
      return faults;
    });
  });
}
