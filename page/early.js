// Runs before the first paint: the theme and the contents' place must not flicker.
{
  const root = document.documentElement;
  let kept = {};
  try {
    kept = { theme: localStorage.getItem("mdbook-theme"), contents: localStorage.getItem("mdbook-sidebar") };
  } catch {
    // A browser that keeps nothing follows the system.
  }
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "navy" : "light";
  root.classList.remove("light");
  root.classList.add("js", ["light", "navy"].includes(kept.theme) ? kept.theme : system);
  if (matchMedia("(min-width: 68rem)").matches && kept.contents !== "hidden") {
    root.classList.add("contents-open");
  }
}
