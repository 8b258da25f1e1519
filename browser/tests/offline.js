// After one visit the whole book can be read and searched without a network, and a new build takes the
// place of the old one whole: no page is ever shown with the other build's styles.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { promisify } from "node:util";

import { withPage } from "../lib/chromium.js";
import { group } from "../lib/checks.js";
import { outFolder, rootFolder, siteFolder, siteUrl, xtaskPath } from "../lib/config.js";
import { Site } from "../lib/server.js";
import { chapters, largest, pages } from "../lib/site.js";
import { sample } from "../lib/words.js";
import { search } from "./search.js";

const start = largest(({ type }) => type === "introduction");
const notFound = pages.find(({ type }) => type === "404");
/** The worker looks for a newer build whenever a page is opened; without a network it finds none. */
const allow = [/\/sw\.js/];
/** How often a reader opens a page until the new build must have taken over. */
const VISITS_MAX = 12;
/** The longest that keeping the whole book may take, in milliseconds. */
const KEEPING_MAX = 120_000;

/** Serves `folder` for one test, which may stop it or let it serve another folder. */
async function served(folder, body) {
  const own = await Site.start(folder, siteUrl);
  try {
    await body(own);
  } finally {
    await own.stop();
  }
}

const visit = (own, test, body, further = []) =>
  withPage({ ...start, status: 200 }, {
    test: `offline-${test}`,
    serviceWorkers: "allow",
    address: own.origin + start.address,
    allow: [...allow, ...further],
  }, body);

/** Waits until the book is kept whole and answers for this page, too. */
async function kept(tab) {
  const state = await tab.evaluate(async (patience) => {
    const until = Date.now() + patience;
    const pause = () => new Promise((resolve) => setTimeout(resolve, 100));
    let registration;
    while (Date.now() < until) {
      registration = await navigator.serviceWorker.getRegistration();
      if (registration?.active?.state === "activated" && navigator.serviceWorker.controller) return "kept";
      await pause();
    }
    return registration ? "a service worker that does not get ready" : "no service worker";
  }, KEEPING_MAX);
  assert.equal(state, "kept", `after ${KEEPING_MAX / 1000} s there is ${state}`);
}

