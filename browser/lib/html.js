// Reads HTML as the build writes it: tags, attributes and text, in order. Not a browser's parser:
// it needs no tree, since the suite asks only which ids, links and words a page holds. Knows of no
// page and no check.

const VOID_RAW = new Set(["script", "style", "textarea", "title"]);
const NAMED = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };

/** Replaces character references; those that the build never writes are left as they are. */
export function decode(text) {
  return text.replace(/&(#x[0-9a-f]+|#[0-9]+|[a-z]+);/gi, (whole, name) => {
    if (/^#x/i.test(name)) return String.fromCodePoint(parseInt(name.slice(2), 16));
    if (name.startsWith("#")) return String.fromCodePoint(parseInt(name.slice(1), 10));
    return NAMED[name] ?? whole;
  });
}

function attributesOf(text) {
  const attributes = new Map();
  for (const [, name, double, single, bare] of text.matchAll(
    /([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?/g,
  )) {
    const key = name.toLowerCase();
    if (!attributes.has(key)) attributes.set(key, decode(double ?? single ?? bare ?? ""));
  }
  return attributes;
}

/**
 * The tokens of a page: `{ open, attributes }`, `{ close }` or `{ text }`, names in lower case.
 * Text inside script and style comes as `{ raw }`.
 */
export function* tokens(html) {
  const tag = /<!--[\s\S]*?-->|<![^>]*>|<(\/?)([a-zA-Z][^\s/>]*)((?:"[^"]*"|'[^']*'|[^>"'])*)>/g;
  let at = 0;
  for (let found = tag.exec(html); found; found = tag.exec(html)) {
    if (found.index > at) yield { text: decode(html.slice(at, found.index)) };
    at = tag.lastIndex;
    const [, slash, rawName, rest] = found;
    if (rawName === undefined) continue;
    const name = rawName.toLowerCase();
    if (slash) {
      yield { close: name };
      continue;
    }
    yield { open: name, attributes: attributesOf(rest) };
    if (VOID_RAW.has(name) && !rest.endsWith("/")) {
      const end = new RegExp(`</${name}\\s*>`, "gi");
      end.lastIndex = at;
      const closing = end.exec(html);
      const stop = closing ? closing.index : html.length;
      const text = html.slice(at, stop);
      if (text) yield name === "script" || name === "style" ? { raw: text } : { text: decode(text) };
      yield { close: name };
      at = closing ? end.lastIndex : html.length;
      tag.lastIndex = at;
    }
  }
  if (at < html.length) yield { text: decode(html.slice(at)) };
}
