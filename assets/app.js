"use strict";
/* What a page needs beyond Gradio: the theme, pixel-exact sheets, the preview film, the table of runs,
   and one way from any [data-act] element to the page's one action handler (the bridge). */
(() => {
  const root = document.documentElement;
  const THEME = "dreamlab-theme";
  const places = new Map(); // key of a film -> {index, following}: where a reader stands in it
  const streams = new Map(); // key of a film whose frames arrive one at a time -> those that are here, by what was handed over
  const table = { text: "", kind: "", state: "", chosen: new Set() };
  const sets = { text: "", kind: "", origin: "", all: false };
  const dreamlab = (window.dreamlab = { bridge: null, waiting: [] });

  /* ---- theme: one attribute on <html>; Gradio's own dark class follows it */
  const preferred = () => {
    const asked = new URLSearchParams(location.search).get("__theme");
    if (asked === "dark" || asked === "light") return asked;
    let kept = null;
    try { kept = localStorage.getItem(THEME); } catch (e) { kept = null; } // storage may be forbidden: the system decides
    return kept || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  };
  const wear = (theme) => {
    root.dataset.theme = theme;
    if (document.body) document.body.classList.toggle("dark", theme === "dark");
  };
  wear(preferred());
  const follow = () => {
    wear(root.dataset.theme);
    new MutationObserver(() => {
      if (document.body.classList.contains("dark") !== (root.dataset.theme === "dark")) wear(root.dataset.theme);
    }).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  };
  if (document.body) follow();
  else document.addEventListener("DOMContentLoaded", follow);
  const toggleTheme = () => {
    wear(root.dataset.theme === "dark" ? "light" : "dark");
    try { localStorage.setItem(THEME, root.dataset.theme); } catch (e) { console.info("The theme cannot be remembered here."); }
    send({ act: "theme", theme: root.dataset.theme });
  };

  /* ---- the first seconds: until the server knows this page, it would answer a press with another page.
     Presses of tabs and buttons wait until then. */
  let wanted = null, booted = false; // wanted: the last tab that was pressed while it starts
  dreamlab.boot = () => JSON.stringify({ theme: root.dataset.theme, search: location.search });
  dreamlab.booted = () => {
    booted = true;
    flush();
    if (wanted) requestAnimationFrame(() => requestAnimationFrame(() => document.getElementById(wanted)?.click()));
  };
  document.addEventListener("click", (event) => {
    const tab = event.target.closest("#tabs > .tab-wrapper [role=tab]");
    if (booted || !tab) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    wanted = tab.id;
  }, true);

  /* ---- actions */
  const send = (data) => { dreamlab.waiting.push(data); flush(); };
  const flush = () => { if (booted && dreamlab.bridge) dreamlab.waiting.splice(0).forEach(dreamlab.bridge); };
  dreamlab.connect = (trigger) => {
    dreamlab.bridge = trigger;
    flush();
  };
  dreamlab.locate = (query) => {
    if (query === "?") return send({ act: "boot", page: dreamlab.boot() }); // another server, which does not know this page
    if (query && query !== location.search) history.replaceState(history.state, "", location.pathname + query);
  };
  document.addEventListener("click", (event) => {
    if (event.target.closest("#theme-toggle")) return toggleTheme();
    const copy = event.target.closest("[data-copy]");
    if (copy) return copyText(copy);
    const hit = event.target.closest("[data-act]");
    if (!hit || hit.disabled) return;
    if (hit.tagName === "A" && (event.metaKey || event.ctrlKey || event.shiftKey)) return; // a new tab, please
    event.preventDefault();
    if (hit.dataset.confirm && !hit.dataset.sure) return askOnce(hit);
    if (hit.dataset.act === "look") setTimeout(() => document.querySelector("#data-chosen")?.scrollIntoView({ behavior: "smooth" }), 300);
    if (hit.dataset.name === "import-extends") setTimeout(() => document.querySelector("#import-source textarea, #import-source input")?.focus(), 300);
    send({ ...hit.dataset, ...(hit.dataset.act === "compare" ? { runs: [...table.chosen] } : {}) });
  });
  const askOnce = (button) => {
    const before = button.textContent;
    button.dataset.sure = "1";
    button.textContent = button.dataset.confirm;
    button.classList.add("danger");
    setTimeout(() => { delete button.dataset.sure; button.textContent = before; button.classList.remove("danger"); }, 4000);
  };
  const copyText = async (button) => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    } catch (e) {
      const line = button.parentElement.querySelector(".cmd"); // no permission: select it, the reader copies it
      if (line) getSelection().selectAllChildren(line);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=range]):not([type=checkbox]), textarea, select, [contenteditable]");
    const visible = (selector) => [...document.querySelectorAll(selector)].find((e) => e.offsetParent !== null);
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      const main = visible(".tabitem button.primary, .tabitem .btn.main");
      if (main) { event.preventDefault(); main.click(); }
    } else if (event.key === " " && !typing && !event.target.closest("button, a, summary, [role=tab]")) {
      const play = visible(".film-play");
      if (play) { event.preventDefault(); play.click(); }
    }
  });

  /* ---- elements of ours inside Gradio's HTML. Gradio changes that HTML in place (node by node), so what we did to it may be
     undone at any moment: every element applies itself again after a change, and writes only what differs. */
  class Live extends HTMLElement {
    connectedCallback() {
      this.observer ??= new MutationObserver(() => this.run());
      if (!this.wired) { this.wired = true; this.wire(); }
      this.run();
    }
    disconnectedCallback() { this.observer.disconnect(); this.leave(); }
    run() {
      this.observer.disconnect();
      try { this.apply(); } finally {
        this.observer.observe(this, { childList: true, subtree: true, attributes: true, characterData: true });
      }
    }
    wire() {}
    leave() {}
  }
  const text = (node, words) => { if (node && node.textContent !== words) node.textContent = words; };
  const style = (node, name, value) => { if (node && node.style[name] !== value) node.style[name] = value; };
  const attribute = (node, name, value) => { if (node && node.getAttribute(name) !== value) node.setAttribute(name, value); };

  /* ---- a contact sheet at whole-number zoom of device pixels, as many whole cells as fit */
  customElements.define("dl-sheet", class extends Live {
    wire() { this.resized = new ResizeObserver(() => this.run()); }
    connectedCallback() { super.connectedCallback(); this.resized.observe(this.parentElement); }
    leave() { this.resized.disconnect(); }
    apply() {
      const { w, h, cell, zoom } = Object.fromEntries(["w", "h", "cell", "zoom"].map((k) => [k, +this.dataset[k]]));
      const clip = this.querySelector(".clip"), image = this.querySelector("img"), side = this.querySelector(".rows");
      if (!clip || !image || !w) return;
      const ratio = window.devicePixelRatio || 1;
      const room = (this.parentElement.clientWidth || 600) - (side ? side.offsetWidth + 8 : 0) - 4;
      const most = Math.max(1, Math.floor((room * ratio) / w));
      const least = Math.ceil((48 * ratio) / cell); // a cell is never smaller than about 48 pixels: then whole cells are cut off
      const k = zoom ? Math.round(zoom * ratio) : Math.min(Math.max(most, least), Math.ceil((96 * ratio) / cell));
      let css = k / ratio;
      if (!zoom && cell >= 64 && w * css > room) { // fine images: the whole row, if need be below one device pixel a pixel
        css = Math.max(room / w, 40 / cell);
        if (css * ratio >= 1) css = Math.floor(css * ratio) / ratio;
      }
      this.classList.toggle("fine", css * ratio < 1);
      const cells = Math.max(1, Math.floor(room / (cell * css) + 1e-6));
      style(image, "width", `${w * css}px`);
      style(image, "height", `${h * css}px`);
      style(clip, "maxWidth", `${Math.min(w * css, cells * cell * css) + 4}px`);
      style(side, "height", `${h * css + 4}px`);
    }
  });

  /* ---- pictures in time: previews of a training, the steps of a sampling. Frames: {srcs, w, h, cell, title, caption} */
  customElements.define("dl-film", class extends Live {
    wire() {
      this.addEventListener("input", (event) => {
        if (event.target.type !== "range") return;
        const asked = +event.target.value; // read first: applying would put the handle back
        clearInterval(this.timer);
        this.timer = null;
        this.stand(asked);
      });
      this.addEventListener("click", (event) => {
        if (event.target.closest(".film-play")) this.timer ? this.pause() : this.play();
      });
    }
    leave() { clearInterval(this.timer); this.timer = null; }
    get last() { return this.frames.length - 1; }
    collect() {
      const key = this.dataset.key, raw = this.dataset.frames || "[]";
      if (!("append" in this.dataset)) return JSON.parse(raw);
      if (!streams.has(key)) { streams.clear(); streams.set(key, new Map()); } // one stream is kept: the newest
      const kept = streams.get(key);
      if (!kept.has(raw)) kept.set(raw, JSON.parse(raw)); // the page may be drawn again with a frame that is known
      return [...kept.values()].flat();
    }
    apply() {
      if (this.known !== this.dataset.frames || this.key !== this.dataset.key) {
        if (this.key !== this.dataset.key) this.leave();
        [this.known, this.key] = [this.dataset.frames, this.dataset.key];
        this.frames = this.collect();
        this.frames.forEach((f) => f.srcs.forEach((src) => { if (!src.startsWith("data:")) new Image().src = src; })); // so that Play never waits
      }
      if (!this.frames.length) return;
      const place = places.get(this.key) ?? { index: this.last, following: true };
      const index = place.following && !this.timer ? this.last : Math.min(place.index, this.last);
      const frame = this.frames[index], range = this.querySelector("input[type=range]");
      attribute(range, "max", String(this.last));
      if (range && +range.value !== index) range.value = index;
      this.querySelectorAll("dl-sheet").forEach((sheet, i) => {
        ["w", "h", "cell"].forEach((name) => attribute(sheet, `data-${name}`, String(frame[name])));
        attribute(sheet.querySelector("img"), "src", frame.srcs[i]);
      });
      text(this.querySelector(".film-title"), frame.title);
      text(this.querySelector(".film-note"), frame.caption);
      const button = this.querySelector(".film-play"), word = this.timer ? "Pause " : "Play ";
      if (button && button.firstChild.nodeValue !== word) button.firstChild.nodeValue = word;
    }
    stand(index) {
      places.set(this.key, { index, following: index >= this.last });
      this.run();
    }
    play() {
      const now = places.get(this.key);
      let index = now && !now.following ? now.index : 0;
      this.timer = setInterval(() => {
        if (index >= this.last) this.pause();
        this.stand(Math.min(++index, this.last));
      }, Math.max(120, Math.min(500, 6000 / this.frames.length)));
      this.stand(index);
    }
    pause() { clearInterval(this.timer); this.timer = null; this.run(); }
  });

  /* ---- the table of runs: filter and choice survive a redraw */
  customElements.define("dl-runs", class extends Live {
    wire() {
      const note = (event) => {
        const box = event.target;
        if (box.type === "checkbox") table.chosen[box.checked ? "add" : "delete"](box.value);
        else if (box.dataset.filter) table[box.dataset.filter] = box.value;
        this.run();
      };
      this.addEventListener("input", note);
      this.addEventListener("change", note);
    }
    apply() {
      const words = table.text.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      const known = new Set();
      this.querySelectorAll("[data-filter]").forEach((box) => { if (box.value !== table[box.dataset.filter]) box.value = table[box.dataset.filter]; });
      this.querySelectorAll("tbody tr").forEach((row) => {
        const box = row.querySelector("input[type=checkbox]");
        known.add(box.value);
        if (box.checked !== table.chosen.has(box.value)) box.checked = table.chosen.has(box.value);
        const fits = words.every((w) => row.dataset.search.includes(w)) && (!table.kind || row.dataset.kind === table.kind) && (!table.state || row.dataset.state === table.state);
        if (row.hidden === fits) row.hidden = !fits;
        shown += fits;
      });
      [...table.chosen].forEach((id) => known.has(id) || table.chosen.delete(id));
      text(this.querySelector(".count"), `${shown} shown`);
      const compare = this.querySelector("[data-act=compare]"), few = table.chosen.size < 2;
      if (compare && compare.disabled !== few) compare.disabled = few;
      text(compare, few ? "Compare (choose two or more)" : `Compare ${table.chosen.size} runs`);
    }
  });

  /* ---- the cards of data sets: filter, and the first few until one asks for all */
  customElements.define("dl-cards", class extends Live {
    wire() {
      const note = (event) => {
        if (event.target.dataset.filter) { sets[event.target.dataset.filter] = event.target.value; this.run(); }
      };
      this.addEventListener("input", note);
      this.addEventListener("change", note);
      this.addEventListener("click", (event) => {
        if (event.target.closest(".every")) { sets.all = !sets.all; this.run(); }
      });
    }
    apply() {
      const words = sets.text.toLowerCase().split(/\s+/).filter(Boolean), few = +this.dataset.few;
      const asked = words.length || sets.kind || sets.origin, hide = (node, away) => { if (node && node.hidden !== away) node.hidden = away; };
      this.querySelectorAll("[data-filter]").forEach((box) => { if (box.value !== sets[box.dataset.filter]) box.value = sets[box.dataset.filter]; });
      const cards = [...this.querySelectorAll(".set-card")], chosen = (card) => card.classList.contains("chosen");
      const fitting = cards.filter(({ dataset: d }) => words.every((w) => d.search.includes(w)) && (!sets.kind || d.kind === sets.kind) && (!sets.origin || d.origin === sets.origin));
      const first = fitting.slice(0, fitting.findIndex(chosen) < few ? few : few - 1); // the chosen one takes the last place
      const show = new Set(sets.all ? fitting : [...first, ...fitting.filter(chosen)]), fit = fitting.length, shown = show.size;
      cards.forEach((card) => hide(card, !show.has(card)));
      text(this.querySelector(".count"), asked || shown < fit ? `${shown} of ${fit}${asked ? " that fit" : ""}` : "");
      hide(this.querySelector(".none"), fit > 0);
      const button = this.querySelector(".every");
      hide(button, fit <= few);
      text(button, sets.all ? "Show fewer" : `Show all ${fit}`);
    }
  });
})();
