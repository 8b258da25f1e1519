// Functions that run inside a page, over its computed styles and boxes, and return what is wrong as
// lines of text. Each is sent to the browser as source, together with `helpers`, so it may use
// nothing else of this module. Knows the marks of the book's pages (figure.diagram, pre, the bar),
// no check and no test runner.

/** What every function below may call. Sent as source; never called here. */
function helpers() {
  /** Where an element is, as a reader of a failure finds it: its path and the text it holds. */
  function where(element) {
    const steps = [];
    for (let at = element; at && at.nodeType === 1 && steps.length < 4; at = at.parentElement) {
      const name = at.localName;
      if (at.id) {
        steps.unshift(`${name}#${at.id}`);
        break;
      }
      const classes = [...at.classList].slice(0, 2).map((each) => `.${each}`);
      steps.unshift(name + classes.join(""));
    }
    const text = (element.textContent ?? "").replace(/\s+/g, " ").trim();
    const label = element.getAttribute?.("aria-label");
    const shown = text || label || "";
    return `${steps.join(" > ")}${shown ? ` “${shown.slice(0, 50)}${shown.length > 50 ? "…" : ""}”` : ""}`;
  }

  /** Whether a reader sees the element: it is laid out, not hidden, and more than a speck. */
  function seen(element) {
    if (!element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) return false;
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.height > 1;
  }

  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const parsed = new Map();

  /** A CSS colour as red, green, blue (0 to 255) and alpha (0 to 1). */
  function colour(text) {
    if (!parsed.has(text)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = text;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
      parsed.set(text, [r, g, b, a / 255]);
    }
    return parsed.get(text);
  }

  /** `over` laid on the opaque `under`. */
  function blend(over, under) {
    const a = over[3];
    return [0, 1, 2].map((i) => over[i] * a + under[i] * (1 - a)).concat(1);
  }

  function luminance([r, g, b]) {
    const [x, y, z] = [r, g, b].map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  }

  /** The contrast of two opaque colours, as WCAG 2 defines it: 1 to 21. */
  function contrast(one, other) {
    const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  }

  function hex([r, g, b]) {
    return `#${[r, g, b].map((v) => Math.round(v).toString(16).padStart(2, "0")).join("")}`;
  }

  const SHAPES = "rect, circle, ellipse, polygon, polyline, path";

  /** The fills below a point of a drawing that were painted before `element`, topmost first. */
  function fillsBelow(element, svg, x, y) {
    const fills = [];
    for (const shape of svg.querySelectorAll(SHAPES)) {
      if (!(shape.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_FOLLOWING)) continue;
      if (shape.closest("defs, marker, clipPath, mask, symbol")) continue;
      const style = getComputedStyle(shape);
      if (style.fill === "none" || style.display === "none" || style.visibility === "hidden") continue;
      const matrix = shape.getScreenCTM();
      if (!matrix) continue;
      const point = new DOMPoint(x, y).matrixTransform(matrix.inverse());
      if (!shape.isPointInFill(point)) continue;
      const fill = [...colour(style.fill)];
      fill[3] *= Number(style.fillOpacity) * Number(style.opacity);
      if (fill[3] > 0) fills.unshift(fill);
    }
    return fills;
  }

  /** The opaque colour that the reader sees behind a point of `element`. */
  function behind(element, x, y) {
    const svg = element.closest("svg")
      ?? (element.closest("foreignObject") ? element.closest("foreignObject").ownerSVGElement : null);
    const fills = svg ? fillsBelow(element, svg, x, y) : [];
    const inside = [];
    const outside = [];
    for (let at = element; at; at = at.parentElement) {
      const inDrawing = svg && svg !== at && svg.contains(at);
      if (inDrawing && at instanceof SVGElement) continue;
      (inDrawing ? inside : outside).push(colour(getComputedStyle(at).backgroundColor));
    }
    const canvasColour = colour(getComputedStyle(document.documentElement).colorScheme === "dark"
      ? "black" : "white");
    return [...inside, ...fills, ...outside].reduceRight(
      (under, over) => blend(over, under), canvasColour,
    );
  }

  function opacityOf(element) {
    let opacity = 1;
    for (let at = element; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
    return opacity;
  }

  /** The text nodes below `root` that a reader sees, with the boxes of their lines. */
  function* texts(root) {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const element = node.parentElement;
      if (!node.data.trim() || element.closest("script, style, noscript, template, title, desc")) continue;
      if (!element.checkVisibility({ visibilityProperty: true })) continue;
      const range = document.createRange();
      const lead = node.data.length - node.data.trimStart().length;
      range.setStart(node, lead);
      range.setEnd(node, node.data.trimEnd().length);
      const boxes = [...range.getClientRects()].filter((box) => box.width > 1 && box.height > 1);
      if (boxes.length > 0) yield { node, element, boxes };
    }
  }

  return { where, seen, colour, blend, contrast, hex, behind, opacityOf, texts, SHAPES };
}

