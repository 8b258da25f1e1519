// Run, Stop, Edit and Reset of a Rust block. page.js loads this when one of them is first pressed,
// or at once on a page where the reader left edits, and hands over what the two share.
//
// Nothing is sent before Run is pressed: then the program goes to the server of `cargo xtask
// serve`, where the page names it, and else to the public playground. Both speak the same protocol.

const local = document.querySelector('meta[name="book-run"]');
const endpoint = local ? local.content : "https://play.rust-lang.org/execute";
// The playground gives up after 10 s; the local server may first have to compile crates.
const answerWithin = local ? 400 : 30;
const atOnce = 2;
const shownCharacters = 60000;
const staleAfter = 90 * 24 * 60 * 60 * 1000;

// ---- asking

// What became of a run: its state, a sentence, and the texts to show as [label, text, open].
const outcome = (state, words, ...texts) => ({ state, words, texts: texts.filter(([, text]) => text.trim()) });

async function ask(code, signal) {
  const headers = { "Content-Type": "application/json" };
  if (local) {
    headers["X-Book-Token"] = local.dataset.token;
  }
  const response = await fetch(endpoint, {
    method: "POST",
    headers,
    signal,
    body: JSON.stringify({
      channel: "stable",
      mode: "debug",
      edition: "2021",
      crateType: "bin",
      tests: false,
      backtrace: false,
      code,
    }),
  });
  const text = await response.text();
  let answer = {};
  try {
    answer = JSON.parse(text) ?? {};
  } catch {
    // A gateway in between answers in HTML: the status has to do.
  }
  return response.ok && typeof answer.success === "boolean" ? judged(answer) : refused(response.status, answer.error);
}

function refused(status, error) {
  const reason = typeof error === "string" ? error : "";
  if (local) {
    return outcome("refused", `The book's server did not run it (${status})${reason && `: ${reason}`}.`);
  }
  if (/timed out/.test(reason)) {
    return outcome("time", "It took too long: the playground stops a program after 10 seconds, compiling included.");
  }
  if (/bytes of output/.test(reason)) {
    return outcome("output", "It printed too much: the playground then stops a program and shows nothing of it.");
  }
  const words =
    status === 429
      ? "takes no more programs just now (429). Try again later."
      : status >= 500
        ? `runs no programs just now (${status}). Try again later.`
        : `did not run it (${status}).`;
  return outcome("refused", `The playground ${words}`, ["Its answer", reason, true]);
}

