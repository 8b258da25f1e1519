// Interactive figures: the program in the browser is the program that the tests run, and without
// JavaScript its picture stands still.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";

import { group } from "../lib/checks.js";
import { siteFolder, tracePath } from "../lib/config.js";
import { files, pages } from "../lib/site.js";

const placed = pages
  .filter((page) => page.type !== "print" && page.html.includes("<lab-figure"))
  .map((page) => ({ ...page, figures: [...page.html.matchAll(/<lab-figure id="([^"]+)"/g)].map(([, id]) => id) }));

const moduleOf = (name) => files.find((file) => new RegExp(`^${name}-[0-9a-f]{8}\\.wasm$`).test(file));

/** Loads a module as page/lab.js does, without a page. */
async function load(name) {
  const file = moduleOf(name);
  assert.ok(file, `the site has no module of the figure ${name}`);
  const { instance } = await WebAssembly.instantiate(fs.readFileSync(path.join(siteFolder, file)), {});
  return instance.exports;
}

/** FNV-1a over what a module shows, event by event: the hash of labs/src/trace.rs. */
function replay(lab, { seed, lines, events }) {
  const bytes = new TextEncoder().encode(lines);
  const at = lab.lab_buffer(bytes.length);
  new Uint8Array(lab.memory.buffer, at, bytes.length).set(bytes);
  lab.lab_start(0, seed);
  let hash = 0x811c9dc5;
  const add = () => {
    const length = lab.lab_view();
    for (const byte of new Uint8Array(lab.memory.buffer, lab.lab_answer(), length)) {
      hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
    }
  };
  add();
  for (const event of events) {
    if (event === "step") lab.lab_step();
    else if (event === "back") lab.lab_back();
    else lab.lab_act(...event);
    add();
  }
  return hash.toString(16).padStart(8, "0");
}

group("figures", ({ one, each }) => {
  if (placed.length === 0) return;

  one("the browser's engine shows what the native program shows, byte for byte", async () => {
    const runs = fs.readFileSync(tracePath, "utf8").trim().split("\n").map((line) => JSON.parse(line));
    const labs = new Map();
    const different = [];
    for (const run of runs) {
      if (!labs.has(run.figure)) labs.set(run.figure, await load(run.figure));
      if (replay(labs.get(run.figure), run) !== run.hash) different.push(`${run.figure}, seed ${run.seed}, ${JSON.stringify(run.lines)}`);
    }
    assert.deepEqual(different, [], `of ${runs.length} runs`);
    console.log(`figures: ${runs.length} runs of ${labs.size} figures, native = WebAssembly`);
  });

  each(placed, { title: "stand still without JavaScript", javaScriptEnabled: false }, async (page, tab) => {
    const faults = [];
    for (const id of page.figures) {
      const figure = tab.locator(`#${id}`);
      if ((await figure.locator("svg[role=img]").count()) !== 1) faults.push(`${id}: no still picture`);
      if (!(await figure.locator(".lab-words").innerText()).trim()) faults.push(`${id}: no words`);
      if ((await figure.locator(".lab-goals li").count()) < 2) faults.push(`${id}: its goals are not there`);
      if ((await figure.locator("button, [role=button]").count()) > 0) faults.push(`${id}: a dead button is shown`);
    }
    return faults;
  });
});
