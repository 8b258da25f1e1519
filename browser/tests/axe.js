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

for (const colorScheme of ["light", "dark"]) {
  group(`axe, ${colorScheme}`, ({ each }) => {
    const some = pages.filter(({ type }) => type !== "print" || colorScheme === "light");
    each(some, { colorScheme }, async (page, tab) => {
      await tab.evaluate(source);
      const rules = page.type === "print" ? WHOLE_RULES : null;
      const violations = await tab.evaluate(async ({ more, rules }) => {
        const { violations } = await globalThis.axe.run(document, {
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
      }, { more: MORE, rules });
      return violations.map(({ id, impact, help, count, nodes }) =>
        `axe ${id}, ${impact}: ${help}${nodes.map((node) => `\n      ${node}`).join("")}`
        + (count > MORE ? `\n      … and ${count - MORE} more` : ""));
    });
  });
}
