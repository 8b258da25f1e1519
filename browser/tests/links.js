// Every link, image, style, script and address of the built site leads to something that is there.
// Reads the pages from disk; no browser.

import fs from "node:fs";
import path from "node:path";

import { group, refuse } from "../lib/checks.js";
import { siteFolder, siteOrigin, siteUrl } from "../lib/config.js";
import { decode, tokens } from "../lib/html.js";
import { allPages, chapters, files, pages } from "../lib/site.js";

const LINKS = new Map([
  ["a", ["href"]], ["area", ["href"]], ["audio", ["src"]], ["iframe", ["src"]],
  ["image", ["href", "xlink:href"]], ["img", ["src", "srcset"]], ["input", ["src"]], ["link", ["href"]],
  ["object", ["data"]], ["script", ["src"]], ["source", ["src", "srcset"]], ["track", ["src"]],
  ["use", ["href", "xlink:href"]], ["video", ["src", "poster"]],
]);
// Stands for the host that serves the site: any address with it is inside the site.
const HERE = "http://here.invalid";

const known = new Set(files);

/** What a page refers to and can be referred to by. */
function read(page) {
  const found = { ids: new Map(), links: [], base: undefined, heads: [] };
  for (const { open, attributes } of tokens(page.html)) {
    if (!open) continue;
    const id = attributes.get("id") ?? (open === "a" ? attributes.get("name") : undefined);
    if (id !== undefined) found.ids.set(id, (found.ids.get(id) ?? 0) + 1);
    if (open === "base") found.base ??= attributes.get("href");
    if (open === "link" || open === "meta") found.heads.push({ open, attributes });
    for (const name of LINKS.get(open) ?? []) {
      const value = attributes.get(name);
      if (value === undefined) continue;
      const parts = name === "srcset" ? value.split(",").map((part) => part.trim().split(/\s+/)[0]) : [value];
      for (const link of parts) found.links.push({ open, name, link, rel: attributes.get("rel") ?? "" });
    }
    for (const name of [...attributes.keys()].filter((each) => /^data-.*-js$/.test(each))) {
      found.links.push({ open, name, link: (attributes.get(name)), rel: "" });
    }
    if (open === "meta" && attributes.get("http-equiv")?.toLowerCase() === "refresh") {
      const target = /url\s*=\s*['"]?([^'"]+)/i.exec(attributes.get("content") ?? "");
      if (target) found.links.push({ open, name: "content", link: target[1], rel: "" });
    }
  }
  return found;
}

const contents = new Map(allPages.map((page) => [page.file, read(page)]));

/** The site's file that an address leads to, or a line that says why it leads nowhere. */
function target(page, link) {
  const { base } = contents.get(page.file);
  const own = new URL(siteUrl + page.file, HERE);
  let url;
  try {
    url = new URL(link, base ? new URL(base, own) : own);
  } catch {
    return { fault: "is no address" };
  }
  const origins = [HERE, siteOrigin];
  if (!origins.includes(url.origin)) return { elsewhere: url };
  const pathname = decodeURIComponent(url.pathname);
  if (!pathname.startsWith(siteUrl)) {
    return { fault: `leads out of the site: ${pathname} is not below ${siteUrl} (write it relative to the page)` };
  }
  const below = pathname.slice(siteUrl.length);
  const file = below === "" || below.endsWith("/") ? `${below}index.html` : below;
  if (!known.has(file)) return { fault: `leads nowhere: the site has no file ${file}` };
  return { file, fragment: decodeURIComponent(url.hash.slice(1)) };
}

group("links", ({ one }) => {
  for (const page of allPages) {
    one(page.file, () => {
      const { ids, links } = contents.get(page.file);
      const faults = [];
      for (const [id, count] of ids) {
        if (count > 1) faults.push(`${page.file}: the id "${id}" is given ${count} times`);
        if (id === "") faults.push(`${page.file}: an empty id`);
      }
      for (const { open, name, link, rel } of links) {
        if (/^(mailto|tel|data|javascript):/i.test(link)) continue;
        const said = `${page.file}: <${open} ${name}="${link}">`;
        const { fault, elsewhere, file, fragment } = target(page, link);
        if (fault) {
          faults.push(`${said} ${fault}`);
        } else if (elsewhere) {
          const fetched = open !== "a" && open !== "area"
            && !(open === "link" && /\b(canonical|license|me|author|edit)\b/.test(rel));
          if (fetched) faults.push(`${said} would be fetched from another host: keep it in the book`);
        } else if (fragment && file.endsWith(".html") && !fragment.startsWith(":~:")) {
          if (!contents.get(file).ids.has(fragment)) {
            faults.push(`${said} leads to no place: ${file} has no id "${fragment}"`);
          }
        }
      }
      refuse(faults);
    });
  }

  one("every reference by id inside a page names an id of the page", () => {
    const faults = [];
    const NAMES = ["aria-labelledby", "aria-describedby", "aria-controls", "aria-owns", "for"];
    for (const page of pages) {
      const { ids } = contents.get(page.file);
      for (const { open, attributes } of tokens(page.html)) {
        if (!open) continue;
        for (const name of NAMES) {
          for (const id of (attributes.get(name) ?? "").split(/\s+/).filter(Boolean)) {
            if (!ids.has(id)) faults.push(`${page.file}: <${open} ${name}="${id}"> names no id of the page`);
          }
        }
        for (const [name, value] of attributes) {
          for (const [, id] of value.matchAll(/url\(["']?#([^"')]+)["']?\)/g)) {
            if (!ids.has(id)) faults.push(`${page.file}: <${open} ${name}="${value}"> names no id of the page`);
          }
        }
      }
    }
    refuse(faults);
  });

  one("previous and next lead through the whole book and back", () => {
    const faults = [];
    const ways = new Map(chapters.map((page) => {
      const found = { page };
      for (const { open, attributes } of tokens(page.html)) {
        if (open !== "a") continue;
        for (const way of ["prev", "next"]) {
          if (!attributes.get("rel")?.split(/\s+/).includes(way)) continue;
          const to = target(page, attributes.get("href")).file;
          if (found[way] && found[way] !== to) faults.push(`${page.file}: two different links rel="${way}"`);
          found[way] = to;
        }
      }
      return [page.file, found];
    }));
    // index.html is the first chapter under the site's own address.
    const first = [...ways.values()].find(({ page, prev }) => !prev && page.file !== "index.html")
      ?? ways.get("index.html");
    const walked = new Set();
    for (let at = first; at && !walked.has(at.page.file); at = ways.get(at.next)) {
      walked.add(at.page.file);
      const next = ways.get(at.next);
      if (at.next && !next) faults.push(`${at.page.file}: next leads to ${at.next}, which is no chapter`);
      if (next && next.prev !== at.page.file && !(next.prev === "index.html" && at === first)) {
        faults.push(`${next.page.file}: previous leads to ${next.prev}, not back to ${at.page.file}`);
      }
    }
    for (const page of chapters) {
      if (!walked.has(page.file) && page.file !== "index.html") {
        faults.push(`${page.file}: next never leads here from ${first.page.file}`);
      }
    }
    refuse(faults);
  });

  one("the contents of every page name every chapter", () => {
    const faults = [];
    for (const page of pages) {
      const linked = new Set(contents.get(page.file).links
        .filter(({ open }) => open === "a").map(({ link }) => target(page, link).file));
      for (const chapter of chapters) {
        const twin = chapter.file === "index.html" || chapter.file === "introduction.html";
        const reached = twin
          ? linked.has("index.html") || linked.has("introduction.html")
          : linked.has(chapter.file);
        if (!reached) faults.push(`${page.file}: no link to ${chapter.file}`);
      }
    }
    refuse(faults);
  });

  one("canonical links and social tags name the page's own address", () => {
    const faults = [];
    for (const page of pages) {
      if (page.type === "404" || page.type === "print") continue;
      const { heads } = contents.get(page.file);
      const canonical = heads.filter(({ open, attributes }) =>
        open === "link" && attributes.get("rel") === "canonical").map(({ attributes }) => attributes.get("href"));
      const property = (name) => heads.find(({ open, attributes }) =>
        open === "meta" && (attributes.get("property") ?? attributes.get("name")) === name)?.attributes.get("content");
      const own = siteOrigin + siteUrl + page.file;
      const fine = page.type === "introduction"
        ? [siteOrigin + siteUrl, `${siteOrigin + siteUrl}introduction.html`, `${siteOrigin + siteUrl}index.html`]
        : [own];
      if (canonical.length !== 1 || !fine.includes(canonical[0])) {
        faults.push(`${page.file}: canonical link is ${JSON.stringify(canonical)}, wants ${fine[0]}`);
      }
      for (const name of ["og:title", "og:description", "og:url", "og:type"]) {
        if (!property(name)) faults.push(`${page.file}: no <meta property="${name}">`);
      }
      if (property("og:url") && property("og:url") !== canonical[0]) {
        faults.push(`${page.file}: og:url is ${property("og:url")}, not the canonical address`);
      }
    }
    refuse(faults);
  });

  one("the sitemap names every chapter and nothing that is not there", () => {
    const faults = [];
    if (!known.has("sitemap.xml")) return refuse(["the site has no sitemap.xml"]);
    const xml = fs.readFileSync(path.join(siteFolder, "sitemap.xml"), "utf8");
    const named = [...xml.matchAll(/<loc>([^<]*)<\/loc>/g)].map(([, loc]) => decode(loc.trim()));
    const reached = new Set();
    for (const loc of named) {
      if (!loc.startsWith(siteOrigin + siteUrl)) {
        faults.push(`sitemap.xml: ${loc} does not begin with ${siteOrigin + siteUrl}`);
        continue;
      }
      const below = loc.slice((siteOrigin + siteUrl).length);
      const file = below === "" || below.endsWith("/") ? `${below}index.html` : below;
      if (!known.has(file)) faults.push(`sitemap.xml: ${loc} leads nowhere`);
      if (reached.has(file)) faults.push(`sitemap.xml: ${loc} stands there twice`);
      reached.add(file);
    }
    for (const page of chapters) {
      if (page.type === "introduction" ? reached.has("index.html") || reached.has("introduction.html")
        : reached.has(page.file)) continue;
      faults.push(`sitemap.xml: ${page.file} is missing`);
    }
    for (const file of ["404.html", "print.html"]) {
      if (reached.has(file)) faults.push(`sitemap.xml: names ${file}, which is no chapter`);
    }
    refuse(faults);
  });

  one("styles refer to files of the site only", () => {
    const faults = [];
    for (const file of files.filter((each) => each.endsWith(".css"))) {
      const css = fs.readFileSync(path.join(siteFolder, file), "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
      for (const [, link] of css.matchAll(/(?:url\(\s*["']?|@import\s+["'])([^"')\s]+)/g)) {
        if (/^(data:|#)/.test(link)) continue;
        const { fault, elsewhere } = target({ file: "404.html" }, new URL(link, new URL(siteUrl + file, HERE)).href);
        if (fault || elsewhere) faults.push(`${file}: url(${link}) ${fault ?? "is on another host"}`);
      }
    }
    refuse(faults);
  });
});
