// A reader who asked the system for less motion gets none.

import { group } from "../lib/checks.js";
import { inPage, motion } from "../lib/inpage.js";
import { pages } from "../lib/site.js";

const SECONDS_MAX = 0.01;

group("reduced motion", ({ each }) => {
  each(pages.filter(({ type }) => type !== "print"), { reducedMotion: "reduce" }, (page, tab) =>
    inPage(tab, motion, SECONDS_MAX));
});