group("offline", ({ one }) => {
  one("every chapter, the search and the 404 page are there after one visit", () => served(siteFolder, (own) =>
    visit(own, "one-visit", async (tab, _, context) => {
      await kept(tab);
      // The server is gone, and the browser knows that it is offline.
      await own.stop();
      await context.setOffline(true);
      const faults = [];
      for (const page of chapters) {
        const response = await tab.goto(own.origin + page.address).catch((error) => error);
        if (response instanceof Error || !response.ok()) {
          faults.push(`${page.file} cannot be read offline: ${response.message ?? response.status()}`);
          continue;
        }
        const shown = await tab.evaluate(() => ({
          diagrams: [...document.querySelectorAll("figure.diagram svg")].filter((svg) => svg.checkVisibility()).length,
          images: [...document.images].filter((image) => !image.complete || image.naturalWidth === 0).map(({ src }) => src),
          styled: getComputedStyle(document.querySelector(".bar")).display === "flex",
          words: document.querySelector("main").textContent.trim().length,
        }));
        if (shown.words < 100) faults.push(`${page.file} is empty offline`);
        if (shown.diagrams !== page.diagrams) faults.push(`${page.file}: ${shown.diagrams} of ${page.diagrams} drawings are there offline`);
        if (!shown.styled) faults.push(`${page.file} has no styles offline`);
        faults.push(...shown.images.map((src) => `${page.file}: no image offline: ${src}`));
      }
      const [found] = sample("comment", 1);
      const results = await search(tab, found.word);
      if (new URL(results[0].href).pathname !== found.page.address) {
        faults.push(`offline the search for "${found.word}" does not lead to ${found.page.file}`);
      }
      await tab.goto(own.origin + notFound.address).catch(() => {});
      const said = await tab.evaluate(() => document.body?.innerText ?? "");
      if (!(await tab.locator(`a[href*="index.html"], a[href="${siteUrl}"]`).count())) {
        faults.push(`an unknown address leads nowhere offline: "${said.slice(0, 80)}"`);
      }
      return faults;
    }, [/Failed to load resource/, new RegExp(notFound.address)])));

  one("a new build replaces the old one and is never mixed with it", async () => {
    const newer = await otherBuild();
    try {
      await served(siteFolder, (own) => visit(own, "new-build", async (tab, _, context) => {
        await kept(tab);
        const seen = [await build(tab)];
        assert.deepEqual(seen[0], { page: "old", styles: "old" });
        const second = await context.newPage();
        await second.goto(own.origin + chapters[1].address);

        own.folder = newer;
        // Two pages are open: whichever build they show, each is of one piece.
        for (const [index, page] of chapters.slice(0, 4).entries()) {
          const at = index % 2 ? tab : second;
          await at.goto(own.origin + page.address);
          seen.push(await build(at));
          await at.waitForTimeout(300);
        }
        await second.close();
        // A browser asks for a newer worker some time after a page is opened; here it asks now.
        await tab.evaluate(async () => (await navigator.serviceWorker.getRegistration()).update());
        let visits = 0;
        for (; visits < VISITS_MAX && seen.at(-1).page !== "new"; visits += 1) {
          // A reader reads: the worker has the time to fetch the new build.
          await tab.waitForTimeout(1500);
          await tab.goto(own.origin + chapters[visits % chapters.length].address);
          seen.push(await build(tab));
        }
        const faults = seen.filter(({ page, styles }) => page !== styles)
          .map(({ page, styles }) => `a page of the ${page} build with the styles of the ${styles} one`);
        if (seen.at(-1).page !== "new") faults.push(`after ${visits} more visits the old build is still shown`);

        await own.stop();
        await context.setOffline(true);
        for (const page of chapters.slice(0, 4)) {
          await tab.goto(own.origin + page.address);
          const { page: html, styles } = await build(tab);
          if (html !== "new" || styles !== "new") faults.push(`offline ${page.file} is of the ${html} build, its styles of the ${styles} one`);
        }
        return faults;
      }));
    } finally {
      fs.rmSync(newer, { recursive: true, force: true });
    }
  });
}, 1);

const NEW_TITLE = "A newer build";

/** Builds the book once more, with another title on each page and other styles. */
async function otherBuild() {
  const tree = path.join(outFolder, "newer-tree");
  const site = path.join(outFolder, "newer-site");
  fs.rmSync(tree, { recursive: true, force: true });
  const left = new Set(["target", ".git", "book", "node_modules"]);
  fs.mkdirSync(tree, { recursive: true });
  for (const name of fs.readdirSync(rootFolder)) {
    if (!left.has(name)) fs.cpSync(path.join(rootFolder, name), path.join(tree, name), { recursive: true });
  }
  fs.appendFileSync(path.join(tree, "assets/diagrams.css"), "\n:root { --build: new; }\n");
  try {
    await promisify(execFile)(xtaskPath, ["--root", tree, "build", "--dest", site], {
      env: { ...process.env, MDBOOK_BOOK__TITLE: NEW_TITLE },
    });
  } finally {
    fs.rmSync(tree, { recursive: true, force: true });
  }
  return site;
}

/** Of which build the page in `tab` and its styles are. */
async function build(tab) {
  // A worker that hands over may answer with nothing but the order to ask again.
  await tab.locator(".bar .title").waitFor();
  await tab.waitForLoadState("load");
  return tab.evaluate((title) => ({
    page: document.querySelector(".bar .title").textContent.includes(title) ? "new" : "old",
    styles: getComputedStyle(document.documentElement).getPropertyValue("--build").trim() || "old",
  }), NEW_TITLE);
}
