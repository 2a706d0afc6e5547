"use strict";
/* Files and folders from the reader's machine: dropped on the page or chosen, sent in parts, with progress.
   And clicks in an element of ours that has a handler of its own: [data-local]. */
(() => {
  const PART_BYTES = 8 * 2 ** 20, PART_FILES = 400, TRIES = 4;
  const NO_SCREEN = new Set([".DS_Store", "Thumbs.db", "desktop.ini"]);
  const CANCELLED = "Nothing was kept: the sending was cancelled.";
  const count = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
  const size = (n) => (n >= 1e9 ? `${(n / 1e9).toFixed(1)} GB` : `${(n / 1e6).toFixed(1)} MB`);
  const pause = (seconds) => new Promise((then) => setTimeout(then, 1000 * seconds));

  /* ---- clicks of one element, see dreamlab/ui/forms/picker.py */
  const local = (element, trigger) => {
    element.addEventListener("click", (event) => {
      const hit = event.target.closest("[data-local]");
      if (!hit || !element.contains(hit)) return;
      event.preventDefault();
      const choice = hit.closest(".class-choice"), boxes = [...(choice?.querySelectorAll("select[data-from]") || [])];
      const kept = ({ value, options, dataset: { from } }) => value || [...options].some((o) => o.value === from); // a class with a known name would stay
      const chosen = boxes.filter(kept).map((box) => [box.dataset.from, box.value]);
      if (choice) {
        choice.querySelector(".refusal").hidden = boxes.some((box) => box.value);
        if (!boxes.some((box) => box.value)) return;
      }
      if (hit.dataset.local === "browse") setTimeout(() => [...document.querySelectorAll(".shelf")].find((e) => e.offsetParent)?.scrollIntoView({ block: "center", behavior: "smooth" }), 500);
      trigger("click", { ...hit.dataset, ...(hit.dataset.local === "map" ? { pairs: JSON.stringify(chosen) } : {}) });
    });
    element.addEventListener("dl-sent", (event) => {
      trigger("click", { local: "sent", name: event.detail });
      showProposal(60);
    });
  };
  const showProposal = (tries) => { // on a narrow page it is far below the form
    const found = document.querySelector("#import-proposal .dl-panel");
    if (!found && tries) return setTimeout(showProposal, 250, tries - 1);
    if (found && found.getBoundingClientRect().top > innerHeight / 2) found.scrollIntoView({ behavior: "smooth" });
  };
  const ready = (then) => (window.dreamlab ? then(window.dreamlab) : setTimeout(ready, 20, then));
  ready((dreamlab) => { dreamlab.local = local; });
  document.addEventListener("click", (event) => { // a button in HTML for a button of Gradio
    const hit = event.target.closest("[data-press]");
    if (hit) document.querySelector(hit.dataset.press)?.click();
  });

  /* ---- what was dropped: [{path, file}] with paths inside the dropped folders */
  const entriesOf = (reader) => new Promise((then, fail) => reader.readEntries(then, fail));
  const fileOf = (entry) => new Promise((then, fail) => entry.file(then, fail));
  const walk = async (entry, into, told) => {
    told(into.length);
    if (entry.isFile) {
      if (!NO_SCREEN.has(entry.name)) into.push({ path: entry.fullPath.replace(/^\//, ""), file: await fileOf(entry) });
      told(into.length);
      return;
    }
    const reader = entry.createReader();
    for (let some = await entriesOf(reader); some.length; some = await entriesOf(reader)) { // it gives at most 100 at once
      for (const inner of some) await walk(inner, into, told);
    }
  };
  const dropped = async (transfer, told) => {
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const found = [];
    if (!entries.length) return listed(transfer.files);
    for (const entry of entries) await walk(entry, found, told);
    return found;
  };
  const listed = (files) => [...files].filter((file) => !NO_SCREEN.has(file.name)).map((file) => ({ path: file.webkitRelativePath || file.name, file }));

  /* ---- parts of at most PART_BYTES: a line of JSON, then the bytes */
  function* parts(files) {
    let list = [], blobs = [], bytes = 0;
    for (const { path, file } of files) {
      let at = 0;
      do {
        const some = Math.min(file.size - at, PART_BYTES - bytes);
        list.push([path, at, some]);
        blobs.push(file.slice(at, at + some));
        bytes += some;
        at += some;
        if (bytes >= PART_BYTES || list.length >= PART_FILES) {
          yield { list, blobs, bytes };
          [list, blobs, bytes] = [[], [], 0];
        }
      } while (at < file.size);
    }
    if (list.length) yield { list, blobs, bytes };
  }
  class Refused extends Error {}
  const asked = async (address, options) => {
    const reply = await fetch(address, options);
    const answer = await reply.json().catch(() => ({}));
    if (!reply.ok) throw new Refused(answer.error || "The server refuses these files.");
    return answer;
  };
  const changed = async (blobs) => { // a browser does not read a file that is not what was chosen
    try { await Promise.all(blobs.map((blob) => blob.slice(0, 1).arrayBuffer())); return false; } catch (error) { return true; }
  };
  const withPatience = async (address, options, blobs = []) => {
    for (let i = 1; ; i++) {
      try { return await asked(address, options); } catch (error) {
        if (error instanceof Refused || error.name === "AbortError") throw error;
        if (i === TRIES) throw new Refused("The connection to the server was lost: send the files again.");
        if (await changed(blobs)) throw new Refused("A file was changed or removed while it was sent: send the files again.");
        await pause(i);
      }
    }
  };

  /* ---- the place for files; its inside is made by picker.html and changed only here */
  customElements.define("dl-drop", class extends HTMLElement {
    connectedCallback() {
      if (this.wired) return;
      this.wired = true;
      this.addEventListener("click", (event) => {
        const hit = event.target.closest("[data-choose]");
        if (hit) this.querySelector(`input[data-kind=${hit.dataset.choose}]`).click();
        if (event.target.closest("[data-cancel]")) this.stop?.abort();
      });
      addEventListener("pagehide", () => this.giveUp());
      this.addEventListener("change", (event) => {
        if (event.target.type !== "file" || !event.target.files.length) return;
        const files = listed(event.target.files);
        event.target.value = ""; // so that the same files can be chosen again
        this.send(files);
      });
    }
    giveUp() { // also when the page is left: what was sent so far is of no use
      if (this.name) fetch(`upload/${this.name}`, { method: "DELETE", keepalive: true }).catch(() => {});
      this.name = "";
    }
    say(words, share = null) {
      this.querySelector(".drop-words").textContent = words;
      this.querySelector(".drop-track i").style.width = `${100 * (share ?? 0)}%`;
      this.querySelector(".drop-going").hidden = !words;
      this.classList.toggle("busy", Boolean(words));
    }
    refuse(sentence) {
      const place = this.querySelector(".refusal");
      place.textContent = sentence;
      place.hidden = !sentence;
    }
    begin() { // false while files are on their way
      this.refuse(this.stop ? "Files are being sent: wait until they are there, or cancel that first." : "");
      if (this.stop) return false;
      this.stop = new AbortController();
      return true;
    }
    end(sentence) {
      this.stop = null;
      this.say("");
      this.refuse(sentence);
    }
    async take(transfer) {
      if (!this.begin()) return;
      const signal = this.stop.signal;
      let files;
      try {
        files = await dropped(transfer, (n) => {
          signal.throwIfAborted();
          if (n % 100 === 0) this.say(`Listing: ${count(n, "file")}`);
        });
      } catch (error) {
        this.end(error.name === "AbortError" ? CANCELLED : `The files cannot be read by the browser (${error.message || error.name}).`);
        return;
      }
      await this.deliver(files);
    }
    async send(files) {
      if (this.begin()) await this.deliver(files);
    }
    async deliver(files) {
      const known = new Set(), twice = files.find(({ path }) => known.size === known.add(path).size);
      if (!files.length) return this.end("There are no files in what was given.");
      if (twice) return this.end(`Two of the files are called ${twice.path}: put them into folders of different names.`);
      const signal = this.stop.signal, bytes = files.reduce((sum, { file }) => sum + file.size, 0);
      let sent = 0, done = 0, sentence = "";
      try {
        this.say(`Sending ${count(files.length, "file")}, ${size(bytes)}`);
        ({ name: this.name } = await withPatience("upload", { method: "POST", signal, body: JSON.stringify({ bytes, files: files.length }), headers: { "content-type": "application/json" } }));
        for (const part of parts(files)) {
          await withPatience(`upload/${this.name}`, { method: "POST", signal, body: new Blob([JSON.stringify(part.list), "\n", ...part.blobs]) }, part.blobs);
          sent += part.bytes;
          done += part.list.length;
          this.say(`${size(sent)} of ${size(bytes)}${files.length > 1 ? `, ${Math.min(done, files.length).toLocaleString("en")} of ${count(files.length, "file")}` : ""}`, bytes ? sent / bytes : 1);
        }
        this.dispatchEvent(new CustomEvent("dl-sent", { bubbles: true, detail: this.name }));
        this.name = "";
      } catch (error) {
        this.giveUp();
        const words = error instanceof Refused ? error.message : `The files cannot be read or sent (${error.message || error.name}).`;
        sentence = error.name === "AbortError" ? CANCELLED : words;
      }
      this.end(sentence);
    }
  });

  /* ---- files dropped anywhere on a page go to its large place; elsewhere the browser would leave the page */
  const place = () => [...document.querySelectorAll("dl-drop.large")].find((e) => e.offsetParent !== null);
  const hasFiles = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
  let leaving = 0;
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    clearTimeout(leaving);
    const there = place();
    event.dataTransfer.dropEffect = there ? "copy" : "none";
    there?.classList.add("over");
    leaving = setTimeout(() => there?.classList.remove("over"), 200);
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.stopPropagation();
    place()?.take(event.dataTransfer);
  }, true);
})();
