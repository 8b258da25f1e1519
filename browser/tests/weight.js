// What a page weighs, in bytes and requests on the wire, and how soon it is there on a phone's line.
// A page that outgrows its budget fails; times depend on the machine and are only reported.

import fs from "node:fs";
import path from "node:path";

import { browser, site } from "../lib/chromium.js";
import { group, refuse } from "../lib/checks.js";
import { compareFolder, outFolder, siteUrl } from "../lib/config.js";
import { Site } from "../lib/server.js";
import { largest, pages } from "../lib/site.js";

/**
 * The most that a page of each type may send, cold: bytes after gzip, headers included, and requests.
 * Change a budget only together with what the reader gets for it.
 */
const BUDGETS = new Map([
  ["introduction", { bytes: 18_000, requests: 5 }],
  ["chapter", { bytes: 100_000, requests: 5 }],
  ["chapter with diagrams", { bytes: 130_000, requests: 5 }],
  ["glossary", { bytes: 40_000, requests: 5 }],
  ["404", { bytes: 14_500, requests: 5 }],
]);
/** The most that the first search may send on top of its page. */
const SEARCH_BUDGET = { bytes: 82_000, requests: 8 };

/** A phone's line and processor: 1.6 Mbit/s down, 150 ms a round trip, a quarter of this machine. */
const LINE = {
  offline: false,
  latency: 150,
  downloadThroughput: 1_600_000 / 8,
  uploadThroughput: 750_000 / 8,
};
const SLOWDOWN = 4;
const PHONE = { width: 412, height: 823 };
const RUNS = 3;
/** How long nothing may be asked for before a page counts as loaded, in milliseconds. */
const QUIET = 500;
/** How many files the message of an outgrown budget names. */
const HEAVIEST = 6;

/** Opens an address with nothing cached and returns what it took; `then(tab)` may go on. */
async function weigh(address, { throttled, then }) {
  const context = await browser.newContext({
    viewport: PHONE,
    deviceScaleFactor: 2,
    // It would fetch the rest of the book after the page is there; tests/offline.js is its place.
    serviceWorkers: "block",
  });
  try {
    const tab = await context.newPage();
    const session = await context.newCDPSession(tab);
    const wire = { bytes: 0, requests: 0, script: 0, hosts: new Set(), files: [] };
    const urls = new Map();
    let last = Date.now();
    await session.send("Network.enable");
    session.on("Network.requestWillBeSent", ({ requestId, request, type }) => {
      last = Date.now();
      if (/^(data|blob):/.test(request.url)) return;
      urls.set(requestId, { url: request.url, type });
      wire.requests += 1;
      const { origin } = new URL(request.url);
      if (origin !== new URL(address).origin) wire.hosts.add(origin);
    });
    session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
      last = Date.now();
      const request = urls.get(requestId);
      if (!request) return;
      wire.bytes += encodedDataLength;
      if (request.type === "Script") wire.script += encodedDataLength;
      wire.files.push({ bytes: encodedDataLength, url: request.url });
    });
    if (throttled) {
      await session.send("Network.emulateNetworkConditions", LINE);
      await session.send("Emulation.setCPUThrottlingRate", { rate: SLOWDOWN });
    }
    await tab.addInitScript(() => {
      new PerformanceObserver((list) => {
        globalThis.largestPaint = list.getEntries().at(-1).startTime;
      }).observe({ type: "largest-contentful-paint", buffered: true });
    });
    await tab.goto(address, { waitUntil: "load" });
    const quiet = async () => {
      while (Date.now() - last < QUIET) await tab.waitForTimeout(QUIET - (Date.now() - last) + 1);
    };
    await quiet();
    const times = await tab.evaluate(() => {
      const [navigation] = performance.getEntriesByType("navigation");
      return { paint: globalThis.largestPaint ?? NaN, load: navigation.loadEventEnd };
    });
    const first = { ...wire, ...times, files: [...wire.files] };
    if (!then) return first;
    const answer = await then(tab);
    await quiet();
    return { ...first, more: { bytes: wire.bytes - first.bytes, requests: wire.requests - first.requests, answer } };
  } finally {
    await context.close();
  }
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const kilobytes = (bytes) => (bytes / 1000).toFixed(1);

