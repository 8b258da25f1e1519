// The reader's hand on a figure: <lab-figure>. The picture, the words and the goals come from the
// figure's own WebAssembly module (labs/), which runs the chapter's program; this script moves the
// picture from one moment to the next and knows nothing of what it shows.

const SPEEDS = [0.5, 1, 2, 4];
// Playing at speed, words are spoken this often at most.
const SPEAK_MS = 1500;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
};

// One module, one run: texts go through its memory.
class Module {
  static async load(url) {
    const { instance } = await WebAssembly.instantiateStreaming(fetch(url), {});
    return new Module(instance.exports);
  }

  constructor(exports) {
    this.exports = exports;
    this.about = JSON.parse(this.#read(exports.lab_about()));
  }

  #read(length) {
    const bytes = new Uint8Array(this.exports.memory.buffer, this.exports.lab_answer(), length);
    return new TextDecoder().decode(bytes);
  }

  start(seed, values) {
    const escape = (text) => String(text).replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
    const lines = Object.entries(values).map(([key, value]) => `${key}\t${escape(value)}\n`);
    const bytes = new TextEncoder().encode(lines.join(""));
    const at = this.exports.lab_buffer(bytes.length);
    if (at === 0) {
      throw new Error("the text is too long");
    }
    new Uint8Array(this.exports.memory.buffer, at, bytes.length).set(bytes);
    this.exports.lab_start(0, seed);
  }

  view() {
    return JSON.parse(this.#read(this.exports.lab_view()));
  }
}

// Gives `old` the children of `fresh`. A child with the key of an earlier one is that one, moved.
function morph(old, fresh) {
  // What goes is gone first: were it passed over, all behind it would be moved, and a moved shape
  // loses the focus.
  const stay = new Set([...fresh.children].map((child) => child.dataset.key));
  for (const child of [...old.children]) {
    if (!stay.has(child.dataset.key)) {
      child.remove();
    }
  }
  const known = new Map([...old.children].map((child) => [child.dataset.key, child]));
  let place = old.firstElementChild;
  for (const child of [...fresh.children]) {
    const same = known.get(child.dataset.key);
    if (same && same.firstElementChild?.tagName === child.firstElementChild?.tagName) {
      known.delete(child.dataset.key);
      update(same, child);
      if (same === place) {
        place = place.nextElementSibling;
      } else {
        old.insertBefore(same, place);
      }
    } else {
      old.insertBefore(child, place);
    }
  }
  for (const child of known.values()) {
    child.remove();
  }
}

function update(same, fresh) {
  for (const { name, value } of fresh.attributes) {
    if (same.getAttribute(name) !== value) {
      same.setAttribute(name, value);
    }
  }
  for (const { name } of [...same.attributes]) {
    if (!fresh.hasAttribute(name)) {
      same.removeAttribute(name);
    }
  }
  if (same.innerHTML !== fresh.innerHTML) {
    same.replaceChildren(...fresh.childNodes);
  }
}

class LabFigure extends HTMLElement {
  #module;
  #values = {};
  #seed = 1;
  #timer = 0;
  #speed = 1;
  #spoken = 0;
  #over = false;
  #parts = {};

  async connectedCallback() {
    if (this.#module) {
      return;
    }
    try {
      this.#module = await Module.load(new URL(this.dataset.module, document.baseURI));
    } catch {
      // The still picture stays, with its words.
      return;
    }
    this.#read(new URLSearchParams(location.hash.slice(1)));
    this.#build();
    this.#restart();
    addEventListener("hashchange", () => {
      const link = new URLSearchParams(location.hash.slice(1));
      if (link.get("figure") === this.id) {
        this.#read(link);
        this.#showValues();
        this.#restart();
      }
    });
  }

  disconnectedCallback() {
    this.#pause();
  }

  // ---- seed and parameters, and the link that carries them

  #read(link) {
    const mine = link.get("figure") === this.id;
    for (const { key, value, text } of this.#module.about.controls) {
      this.#values[key] = (mine && link.get(key)) || (text ?? value);
    }
    const seed = Number(mine ? link.get("seed") : 1);
    this.#seed = Number.isInteger(seed) && seed >= 0 && seed <= 0xffffffff ? seed : 1;
  }

