// The whole suite, in one process: one browser, one server. The order is that of a reader's day, the
// weighing last, alone on the machine.

import "./tests/links.js";
import "./tests/load.js";
import "./tests/axe.js";
import "./tests/contrast.js";
import "./tests/theme.js";
import "./tests/narrow.js";
import "./tests/keyboard.js";
import "./tests/search.js";
import "./tests/noscript.js";
import "./tests/print.js";
import "./tests/motion.js";
import "./tests/diagrams.js";
import "./tests/figures.js";
import "./tests/run.js";
import "./tests/run-local.js";
import "./tests/offline.js";
import "./tests/weight.js";

import { finish } from "./lib/checks.js";

finish();
