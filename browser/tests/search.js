// Search finds a word of a chapter and a word that stands only in a comment of its code, and leads to
// the section that holds it.

import assert from "node:assert/strict";

import { group } from "../lib/checks.js";
import { largest, onePageOfEachType } from "../lib/site.js";
import { sample } from "../lib/words.js";

const SAMPLES = 4;
const start = largest(({ type }) => type === "introduction");

/** Opens the search by its key, types a word and returns the results as `{ href, text }`. */
export async function search(tab, word) {
  await tab.keyboard.press("/");
  const field = tab.locator("dialog input:focus");
  await field.waitFor();
  await field.fill(word);
  const links = tab.locator("dialog a[href]:visible");
  await links.first().waitFor({ timeout: 10_000 }).catch(() => assert.fail(`the search finds nothing for "${word}"`));
  return links.evaluateAll((found) => found.map((link) => ({ href: link.href, text: link.textContent })));
}

group("search", ({ each, one }) => {
  for (const [what, place] of [["a word of a chapter", "prose"], ["a word only in a comment of code", "comment"]]) {
    const words = sample(place, SAMPLES);
    one(`there is ${what} to search for`, () => {
      assert.ok(words.length > 0, `no chapter holds ${what} under one heading only`);
    });
    for (const { word, heading, page } of words) {
      each([start], { title: `${what}, ${word}` }, async (_, tab) => {
        const results = await search(tab, word);
        const paths = results.map(({ href }) => new URL(href).pathname);
        assert.equal(paths[0], page.address, `the first result for "${word}" leads to another page than ${page.file}`);
        assert.equal(decodeURIComponent(new URL(results[0].href).hash), `#${heading}`,
          `the first result for "${word}" leads to another section of ${page.file}`);
        await tab.locator("dialog a[href]:visible").first().click();
        await tab.waitForURL((url) => url.pathname === page.address);
        await tab.waitForFunction((wanted) => {
          const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
          for (let node = walker.nextNode(); node; node = walker.nextNode()) {
            const at = node.data.toLowerCase().indexOf(wanted);
            if (at < 0) continue;
            const range = document.createRange();
            range.setStart(node, at);
            range.setEnd(node, at + wanted.length);
            const { top, bottom, height } = range.getBoundingClientRect();
            if (height > 0 && top >= 0 && bottom <= innerHeight) return true;
          }
          return false;
        }, word, { timeout: 5000 }).catch(() =>
          assert.fail(`the result leads to ${page.file}, but "${word}" is not in sight there`));
      });
    }
  }

  each(onePageOfEachType, { title: "works from every type of page" }, async (_, tab) => {
    const [found] = sample("prose", 1);
    const results = await search(tab, found.word);
    assert.equal(new URL(results[0].href).pathname, found.page.address);
    await tab.keyboard.press("ArrowDown");
    await tab.keyboard.press("Enter");
    await tab.waitForURL((url) => url.pathname === found.page.address).catch(() =>
      assert.fail("the arrow down and Enter do not lead to a result"));
  });

  each([start], { title: "what is not there is said to be not there" }, async (_, tab) => {
    await tab.keyboard.press("/");
    const field = tab.locator("dialog input:focus");
    await field.waitFor();
    await field.fill("zzxqjwv");
    const said = tab.locator("dialog [role=status], dialog [aria-live], dialog output");
    await tab.waitForFunction(() => [...document.querySelectorAll("dialog :is([role=status], [aria-live], output)")]
      .some((each) => /no|nothing|0/i.test(each.textContent)), undefined, { timeout: 10_000 })
      .catch(async () => assert.fail(`no live region says that nothing was found: ${await said.allTextContents()}`));
    assert.equal(await tab.locator("dialog a[href]:visible").count(), 0, "a word that the book does not hold has results");
  });

  each([start], { title: "a word that is code is no markup" }, async (_, tab) => {
    await tab.keyboard.press("/");
    const field = tab.locator("dialog input:focus");
    await field.waitFor();
    await field.fill("<img src=x onerror=alert(1)>");
    await tab.waitForTimeout(500);
    assert.equal(await tab.locator("dialog img").count(), 0, "what the reader typed became markup");
  });
});
