// Run on a reader's own machine: cargo xtask serve runs blocks without the internet, those that the
// public playground cannot run included. The real server is started.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";

import { withPage } from "../lib/chromium.js";
import { group } from "../lib/checks.js";
import { rootFolder, xtaskPath } from "../lib/config.js";
import { decode } from "../lib/html.js";
import { pages } from "../lib/site.js";

/** The first run compiles what blocks may use, in milliseconds. */
const FIRST_RUN = 900_000;

/** Starts the server and hands its address to `body`. */
async function serving(body) {
  const env = { ...process.env };
  // It serves at the root of its own address, whatever the tried site was built for.
  for (const name of Object.keys(env)) if (name.startsWith("MDBOOK_")) delete env[name];
  delete env.SITE_ORIGIN;
  const server = spawn(xtaskPath, ["--root", rootFolder, "serve", "--port", "0"], { env, stdio: ["ignore", "pipe", "pipe"] });
  let told = "";
  server.stderr.on("data", (bytes) => (told += bytes));
  try {
    const address = await new Promise((resolve, reject) => {
      readline.createInterface({ input: server.stdout }).on("line", (line) => {
        told += `${line}\n`;
        const found = /serving (http:\/\/127\.0\.0\.1:\d+)\//.exec(line);
        if (found) resolve(found[1]);
      });
      server.once("exit", () => reject(new Error(`cargo xtask serve ended: ${told}`)));
      server.once("error", reject);
    });
    await body(address);
  } finally {
    server.kill("SIGTERM");
  }
}

/** The Rust blocks of all chapters: `{ page, place, code, expect }`. */
const blocks = pages.filter(({ type }) => type.startsWith("chapter")).flatMap((page) =>
  [...page.html.matchAll(/<div class="code"([^>]*) data-run="(\w+)"([^>]*)>[\s\S]*?<code class="language-rust">([\s\S]*?)<\/code>/g)]
    .map(([, before, place, after, code], index) => ({
      page, place, index, plain: !/data-expect/.test(before + after), code: decode(code.replace(/<[^>]*>/g, "")),
    })));
const crates = [...fs.readFileSync(path.join(rootFolder, "snippets/Cargo.toml"), "utf8")
  .split(/^\[dependencies\]$/m)[1].split(/^\[/m)[0].matchAll(/^([\w-]+)\s*=/gm)].map(([, name]) => name.replaceAll("-", "_"));
const usesCrate = ({ code }) => crates.some((name) => new RegExp(`\\b${name}::`).test(code));

const samples = [
  ["a block of the standard library", blocks.find((block) => block.plain && block.place === "playground" && !usesCrate(block))],
  ["a block with a crate", blocks.find((block) => block.plain && usesCrate(block))],
  ["a block that the public playground cannot run", blocks.find((block) => block.plain && block.place === "local" && !usesCrate(block))],
];

group("run on one's own machine", ({ one }) => {
  one("each kind of block runs without the internet", () => serving(async (origin) => {
    for (const [what, block] of samples) {
      assert.ok(block, `the book has no ${what}`);
      await withPage(block.page, { test: `run-local-${what}`, address: `${origin}/${block.page.file}` }, async (tab) => {
        const shown = tab.locator("main .code[data-run]").nth(block.index);
        await shown.locator("button.run").click();
        await shown.locator("[role=status]").filter({ hasText: /ran|compile|panic|stopped|killed|did not|failed|not answer/ })
          .waitFor({ timeout: FIRST_RUN });
        const said = await shown.evaluate((each) => each.querySelector(".result")?.textContent ?? each.textContent);
        const state = await shown.locator("[data-state]").getAttribute("data-state");
        return state === "ran" ? [] : [`${what} does not run to its end: ${said}`];
      });
    }
  }));
}, 1);
