// The book by keyboard alone: Tab reaches every control in order and shows where it is, nothing traps
// it, arrows turn the page only where they mean nothing else, and keys open and close what they say.

import assert from "node:assert/strict";

import { site } from "../lib/chromium.js";
import { group } from "../lib/checks.js";
import { wakeAll } from "../lib/figures.js";
import { inPage } from "../lib/inpage.js";
import { chapters, largest, onePageOfEachType, pages } from "../lib/site.js";

/** Marks what Tab should stop at, in document order, and returns where each is. */
function expectStops(_, { where, seen }) {
  const candidates = document.querySelectorAll(
    "a[href], button, input, select, textarea, summary, iframe, audio[controls], video[controls], [tabindex]",
  );
  const stops = [...candidates].filter((element) =>
    element.tabIndex >= 0 && !element.disabled && !element.closest("[inert]")
    && element.checkVisibility({ visibilityProperty: true })
    && (seen(element) || element.matches(".skip")));
  stops.forEach((element, index) => (element.dataset.stop = index));
  return stops.map(where);
}

/** Writes down each element that takes the focus, and how one sees that it has it. */
function recordStops(_, { where }) {
  globalThis.stopsRecorded = [];
  document.addEventListener("focusin", ({ target }) => globalThis.stopsRecorded.push(stop(target)));
  document.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget === null) globalThis.stopsRecorded.push(null);
  });

  function stop(element) {
    const style = getComputedStyle(element);
    const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1
      && !/^rgba\(.*, 0\)$/.test(style.outlineColor);
    const box = element.getBoundingClientRect();
    const inWindow = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
    const x = Math.min(Math.max(box.left + box.width / 2, 0), innerWidth - 1);
    const y = Math.min(Math.max(box.top + Math.min(box.height / 2, 12), 0), innerHeight - 1);
    const top = document.elementFromPoint(x, y);
    const bar = document.querySelector(".bar");
    // Wholly below the bar, which stays in place while the page scrolls (WCAG 2.2, 2.4.11).
    const covered = Boolean(top && bar?.contains(top) && !bar.contains(element))
      && box.bottom <= bar.getBoundingClientRect().bottom;
    return {
      stop: element.dataset.stop === undefined ? null : Number(element.dataset.stop),
      scrolls: element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight,
      where: where(element),
      shown: outlined || style.boxShadow !== "none",
      inWindow,
      covered,
    };
  }
}

const STEPS_SPARE = 40;

async function walk(page, tab) {
  await wakeAll(tab);
  const stops = await inPage(tab, expectStops);
  await inPage(tab, recordStops);
  let recorded = [];
  // Boxes that scroll take the focus, too, so the number of steps is not known before.
  for (let pressed = 0, step = stops.length + 1; pressed < stops.length + STEPS_SPARE; pressed += step, step = 5) {
    for (let press = 0; press < step; press += 1) await tab.keyboard.press("Tab");
    recorded = await tab.evaluate(() => globalThis.stopsRecorded);
    if (recorded.includes(null)) break;
  }
  const faults = [];
  const reached = [];
  for (const at of recorded) {
    if (at === null) break;
    if (!at.shown) faults.push(`no visible focus (outline or box-shadow): ${at.where}`);
    if (!at.inWindow) faults.push(`has the focus but is out of sight: ${at.where}`);
    if (at.covered) faults.push(`has the focus but the bar covers it: ${at.where}`);
    if (at.stop === null) {
      // A box that scrolls can have the focus without a tabindex of its own.
      if (!at.scrolls) faults.push(`takes the focus, though it is no control: ${at.where}`);
      continue;
    }
    if (reached.includes(at.stop)) {
      // After the last control the focus may start again at the first.
      if (at.stop !== 0 || reached.length < stops.length) {
        faults.push(`Tab comes back too early, so it is trapped: ${at.where}`);
      }
      break;
    }
    if (reached.length > 0 && at.stop < reached.at(-1)) {
      faults.push(`Tab goes back in the page: ${at.where} after ${stops[reached.at(-1)]}`);
    }
    reached.push(at.stop);
  }
  stops.forEach((where, index) => {
    if (!reached.includes(index)) faults.push(`Tab never reaches ${where}`);
  });
  return [...new Set(faults)];
}

