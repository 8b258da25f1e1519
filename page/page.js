// What every page does with JavaScript: theme, contents, copying, arrow keys. Whatever else a reader
// may ask for (running code, searching) is loaded when asked for.

const root = document.documentElement;
const { body } = document;
const wide = matchMedia("(min-width: 68rem)");
const byId = (id) => document.getElementById(id);

// What the reader chose, kept in this browser; one that keeps nothing forgets it with the page.
// Returns whether it is kept.
function keep(key, value) {
  try {
    if (value === null) {
      localStorage.removeItem(key);
    } else {
      localStorage.setItem(key, value);
    }
    return true;
  } catch {
    return false;
  }
}

function kept(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

// ---- theme: the system's, unless the reader chose the other one

const dark = matchMedia("(prefers-color-scheme: dark)");
const systemTheme = () => (dark.matches ? "navy" : "light");
const themeButton = byId("theme-button");

function setTheme(theme) {
  root.classList.toggle("navy", theme === "navy");
  root.classList.toggle("light", theme === "light");
  themeButton.setAttribute("aria-pressed", String(theme === "navy"));
}

themeButton.addEventListener("click", () => {
  const theme = root.classList.contains("navy") ? "light" : "navy";
  // Back at the system's own theme, the page follows the system again.
  keep("mdbook-theme", theme === systemTheme() ? null : theme);
  setTheme(theme);
});
const chosenTheme = () => {
  const theme = kept("mdbook-theme");
  return theme === "light" || theme === "navy" ? theme : systemTheme();
};
dark.addEventListener("change", () => setTheme(chosenTheme()));
addEventListener("storage", (event) => {
  if (event.key === "mdbook-theme") {
    setTheme(chosenTheme());
  }
});
setTheme(chosenTheme());

// ---- contents: beside the text on a wide window, over it on a narrow one

const contents = byId("contents");
const contentsButton = byId("contents-button");

function setContents(open) {
  root.classList.toggle("contents-open", open);
  contentsButton.setAttribute("aria-expanded", String(open));
}

function currentChapter() {
  return contents.querySelector('[aria-current="page"]');
}

contentsButton.addEventListener("click", () => {
  const open = !root.classList.contains("contents-open");
  setContents(open);
  if (wide.matches) {
    keep("mdbook-sidebar", open ? "visible" : "hidden");
  } else if (open) {
    (currentChapter() ?? contents.querySelector("a"))?.focus();
  }
});
contents.addEventListener("click", (event) => {
  if (!wide.matches && event.target.closest("a")) {
    setContents(false);
  }
});
document.addEventListener("click", (event) => {
  if (!wide.matches && root.classList.contains("contents-open") && !event.target.closest("#contents, #contents-button")) {
    setContents(false);
  }
});
// A reader who leaves the contents by keyboard has the text in sight again.
contents.addEventListener("focusout", (event) => {
  if (!wide.matches && event.relatedTarget && !event.relatedTarget.closest("#contents, #contents-button")) {
    setContents(false);
  }
});
wide.addEventListener("change", () => setContents(wide.matches && kept("mdbook-sidebar") !== "hidden"));
setContents(root.classList.contains("contents-open"));
const current = currentChapter();
if (current) {
  contents.scrollTop = current.offsetTop - contents.clientHeight / 3;
}

// ---- boxes that scroll by themselves can be reached, and are named, while they do

const boxes = ".code > pre, .table-wrapper, figure.diagram";
const name = (box) =>
  box.matches("pre") ? (box.dataset.name ?? box.parentElement.dataset.name ?? "Code") : box.matches("figure") ? "Diagram" : "Table";
const watcher = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const sideways = target.scrollWidth > target.clientWidth;
    if (sideways || target.scrollHeight > target.clientHeight + 1) {
      target.tabIndex = 0;
      // A figure has a role and a name already.
      if (!target.matches("figure")) {
        target.setAttribute("role", "group");
        target.setAttribute("aria-label", `${name(target)}, scrolls${sideways ? " sideways" : ""}`);
      }
    } else {
      target.removeAttribute("tabindex");
      if (!target.matches("figure")) {
        target.removeAttribute("role");
        target.removeAttribute("aria-label");
      }
    }
  }
});
for (const box of document.querySelectorAll(boxes)) {
  watcher.observe(box);
}

// ---- code blocks

async function copy(button) {
  const block = button.closest(".code");
  const edited = block.querySelector("textarea");
  const code = block.querySelector("code");
  let text = edited ? edited.value : code.innerText;
  if (block.dataset.name === "Terminal") {
    // What one would type, without the prompt and what the command answered.
    const typed = text.split("\n").filter((line) => line.startsWith("$ "));
    text = typed.length > 0 ? typed.map((line) => line.slice(2)).join("\n") : text;
  }
  try {
    await navigator.clipboard.writeText(text.trimEnd());
    button.textContent = "Copied";
  } catch {
    button.textContent = "Not allowed";
  }
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(".code-bar button");
  if (!button) {
    return;
  }
  if (button.matches(".copy")) {
    copy(button);
  } else if (button.matches(".lines")) {
    const whole = button.closest(".code").classList.toggle("whole");
    button.setAttribute("aria-pressed", String(whole));
  } else {
    pressRunner(button, event.detail);
  }
});