/** Runs `body(argument, helpers)` in the page, past any content policy of the page. */
export function inPage(tab, body, argument) {
  const given = argument === undefined ? "undefined" : JSON.stringify(argument);
  return tab.evaluate(`(${body})(${given}, (${helpers})())`);
}

/** Text that does not stand out enough from what is behind it, AA (4.5 : 1; large text 3 : 1). */
export function textContrast(selector, { where, colour, blend, contrast, hex, behind, opacityOf, texts }) {
  const found = new Map();
  for (const root of document.querySelectorAll(selector)) {
    for (const { element, boxes } of texts(root)) {
      // Text for screen readers only is clipped to a speck.
      const clip = element.closest(".visually-hidden, .sr-only");
      if (clip) continue;
      const style = getComputedStyle(element);
      const svgText = element instanceof SVGElement;
      const box = boxes[0];
      const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
      const under = behind(element, x, y);
      const own = [...colour(svgText ? style.fill : style.color)];
      own[3] *= opacityOf(element) * (svgText ? Number(style.fillOpacity) : 1);
      const shown = blend(own, under);
      const ratio = contrast(shown, under);
      const size = parseFloat(style.fontSize);
      const large = !svgText && (size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700));
      if (ratio >= (large ? 3 : 4.5)) continue;
      const key = `${hex(shown)} on ${hex(under)}`;
      const before = found.get(key);
      found.set(key, {
        count: (before?.count ?? 0) + 1,
        text: before?.text
          ?? `contrast ${ratio.toFixed(2)} : 1, wants ${large ? 3 : 4.5} : 1 (${key}): ${where(element)}`,
      });
    }
  }
  return [...found.values()].map(({ count, text }) =>
    count > 1 ? `${text}, and ${count - 1} more so` : text);
}

/** What makes the page wider than the window, and boxes that scroll or cut though they should not. */
export function sideways(width, { where, seen }) {
  const faults = [];
  const mayScroll = "pre, pre code, .code, table, .table-wrapper, figure.diagram, [data-scrolls]";
  const whole = Math.max(document.documentElement.scrollWidth, document.body.scrollWidth);
  const scroller = (element) => {
    for (let at = element; at && at !== document.body; at = at.parentElement) {
      if (/auto|scroll|hidden|clip/.test(getComputedStyle(at).overflowX)) return at;
    }
    return null;
  };
  if (whole > width) {
    faults.push(`the page is ${whole} px wide in a window of ${width} px`);
    const wide = [...document.body.querySelectorAll("*")].filter((element) => {
      if (!seen(element) || scroller(element)) return false;
      return element.getBoundingClientRect().right + window.scrollX > width + 0.5;
    });
    const innermost = wide.filter((element) => !wide.some((other) => other !== element && element.contains(other)));
    for (const element of innermost.slice(0, 4)) {
      faults.push(`reaches ${Math.round(element.getBoundingClientRect().right)} px: ${where(element)}`);
    }
  }
  for (const element of document.body.querySelectorAll("*")) {
    if (element instanceof SVGElement || element.scrollWidth <= element.clientWidth + 1) continue;
    if (element.clientWidth <= 1 || !seen(element)) continue;
    const overflow = getComputedStyle(element).overflowX;
    if (/auto|scroll/.test(overflow) && !element.matches(`${mayScroll}, textarea`)) {
      faults.push(`scrolls sideways, which only code, tables and diagrams may: ${where(element)}`);
    } else if (
      /hidden|clip/.test(overflow) && !element.matches("html, body")
      // Shortened with a mark that says so.
      && getComputedStyle(element).textOverflow !== "ellipsis"
    ) {
      faults.push(`cuts off what is wider than it: ${where(element)}`);
    }
  }
  return faults;
}

/** Buttons and links of the bar, the pager and the code blocks that a finger would miss. */
export function tapTargets(smallest, { where, seen }) {
  const faults = [];
  const targets = document.querySelectorAll(
    ".bar :is(button, a), nav.pager a, .code-bar button, #contents :is(button, a)",
  );
  for (const target of targets) {
    if (!seen(target)) continue;
    const { width, height } = target.getBoundingClientRect();
    if (width < smallest || height < smallest) {
      faults.push(
        `${Math.round(width)} × ${Math.round(height)} px, wants ${smallest} px each way: ${where(target)}`,
      );
    }
  }
  return faults;
}

