// What `cargo xtask browser` tells the suite, by environment variables, and nothing else: no other
// module reads the environment. Knows of no page.

import { createRequire } from "node:module";
import path from "node:path";

function told(name) {
  const value = process.env[name];
  if (!value) {
    throw new Error(`${name} is not set: start the suite with cargo xtask browser`);
  }
  return value;
}

/** The folder of the built site. */
export const siteFolder = told("BOOK_SITE");
/** The path that the site is built for, as on GitHub Pages: `/notes/`. */
export const siteUrl = told("BOOK_SITE_URL");
/** The scheme and host that the site is built for: `https://owner.example`. */
export const siteOrigin = told("BOOK_SITE_ORIGIN");
/** Where failing pages, the weight table and other results go. */
export const outFolder = told("BOOK_OUT");
/** The program that starts Chromium. */
export const chromiumPath = told("BOOK_CHROMIUM");
/** The book's own tool, to serve the book with a local runner. */
export const xtaskPath = told("BOOK_XTASK");
/** The folder that holds book.toml. */
export const rootFolder = told("BOOK_ROOT");
/** What the figures show natively, a run a line, and a way to a goal of each. */
export const tracePath = told("BOOK_TRACE");
/** Only tests whose name holds this text are run; empty: all. */
export const only = process.env.BOOK_ONLY ?? "";
/** Keep every page's screenshot, not only those of failing pages. */
export const keep = process.env.BOOK_KEEP === "1";
/** Another build of the book to weigh beside ours, or empty. */
export const compareFolder = process.env.BOOK_COMPARE ?? "";

/** Loads one of the pinned node packages, which lie outside this folder. */
export const requirePackage = createRequire(path.join(told("BOOK_PACKAGES"), "package.json"));