group("keyboard, Tab", ({ each }) => {
  each(pages.filter(({ type }) => type !== "print"), {}, walk);
  each(onePageOfEachType, { title: "360 px", viewport: { width: 360, height: 740 } }, walk);
});

group("keyboard, skip link", ({ each }) => {
  each(pages.filter(({ type }) => type !== "print"), {}, async (page, tab) => {
    await tab.keyboard.press("Tab");
    const first = await tab.evaluate(() => document.activeElement.getAttribute("href"));
    if (first === null || !first.endsWith("#content")) {
      return [`the first stop of Tab is no link to #content but ${first}`];
    }
    const before = new URL(tab.url()).pathname;
    await tab.keyboard.press("Enter");
    await tab.waitForURL((url) => url.pathname !== before, { timeout: 400, waitUntil: "commit" }).catch(() => {});
    const after = new URL(tab.url()).pathname;
    if (after !== before) return [`the skip link leaves the page: ${after}`];
    const inside = await tab.evaluate(() => {
      const main = document.querySelector("main");
      return main?.contains(document.activeElement) ?? false;
    });
    return inside ? [] : ["the skip link does not bring the focus into <main>: give it tabindex=\"-1\""];
  });
});

const middle = chapters.find((page) => /rel="prev"/.test(page.html) && /rel="next"/.test(page.html)
  && page.diagrams > 0 && /<table/.test(page.html) && page.codeBlocks > 0)
  ?? largest((page) => page.type === "chapter with diagrams");

async function pathAfter(tab, key) {
  const before = tab.url();
  await tab.keyboard.press(key);
  // A page that turns does so at once: what follows is loading.
  await tab.waitForURL((url) => url.href !== before, { timeout: 700, waitUntil: "commit" }).catch(() => {});
  return { before, after: tab.url() };
}

group("keyboard, arrows", ({ each }) => {
  each([middle], { title: "turn the page" }, async (_, tab) => {
    const ways = await tab.evaluate(() => ["next", "prev"].map((way) => document.querySelector(`a[rel~=${way}]`).href));
    const right = await pathAfter(tab, "ArrowRight");
    assert.equal(right.after, ways[0], "the right arrow does not lead to the next chapter");
    await tab.goto(site.origin + middle.address);
    const left = await pathAfter(tab, "ArrowLeft");
    assert.equal(left.after, ways[1], "the left arrow does not lead to the chapter before");
    await tab.goto(site.origin + middle.address);
    for (const key of ["Alt+ArrowRight", "Shift+ArrowRight", "Control+ArrowRight"]) {
      const { before, after } = await pathAfter(tab, key);
      assert.equal(after.split("#")[0], before.split("#")[0], `${key} is not the book's, but turns the page`);
    }
  });

  for (const [what, selector] of [
    ["a code block", "main pre"], ["a table", "main table"], ["a diagram", "main figure.diagram"],
    ["a text area", "textarea"],
  ]) {
    each([middle], { title: `do not turn the page in ${what}`, viewport: { width: 360, height: 740 } }, async (_, tab) => {
      if (what === "a text area") await tab.locator(".code-bar .edit:visible").first().click();
      const box = tab.locator(selector).first();
      await box.waitFor({ state: "visible" });
      await box.scrollIntoViewIfNeeded();
      const faults = [];
      // With the focus, if it takes it, and after a click on its words, as when one selects them.
      for (const way of ["focus", "click"]) {
        if (way === "focus") {
          const takes = await box.evaluate((element) => {
            const holder = element.closest("[tabindex], textarea") ?? element.querySelector("[tabindex], textarea");
            holder?.focus();
            return Boolean(holder) && holder.contains(document.activeElement) && holder.localName !== "main";
          });
          if (!takes) continue;
        } else {
          await box.click({ position: { x: 30, y: 20 } });
        }
        for (const key of ["ArrowRight", "ArrowLeft"]) {
          const { before, after } = await pathAfter(tab, key);
          if (before !== after) {
            faults.push(`${key} turns the page while the reader is in ${what} (${way}): ${after}`);
            return faults;
          }
        }
      }
      return faults;
    });
  }
});

