// Run, as on the published site: the public playground is asked when Run is pressed and not before,
// and each way that a run can end reads differently. The playground is played by the test.

import assert from "node:assert/strict";

import { group } from "../lib/checks.js";
import { pages, largest } from "../lib/site.js";
import { site } from "../lib/chromium.js";

const PLAYGROUND = "https://play.rust-lang.org/execute";
const page = largest(({ html, type }) => type.startsWith("chapter") && /data-run="playground"/.test(html));
/** Requests to the playground are what these tests are about. */
const allow = [/play\.rust-lang\.org/];
const cors = { "Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*" };

/** Answers in place of the playground and returns the requests it got. */
async function play(tab, answer) {
  const asked = [];
  await tab.route("https://play.rust-lang.org/**", async (route) => {
    const request = route.request();
    if (request.method() === "OPTIONS") {
      await route.fulfill({ status: 204, headers: cors });
      return;
    }
    asked.push({ url: request.url(), body: request.postDataJSON() });
    await answer(route);
  });
  return asked;
}

const json = (status, body) => (route) =>
  route.fulfill({ status, headers: cors, contentType: "application/json", body: JSON.stringify(body) });

/** What the playground answers, in its own words, for each way a run can end. */
const ENDS = {
  success: json(200, {
    success: true, exitDetail: "Exited with status 0", stdout: "forty-two\n",
    stderr: "   Compiling playground v0.0.1 (/playground)\n    Finished `dev` profile [unoptimized + debuginfo] target(s) in 0.50s\n     Running `target/debug/playground`\nnote to stderr\n",
  }),
  "compile error": json(200, {
    success: false, exitDetail: "Exited with status 101", stdout: "",
    stderr: "   Compiling playground v0.0.1 (/playground)\nerror[E0425]: cannot find value `x` in this scope\n --> src/main.rs:2:5\n\nerror: could not compile `playground` (bin \"playground\") due to 1 previous error\n",
  }),
  panic: json(200, {
    success: false, exitDetail: "Exited with status 101", stdout: "before the panic\n",
    stderr: "   Compiling playground v0.0.1 (/playground)\n    Finished `dev` profile [unoptimized + debuginfo] target(s) in 0.50s\n     Running `target/debug/playground`\n\nthread 'main' panicked at src/main.rs:2:5:\nboom of the test\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
  }),
  "time-out": json(500, { error: "The operation timed out" }),
  killed: json(200, {
    success: false, exitDetail: "Exited with signal 9 (SIGKILL): kill signal", stdout: "still going\n",
    stderr: "    Finished `dev` profile [unoptimized + debuginfo] target(s) in 0.50s\n     Running `target/debug/playground`\n",
  }),
  "refused by the playground": json(503, { error: "No capacity left today" }),
  "no answer in the playground's form": (route) => route.fulfill({ status: 200, headers: cors, contentType: "text/html", body: "<h1>a proxy says hello</h1>" }),
  "not reachable": (route) => route.abort("connectionrefused"),
};
/** What must stand in the result: the program's own output, and a word for how it ended. */
const SAYS = {
  success: [/forty-two/, /note to stderr/],
  "compile error": [/error\[E0425\]: cannot find value `x`/, /compil/i],
  panic: [/before the panic/, /boom of the test/, /panic/i],
  "time-out": [/time|too long/i],
  killed: [/still going/, /kill|time|too long/i],
  "refused by the playground": [/No capacity left today|503/],
  "no answer in the playground's form": [/playground|answer|understood/i],
  "not reachable": [/reach|offline|connect|network/i],
};

const block = (tab) => tab.locator('main .code[data-run="playground"]:visible').first();

/** What the block says apart from its source and its buttons. */
async function said(tab) {
  return block(tab).evaluate((whole) => {
    const copy = whole.cloneNode(true);
    for (const part of copy.querySelectorAll("button, .code-bar, textarea, pre:has(> code.language-rust)")) part.remove();
    const live = [...whole.querySelectorAll("[aria-live]:not([aria-live=off]), [role=status], [role=alert], [role=log], output")]
      .map((region) => region.textContent.trim()).filter(Boolean);
    return { text: copy.textContent.replace(/\s+/g, " ").trim(), live };
  });
}

