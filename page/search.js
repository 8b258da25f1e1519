// Searches the book. Loaded when the reader opens the search, or comes from a result of it.
//
// The index is a list of sections and a sorted vocabulary cut into files (written at build time by
// xtask/src/search.rs, which says what is in them). A query loads the list and the one or two files
// that hold its words; excerpts come from a file a page, loaded when their result is in sight.

const addressOf = (path) => new URL(path, document.baseURI);
const rootOf = (path) => new URL(path, addressOf(document.body.dataset.root || "."));

// ---- words: as the index splits a page, so is a query split

const WORD = /o\([^()\n]{1,24}\)|[\p{L}\p{N}](?:[\p{L}\p{N}]|[_'’-](?=[\p{L}\p{N}])|[.,](?<=[0-9].)(?=[0-9]))*/giu;
// The reader has not typed the closing bracket yet.
const OPEN_ORDER = /(?<![\p{L}\p{N}])o\([^()\n]{1,24}$/iu;
const HUMP = /(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll}{2})/u;

/** The words of a text in lower case: each whole, and the parts that a compound is made of. */
export function words(text) {
  return [...text.matchAll(WORD)].map(([found]) => {
    if (/^o\(/iu.test(found)) {
      return { whole: found.replace(/\s/gu, "").toLowerCase(), parts: [] };
    }
    let word = found.replace(/['’]s$/u, "").replace(/['’,]/gu, "");
    if (/^[0-9]/u.test(word)) {
      word = word.replaceAll("_", "");
    }
    const parts = word.split(/[_-]/u).flatMap((part) => part.split(HUMP));
    return {
      whole: word.toLowerCase(),
      parts: parts.length > 1 ? parts.map((part) => part.toLowerCase()) : [],
    };
  });
}

function queryWords(query) {
  const open = query.match(OPEN_ORDER);
  const found = words(open ? query.slice(0, open.index) : query);
  if (open) {
    found.push({ whole: open[0].replace(/\s/gu, "").toLowerCase(), parts: [] });
  }
  return found.filter((word, at) => found.findIndex((other) => other.whole === word.whole) === at);
}

/** The forms of a word that do not begin with it: `query` of `queries`, `caching` of `caches`. */
function otherForms(word) {
  const forms = new Set();
  const ends = (one, end, other) => {
    if (one.length > end.length + 2 && one.endsWith(end)) {
      forms.add(one.slice(0, one.length - end.length) + other);
    }
  };
  if (!word.endsWith("ss")) {
    ends(word, "s", "");
    ends(word, "es", "");
    ends(word, "ies", "y");
    ends(word, "ices", "ex");
    ends(word, "ices", "ix");
  }
  ends(word, "ex", "ices");
  ends(word, "ix", "ices");
  if (/[^aeiou]y$/u.test(word)) {
    ends(word, "y", "ies");
  }
  ends(word, "ing", "");
  ends(word, "ing", "e");
  for (const one of [word, ...forms]) {
    ends(one, "e", "ing");
  }
  return [...forms];
}

// ---- the index

const LAST_DIGITS = 70;
const MORE_DIGITS = 94 - LAST_DIGITS;
const OUTPUT = 0;
const PROSE = 3;
const HEADING = 6;
const WEIGHTS = 7;
// How much a hit is worth: in output, once and more often in code, once to often in prose, in the
// heading.
const WORTH = [0.35, 0.5, 0.7, 1, 1.4, 1.8, 5];
const LEVEL_WORTH = [1, 1.4, 1.1, 1, 1, 1, 1, 0.7];

/** Calls `take` with each number of a text in which a number is one visible character or more. */
function readNumbers(text, take) {
  for (let at = 0; at < text.length; at += 1) {
    let end = at;
    while (text.charCodeAt(end) - 33 >= LAST_DIGITS) {
      end += 1;
    }
    let number = text.charCodeAt(end) - 33;
    for (let digit = end - 1; digit >= at; digit -= 1) {
      number = number * MORE_DIGITS + text.charCodeAt(digit) - 33;
    }
    at = end;
    take(number);
  }
}

const loaded = new Map();

/** A file of the index, loaded once; a load that failed is tried again when asked for again. */
function load(address, read) {
  if (!loaded.has(address.href)) {
    const loading = (async () => {
      const response = await fetch(address);
      if (!response.ok) {
        throw new Error(`${address}: ${response.status}`);
      }
      return read(response);
    })();
    loaded.set(address.href, loading);
    loading.catch(() => loaded.delete(address.href));
  }
  return loaded.get(address.href);
}

const loadList = () =>
  load(addressOf(document.body.dataset.searchIndex), async (response) => {
    const list = await response.json();
    const above = [];
    list.sections = list.sections.map(([page, level, anchor, title, length], at) => {
      // The headings that a section stands under, on its page.
      while (above.length > 0 && (above.at(-1).page !== page || above.at(-1).level >= level)) {
        above.pop();
      }
      const section = { at, page, level, anchor, title, length, above: above.map((one) => one.at) };
      above.push(section);
      return section;
    });
    return list;
  });

const loadTerms = (name) =>
  load(rootOf(name), async (response) => {
    let before = "";
    return (await response.text())
      .split("\n")
      .filter(Boolean)
      .map((line) => {
        const space = line.indexOf(" ");
        const term = before.slice(0, line.charCodeAt(0) - 33) + line.slice(1, space);
        before = term;
        return [term, line.slice(space + 1)];
      });
  });

const loadTexts = (name) => load(rootOf(name), (response) => response.json());

/** The terms that begin with `word`, or only the term itself, with their places. */
async function termsFrom(list, word, prefix) {
  const last = prefix ? `${word}\uffff` : word;
  const files = list.terms.filter(([first], at) => {
    const next = list.terms[at + 1]?.[0];
    return first <= last && (next === undefined || next > word);
  });
  const terms = await Promise.all(files.map(([, name]) => loadTerms(name)));
  return terms.flat().filter(([term]) => (prefix ? term.startsWith(word) : term === word));
}

/** Where a word stands: for each section how much that is worth, and its greatest weight there. */
async function placesOf(list, word, prefix) {
  const places = new Map();
  const add = (terms, worthOf) => {
    for (const [term, numbers] of terms) {
      const worth = worthOf(term);
      let at = -1;
      readNumbers(numbers, (number) => {
        at += 1 + Math.floor(number / WEIGHTS);
        const weight = number % WEIGHTS;
        const found = places.get(at) ?? { worth: 0, weight: OUTPUT };
        const level = weight === HEADING ? LEVEL_WORTH[list.sections[at].level] : 1;
        found.worth = Math.max(found.worth, worth * WORTH[weight] * level);
        found.weight = Math.max(found.weight, weight);
        places.set(at, found);
      });
    }
  };
  const [same, others] = await Promise.all([
    termsFrom(list, word, prefix && word.length > 1),
    Promise.all(otherForms(word).map((form) => termsFrom(list, form, false))),
  ]);
  add(same, (term) => (term === word ? 1 : (0.8 * word.length) / term.length));
  add(others.flat(), () => 0.95);
  return places;
}

/** As `placesOf`; a hyphenated word is also found where its parts stand, as in “write ahead”. */
async function placesOfQueryWord(list, { whole, parts }) {
  const places = await placesOf(list, whole, true);
  if (whole.includes("-")) {
    const [first, ...others] = await Promise.all(
      parts.map((part, at) => placesOf(list, part, at === parts.length - 1)),
    );
    for (const [at, { worth, weight }] of first) {
      if (!places.has(at) && others.every((other) => other.has(at))) {
        places.set(at, { worth: worth * 0.6, weight });
      }
    }
  }
  return places;
}

/** The sections in which every word of a query stands, best first. */
export async function find(query) {
  const list = await loadList();
  const wanted = queryWords(query);
  const places = await Promise.all(wanted.map((word) => placesOfQueryWord(list, word)));
  const rarity = places.map((found) => Math.log(1 + list.sections.length / (1 + found.size)));
  const found = [];
  for (const at of new Set(places.flatMap((found) => [...found.keys()]))) {
    const section = list.sections[at];
    let score = 0;
    let inCode = false;
    let onlyOutput = true;
    const holds = places.every((place, word) => {
      const here = place.get(at);
      if (here) {
        score += here.worth * rarity[word];
        inCode ||= here.weight < PROSE;
        onlyOutput &&= here.weight === OUTPUT;
        return true;
      }
      // A heading above speaks for its sections, but finds none of them alone.
      const above = section.above.some((one) => place.get(one)?.weight === HEADING);
      score += above ? 0.5 * rarity[word] : 0;
      return above;
    });
    if (holds) {
      // The more of a heading the query is, the more the section is about it.
      const ofHeading = places.filter((place) => place.get(at)?.weight === HEADING).length;
      if (ofHeading > 0) {
        score *= 0.6 + 0.4 * Math.min(1, ofHeading / words(section.title).length);
      }
      // A word says more of a short section than of a long one.
      score /= 1 + 0.15 * Math.log(1 + section.length / 100);
      found.push({ section, page: list.pages[section.page], score, inCode, onlyOutput });
    }
  }
  return found.sort((one, other) => other.score - one.score || one.section.at - other.section.at);
}

// ---- hits in a text

const escaped = (text) => text.replace(/[\\^$.*+?()[\]{}|/]/gu, "\\$&");

/** Ways to find a word of a query in a text, best first: as it is, as its parts, at a hump of a name. */
function waysToFind({ whole, parts }) {
  const begin = "(?<![\\p{L}\\p{N}])";
  const end = "(?![\\p{L}\\p{N}])";
  const between = /^[0-9]/u.test(whole) ? "[,_]?" : whole.startsWith("o(") ? "\\s*" : "['’]?";
  const spelled = [...whole].map(escaped).join(between);
  const words = [whole.length > 1 ? `${spelled}[\\p{L}\\p{N}]*` : `${spelled}${end}`];
  words.push(...otherForms(whole).map((form) => `${escaped(form)}${end}`));
  const ways = [new RegExp(`${begin}(?:${words.join("|")})`, "giu")];
  if (whole.includes("-")) {
    const adjacent = parts.map(escaped).join("[\\s_-]*");
    ways.push(new RegExp(`${begin}${adjacent}`, "giu"));
    ways.push(new RegExp(`${begin}(?:${parts.map(escaped).join("|")})${end}`, "giu"));
  }
  const named = escaped(whole[0].toUpperCase() + whole.slice(1));
  ways.push(new RegExp(`(?<=[\\p{L}\\p{N}])${named}`, "gu"));
  return ways;
}

/** For each word of a query, given its ways, the best that finds it in any of the texts. */
function findersFor(waysOfWords, texts) {
  return waysOfWords.map(
    (ways) => ways.find((way) => texts.some((text) => text.search(way) >= 0)) ?? ways[0],
  );
}

/** The hits in a text, in order: where each begins and ends, and which word it is. */
function hitsIn(text, finders) {
  const hits = finders.flatMap((finder, word) =>
    [...text.matchAll(finder)].map((hit) => ({ start: hit.index, end: hit.index + hit[0].length, word })),
  );
  hits.sort((one, other) => one.start - other.start || other.end - one.end);
  return hits.filter((hit, at) => at === 0 || hit.start >= hits[at - 1].end);
}

const EXCERPT = 180;

/** The stretch of the texts that holds most of a query's words, with the hits in it. */
function excerptOf(texts, finders) {
  let best = { count: 0 };
  for (const { text, code } of texts) {
    const hits = hitsIn(text, finders);
    hits.forEach((hit, first) => {
      const near = new Set();
      let last = hit.end;
      for (const { start, end, word } of hits.slice(first)) {
        if (start - hit.start < EXCERPT - 60 && !near.has(word)) {
          near.add(word);
          last = end;
        }
      }
      if (near.size > best.count) {
        best = { count: near.size, text, code, start: hit.start, end: last };
      }
    });
    if (best.count === finders.length) {
      break;
    }
  }
  if (best.count === 0) {
    // Only the heading has the words: the section's own first sentence tells most.
    const text = texts.find(({ code }) => !code)?.text ?? "";
    return { text: cut(text, 0, EXCERPT), code: false };
  }
  if (best.code) {
    const from = best.text.lastIndexOf("\n", best.start) + 1;
    const lines = best.text.slice(from).split("\n");
    const last = best.text.slice(from, best.end).split("\n").length;
    const shown = lines.slice(0, Math.min(last, 3)).filter((line) => line.trim());
    const indent = Math.min(...shown.map((line) => line.search(/\S/u)));
    return { text: shown.map((line) => line.slice(indent)).join("\n"), code: true };
  }
  const paragraph = best.text.lastIndexOf("\n", best.start) + 1;
  const from = Math.max(paragraph, best.start - 60);
  return { text: cut(best.text, from, from + EXCERPT), code: false };
}

/** A stretch of prose from word to word. */
function cut(text, start, end) {
  const from = start === 0 || text[start - 1] === "\n" ? start : text.indexOf(" ", start) + 1;
  const to = end >= text.length ? text.length : text.lastIndexOf(" ", end);
  const before = from === start ? "" : "… ";
  const after = to === text.length ? "" : " …";
  return before + text.slice(from, to).replaceAll("\n", " ") + after;
}

/** Writes a text into an element, its hits marked. */
function writeMarked(element, text, finders) {
  const parts = [];
  let at = 0;
  for (const { start, end } of hitsIn(text, finders)) {
    const mark = document.createElement("mark");
    mark.textContent = text.slice(start, end);
    parts.push(text.slice(at, start), mark);
    at = end;
  }
  element.replaceChildren(...parts, text.slice(at));
}

// ---- the dialog

const MOST = 30;
let dialog;

function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** The style sheet of the dialog and of the marks; the dialog opens when it is there. */
function loadStyle() {
  return load(addressOf(document.body.dataset.searchCss), async (response) => {
    const sheet = new CSSStyleSheet();
    await sheet.replace(await response.text());
    document.adoptedStyleSheets.push(sheet);
  });
}

class SearchDialog {
  #element;
  #input;
  #status;
  #results;
  #retry;
  #searching = Promise.resolve();
  #number = 0;
  #pause;
  #seen;

  constructor() {
    this.#input = make("input", {
      type: "text",
      id: "search-input",
      autocomplete: "off",
      spellcheck: false,
      enterKeyHint: "search",
    });
    this.#input.setAttribute("autocapitalize", "none");
    this.#status = make("p", { id: "search-status" });
    this.#status.setAttribute("role", "status");
    this.#retry = make("button", { type: "button", id: "search-retry", hidden: true }, "Try again");
    this.#results = make("ol", { id: "search-results" });
    const label = make("label", { id: "search-label", htmlFor: "search-input" }, "Search the book");
    const close = make("button", { type: "button", id: "search-close" }, "Close");
    const form = make("form", {}, label, this.#input, close);
    form.setAttribute("role", "search");
    this.#element = make("dialog", { id: "search" }, form, this.#status, this.#retry, this.#results);
    this.#element.setAttribute("aria-labelledby", "search-label");
    document.body.append(this.#element);

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#searching.then(() => this.#links()[0]?.click());
    });
    close.addEventListener("click", () => this.#element.close());
    this.#retry.addEventListener("click", () => {
      this.#input.focus();
      this.#search();
    });
    this.#input.addEventListener("input", () => this.#search());
    this.#element.addEventListener("keydown", (event) => this.#key(event));
    this.#element.addEventListener("click", (event) => {
      if (event.target === this.#element) {
        this.#element.close();
      }
    });
    this.#results.addEventListener("click", (event) => this.#follow(event));
  }

  open() {
    if (!this.#element.open) {
      this.#element.showModal();
    }
    this.#input.focus();
    this.#input.select();
    this.#search();
  }

  #links() {
    return [...this.#results.querySelectorAll("a")];
  }

  #key(event) {
    const links = this.#links();
    const at = links.indexOf(document.activeElement);
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (at < 0 && document.activeElement !== this.#input) {
        return;
      }
      event.preventDefault();
      const to = at + (event.key === "ArrowDown" ? 1 : -1);
      (to < 0 ? this.#input : links[Math.min(to, links.length - 1)])?.focus();
    } else if (at >= 0 && event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) {
      // The reader types on: the letter goes where letters go.
      this.#input.focus();
    }
  }

  #search() {
    this.#searching = this.#show(this.#input.value.trim());
  }

  async #show(query) {
    this.#number += 1;
    const number = this.#number;
    clearTimeout(this.#pause);
    const wanted = queryWords(query);
    let found = [];
    try {
      const waiting = setTimeout(() => number === this.#number && this.#say("Loading the index …"), 400);
      found = await find(query).finally(() => clearTimeout(waiting));
    } catch {
      if (number === this.#number) {
        this.#results.replaceChildren();
        this.#retry.hidden = false;
        this.#say(
          navigator.onLine
            ? "The search index could not be loaded. Try again, or reload the page."
            : "You are offline, and this browser has not kept the search index.",
        );
      }
      return;
    }
    if (number !== this.#number) {
      return;
    }
    this.#retry.hidden = true;
    const ways = wanted.map(waysToFind);
    const results = found.slice(0, MOST).map((result) => this.#result(result, ways));
    this.#results.replaceChildren(...results.map(({ item }) => item));
    this.#results.scrollTop = 0;
    if (wanted.length === 0) {
      this.#say("Type a word, a name from the code, or several words that must all occur.");
    } else if (found.length === 0) {
      this.#say(`No result for “${query}”.`);
    } else if (found.length > MOST) {
      this.#say(`${found.length} results, the best ${MOST} shown.`);
    } else {
      this.#say(found.length === 1 ? "1 result." : `${found.length} results.`);
    }
    this.#seen?.disconnect();
    this.#seen = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          if (isIntersecting) {
            this.#seen.unobserve(target);
            results.find(({ item }) => item === target)?.fill();
          }
        }
      },
      { root: this.#results, rootMargin: "100px" },
    );
    // Excerpts of a word that is still being typed would be loaded for nothing.
    this.#pause = setTimeout(() => {
      for (const { item } of results) {
        this.#seen.observe(item);
      }
    }, 200);
  }

  #say(text) {
    if (this.#status.textContent !== text) {
      this.#status.textContent = text;
    }
  }

  /** A result's list item, and what fills in its excerpt. */
  #result({ section, page: [path, chapter, prose, code], inCode, onlyOutput }, ways) {
    const address = rootOf(path);
    address.hash = section.anchor;
    const link = make("a", { href: address.href });
    if (section.level > 1) {
      link.append(make("span", { className: "chapter" }, `${chapter} › `));
    }
    const title = make("b");
    const name = section.title || chapter;
    writeMarked(title, name, findersFor(ways, [name]));
    link.append(title);
    const head = make("div", {}, link);
    if (inCode) {
      const kind = onlyOutput ? "in output" : "in code";
      head.append(" ", make("span", { className: "kind" }, kind));
    }
    const excerpt = make("p");
    const item = make("li", {}, head, excerpt);
    const fill = async () => {
      try {
        const list = await loadList();
        const at = section.at - list.sections.findIndex(({ page }) => page === section.page);
        const texts = async (name, isCode) =>
          (await loadTexts(name))[at].map((text) => ({ text, code: isCode }));
        // What is kept for reading offline leaves the code out.
        const ofCode = inCode ? texts(code, true).catch(() => []) : [];
        const all = await Promise.all([texts(prose, false), ofCode]);
        const finders = findersFor(
          ways,
          all.flat().map(({ text }) => text),
        );
        const { text, code: fromCode } = excerptOf(all.flat(), finders);
        const into = fromCode ? make("code") : excerpt;
        writeMarked(into, text, finders);
        if (fromCode) {
          excerpt.replaceChildren(into);
        }
      } catch {
        // The result leads to its place all the same.
      }
    };
    return { item, fill };
  }

  #follow(event) {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) {
      return;
    }
    const hit = { path: link.pathname, query: this.#input.value };
    try {
      sessionStorage.setItem("search-hit", JSON.stringify(hit));
    } catch {
      // Without storage the result leads to its section, unmarked.
    }
    this.#element.close();
    if (link.pathname === location.pathname) {
      setTimeout(arrive);
    }
  }
}

