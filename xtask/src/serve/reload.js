// Reloads this page after a good build and shows the error of a bad one until it is mended.
(() => {
  const pageBuild = PAGE_BUILD;
  const panelId = "xtask-build-error";

  function show(error) {
    let panel = document.getElementById(panelId);
    if (!panel) {
      panel = document.createElement("pre");
      panel.id = panelId;
      panel.setAttribute("role", "alert");
      panel.style.cssText =
        "position:fixed;inset:auto 0 0 0;z-index:1000;margin:0;padding:1rem;max-height:60vh;" +
        "overflow:auto;white-space:pre-wrap;font:14px/1.5 monospace;" +
        "background:#5c1414;color:#fff;border-top:4px solid #ff9d8a";
      document.body.append(panel);
    }
    panel.textContent = "The book does not build; these are the last good pages.\n\n" + error;
  }

  const builds = new EventSource("RELOAD_PATH");
  builds.onmessage = (message) => {
    const build = JSON.parse(message.data);
    if (build.error !== null) {
      show(build.error);
    } else if (build.number !== pageBuild) {
      location.reload();
    } else {
      document.getElementById(panelId)?.remove();
    }
  };
})();
