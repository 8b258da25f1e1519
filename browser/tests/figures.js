// Interactive figures: the program in the browser is the program that the tests run, a reader moves it
// by pointer, by touch and by keyboard, and without JavaScript its picture stands still.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";

import { site } from "../lib/chromium.js";
import { group } from "../lib/checks.js";
import { outFolder, siteFolder, tracePath } from "../lib/config.js";
import { wake } from "../lib/figures.js";
import { files, pages } from "../lib/site.js";
import { axe } from "./axe.js";

/** What a page may weigh more for its figures: script and modules, gzip. */
const BYTES_MAX = 60_000;
/** Steps taken to see that going back shows what was seen before. */
const STEPS = 12;
/** The most presses of Tab from one control of a figure to another. */
const TABS_MAX = 200;
/** The least that one can hit with a finger, in CSS pixels (WCAG 2.2, 2.5.8), rounded down. */
const TARGET_MIN = 23.5;
/** How long frames are counted, in milliseconds, and how long memory is watched, in minutes of play. */
const FRAMES_MS = 3000;
const MINUTES = 10;

const placed = pages
  .filter((page) => page.type !== "print" && page.html.includes("<lab-figure"))
  .map((page) => ({ ...page, figures: [...page.html.matchAll(/<lab-figure id="([^"]+)"/g)].map(([, id]) => id) }));

const native = fs.readFileSync(tracePath, "utf8").trim().split("\n").map((line) => JSON.parse(line));

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

/** What the figures of a page weigh, gzip: the sum in bytes, and each file. */
function weightOf(page) {
  const gzip = (file) => zlib.gzipSync(fs.readFileSync(path.join(siteFolder, file)), { level: 9 }).length;
  const shared = files.filter((file) => /^lab-[0-9a-f]{8}\.js$/.test(file));
  const own = page.figures.map((id) => moduleOf(id.replace("figure-", "")));
  const weights = [...shared, ...own].map((file) => [file, gzip(file)]);
  return { sum: weights.reduce((bytes, [, weight]) => bytes + weight, 0), weights };
}

/** The figure on a page, once it can be moved. */
async function alive(tab, id) {
  const figure = tab.locator(`#${id}`);
  await wake(figure);
  return figure;
}

/** What is seen: every shape with its attributes and what is in it, whatever order they came in. */
const picture = (figure) => figure.locator(".lab-stage svg").evaluate((svg) =>
  [...svg.children].map((shape) => {
    const attributes = [...shape.attributes].map(({ name, value }) => `${name}=${value}`);
    return [shape.dataset.key, ...attributes.sort(), shape.innerHTML].join(" ");
  }).sort().join("\n"));

/** Presses Step until `steps` were taken or the run is over; returns the picture after each. */
async function step(figure, steps) {
  const seen = [await picture(figure)];
  const button = figure.locator(".lab-step");
  while (seen.length <= steps && (await button.getAttribute("aria-disabled")) !== "true") {
    await button.press("Enter");
    seen.push(await picture(figure));
  }
  return seen;
}

/** Brings the focus to a control of the figure with Tab or Shift+Tab and nothing else. */
async function tabTo(tab, id, selector) {
  for (let pressed = 0; pressed < TABS_MAX; pressed += 1) {
    const way = await tab.evaluate(([id, selector]) => {
      const target = document.querySelector(`#${id} ${selector}`);
      const on = document.activeElement;
      if (!target) return "missing";
      if (target === on) return "there";
      return on.compareDocumentPosition(target) & Node.DOCUMENT_POSITION_FOLLOWING ? "Tab" : "Shift+Tab";
    }, [id, selector]);
    if (way === "there") return;
    assert.notEqual(way, "missing", `${id}: there is no ${selector}`);
    await tab.keyboard.press(way);
  }
  assert.fail(`${id}: Tab does not reach ${selector}`);
}

/** Sets a control by keys. */
async function setByKeys(tab, id, key, value) {
  const selector = `#${id}-${key}`;
  await tabTo(tab, id, selector);
  const presses = await tab.evaluate(([selector, value]) => {
    const { localName, min, step } = document.querySelector(selector);
    if (localName === "textarea") return null;
    return localName === "select" ? ["ArrowDown", Number(value)] : ["ArrowRight", (value - min) / (step || 1)];
  }, [selector, value]);
  if (presses === null) {
    await tab.keyboard.press("Control+A");
    await tab.keyboard.insertText(value);
  } else {
    await tab.keyboard.press("Home");
    for (let press = 0; press < presses[1]; press += 1) await tab.keyboard.press(presses[0]);
  }
  assert.equal(await tab.locator(selector).inputValue(), value, `${id}: keys do not set ${key}`);
}

group("figures", ({ one, each }) => {
  if (placed.length === 0) return;

  one("the browser's engine shows what the native program shows, byte for byte", async () => {
    const runs = native.filter(({ hash }) => hash);
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

  each(placed, { title: "weigh little" }, async (page) => {
    const { sum, weights } = weightOf(page);
    return sum <= BYTES_MAX ? [] : [`${sum} bytes gzip for figures, the budget is ${BYTES_MAX}: ${JSON.stringify(weights)}`];
  });

  each(placed, { title: "play, step and go back" }, async (page, tab) => {
    const faults = [];
    for (const id of page.figures) {
      let figure = await alive(tab, id);
      const seen = await step(figure, STEPS);
      if (new Set(seen).size < 3) faults.push(`${id}: stepping changes nothing to see`);
      for (const before of seen.slice(0, -1).reverse()) {
        await figure.locator(".lab-back").press("Enter");
        if ((await picture(figure)) !== before) {
          faults.push(`${id}: going back shows something that was not seen before`);
          break;
        }
      }
      await figure.locator(".lab-play").click();
      await figure.locator(".lab-back[aria-disabled=false]").waitFor();
      await figure.locator(".lab-play").click();
      if (!(await figure.locator(".lab-words").innerText()).trim()) faults.push(`${id}: says nothing while it plays`);
      // The link carries seed and settings: opened anew it is the same run.
      await figure.locator(".lab-seed").click();
      const there = await step(figure, STEPS);
      const link = await figure.locator(".lab-link").getAttribute("href");
      await tab.goto("about:blank");
      await tab.goto(site.origin + page.address + link);
      figure = await alive(tab, id);
      assert.deepEqual(await step(figure, STEPS), there, `${id}: ${link} leads to another run`);
    }
    return faults;
  });

  each(placed, { title: "a goal is reached by keyboard alone" }, async (page, tab) => {
    for (const id of page.figures) {
      const way = native.find(({ figure, way }) => way && `figure-${figure}` === id);
      assert.ok(way, `${id}: no way to any goal was found, see labs/src/way.rs`);
      const figure = await alive(tab, id);
      await figure.locator("select, input, textarea, button, [tabindex]").first().focus();
      for (const [key, value] of way.set) await setByKeys(tab, id, key, value);
      for (const event of way.way) {
        const selector = event === "step" ? ".lab-step" : `[data-act="${event[0]}"][data-value="${event[1]}"]`;
        await tabTo(tab, id, selector);
        await tab.keyboard.press("Enter");
      }
      const goal = figure.locator(".lab-goals li").nth(way.goal);
      assert.match(await goal.innerText(), /^Reached: /, `${id}: the goal is not ticked after ${JSON.stringify(way)}`);
      const told = await figure.locator(".lab-words[role=status]").innerText();
      assert.match(told, /Goal reached: /, `${id}: the live region does not tell of the goal`);
    }
  });

  for (const colorScheme of ["light", "dark"]) {
    each(placed, { title: `axe on a figure that moves, ${colorScheme}`, colorScheme }, async (page, tab) => {
      for (const id of page.figures) await step(await alive(tab, id), STEPS);
      return axe(tab, "lab-figure");
    });
  }

  each(placed, { title: "by touch at 360 px", viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true }, async (page, tab) => {
    const faults = [];
    for (const id of page.figures) {
      const figure = await alive(tab, id);
      const before = await picture(figure);
      await figure.locator(".lab-step").tap();
      if ((await picture(figure)) === before) faults.push(`${id}: a tap on Step changes nothing to see`);
      const [shape] = await figure.locator(".lab-stage [data-act]").all();
      await shape?.tap();
      faults.push(...(await figure.evaluate((element, least) => {
        const found = [];
        if (document.documentElement.scrollWidth > innerWidth) found.push(`${element.id}: the page scrolls sideways`);
        for (const control of element.querySelectorAll("button, select, input, textarea, [role=button]")) {
          const { width, height } = control.getBoundingClientRect();
          if (width > 0 && Math.min(width, height) < least) {
            found.push(`${element.id}: ${control.ariaLabel ?? (control.textContent || control.id)} is ${width.toFixed(1)} by ${height.toFixed(1)} px, too little for a finger`);
          }
        }
        const edge = element.getBoundingClientRect();
        for (const text of element.querySelectorAll(".lab-stage text")) {
          const box = text.getBoundingClientRect();
          if (box.right > edge.right || box.left < edge.left) found.push(`${element.id}: "${text.textContent}" leaves the figure`);
        }
        return found;
      }, TARGET_MIN)));
    }
    return faults;
  });

  each(placed, { title: "step instead of gliding when motion is reduced", reducedMotion: "reduce" }, async (page, tab) => {
    const faults = [];
    for (const id of page.figures) {
      const figure = await alive(tab, id);
      await figure.locator(".lab-play").click();
      for (let look = 0; look < 5; look += 1) {
        const moving = await figure.evaluate((element) => element.getAnimations({ subtree: true }).length);
        if (moving > 0) faults.push(`${id}: ${moving} shapes glide`);
        await tab.waitForTimeout(100);
      }
      await figure.locator(".lab-play").click();
    }
    return [...new Set(faults)];
  });
});

/** Frames a second while the figure plays four times as fast, everything set to the most. */
async function frames(tab, figure) {
  for (const slider of await figure.locator("input[type=range]").all()) {
    await slider.press("End");
  }
  for (let press = 0; press < 2; press += 1) await figure.locator(".lab-speed").press("Enter");
  await figure.locator(".lab-play").press("Enter");
  const count = await tab.evaluate((duration) => new Promise((done) => {
    let count = 0;
    const begin = performance.now();
    const frame = () => {
      count += 1;
      const passed = performance.now() - begin;
      if (passed < duration) requestAnimationFrame(frame);
      else done(Math.round((count * 1000) / passed));
    };
    requestAnimationFrame(frame);
  }), FRAMES_MS);
  await figure.locator(".lab-restart").press("Enter");
  return count;
}

/** Keeps hold of the modules' memories, which a page has no other way to. */
function keepMemories() {
  const { instantiateStreaming } = WebAssembly;
  globalThis.memories = [];
  WebAssembly.instantiateStreaming = async (...args) => {
    const made = await instantiateStreaming.apply(WebAssembly, args);
    globalThis.memories.push(made.instance.exports.memory);
    return made;
  };
}

// Alone in the browser, or the frames would be those of a neighbour.
group("figures, reported", ({ one, each }) => {
  if (placed.length === 0) return;
  const rows = [];

  each(placed, { title: "frames and memory" }, async (page, tab, _, context) => {
    const devtools = await context.newCDPSession(tab);
    const counted = new Map();
    for (const id of page.figures) counted.set(id, await frames(tab, await alive(tab, id)));
    // Ten minutes by the page's clock, which is turned by hand.
    await tab.addInitScript(keepMemories);
    await tab.clock.install();
    await tab.reload();
    for (const id of page.figures) {
      const figure = await alive(tab, id);
      const kilobytes = async () => {
        await devtools.send("HeapProfiler.collectGarbage");
        const { usedSize } = await devtools.send("Runtime.getHeapUsage");
        const modules = await tab.evaluate(() =>
          globalThis.memories.reduce((sum, memory) => sum + memory.buffer.byteLength, 0));
        return [usedSize, modules].map((bytes) => Math.round(bytes / 1000));
      };
      const used = [];
      for (let minute = 1; minute <= MINUTES; minute += 1) {
        for (let part = 0; part < 6; part += 1) {
          const play = figure.locator(".lab-play");
          if ((await play.innerText()) === "Play") await play.press("Enter");
          await tab.clock.runFor(10_000);
        }
        if (minute === 1 || minute === MINUTES) used.push(await kilobytes());
      }
      await figure.locator(".lab-restart").press("Enter");
      const [[script, module], [scriptLater, moduleLater]] = used;
      rows.push(`| ${id.replace("figure-", "")} | ${page.file} | ${counted.get(id)} | ${script} → ${scriptLater} | ${module} → ${moduleLater} |`);
    }
  });

  one("the table is written", async () => {
    const table = [
      `Frames a second with every slider at its most, at four times the speed, drawn without a graphics card; kB held by the page's script and by its modules after one and after ${MINUTES} minutes of play.`,
      "",
      "| figure | page | frames/s | script kB | modules kB |",
      "| --- | --- | --: | --: | --: |",
      ...rows,
      "",
      "| page | figures | kB gzip for them, lab.js included |",
      "| --- | --- | --: |",
      ...placed.map((page) => `| ${page.file} | ${page.figures.map((id) => id.replace("figure-", "")).join(", ")} | ${(weightOf(page).sum / 1000).toFixed(1)} |`),
    ].join("\n");
    const file = path.join(outFolder, "figures.md");
    fs.writeFileSync(file, `${table}\n`);
    console.log(`\n${table}\n\n(${file})\n`);
  });
}, 1);
