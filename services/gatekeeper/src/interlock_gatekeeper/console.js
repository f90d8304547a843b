(() => {
  "use strict";
  const RETRY_MS = 2000, SILENT_MS = 3500;
  const stale = document.getElementById("stale");
  let source = null, heardAt = Date.now();

  // Only parts that differ are touched: a selection stays, and the lamp is read out when it changes.
  const show = (html) => {
    const next = new DOMParser().parseFromString(html, "text/html");
    const boot = next.getElementById("boot");
    if (!boot) return;
    // Another process answers: its form has another token, so only its own page can press KILL.
    if (boot.textContent !== document.getElementById("boot").textContent) return location.replace("/");
    for (const part of next.querySelectorAll("section[id]")) {
      const old = document.getElementById(part.id);
      if (old.innerHTML !== part.innerHTML) old.innerHTML = part.innerHTML;
    }
    heardAt = Date.now();
    judge();
  };

  const judge = () => {
    const silentMs = Date.now() - heardAt;
    stale.hidden = silentMs < SILENT_MS;
    if (!stale.hidden) {
      stale.textContent = "No answer from the gatekeeper: what is shown here is old. "
        + "If KILL does not answer either, run: make kill";
    }
    const state = document.querySelector("#lamp h1").textContent;
    document.title = (stale.hidden ? state : "NO ANSWER") + " - Interlock";
  };

  // Without the head: its style has another nonce, and the policy would complain of it.
  const inner = (page) => page.slice(page.indexOf("<main>"), page.indexOf("</main>"));

  const connect = () => {
    if (source) source.close();
    if (document.hidden) return;
    source = new EventSource("/events");
    source.onmessage = (event) => show(event.data);
    source.onerror = () => {
      // Refused, as where too many watch: look at the whole page instead, and ask again.
      if (source.readyState !== EventSource.CLOSED) return;
      fetch("/").then((answer) => answer.text()).then((page) => show(inner(page)), () => {});
      setTimeout(connect, RETRY_MS);
    };
  };

  // A browser opens six connections to one place: a hidden page gives its own back, and KILL never
  // waits for a stream.
  document.addEventListener("visibilitychange", () => {
    connect();
    if (document.hidden) document.title = "Not watching - Interlock";
  });
  document.getElementById("kill").addEventListener("submit", () => source && source.close());
  setInterval(() => { if (!document.hidden) judge(); }, 1000);
  connect();
})();
