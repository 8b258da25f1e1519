// Interactive figures come alive when a reader nears them. Knows that, and no check.

/** Waits until a figure can be moved. */
export async function wake(figure) {
  await figure.scrollIntoViewIfNeeded();
  await figure.and(figure.page().locator(".lab-alive")).waitFor();
}

/** Wakes every figure of a page that has a module, and goes back up. */
export async function wakeAll(tab) {
  for (const figure of await tab.locator("lab-figure[data-module]").all()) await wake(figure);
  await tab.evaluate(() => scrollTo({ top: 0, behavior: "instant" }));
}