function overBudget(budget, { bytes, requests, files = [] }, what) {
  const faults = [];
  const heaviest = [...files].sort((a, b) => b.bytes - a.bytes).slice(0, HEAVIEST)
    .map((file) => `\n      ${kilobytes(file.bytes)} kB ${new URL(file.url).pathname}`).join("");
  if (bytes > budget.bytes) {
    faults.push(`${what} sends ${kilobytes(bytes)} kB, its budget is ${kilobytes(budget.bytes)} kB (BUDGETS in browser/tests/weight.js):${heaviest}`);
  }
  if (requests > budget.requests) {
    faults.push(`${what} makes ${requests} requests, its budget is ${budget.requests}:${heaviest}`);
  }
  return faults;
}

group("weight, budget", ({ one }) => {
  for (const page of pages.filter(({ type }) => BUDGETS.has(type))) {
    one(page.file, async () => {
      const found = await weigh(site.origin + page.address, { throttled: false });
      refuse(overBudget(BUDGETS.get(page.type), found, `${page.file}, ${page.type},`));
    });
  }
});

/** Opens the search and types a word; returns the milliseconds to the first result. */
export async function searchFor(tab, word) {
  const began = Date.now();
  await tab.locator("#search-button").click();
  const field = tab.locator("dialog input:visible");
  await field.fill(word);
  await tab.locator("dialog a[href]").first().waitFor({ state: "visible" });
  return Date.now() - began;
}

const shown = new Map([
  ["introduction", largest(({ file }) => file === "index.html")],
  ["heaviest chapter without a diagram", largest(({ type }) => type === "chapter")],
  ["heaviest chapter with diagrams", largest(({ type }) => type === "chapter with diagrams")],
  ["glossary", largest(({ type }) => type === "glossary")],
  ["404", largest(({ type }) => type === "404")],
]);

async function row(name, page, origin, then) {
  const runs = [];
  for (let run = 0; run < RUNS; run += 1) {
    runs.push(await weigh(origin + page.address, { throttled: true, then }));
  }
  const of = (field) => median(runs.map(field));
  const cells = [
    name, page.file, of((run) => run.requests), kilobytes(of((run) => run.bytes)),
    kilobytes(of((run) => run.script)), of((run) => run.hosts.size),
    Math.round(of((run) => run.paint)), Math.round(of((run) => run.load)),
  ];
  if (then) {
    cells[0] = `${name}: first result after ${Math.round(of((run) => run.more.answer))} ms`;
    cells[2] = `+ ${of((run) => run.more.requests)}`;
    cells[3] = `+ ${kilobytes(of((run) => run.more.bytes))}`;
    cells[4] = "";
    cells[6] = "";
    cells[7] = "";
  }
  return { cells, runs };
}

group("weight, table", ({ one }) => {
  one("times on a phone's line", async () => {
    const rows = [];
    const faults = [];
    for (const [name, page] of shown) {
      if (page) rows.push((await row(name, page, site.origin)).cells);
    }
    const heaviest = shown.get("heaviest chapter with diagrams");
    if (compareFolder) {
      const other = await Site.start(path.resolve(compareFolder), siteUrl);
      try {
        for (const name of ["heaviest chapter without a diagram", "heaviest chapter with diagrams"]) {
          const page = shown.get(name);
          if (page) rows.push((await row(`the same in ${path.basename(compareFolder)}`, page, other.origin)).cells);
        }
      } finally {
        await other.stop();
      }
    }
    const search = await row("search opened", heaviest, site.origin, (tab) => searchFor(tab, "cache"))
      .catch((error) => faults.push(`the search could not be weighed: ${error.message}`));
    if (search?.cells) {
      rows.push(search.cells);
      const more = search.runs[0].more;
      faults.push(...overBudget(SEARCH_BUDGET, more, "the first search"));
    }
    const head = ["page", "file", "requests", "kB gzip", "of it script", "other hosts", "LCP ms", "load ms"];
    const line = (cells) => `| ${cells.join(" | ")} |`;
    const table = [
      `Cold, ${LINE.downloadThroughput * 8 / 1e6} Mbit/s, ${LINE.latency} ms, CPU ÷ ${SLOWDOWN}, ${PHONE.width} px, HTTP/1.1 gzip, without the service worker; medians of ${RUNS}. Chromium ${browser.version()}, ${new Date().toISOString().slice(0, 10)}.`,
      "",
      line(head),
      line(head.map((_, index) => (index < 2 ? "---" : "--:"))),
      ...rows.map(line),
      "",
    ].join("\n");
    const file = path.join(outFolder, "weight.md");
    fs.writeFileSync(file, table);
    console.log(`\n${table}\n(${file})\n`);
    refuse(faults);
  });
}, 1);