/** Whether the search can be typed into: the focus is in a visible field for text. */
const searching = (tab) => tab.waitForFunction(() => {
  const at = document.activeElement;
  return at?.matches("input[type=search], input[type=text], input:not([type])") && at.checkVisibility();
}, undefined, { timeout: 5000 });

group("keyboard, keys", ({ each }) => {
  for (const key of ["/", "s"]) {
    each(onePageOfEachType, { title: `${key} opens the search, Escape closes it` }, async (_, tab) => {
      await tab.keyboard.press(key);
      await searching(tab).catch(() => assert.fail(`${key} does not bring the focus into a search field`));
      const typed = await tab.evaluate(() => document.activeElement.value);
      assert.equal(typed, "", `the key that opens the search is typed into it: "${typed}"`);
      await tab.keyboard.press("Escape");
      await tab.waitForFunction(() => !document.querySelector("input:focus") && ![...document.querySelectorAll("dialog")]
        .some((dialog) => dialog.open), undefined, { timeout: 3000 }).catch(() =>
        assert.fail("Escape does not close the search"));
      const before = tab.url();
      await tab.keyboard.press("Escape");
      assert.equal(tab.url(), before);
    });
  }

  each([middle], { title: "search by its button gives the focus back" }, async (_, tab) => {
    await tab.locator("#search-button").focus();
    await tab.keyboard.press("Enter");
    await searching(tab).catch(() => assert.fail("the search button does not open the search"));
    await tab.keyboard.press("Escape");
    await tab.waitForFunction(() => document.activeElement?.id === "search-button", undefined, { timeout: 3000 })
      .catch(() => assert.fail("after Escape the focus is not back on #search-button"));
  });

  each([middle], { title: "letters typed into a block are letters", viewport: { width: 1280, height: 800 } }, async (_, tab) => {
    await tab.locator(".code-bar .edit:visible").first().click();
    const area = tab.locator("textarea").first();
    await area.focus();
    await tab.keyboard.press("Control+Home");
    await tab.keyboard.type("s/");
    assert.match(await area.inputValue(), /^s\//, "s and / do not reach the text area");
  });

  each(onePageOfEachType, { title: "contents open and close", viewport: { width: 360, height: 740 } }, async (_, tab) => {
    const button = tab.locator("#contents-button");
    const contents = tab.locator("#contents");
    assert.equal(await button.getAttribute("aria-expanded"), "false", "closed contents say aria-expanded is not false");
    assert.ok(!(await contents.isVisible()), "on a phone the contents stand open at first");
    await button.focus();
    await tab.keyboard.press("Enter");
    await contents.waitFor({ state: "visible" });
    assert.equal(await button.getAttribute("aria-expanded"), "true", "open contents do not say aria-expanded");
    const inside = () => tab.evaluate(() => document.querySelector("#contents").contains(document.activeElement));
    if (!(await inside())) await tab.keyboard.press("Tab");
    assert.ok(await inside(), "the focus is not in the opened contents, nor does Tab lead into them");
    await tab.keyboard.press("Escape");
    await contents.waitFor({ state: "hidden" });
    assert.equal(await tab.evaluate(() => document.activeElement?.id), "contents-button",
      "after Escape the focus is not back on #contents-button");
    assert.equal(await button.getAttribute("aria-expanded"), "false");
  });
});
