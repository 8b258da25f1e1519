// Light and dark: the system's at first, then the reader's, without a reload and on every page.

import assert from "node:assert/strict";

import { site } from "../lib/chromium.js";
import { group } from "../lib/checks.js";
import { chapters, largest } from "../lib/site.js";

const page = largest((each) => each.type === "chapter with diagrams");
const other = chapters.find((each) => each !== page && each.type === "chapter with diagrams") ?? page;

/** What a reader sees of the theme: brightness of page, code and a drawing's first node. */
async function look(tab) {
  return tab.evaluate(() => {
    const style = (selector) => getComputedStyle(document.querySelector(selector));
    const shape = document.querySelector("figure.diagram svg .node :is(rect, polygon, circle, path)")
      ?? document.querySelector("figure.diagram svg rect");
    return {
      page: style("body").backgroundColor,
      text: style("main p").color,
      code: style("main pre code").color,
      shape: getComputedStyle(shape).fill,
      dark: document.documentElement.classList.contains("navy"),
    };
  });
}

const brightness = (colour) => colour.match(/[\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);

group("theme", ({ each }) => {
  const given = (title, options = {}) => ({ title, ...options });

  each([page], given("follows the system and changes with it"), async (_, tab) => {
    const light = await look(tab);
    await tab.emulateMedia({ colorScheme: "dark" });
    await tab.waitForFunction(() => document.documentElement.classList.contains("navy"));
    const dark = await look(tab);
    assert.ok(brightness(light.page) > brightness(light.text), "light: text is brighter than the page");
    assert.ok(brightness(dark.page) < brightness(dark.text), "dark: text is darker than the page");
    for (const part of ["page", "text", "code", "shape"]) {
      assert.notEqual(light[part], dark[part], `the colour of ${part} stays ${light[part]} when the system turns dark`);
    }
    await tab.emulateMedia({ colorScheme: "light" });
    await tab.waitForFunction(() => !document.documentElement.classList.contains("navy"));
  });

  for (const colorScheme of ["light", "dark"]) {
    each([page], given(`the button switches without a reload, system ${colorScheme}`, { colorScheme }), async (_, tab, watch) => {
      await tab.evaluate(() => (globalThis.sameDocument = true));
      const before = await look(tab);
      const requests = watch.requests.length;
      await tab.locator("#theme-button").click();
      const after = await look(tab);
      assert.notEqual(before.dark, after.dark, "the theme stays as it was when the button is pressed");
      for (const part of ["page", "text", "code", "shape"]) {
        assert.notEqual(before[part], after[part], `the colour of ${part} stays ${before[part]} when the button is pressed`);
      }
      assert.ok(await tab.evaluate(() => globalThis.sameDocument === true), "the page was loaded again");
      assert.equal(watch.requests.length, requests, "switching the theme asked the server for something");

      await tab.goto(site.origin + other.address);
      const next = await look(tab);
      assert.equal(next.dark, after.dark, `${other.file} does not remember the reader's theme`);
      await tab.locator("#theme-button").click();
      const back = await look(tab);
      assert.equal(back.dark, before.dark, "the button does not switch back");
      const pressed = await tab.locator("#theme-button").getAttribute("aria-pressed");
      assert.equal(pressed, String(back.dark), "aria-pressed does not say whether the theme is dark");
    });
  }

  each([page], given("the reader's theme stands before the first paint", { allow: [/ERR_FAILED/] }), async (_, tab) => {
    await tab.locator("#theme-button").click();
    // A module is too late: the class must be set while the head is read.
    await tab.route(/\.js$/, (route) => route.abort());
    await tab.goto(site.origin + other.address, { waitUntil: "domcontentloaded" });
    const { dark } = await look(tab);
    assert.ok(dark, "without its modules the page forgets the reader's theme, so it would flash");
  });
});
