// The one Chromium of the suite and the server of the built site; opens pages in it, watches what
// they do, and keeps what a failing page looked like. Knows no check.

import fs from "node:fs";
import path from "node:path";

import { chromiumPath, keep, outFolder, requirePackage, siteFolder, siteUrl } from "./config.js";
import { Site } from "./server.js";

const { chromium } = requirePackage("playwright-core");

/** How long an element may take to appear, in milliseconds. */
const PATIENCE = 20_000;
/** How long a page may take to load, in milliseconds: the whole book on one page, on a busy machine. */
const LOADING_MAX = 90_000;
const FAULTS_SHOWN = 12;
const failures = path.join(outFolder, "failures");

/** The built site, served. */
export let site;
/** The browser of the suite. */
export let browser;

/** Starts both; call once, before the first test. */
export async function start() {
  site = await Site.start(siteFolder, siteUrl);
  browser = await chromium.launch({
    executablePath: chromiumPath,
    // Nothing outside this machine is ever looked up, so a page that asks for it fails loudly.
    args: ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-dev-shm-usage"],
  });
}

/** Stops both; call once, after the last test. */
export async function stop() {
  await browser?.close();
  await site?.stop();
}

/** Writes down what a page does that no page should: see `faults`. */
class Watch {
  faults = [];
  requests = [];
  log = [];
  #origins;
  #allow;

  constructor(origins, allow) {
    this.#origins = origins;
    this.#allow = allow;
  }

  #fault(text, url = "") {
    this.log.push(`! ${text}`);
    if (!this.#allow.some((pattern) => pattern.test(`${text} ${url}`))) this.faults.push(text);
  }

  attach(context) {
    context.on("request", (request) => {
      const url = request.url();
      this.requests.push({ url, method: request.method() });
      if (/^(data|blob|about):/.test(url)) return;
      if (!this.#origins.includes(new URL(url).origin)) {
        this.#fault(`asks another host: ${url} (the book holds all that its pages need)`, url);
      }
    });
    context.on("requestfailed", (request) => {
      // A request that the page itself gave up, as when the reader goes on, is no failure.
      const why = request.failure()?.errorText ?? "";
      if (why !== "net::ERR_ABORTED") this.#fault(`request failed: ${request.url()} (${why})`);
    });
    context.on("response", (response) => {
      const request = response.request();
      const document = request.isNavigationRequest() && request.frame().parentFrame() === null;
      if (response.status() >= 400 && !document) {
        this.#fault(`status ${response.status()}: ${response.url()}`);
      }
    });
    context.on("weberror", (error) => {
      this.#fault(`script error or rejected promise: ${error.error().stack ?? error.error()}`);
    });
    context.on("console", (message) => {
      const { url = "", lineNumber = 0 } = message.location();
      const text = `${message.text()} (${url}:${lineNumber})`;
      this.log.push(`${message.type()}: ${text}`);
      // The 404 page's own status is written to the console as an error, too.
      const own = /status of 404/.test(message.text()) && url === message.page()?.url();
      if (message.type() === "error" && !own) this.#fault(`console error: ${text}`);
    });
  }
}

function fileName(test, page) {
  return `${test}-${page}`
    .replace(/\.html\b/g, "")
    .replace(/[^A-Za-z0-9.]+/g, "-")
    .replace(/^-|-$/g, "")
    .slice(0, 120);
}

async function save(tab, watch, name, text) {
  fs.mkdirSync(failures, { recursive: true });
  const stem = path.join(failures, name);
  fs.writeFileSync(`${stem}.txt`, `${text}\n\n${watch.log.join("\n")}\n`);
  // A page that hangs must not keep its own report from being written.
  const saved = await Promise.allSettled([
    tab.screenshot({ path: `${stem}.png`, fullPage: false, timeout: 10_000 }),
    tab.content().then((html) => fs.writeFileSync(`${stem}.html`, html)),
  ]);
  return saved[0].status === "fulfilled" ? `${stem}.png` : `${stem}.txt`;
}

/**
 * Opens `page` in a fresh context and hands it to `body(tab, watch)`, which returns what is wrong:
 * a list of lines, empty when all is well. What every page must keep to (no script error, no other
 * host, no failed request) is added to them. Throws with all lines, and with the path of the
 * screenshot; HTML and console lie beside it.
 *
 * `options`: those of a browser context, and `allow` (faults that the test provokes itself, as
 * regular expressions), `address` (another address than the page's own), `origins` (further
 * servers of this machine), `test` (the test's name, for the files of a failing page).
 */
export async function withPage(page, options, body) {
  const { allow = [], origins = [], test, address, ...context_options } = options;
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    colorScheme: "light",
    serviceWorkers: "block",
    ...context_options,
  });
  context.setDefaultTimeout(PATIENCE);
  context.setDefaultNavigationTimeout(LOADING_MAX);
  const own = address ? new URL(address).origin : site.origin;
  const watch = new Watch([own, ...origins], allow);
  watch.attach(context);
  const tab = await context.newPage();
  let faults;
  try {
    const response = await tab.goto(address ?? site.origin + page.address, { waitUntil: "load" });
    const status = page.status ?? 200;
    faults = response.status() === status ? [] : [`status ${response.status()}, not ${status}`];
    faults.push(...((await body(tab, watch, context)) ?? []));
    faults.push(...watch.faults);
  } catch (error) {
    const expected = error.code === "ERR_ASSERTION";
    faults = [...watch.faults, expected ? error.message : (error.stack ?? String(error))];
  }
  try {
    if (faults.length > 0 || keep) {
      const shown = faults.slice(0, FAULTS_SHOWN).map((fault) => `\n  - ${fault}`);
      const more = faults.length - shown.length;
      const text = `${page.file}:${shown.join("")}${more > 0 ? `\n  … and ${more} more` : ""}`;
      const whole = `${page.file}:\n${faults.join("\n")}`;
      const saved = await save(tab, watch, fileName(test, page.file), whole);
      if (faults.length > 0) {
        const error = new Error(`${text}\n  see ${saved}`);
        error.stack = error.message;
        throw error;
      }
    }
  } finally {
    await context.close();
  }
}
