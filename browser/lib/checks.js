// Registers checks as tests, one for each page, so that a failure names check and page, and leaves
// out those that the caller did not ask for. Knows node's test runner, no check.

import { after, before, describe, it } from "node:test";

import { start, stop, withPage } from "./chromium.js";
import { only } from "./config.js";

/** Pages open at the same time: the browser's pages share the machine's cores. */
const CONCURRENCY = 2;
/** The longest that one test may take, in milliseconds; the whole book on one page needs it. */
const TIMEOUT = 240_000;

let registered = 0;

before(start);
after(stop);

function wanted(name) {
  return name.toLowerCase().includes(only.toLowerCase());
}

/** A group of tests that runs `concurrency` of them at a time; one left empty is not shown. */
export function group(name, tests, concurrency = CONCURRENCY) {
  const found = [];
  tests({
    /** A check of one thing that is not a page. */
    one: (test, body) => found.push({ name: test, body: () => body() }),
    /** The same check for each of `pages`; see `withPage` for `options` and `body`. */
    each: (pages, options, body) => {
      for (const page of pages) {
        const settled = typeof options === "function" ? options(page) : options;
        const test = settled.title ? `${settled.title}: ${page.file}` : page.file;
        const { title, ...rest } = settled;
        found.push({
          name: test,
          body: () =>
            withPage(page, { test: title ? `${name}-${title}` : name, ...rest }, (...told) =>
              body(page, ...told),
            ),
        });
      }
    },
  });
  const left = found.filter((test) => wanted(`${name}: ${test.name}`));
  if (left.length === 0) return;
  registered += left.length;
  describe(name, { concurrency }, () => {
    for (const test of left) it(test.name, { timeout: TIMEOUT }, test.body);
  });
}

/** To be called when all groups are registered: that nothing is left to run is a mistake. */
export function finish() {
  if (registered === 0) throw new Error(`no test's name holds "${only}"`);
}

/** Throws with every line of `faults`, or returns when there is none. */
export function refuse(faults) {
  if (faults.length === 0) return;
  const error = new Error(`\n${faults.map((fault) => `  - ${fault}`).join("\n")}`);
  error.stack = error.message;
  throw error;
}
