// On narrow windows the page never scrolls sideways, and a finger meets the controls.

import { group } from "../lib/checks.js";
import { inPage, sideways, tapTargets } from "../lib/inpage.js";
import { pages } from "../lib/site.js";

// WCAG 2.2, success criterion 2.5.8 (AA), in CSS pixels.
const TARGET_MIN = 24;

async function targets(tab) {
  const faults = await inPage(tab, tapTargets, TARGET_MIN);
  const button = tab.locator("#contents-button");
  if ((await button.getAttribute("aria-expanded")) === "false") {
    await button.click();
    await tab.locator("#contents a").first().waitFor({ state: "visible" });
    faults.push(...(await inPage(tab, tapTargets, TARGET_MIN)));
  }
  return [...new Set(faults)];
}

for (const width of [360, 320]) {
  group(`narrow, ${width} px`, ({ each }) => {
    const some = pages.filter(({ type }) => type !== "print" || width === 360);
    each(some, { viewport: { width, height: 740 } }, async (page, tab) => [
      ...(await inPage(tab, sideways, width)),
      ...(await targets(tab)),
    ]);
  });
}

group("tap targets, 1280 px", ({ each }) => {
  each(pages.filter(({ type }) => type !== "print"), {}, (page, tab) => targets(tab));
});