/** Opens the search. Rejects when its style sheet cannot be loaded. */
export async function open() {
  await loadStyle();
  dialog ??= new SearchDialog();
  dialog.open();
}

// ---- on the page that a result leads to

/** The text of the section that the address names, a piece of text a time. */
function* textsOfSection() {
  const headings = "h1, h2, h3, h4, h5, h6, dt[id]";
  const heading = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const main = document.querySelector("main");
  const walker = document.createTreeWalker(main, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT, (node) => {
    const out = node.nodeType === Node.ELEMENT_NODE && node.matches(".code-bar, .boring, script, style");
    return out ? NodeFilter.FILTER_REJECT : NodeFilter.FILTER_ACCEPT;
  });
  if (heading && main.contains(heading)) {
    walker.currentNode = heading;
  }
  // A term's own section ends with the next term; a section with terms does not.
  const ends = heading?.matches("dt") ? headings : headings.replace(", dt[id]", "");
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.nodeType === Node.TEXT_NODE) {
      yield node;
    } else if (node.matches(ends) && node !== heading) {
      return;
    }
  }
}

/** Marks the hits of the query whose result led here. */
export async function arrive() {
  let hit;
  try {
    hit = JSON.parse(sessionStorage.getItem("search-hit"));
    sessionStorage.removeItem("search-hit");
  } catch {
    return;
  }
  if (hit?.path !== location.pathname || !CSS.highlights) {
    return;
  }
  await loadStyle();
  const nodes = [...textsOfSection()];
  const finders = findersFor(
    queryWords(hit.query).map(waysToFind),
    nodes.map((node) => node.data),
  );
  const ranges = [];
  for (const node of nodes) {
    for (const { start, end } of hitsIn(node.data, finders)) {
      const range = new Range();
      range.setStart(node, start);
      range.setEnd(node, end);
      ranges.push(range);
    }
  }
  // Ranges, not elements: a page's code stays what it is.
  CSS.highlights.set("search-hit", new Highlight(...ranges));
  const first = ranges[0]?.startContainer.parentElement;
  for (let folded = first?.closest("details:not([open])"); folded; folded = folded.parentElement.closest("details:not([open])")) {
    folded.open = true;
  }
  if (first) {
    const { top, bottom } = ranges[0].getBoundingClientRect();
    if (top < 0 || bottom > innerHeight) {
      first.scrollIntoView({ block: "center" });
    }
  }
  addEventListener("keydown", function clear(event) {
    if (event.key === "Escape") {
      CSS.highlights.delete("search-hit");
      removeEventListener("keydown", clear);
    }
  });
}