/** Waits until the block says something that `wanted` matches. */
async function until(tab, wanted) {
  let last;
  for (let tries = 0; tries < 100; tries += 1) {
    last = await said(tab);
    if (wanted.every((pattern) => pattern.test(last.text))) return last;
    await tab.waitForTimeout(100);
  }
  return assert.fail(`the block does not say ${wanted.filter((pattern) => !pattern.test(last.text)).join(" and ")}, but: ${last.text}`);
}

async function edit(tab, code) {
  await block(tab).locator("button.edit").click();
  const area = block(tab).locator("textarea");
  await area.fill(code);
  return area;
}

group("run", ({ each }) => {
  each(pages.filter(({ html, type }) => type !== "print" && /data-run=/.test(html)), { title: "nothing is asked before Run" }, async (_, tab, watch) => {
    await tab.waitForLoadState("networkidle");
    const buttons = await tab.evaluate(() => [...document.querySelectorAll('main .code[data-run="playground"]')]
      .filter((each) => each.checkVisibility() && !each.querySelector("button.run")?.checkVisibility({ opacityProperty: true, visibilityProperty: true })).length);
    const outside = watch.requests.filter(({ url }) => !url.startsWith(site.origin) && !url.startsWith("data:"));
    return [
      ...outside.map(({ url }) => `asked before Run was pressed: ${url}`),
      ...(buttons > 0 ? [`${buttons} blocks that the playground can run show no Run button without hovering`] : []),
    ];
  });

  each(pages.filter(({ html, type }) => type !== "print" && /data-run="local"/.test(html)), { title: "no Run where nothing can run the block" }, async (_, tab) => {
    const shown = await tab.locator('main .code[data-run="local"] button.run:visible').count();
    return shown > 0 ? [`${shown} blocks that the public playground cannot run have a Run button on the published site`] : [];
  });

  each([page], { title: "asks the playground for the whole program", allow }, async (_, tab) => {
    const asked = await play(tab, ENDS.success);
    const whole = await block(tab).locator("pre code").evaluate((code) => code.textContent);
    await block(tab).locator("button.run").click();
    await until(tab, SAYS.success);
    assert.equal(asked.length, 1, `one press of Run asked the playground ${asked.length} times`);
    assert.equal(asked[0].url, PLAYGROUND);
    const { code, edition, channel, mode, crateType, tests } = asked[0].body;
    assert.equal(code.trim(), whole.trim(), "the program that was sent is not the whole block, hidden lines included");
    assert.deepEqual({ edition, channel, crateType, tests }, { edition: "2021", channel: "stable", crateType: "bin", tests: false });
    assert.ok(["debug", "release"].includes(mode), `mode "${mode}"`);
  });

  for (const [end, answer] of Object.entries(ENDS)) {
    each([page], { title: `says how it ended: ${end}`, allow: [...allow, /status of (500|503)/, /Failed to load resource/] }, async (_, tab) => {
      await play(tab, answer);
      await block(tab).locator("button.run").click();
      const { live } = await until(tab, SAYS[end]);
      assert.ok(live.length > 0, "how the run ended is not announced: no live region (role=status) holds it");
      await block(tab).locator("button.run").waitFor({ state: "visible" });
      assert.ok(await block(tab).locator("button.run").isEnabled(), "after the run, Run cannot be pressed again");
    });
  }

  each([page], { title: "each end has words of its own", allow: [...allow, /Failed to load resource/] }, async (_, tab) => {
    const words = new Map();
    let answer;
    await play(tab, (route) => answer(route));
    for (const end of Object.keys(ENDS)) {
      answer = ENDS[end];
      await block(tab).locator("button.run").click();
      const { live } = await until(tab, SAYS[end]);
      const told = live.join(" ").replace(/[\d.,]+/g, "#");
      for (const [other, before] of words) {
        assert.notEqual(told, before, `"${end}" reads exactly as "${other}": ${told}`);
      }
      words.set(end, told);
    }
  });

  each([page], { title: "offline is said to be offline", allow: [...allow, /Failed to load resource/] }, async (_, tab, __, context) => {
    // The script for running may be loaded at the first press; it is there already on a second visit.
    await play(tab, ENDS.success);
    await block(tab).locator("button.run").click();
    await until(tab, SAYS.success);
    await tab.unroute("https://play.rust-lang.org/**");
    await context.setOffline(true);
    await block(tab).locator("button.run").click();
    await until(tab, [/offline|no connection|not connected|reach/i]);
    await context.setOffline(false);
  });

  each([page], { title: "a long run can be stopped", allow: [...allow, /Failed to load resource/] }, async (_, tab) => {
    let open;
    const asked = await play(tab, (route) => new Promise((resolve) => (open = () => resolve(route.abort().catch(() => {})))));
    await block(tab).locator("button.run").click();
    const stop = block(tab).getByRole("button", { name: /stop/i });
    await stop.waitFor({ state: "visible", timeout: 5000 }).catch(() => assert.fail("while a program runs there is no button Stop"));
    const running = await said(tab);
    assert.match(running.live.join(" "), /run|wait|start|compil/i, "that the program runs is not announced");
    await stop.click();
    await until(tab, [/stop/i]);
    open?.();
    assert.equal(asked.length, 1);
    await play(tab, ENDS.success);
    await block(tab).getByRole("button", { name: /run/i }).first().click();
    await until(tab, SAYS.success);
  });

  each([page], { title: "an edit is sent, kept and reset", allow }, async (_, tab) => {
    const asked = await play(tab, ENDS.success);
    const before = await block(tab).locator("pre code").evaluate((code) => code.textContent);
    const area = await edit(tab, "fn main() { println!(\"edited\"); }");
    const label = await area.evaluate((field) => field.getAttribute("aria-label") ?? field.labels?.[0]?.textContent ?? "");
    assert.ok(label.trim(), "the text area of an edited block has no label");
    await block(tab).locator("button.run").click();
    await until(tab, SAYS.success);
    assert.equal(asked[0].body.code.trim(), "fn main() { println!(\"edited\"); }", "the edited program is not what was sent");

    const other = pages.find((each) => each.type.startsWith("chapter") && each !== page);
    await tab.goto(site.origin + other.address);
    await tab.goto(site.origin + page.address);
    const reset = block(tab).locator("button.reset");
    await reset.waitFor({ state: "visible", timeout: 5000 }).catch(() => assert.fail("when the reader comes back, the edited block offers no Reset"));
    const shown = await block(tab).evaluate((whole) => whole.querySelector("textarea")?.value ?? whole.querySelector("pre code").textContent);
    assert.match(shown, /edited/, "when the reader comes back, the edit is gone");

    await reset.click();
    const restored = await block(tab).locator("pre code").evaluate((code) => code.textContent);
    assert.equal(restored, before, "Reset does not bring the printed program back");
    await tab.reload();
    assert.equal(await block(tab).locator("pre code").evaluate((code) => code.textContent), before);
    assert.ok(!(await block(tab).locator("button.reset").isVisible()), "after Reset and a reload the block still offers Reset");
  });

  each([page], { title: "output is no markup", allow }, async (_, tab) => {
    await play(tab, json(200, { success: true, exitDetail: "Exited with status 0", stdout: "<img src=x onerror=alert(1)>sign\n", stderr: "" }));
    await block(tab).locator("button.run").click();
    await until(tab, [/<img src=x onerror=alert\(1\)>sign/]);
    assert.equal(await block(tab).locator("img").count(), 0, "what a program printed became markup");
  });
});
