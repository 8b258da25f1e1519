// axe-core's rules (WCAG 2 A and AA, best practices) hold on every page in both themes. On the page of
// the whole book only the rules that look at the page as a whole are run: its chapters have been seen
// on their own pages, and axe would take minutes for them.

import { group } from "../lib/checks.js";
import { requirePackage } from "../lib/config.js";
import { pages } from "../lib/site.js";

const { source } = requirePackage("axe-core");
const MORE = 2;
/** Rules about a page as a whole. */
const WHOLE_RULES = [
  "aria-valid-attr-value", "button-name", "bypass", "document-title", "duplicate-id-aria", "empty-heading",
  "html-has-lang", "landmark-main-is-top-level", "landmark-no-duplicate-banner", "landmark-no-duplicate-main",
  "landmark-one-main", "landmark-unique", "link-name", "meta-viewport", "skip-link",
];

/** What axe finds below `scope`: of `rules`, or of all its rules. */
export async function axe(tab, scope, rules = null) {
  await tab.evaluate(source);
  const violations = await tab.evaluate(async ({ more, scope, rules }) => {
    const { violations } = await globalThis.axe.run(scope ?? document, {
      resultTypes: ["violations"],
      ...(rules && { runOnly: { type: "rule", values: rules } }),
    });
    return violations.map(({ id, impact, help, nodes }) => ({
      id,
      impact,
      help,
      count: nodes.length,
      nodes: nodes.slice(0, more).map(({ target, html, failureSummary }) =>
        `${target.join(" ")} ${html.slice(0, 120)} (${failureSummary.split("\n").slice(1).join("; ").trim().slice(0, 240)})`),
    }));
  }, { more: MORE, scope, rules });
  return violations.map(({ id, impact, help, count, nodes }) =>
    `axe ${id}, ${impact}: ${help}${nodes.map((node) => `\n      ${node}`).join("")}`
    + (count > MORE ? `\n      … and ${count - MORE} more` : ""));
}

for (const colorScheme of ["light", "dark"]) {
  group(`axe, ${colorScheme}`, ({ each }) => {
    const some = pages.filter(({ type }) => type !== "print" || colorScheme === "light");
    each(some, { colorScheme }, (page, tab) => axe(tab, null, page.type === "print" ? WHOLE_RULES : null));
  });
}
