// Every word stands out from what is behind it in both themes: code with its colours, recorded
// outputs, and the words of diagrams, which axe does not look at.

import { group } from "../lib/checks.js";
import { inPage, textContrast } from "../lib/inpage.js";
import { pages } from "../lib/site.js";

for (const colorScheme of ["light", "dark"]) {
  group(`contrast, ${colorScheme}`, ({ each }) => {
    each(pages.filter((page) => page.type !== "print"), { colorScheme }, (page, tab) =>
      inPage(tab, textContrast, "body"));
  });
}
