// Every diagram is to be seen with all its words, has a caption and a name for screen readers.

import { group } from "../lib/checks.js";
import { diagrams, inPage } from "../lib/inpage.js";
import { pages } from "../lib/site.js";

const illustrated = pages.filter((page) => page.diagrams > 0);

group("diagrams", ({ each }) => {
  each(illustrated, {}, (page, tab) => inPage(tab, diagrams));
});

group("diagrams, 360 px", ({ each }) => {
  each(illustrated.filter(({ type }) => type !== "print"), { viewport: { width: 360, height: 740 } }, (page, tab) =>
    inPage(tab, diagrams));
});