// ---- search: its script is loaded when it is asked for

const loadSearch = () => import(new URL(body.dataset.searchJs, document.baseURI));

async function openSearch() {
  try {
    await (await loadSearch()).open();
  } catch {
    notice(
      navigator.onLine
        ? "The search could not be loaded. Reload the page to try again."
        : "You are offline, and this browser has not kept the search.",
    );
  }
}

function notice(text) {
  byId("notice")?.remove();
  const shown = Object.assign(document.createElement("p"), { id: "notice" });
  shown.setAttribute("role", "alert");
  body.append(shown);
  shown.textContent = text;
  setTimeout(() => shown.remove(), 8000);
}

byId("search-button").addEventListener("click", openSearch);
try {
  // The reader comes from a result.
  if (sessionStorage.getItem("search-hit")) {
    loadSearch().then((search) => search.arrive());
  }
} catch {
  // Nothing was kept, so there is nothing to mark.
}

// ---- running and editing come with run.js, once a reader wants them

const editsKey = `book-edits:${location.pathname.replace(/index\.html$/, "")}`;
let runner = null;

function loadRunner() {
  const script = new URL(body.dataset.runJs, document.baseURI);
  runner ??= import(script).then(({ start }) => start({ keep, kept, editsKey, watcher }));
  return runner;
}

async function pressRunner(button, clicks) {
  // A second press while the script is on its way is no press of Stop.
  if (button.ariaBusy === "true") {
    return;
  }
  button.ariaBusy = "true";
  try {
    (await loadRunner())(button, clicks);
  } catch {
    runner = null;
    const block = button.closest(".code");
    const result = block.querySelector(".result") ?? block.appendChild(document.createElement("p"));
    result.className = "result";
    result.role = "status";
    const what = `${button.textContent} is not loaded yet and the site cannot be reached: are you offline?`;
    result.textContent = `${what} You can copy the program and run it on your own machine.`;
  } finally {
    button.ariaBusy = null;
  }
}

if (kept(editsKey) !== null) {
  // Without them the programs stand as printed, and the edits stay kept.
  loadRunner().catch(() => (runner = null));
}

// ---- keys

// Where an arrow moves something else than the book.
const ownArrows = "input, textarea, select, dialog, summary, audio, video, .code, .table-wrapper, figure, [contenteditable], [tabindex]:not(main)";

function inOwnArrows() {
  const focused = document.activeElement;
  if (focused && focused !== body && focused.closest(ownArrows)) {
    return true;
  }
  const { anchorNode } = getSelection() ?? {};
  const selected = anchorNode?.nodeType === Node.ELEMENT_NODE ? anchorNode : anchorNode?.parentElement;
  return Boolean(selected?.closest(".code, .table-wrapper, figure"));
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) {
    return;
  }
  // On some keyboards a slash needs Shift.
  if (event.key === "/" || (event.key === "s" && !event.shiftKey)) {
    if (!event.target.closest("input, textarea, select, dialog, [contenteditable]")) {
      event.preventDefault();
      openSearch();
    }
    return;
  }
  if (event.shiftKey) {
    return;
  }
  if (event.key === "Escape" && !wide.matches && root.classList.contains("contents-open")) {
    setContents(false);
    contentsButton.focus();
    return;
  }
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    const way = event.key === "ArrowLeft" ? "prev" : "next";
    const link = document.querySelector(`.pager a[rel="${way}"]`);
    if (link && !inOwnArrows()) {
      link.click();
    }
  }
});

// ---- figures that move are loaded when the reader comes near one

const figures = document.querySelectorAll("lab-figure[data-module]");
if (figures.length > 0) {
  const near = new IntersectionObserver(
    (entries) => {
      if (entries.some(({ isIntersecting }) => isIntersecting)) {
        near.disconnect();
        import(new URL(body.dataset.labJs, document.baseURI)).catch(() => undefined);
      }
    },
    { rootMargin: "400px" },
  );
  figures.forEach((figure) => near.observe(figure));
}

// ---- paper shows what is folded

let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  for (const details of folded) {
    details.open = true;
  }
});
addEventListener("afterprint", () => {
  for (const details of folded) {
    details.open = false;
  }
});

// ---- reading without a network: the whole book is kept after the first visit

// Where this browser may not keep anything, the book needs the network, as any page does.
const ignore = () => undefined;
const { offline } = body.dataset;
if (offline === undefined) {
  // A book that is being written is never an old one: what another build kept here is let go.
  navigator.serviceWorker
    ?.getRegistrations()
    .then((kept) => Promise.all(kept.map((one) => one.unregister())))
    .catch(ignore);
} else if (!navigator.connection?.saveData) {
  const keepBook = () => navigator.serviceWorker?.register(offline).catch(ignore);
  if (document.readyState === "complete") {
    keepBook();
  } else {
    addEventListener("load", keepBook);
  }
}
