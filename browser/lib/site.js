// The built site on disk: which files and pages it has, found by walking it, and of what type each
// page is. A page that a contributor adds is found here without being named anywhere. Knows the
// layout of a built site, no check and no browser.

import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";

import { siteFolder, siteUrl } from "./config.js";
import { tokens } from "./html.js";

/** Every file below `folder`, as `/`-separated paths in order. */
export function filesBelow(folder) {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
    .map((file) => path.relative(folder, file).split(path.sep).join("/"))
    .sort();
}

/** A page as the checks see it. */
function readPage(folder, file) {
  const html = fs.readFileSync(path.join(folder, file), "utf8");
  const page = { file, html, diagrams: 0, codeBlocks: 0, redirect: false };
  let inCode = false;
  for (const token of tokens(html)) {
    const classes = token.attributes?.get("class")?.split(/\s+/) ?? [];
    if (token.open === "figure" && classes.includes("diagram")) page.diagrams += 1;
    if (token.open === "pre") inCode = true;
    if (token.close === "pre") inCode = false;
    if (token.open === "code" && inCode) page.codeBlocks += 1;
    if (token.open === "meta" && token.attributes.get("http-equiv")?.toLowerCase() === "refresh") {
      page.redirect = true;
    }
  }
  page.type =
    file === "404.html"
      ? "404"
      : file === "print.html"
        ? "print"
        : file === "glossary.html"
          ? "glossary"
          : file === "index.html" || file === "introduction.html"
            ? "introduction"
            : page.diagrams > 0
              ? "chapter with diagrams"
              : "chapter";
  // GitHub Pages shows 404.html at any address that has no file, however deep.
  page.address = siteUrl + (file === "404.html" ? "no/such/page.html" : file);
  page.status = file === "404.html" ? 404 : 200;
  return page;
}

/** All files of the site. */
export const files = filesBelow(siteFolder);

/** All pages: every `*.html` of the site. */
export const allPages = files
  .filter((file) => file.endsWith(".html"))
  .map((file) => readPage(siteFolder, file));

/** Pages that a person reads: all but the stubs that lead on to where a page has moved. */
export const pages = allPages.filter((page) => !page.redirect);

/** The page that holds the whole book, or `undefined`. */
export const printPage = pages.find((page) => page.type === "print");

/** Chapters: pages that are neither the 404 page nor the whole book. */
export const chapters = pages.filter((page) => page.type !== "404" && page.type !== "print");

/** The largest page, packed, of those for which `holds` is true, or `undefined`. */
export function largest(holds) {
  return pages.filter(holds).reduce((best, page) => {
    page.packed ??= zlib.gzipSync(page.html).length;
    return best && best.packed >= page.packed ? best : page;
  }, undefined);
}

/** One page of each type, the largest of it. */
export const onePageOfEachType = [...new Set(pages.map((page) => page.type))]
  .filter((type) => type !== "print")
  .map((type) => largest((page) => page.type === type));
