// Every page loads whole and quietly, and says what it is: title, language, description, one heading
// of the first level. What `withPage` watches (script errors, other hosts) is checked here, too.

import { group } from "../lib/checks.js";
import { pages } from "../lib/site.js";

group("load", ({ each }) => {
  each(pages, {}, async (page, tab) => {
    await tab.waitForLoadState("networkidle");
    const { title, lang, description, h1, images, viewport } = await tab.evaluate(() => ({
      title: document.title.trim(),
      lang: document.documentElement.lang,
      description: document.querySelector('meta[name="description"]')?.content.trim() ?? "",
      viewport: document.querySelector('meta[name="viewport"]')?.content ?? "",
      h1: [...document.querySelectorAll("h1")].map((heading) => heading.textContent.trim()),
      images: [...document.images].filter((image) => image.complete && image.naturalWidth === 0)
        .map((image) => image.src),
    }));
    const faults = [];
    if (!title) faults.push("the page has no <title>");
    if (lang !== "en") faults.push(`<html lang="${lang}">, wants "en"`);
    if (description.length < 20) faults.push(`the description says too little: "${description}"`);
    if (!/width=device-width/.test(viewport) || /user-scalable=no|maximum-scale/.test(viewport)) {
      faults.push(`<meta name="viewport" content="${viewport}"> must follow the device and let the reader zoom`);
    }
    if (page.type === "print") {
      if (h1.length === 0) faults.push("no <h1>");
    } else if (h1.length !== 1) {
      faults.push(`${h1.length} headings of the first level, wants one: ${JSON.stringify(h1)}`);
    }
    if (h1.some((text) => !text)) faults.push("an empty <h1>");
    faults.push(...images.map((src) => `image without content: ${src}`));
    return faults;
  });
});

group("titles", ({ one }) => {
  one("no two chapters have the same title or description", async () => {
    const { tokens } = await import("../lib/html.js");
    const { chapters } = await import("../lib/site.js");
    const seen = new Map();
    const faults = [];
    for (const page of chapters) {
      if (page.file === "index.html") continue;
      let inTitle = false;
      for (const token of tokens(page.html)) {
        if (token.open === "title") inTitle = true;
        if (token.close === "title") break;
        if (inTitle && token.text) {
          const before = seen.get(token.text);
          if (before) faults.push(`${page.file} and ${before} have the same title "${token.text}"`);
          seen.set(token.text, page.file);
        }
      }
    }
    const { refuse } = await import("../lib/checks.js");
    refuse(faults);
  });
});