function judged({ success, stopped, exitDetail = "", stdout = "", stderr = "" }) {
  // Cargo says that it runs the program after the compiler's messages and before the program's own.
  const compiled = stderr.match(/^ *Running `.*`$\n?/m);
  const end = compiled ? compiled.index + compiled[0].length : stderr.length;
  const compiler = stderr.slice(0, end);
  const own = stderr.slice(end);
  const texts = [
    ["Standard output", stdout, true],
    ["Standard error", own, true],
    ["Compiler messages", compiler, !compiled],
  ];
  const lines = stdout.trimEnd().split("\n").length;
  if (success) {
    const silent = own.trim() ? "only to standard error" : "nothing";
    const what = stdout.trim() ? `${lines} line${lines === 1 ? "" : "s"}` : silent;
    return outcome("ran", `It ran to its end and printed ${what}.`, ...texts);
  }
  if (stopped) {
    return outcome(stopped, `${exitDetail}.`, ...texts);
  }
  if (/signal 9\b/.test(exitDetail)) {
    const words = "It was killed, most likely for taking more memory than 512 MB.";
    return outcome("memory", words, ...texts);
  }
  if (!compiled) {
    const [all, number, message] = compiler.match(/^error(?:\[(E\d+)\])?: (.+)$/m) ?? ["", "", "see the messages"];
    const line = compiler.slice(compiler.indexOf(all)).match(/^ *--> [^\n]*?:(\d+):/m)?.[1];
    const where = [number, line && `line ${line}`].filter(Boolean).join(", ");
    const words = `It does not compile: ${message}${where && ` (${where})`}.`;
    return outcome("compile-error", words, ...texts);
  }
  const panic = own.match(/^thread '[^\n]* panicked at (?:src\/main\.rs:(\d+)|[^\n]*?):[\d:]*\n/m);
  if (panic && /status 101$/.test(exitDetail)) {
    const after = own.slice(panic.index + panic[0].length).split(/^(?:note: |stack backtrace)/m)[0];
    const message = after.trim().replace(/\s+/g, " ");
    const short = message.length > 200 ? `${message.slice(0, 200)}…` : message;
    const where = panic[1] ? ` in line ${panic[1]}` : "";
    return outcome("panic", `It panicked${where}: ${short} (exit status 101).`, ...texts);
  }
  return outcome("failed", `It failed. ${exitDetail}.`, ...texts);
}

// An outcome beside what the text around the block promises of it.
function asPromised(result, promise) {
  const promised = { panic: "it panics", "compile-error": "it does not compile" }[promise];
  if (!promised || !["ran", "failed", "panic", "compile-error"].includes(result.state)) {
    return result;
  }
  const words =
    result.state === promise
      ? result.words.replace(/^It (?:panicked( in line \d+)?|does not compile)/, `${promised.replace("it", "It")}, as the text says`)
      : `${result.words} The text says that ${promised}.`;
  return { ...result, words };
}

function unreachable() {
  if (local) {
    return outcome("offline", "The book's server does not answer: is `cargo xtask serve` still running?");
  }
  const offline = navigator.onLine ? "" : "You are offline. ";
  const instead =
    "Copy the program to run it on your own machine, or read the book there with `cargo xtask serve`: that needs no internet.";
  return outcome("offline", `${offline}The playground cannot be reached. ${instead}`);
}

function interrupted(reason) {
  const who = local ? "The book's server" : "The playground";
  return reason === "slow"
    ? outcome("slow", `${who} has not answered within ${answerWithin} seconds. Try again later.`)
    : outcome("stopped", "You stopped it.");
}

// ---- a few runs at once; the others wait

let running = 0;
const waiting = [];

function turn(signal) {
  signal.throwIfAborted();
  if (running < atOnce) {
    running += 1;
    return Promise.resolve();
  }
  return new Promise((resolve, reject) => {
    waiting.push(resolve);
    signal.addEventListener("abort", () => {
      const place = waiting.indexOf(resolve);
      if (place >= 0) {
        waiting.splice(place, 1);
      }
      reject(signal.reason);
    });
  });
}

function free() {
  const next = waiting.shift();
  if (next) {
    next();
  } else {
    running -= 1;
  }
}

// ---- elements

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// A sentence whose `words` are code.
const inline = (words) => words.split("`").map((part, at) => (at % 2 ? element("code", {}, part) : part));

function textBox([label, text, open]) {
  const cut = text.length > shownCharacters ? `, the first ${shownCharacters} of ${text.length} characters` : "";
  const pre = element("pre", {}, text.slice(0, shownCharacters));
  pre.dataset.name = label;
  page.watcher.observe(pre);
  return element("details", { open }, element("summary", {}, label, cut), pre);
}

// FNV-1a: tells the programs of a page apart, and an edition of a program from the next.
function fingerprint(text) {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return `${(hash >>> 0).toString(36)}-${text.length}`;
}

// ---- the blocks of this page

let page;
let storageFailed = false;

// The reader's edits on this page: the text and its time, by the name of the block.
function keptEdits() {
  try {
    return new Map(Object.entries(JSON.parse(page.kept(page.editsKey)) ?? {}));
  } catch {
    return new Map();
  }
}

// The name of each block by its element; asked for before any program is edited, and only then:
// the page of the whole book has hundreds.
const names = new Map();

function nameBlocks() {
  const taken = new Set();
  for (const root of names.size > 0 ? [] : document.querySelectorAll(".code[data-run]")) {
    let name = fingerprint(root.querySelector("code").textContent);
    // The same program may stand on a page twice.
    while (taken.has(name)) {
      name += "+";
    }
    taken.add(name);
    names.set(root, name);
  }
}

class Block {
  constructor(root) {
    this.root = root;
    this.runButton = root.querySelector(".run");
    this.editButton = root.querySelector(".edit");
    this.resetButton = root.querySelector(".reset");
    this.linesButton = root.querySelector(".lines");
    this.pre = root.querySelector("pre");
    this.code = root.querySelector("code");
    this.printed = this.code.textContent;
    this.printedNodes = [...this.code.childNodes];
    this.text = this.printed;
    root.querySelector(".code-bar > span").append(" ", element("strong", { className: "edited" }, "Edited"));
    root.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (event.key === "Escape" && this.abort) {
      event.preventDefault();
      this.abort.abort("stopped");
    } else if (event.key === "Enter" && event.repeat && event.target === this.runButton) {
      // A key that is held down would start and stop in turn.
      event.preventDefault();
    }
  }

  // -- running

  say({ state, words, texts = [] }) {
    this.result.dataset.state = state;
    this.words.replaceChildren(...inline(words));
    this.output.replaceChildren(...texts.map(textBox));
  }

  async run() {
    const abort = (this.abort = new AbortController());
    this.runButton.textContent = "Stop";
    this.root.classList.add("running");
    if (!this.result) {
      this.root.querySelector(".result")?.remove();
      // Only the sentence is announced: neither the seconds nor the whole output are.
      this.words = element("p", { role: "status" });
      this.seconds = element("span", { ariaHidden: "true" });
      this.result = element("div", { className: "result" }, this.words, this.seconds);
      this.output = element("div", { className: "printed" });
      this.result.dataset.state = "running";
      this.root.append(this.result, this.output);
      // A region that is there before its words is announced more surely.
      await new Promise((there) => setTimeout(there, 50));
    }
    this.seconds.textContent = "";
    let result;
    if (running >= atOnce) {
      this.say({ state: "waiting", words: `Waiting: ${atOnce} other programs of this page are running.` });
    }
    try {
      await turn(abort.signal);
      result = await this.answer(abort);
    } catch {
      result = interrupted(abort.signal.reason);
    }
    this.say(result);
    this.abort = null;
    this.runButton.textContent = "Run";
    this.root.classList.remove("running");
  }

  async answer(abort) {
    this.say({ state: "running", words: local ? "Running on this machine …" : "Running on play.rust-lang.org …" });
    const edited = this.text !== this.printed;
    const began = performance.now();
    const took = () => (performance.now() - began) / 1000;
    const clock = setInterval(() => (this.seconds.textContent = `${Math.round(took())} s`), 1000);
    const limit = setTimeout(() => abort.abort("slow"), answerWithin * 1000);
    try {
      const result = await ask(this.text, abort.signal);
      this.seconds.textContent = `${took().toFixed(1)} s`;
      return edited ? result : asPromised(result, this.root.dataset.expect);
    } catch {
      return abort.signal.aborted ? interrupted(abort.signal.reason) : unreachable();
    } finally {
      clearInterval(clock);
      clearTimeout(limit);
      free();
    }
  }

  // -- editing

  // Shows a text in place of the printed program, or the printed program itself.
  show(text) {
    this.text = text;
    const edited = text !== this.printed;
    if (edited) {
      this.code.textContent = text;
    } else {
      this.code.replaceChildren(...this.printedNodes);
    }
    this.root.classList.toggle("changed", edited);
    this.resetButton.hidden = !edited;
    if (this.linesButton) {
      this.linesButton.hidden = edited || Boolean(this.editor);
    }
    if (this.editor) {
      this.area.rows = text.split("\n").length;
    }
  }

  change(text) {
    this.show(text);
    const edits = keptEdits();
    const name = names.get(this.root);
    edits.delete(name);
    if (text !== this.printed) {
      edits.set(name, { text, at: Date.now() });
    }
    const present = [...names.values()];
    for (const [name, edit] of edits) {
      // A program that the page no longer holds may come back, but not for ever.
      if (!present.includes(name) && !(Date.now() - edit?.at < staleAfter)) {
        edits.delete(name);
      }
    }
    const kept = page.keep(page.editsKey, edits.size > 0 ? JSON.stringify(Object.fromEntries(edits)) : null);
    if (!kept && !storageFailed && this.editor) {
      storageFailed = true;
      this.warning.textContent = "This browser keeps no edits: they are gone when you leave the page.";
    }
  }

  edit() {
    if (this.editor) {
      this.editor.remove();
      this.editor = null;
      this.pre.hidden = false;
      this.editButton.textContent = "Edit";
      this.show(this.text);
      return;
    }
    nameBlocks();
    const hint = element("p", {
      id: `hint-${names.get(this.root)}`,
      textContent: "The whole program. Tab indents; Escape, then Tab, leaves. Ctrl+Enter or Command+Enter runs.",
    });
    this.area = element("textarea", {
      value: this.text,
      spellcheck: false,
      autocapitalize: "off",
      wrap: "off",
      ariaLabel: "Program, to be edited",
    });
    this.area.setAttribute("autocorrect", "off");
    this.area.setAttribute("aria-describedby", hint.id);
    this.warning = element("p", { role: "status" });
    this.editor = element("div", { className: "editor" }, this.area, hint, this.warning);
    this.pre.hidden = true;
    this.pre.after(this.editor);
    this.editButton.textContent = "Done";
    this.show(this.text);
    let leaves = false;
    this.area.addEventListener("keydown", (event) => {
      if (event.key === "Tab" && !event.shiftKey && !leaves) {
        event.preventDefault();
        // Unlike a changed value, inserted text can be undone.
        document.execCommand("insertText", false, "    ");
      } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        if (!this.abort) {
          this.run();
        }
      }
      leaves = event.key === "Escape";
    });
    this.area.addEventListener("input", () => this.change(this.area.value));
    // Hidden lines may stand before the part that the page shows: editing begins behind them.
    const [head] = this.code.childNodes;
    const hidden = head?.className === "boring" ? head.textContent : "";
    this.area.setSelectionRange(hidden.length, hidden.length);
    this.area.focus({ preventScroll: true });
    this.area.scrollTop = (this.area.scrollHeight * hidden.split("\n").length) / this.area.rows;
  }

  reset() {
    this.change(this.printed);
    if (this.abort) {
      this.abort.abort("stopped");
    } else if (this.result) {
      this.seconds.textContent = "";
      this.say({ state: "reset", words: "This is the printed program again." });
    }
    if (this.editor) {
      this.area.value = this.printed;
      this.area.focus();
    } else {
      this.editButton.focus();
    }
  }
}

// Brings back the reader's edits and returns what a press of a block's button does. `clicks` tells
// the second click of a double one, which must not undo what the first began.
export function start(shared) {
  page = shared;
  const blocks = new Map();
  const blockOf = (root) => blocks.get(root) ?? blocks.set(root, new Block(root)).get(root);
  const edits = keptEdits();
  if (edits.size > 0) {
    nameBlocks();
  }
  for (const [root, name] of names) {
    const text = edits.get(name)?.text;
    if (typeof text === "string") {
      blockOf(root).show(text);
    }
  }
  return (button, clicks) => {
    const block = blockOf(button.closest(".code"));
    if (clicks > 1) {
      return;
    }
    if (button === block.editButton) {
      block.edit();
    } else if (button === block.resetButton) {
      block.reset();
    } else if (block.abort) {
      block.abort.abort("stopped");
    } else {
      block.run();
    }
  };
}
