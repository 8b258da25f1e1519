// axe-core's rules (WCAG 2 A and AA, best practices) hold on every page in both themes. The page of the
// whole book is looked at once, without the rules of colour: its parts have been seen on the pages
// that they come from, and axe would take minutes for them.

import { group } from "../lib/checks.js";
import { requirePackage } from "../lib/config.js";
import { pages } from "../lib/site.js";

const { source } = requirePackage("axe-core");
const MORE = 2;
/** Rules that take minutes on the page of the whole book. */
const LONG_RULES = ["color-contrast", "link-in-text-block", "target-size"];

for (const colorScheme of ["light", "dark"]) {
  group(`axe, ${colorScheme}`, ({ each }) => {
    const some = pages.filter(({ type }) => type !== "print" || colorScheme === "light");
    each(some, { colorScheme }, async (page, tab) => {
      await tab.evaluate(source);
      const without = page.type === "print" ? LONG_RULES : [];
      const violations = await tab.evaluate(async ({ more, without }) => {
        const { violations } = await globalThis.axe.run(document, {
          resultTypes: ["violations"],
          rules: Object.fromEntries(without.map((rule) => [rule, { enabled: false }])),
        });
        return violations.map(({ id, impact, help, nodes }) => ({
          id,
          impact,
          help,
          count: nodes.length,
          nodes: nodes.slice(0, more).map(({ target, html, failureSummary }) =>
            `${target.join(" ")} ${html.slice(0, 120)} (${failureSummary.split("\n").slice(1).join("; ").trim().slice(0, 240)})`),
        }));
      }, { more: MORE, without });
      return violations.map(({ id, impact, help, count, nodes }) =>
        `axe ${id}, ${impact}: ${help}${nodes.map((node) => `\n      ${node}`).join("")}`
        + (count > MORE ? `\n      … and ${count - MORE} more` : ""));
    });
  });
}