/** What is wrong with the diagrams: not visible, without name or caption, words cut off. */
export function diagrams(_, { where, seen, texts, SHAPES }) {
  const faults = [];
  // In pixels. A line's box is higher than its letters.
  const slack = { across: 1.5, down: 3 };
  const inside = (inner, outer) =>
    inner.left >= outer.left - slack.across && inner.right <= outer.right + slack.across
    && inner.top >= outer.top - slack.down && inner.bottom <= outer.bottom + slack.down;
  for (const figure of document.querySelectorAll("figure.diagram")) {
    const svg = figure.querySelector("svg");
    const caption = figure.querySelector("figcaption");
    const name = caption?.id || svg?.id || where(figure);
    if (!svg || !seen(svg)) {
      faults.push(`no drawing is to be seen in the diagram ${name}`);
      continue;
    }
    if (!caption || !seen(caption) || !caption.textContent.trim()) {
      faults.push(`no caption below the diagram ${name}: write a paragraph in emphasis after it`);
    }
    const labels = (svg.getAttribute("aria-labelledby") ?? "").split(/\s+/).filter(Boolean);
    const spoken = svg.getAttribute("aria-label")
      ?? labels.map((id) => document.getElementById(id)?.textContent ?? "").join(" ")
      ?? "";
    if (!spoken.trim()) faults.push(`no accessible name on the drawing of ${name}`);
    if (!/^(img|graphics-document|graphics-document document)$/.test(svg.getAttribute("role") ?? "")) {
      faults.push(`role "${svg.getAttribute("role")}", not img, on the drawing of ${name}`);
    }
    const drawing = svg.getBoundingClientRect();
    let words = 0;
    for (const { element, boxes } of texts(svg)) {
      words += 1;
      const label = element.closest("foreignObject") ?? element.closest("text");
      const held = element.closest("foreignObject")?.getBoundingClientRect();
      // A label belongs into the shape of its node.
      const node = element.closest("g.node");
      const shape = node && [...node.querySelectorAll(SHAPES)]
        .filter((each) => !each.closest("defs") && getComputedStyle(each).fill !== "none")
        .map((each) => each.getBoundingClientRect())
        .reduce((a, b) => ({
          left: Math.min(a.left, b.left), right: Math.max(a.right, b.right),
          top: Math.min(a.top, b.top), bottom: Math.max(a.bottom, b.bottom),
        }), { left: Infinity, right: -Infinity, top: Infinity, bottom: -Infinity });
      for (const box of boxes) {
        const out = !inside(box, drawing)
          ? "the drawing"
          : held && !inside(box, held)
            ? "its label's box"
            : shape && shape.left < shape.right && !inside(box, shape) ? "its shape" : "";
        if (out) {
          faults.push(
            `words reach out of ${out} in ${name}: ${where(label ?? element)} `
              + "(drawings fit letters as wide as Arial's: on Debian, install fonts-liberation)",
          );
          break;
        }
      }
    }
    if (words === 0) faults.push(`no word is to be seen in the drawing of ${name}`);
  }
  return faults;
}

/** Transitions and animations that still move when the reader asked for less motion. */
export function motion(longest, { where }) {
  const faults = [];
  const seconds = (text) => Math.max(...text.split(",").map((each) =>
    parseFloat(each) * (each.trim().endsWith("ms") ? 0.001 : 1)));
  for (const element of document.querySelectorAll("*")) {
    for (const pseudo of [null, "::before", "::after"]) {
      const style = getComputedStyle(element, pseudo);
      if (pseudo && style.content === "none") continue;
      const moves = style.animationName === "none" ? 0 : seconds(style.animationDuration);
      const changes = style.transitionProperty === "none" ? 0 : seconds(style.transitionDuration);
      if (moves > longest || changes > longest) {
        faults.push(
          `moves for ${Math.max(moves, changes)} s under prefers-reduced-motion: `
            + `${where(element)}${pseudo ?? ""}`,
        );
      }
    }
  }
  if (getComputedStyle(document.documentElement).scrollBehavior === "smooth") {
    faults.push("scrolls smoothly under prefers-reduced-motion: html");
  }
  return faults;
}

/** The words of the page's main part, without the tools that scripts add to blocks. */
export function mainWords() {
  const main = document.querySelector("main");
  if (!main) return null;
  const copy = main.cloneNode(true);
  // A figure that moves says something else at each moment.
  for (const tool of copy.querySelectorAll("script, style, noscript, template, .code-bar, .result, .printed, .needs-script, lab-figure")) {
    tool.remove();
  }
  return copy.textContent.replace(/\s+/g, " ").trim();
}

/** What of the main part nobody sees, though it holds words or is a drawing. */
export function hidden(_, { where, seen, texts }) {
  const faults = [];
  const main = document.querySelector("main");
  for (const details of main.querySelectorAll("details")) details.open = true;
  const shown = new Set([...texts(main)].map(({ node }) => node));
  const walker = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || shown.has(node)) continue;
    if (element.closest("script, style, noscript, template, title, desc, .code-bar, .boring, .needs-script, [hidden]")) continue;
    if (element.closest("svg") && !element.closest("figure.diagram")) continue;
    // A mark to copy a link by, such as "#", is drawn on hover.
    if (!/[\p{L}\p{N}]/u.test(node.data)) continue;
    faults.push(`words that nobody sees: ${where(element)}`);
  }
  for (const block of main.querySelectorAll("pre, figure.diagram svg, table")) {
    if (!seen(block)) faults.push(`not to be seen: ${where(block)}`);
  }
  return faults;
}