  #link() {
    const link = new URLSearchParams({ figure: this.id, seed: this.#seed });
    for (const { key, value, text } of this.#module.about.controls) {
      if (String(this.#values[key]) !== String(text ?? value)) {
        link.set(key, this.#values[key]);
      }
    }
    return `#${link}`;
  }

  // ---- the controls

  #build() {
    const button = (name, label, press) => {
      const made = make("button", { type: "button", class: `lab-${name}` }, label);
      made.addEventListener("click", press);
      this.#parts[name] = made;
      return made;
    };
    const bar = make(
      "div",
      { class: "lab-bar", role: "group", "aria-label": "Run" },
      button("play", "Play", () => (this.#timer ? this.#pause(true) : this.#play())),
      button("back", "Back", () => this.#move("back")),
      button("step", "Step", () => this.#move("step")),
      button("restart", "Restart", () => this.#restart(true)),
      button("speed", "Speed 1×", () => {
        this.#speed = SPEEDS[(SPEEDS.indexOf(this.#speed) + 1) % SPEEDS.length];
        this.#parts.speed.textContent = `Speed ${this.#speed}×`;
      }),
      button("seed", "Other seed", () => {
        this.#seed = (this.#seed % 0xffff) + 1;
        this.#restart(true);
      }),
    );
    this.#module.about.actions.forEach(({ label, button: own }, place) => {
      if (own) {
        const made = make("button", { type: "button", class: "lab-act", "data-act": place, "data-value": 0 }, label);
        made.addEventListener("click", () => this.#act(place, 0));
        bar.append(made);
      }
    });
    const set = make("div", { class: "lab-controls" });
    for (const control of this.#module.about.controls) {
      set.append(this.#control(control));
    }
    this.#parts.link = make("a", { class: "lab-link" }, "Link to this run");
    this.#parts.words = this.querySelector(".lab-words");
    this.#parts.stage = this.querySelector(".lab-stage");
    this.#parts.goals = [...this.querySelectorAll(".lab-goals li")];
    this.#parts.goals.forEach((goal) => goal.prepend(make("span", { class: "lab-tick" }, "Open: ")));
    this.#parts.stage.before(set);
    this.#parts.stage.after(bar);
    this.#parts.words.after(this.#parts.link);
    const press = (event) => {
      const target = event.target.closest("[data-act]");
      if (target && (event.type === "click" || event.key === "Enter" || event.key === " ")) {
        event.preventDefault();
        this.#act(Number(target.dataset.act), Number(target.dataset.value));
      }
    };
    this.#parts.stage.addEventListener("click", press);
    this.#parts.stage.addEventListener("keydown", press);
    this.classList.add("lab-alive");
  }

  #control({ key, label, min, max, step, unit, options, text }) {
    const id = `${this.id}-${key}`;
    let input;
    if (options) {
      input = make("select", { id }, ...options.map((word, place) => make("option", { value: place }, word)));
    } else if (text === undefined) {
      input = make("input", { id, type: "range", min, max, step });
    } else {
      input = make("textarea", { id, rows: Math.min(16, text.split("\n").length + 1), spellcheck: "false" });
    }
    const shown = make("output", { for: id });
    const show = () => {
      shown.textContent = options || text !== undefined ? "" : `${input.value} ${unit}`.trim();
    };
    input.value = this.#values[key];
    input.addEventListener("input", () => {
      this.#values[key] = input.value;
      show();
      this.#restart(true);
    });
    show();
    (this.#parts.inputs ??= []).push([key, input, show]);
    return make("div", {}, make("label", { for: id }, label), input, shown);
  }

  #showValues() {
    for (const [key, input, show] of this.#parts.inputs ?? []) {
      input.value = this.#values[key];
      show();
    }
  }

  // ---- the run

  #restart(speak = false) {
    this.#pause();
    try {
      this.#module.start(this.#seed, this.#values);
    } catch (error) {
      this.#parts.words.textContent = `This run cannot begin: ${error.message}.`;
      return;
    }
    this.#parts.link.href = this.#link();
    this.#show(speak);
  }

  #play() {
    if (this.#over) {
      this.#restart();
    }
    this.#parts.play.textContent = "Pause";
    const tick = () => {
      if (!this.isConnected || !this.#module.exports.lab_step()) {
        this.#pause();
        this.#show(true);
        return;
      }
      this.#show(performance.now() - this.#spoken > SPEAK_MS);
      this.#timer = setTimeout(tick, this.#module.about.pace / this.#speed);
    };
    this.#timer = setTimeout(tick, 0);
  }

  #pause(speak = false) {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (this.#parts.play) {
      this.#parts.play.textContent = "Play";
    }
    if (speak) {
      this.#show(true);
    }
  }

  #move(way) {
    this.#pause();
    this.#module.exports[`lab_${way}`]();
    this.#show(true);
  }

  #act(action, value) {
    this.#module.exports.lab_act(action, value);
    this.#show(true);
  }

  #show(speak) {
    const { svg, say, goals, begun, over } = this.#module.view();
    this.#over = over;
    const template = make("template");
    template.innerHTML = svg;
    const fresh = template.content.firstElementChild;
    const { stage, words } = this.#parts;
    const old = stage.querySelector("svg[data-live]");
    if (old && !calm.matches) {
      old.setAttribute("viewBox", fresh.getAttribute("viewBox"));
      morph(old, fresh);
    } else if (old) {
      const focused = old.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
      old.setAttribute("viewBox", fresh.getAttribute("viewBox"));
      old.replaceChildren(...fresh.childNodes);
      if (focused !== undefined) {
        old.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
      }
    } else {
      fresh.dataset.live = "";
      stage.replaceChildren(fresh);
      // The words were those of the still picture. A reader who came for the page is not told of it.
      words.textContent = say;
      words.setAttribute("role", "status");
    }
    this.style.setProperty("--lab-glide", `${Math.min(0.3, (this.#module.about.pace / this.#speed) * 0.0007)}s`);
    if (speak) {
      words.textContent = say;
      this.#spoken = performance.now();
    }
    this.#parts.back.setAttribute("aria-disabled", String(!begun));
    this.#parts.step.setAttribute("aria-disabled", String(over));
    goals.forEach((reached, place) => {
      const goal = this.#parts.goals[place];
      if (reached && goal && !goal.classList.contains("reached")) {
        goal.classList.add("reached");
        goal.querySelector(".lab-tick").textContent = "Reached: ";
        words.textContent = `Goal reached: ${goal.dataset.goal} ${say}`;
        this.#spoken = performance.now();
      }
    });
  }
}

customElements.define("lab-figure", LabFigure);
