"use strict";
(() => {
  const root = document.documentElement;
  const $ = (id) => document.getElementById(id);

  // A page opened from disk may be refused any storage; it then only forgets.
  const memory = {
    read(store, key) {
      try {
        return JSON.parse(window[store].getItem(key));
      } catch {
        return null;
      }
    },
    write(store, key, value) {
      try {
        window[store].setItem(key, JSON.stringify(value));
      } catch {
        /* forgotten */
      }
    },
  };
  const HERE = `banana-batch ${location.pathname}`;

  // ── colours: chosen before anything is painted ──────────────────────────────────────────

  const darkSystem = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ?? (darkSystem.matches ? "dark" : "light")) === "dark";
  const chosen = memory.read("localStorage", "banana-batch theme");
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
  root.classList.remove("still");

  // ── making elements: text is only ever set as text ──────────────────────────────────────

  function make(tag, facts, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(facts ?? {})) {
      if (value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }

  function icon(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `#${name}`);
    svg.append(use);
    return svg;
  }

  const copyButton = (text, what) =>
    make(
      "button",
      { class: "copy", type: "button", "data-copy": text, "aria-label": `Copy ${what}`, title: `Copy ${what}` },
      icon("i-copy"),
    );

  async function copy(button) {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = make("textarea", { class: "unseen" });
      area.value = text;
      (button.closest("dialog") ?? document.body).append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    button.querySelector("use").setAttribute("href", "#i-done");
    button.classList.add("done");
    $("said").textContent = "Copied";
    setTimeout(() => {
      button.querySelector("use").setAttribute("href", "#i-copy");
      button.classList.remove("done");
      $("said").textContent = "";
    }, 1600);
  }

  // ── what there is, and what of it is asked for ──────────────────────────────────────────

  let cards = [];
  let total = 0;
  let entries = []; // {card, tiles}: what the filters leave
  let flat = []; // {tile, block}: every tile left, in reading order
  const wish = { words: "", statuses: new Set(), tag: "", size: "" };

  const fold = (text) => text.normalize("NFKC").toLowerCase();
  const letters = (card) =>
    (card.letters ??= fold(
      [card.id, card.prompt, ...(card.tags ?? []), ...card.tiles.map((tile) => tile.task ?? "")].join("\n"),
    ));
  const shownAs = (tile) => (tile.absent ? "" : (tile.thumb ?? tile.link ?? ""));

  function choose() {
    const words = fold(wish.words).split(/\s+/).filter(Boolean);
    entries = [];
    let left = 0;
    for (const card of cards) {
      if (wish.size && card.size !== wish.size) continue;
      if (wish.tag && !(card.tags ?? []).includes(wish.tag)) continue;
      if (words.length && !words.every((word) => letters(card).includes(word))) continue;
      const tiles = wish.statuses.size
        ? card.tiles.filter((tile) => wish.statuses.has(tile.status))
        : card.tiles;
      if (!tiles.length) continue;
      entries.push({ card, tiles });
      left += tiles.length;
    }
    const all = left === total;
    const narrowed = wish.words.trim() || wish.statuses.size || wish.tag || wish.size;
    const told = `${all ? "" : `${left.toLocaleString("en")} of `}${total.toLocaleString("en")} ${total === 1 ? "result" : "results"}`;
    if ($("found").textContent !== told) $("found").textContent = told;
    $("clear").hidden = !narrowed;
    if (cards.length) $("empty").hidden = left > 0;
  }

  // ── where everything stands: rows of one height, known before any picture is loaded ─────

  let blocks = []; // {card, left, top, width, height, wordsTop, pieces: [{tile, at, left, top, width, height}]}
  const CLOSE = 6;

  function ratio(tile) {
    const own = tile.width / tile.height;
    if (!shownAs(tile) && tile.status !== "pending") return Math.min(Math.max(own, 1.25), 2);
    return Math.min(Math.max(own, 0.4), 3);
  }

  function arrange() {
    const width = $("feed").clientWidth;
    const rem = parseFloat(getComputedStyle(root).fontSize);
    const phone = width < 600;
    const look = {
      width,
      rem,
      aim: phone ? 190 : width < 1000 ? 220 : 264,
      gap: phone ? 14 : 28,
      least: phone ? Math.min(150, width) : 190,
      stretch: phone ? 2 : 1.4,
      facts: 2.9 * rem,
    };
    blocks = [];
    flat = [];
    let top = 0;
    for (const { row, height } of rows(look)) {
      const words = (4.9 + (row.some((one) => one.card.tags || one.card.originals) ? 2.3 : 0)) * rem;
      let left = 0;
      let tallest = 0;
      for (const entry of row) {
        const block = place(entry, look, left, top, height, words);
        blocks.push(block);
        left += block.width + look.gap;
        tallest = Math.max(tallest, block.height);
      }
      top += tallest + look.gap * 1.3;
    }
    $("feed").style.height = `${Math.ceil(top)}px`;
  }

  const span = (tiles, height) => tiles.reduce((sum, tile) => sum + ratio(tile) * height, (tiles.length - 1) * CLOSE);
  const spanEntry = (entry, height, look) => Math.max(span(entry.tiles, height), look.least);
  const spanRow = (row, height, look) =>
    row.reduce((sum, entry) => sum + spanEntry(entry, height, look), (row.length - 1) * look.gap);

  function fit(measure, width, most) {
    let low = 20;
    let high = most;
    for (let turn = 0; turn < 24; turn++) {
      const middle = (low + high) / 2;
      if (measure(middle) > width) high = middle;
      else low = middle;
    }
    return low;
  }

  function* rows(look) {
    const solve = (row) => fit((height) => spanRow(row, height, look), look.width, look.aim * look.stretch);
    let row = [];
    for (const entry of entries) {
      if (span(entry.tiles, look.aim * 0.8) > look.width) {
        if (row.length) yield { row, height: Math.min(solve(row), look.aim * 1.15) };
        yield { row: [entry], height: 0 };
        row = [];
        continue;
      }
      const more = [...row, entry];
      if (spanRow(more, look.aim, look) <= look.width) {
        row = more;
        continue;
      }
      const tight = solve(more);
      const loose = row.length ? solve(row) : 0;
      if (!row.length || (look.aim / tight <= loose / look.aim && tight > look.aim * 0.7)) {
        yield { row: more, height: tight };
        row = [];
      } else {
        yield { row, height: loose };
        row = [entry];
      }
    }
    if (row.length) yield { row, height: Math.min(solve(row), look.aim * (look.gap < 20 ? 2 : 1)) };
  }

  // A height of 0 means: more pictures than one row holds, so they stand in lines of their own.
  function place(entry, look, left, top, height, words) {
    const pieces = [];
    const block = { card: entry.card, left, top, pieces };
    let down = 0;
    let most = look.aim * 1.15;
    for (const line of height ? [entry.tiles] : lines(entry.tiles, look)) {
      const tall = height || fit((one) => span(line, one), look.width, most);
      most = tall; // a last line with fewer pictures does not grow beyond the others
      let across = 0;
      for (const tile of line) {
        const wide = ratio(tile) * tall;
        const room = line.length === 1 && height ? Math.max(wide, look.least) : wide;
        pieces.push({ tile, at: flat.length, left: across, top: down, width: wide, room, height: tall });
        flat.push({ tile, card: entry.card, block: blocks.length });
        across += wide + CLOSE;
      }
      down += tall + look.facts + 8;
    }
    down -= 8;
    block.width = height ? spanEntry(entry, height, look) : look.width;
    block.wordsTop = down;
    block.height = down + words;
    return block;
  }

  function lines(tiles, look) {
    const found = [[]];
    for (const tile of tiles) {
      const line = found[found.length - 1];
      if (line.length && span([...line, tile], look.aim * 0.9) > look.width) found.push([tile]);
      else line.push(tile);
    }
    return found;
  }

  // ── the feed: only what is near the window is in the document ───────────────────────────

  const painted = new Map();
  const FEW = 300; // so few that all may stay: the browser's own search then finds everything

  function paint(everything = blocks.length <= FEW) {
    const feed = $("feed");
    const start = feed.getBoundingClientRect().top;
    const margin = innerHeight;
    const from = everything ? -Infinity : -start - margin;
    const to = everything ? Infinity : -start + innerHeight + margin;
    let first = 0;
    let last = blocks.length;
    while (first < last) {
      const middle = (first + last) >> 1;
      if (blocks[middle].top + blocks[middle].height + 400 < from) first = middle + 1;
      else last = middle;
    }
    let end = first;
    while (end < blocks.length && blocks[end].top <= to) end++;
    for (const [number, element] of painted) {
      const near = number >= first && number < end;
      if (!near && !element.contains(document.activeElement)) {
        element.remove();
        painted.delete(number);
      }
    }
    for (let number = first, before = null; number < end; number++) {
      let element = painted.get(number);
      if (!element) {
        element = draw(blocks[number], number);
        painted.set(number, element);
        if (before) before.after(element);
        else feed.prepend(element);
      }
      before = element;
    }
  }

  function put(element, spot) {
    for (const side of ["left", "top", "width", "height"]) {
      if (spot[side] !== undefined) element.style[side] = `${spot[side].toFixed(2)}px`;
    }
    return element;
  }

  function draw(block, number) {
    const { card } = block;
    const title = `entry-${number}`;
    const facts = { class: "entry", "aria-labelledby": title, "aria-posinset": number + 1, "aria-setsize": blocks.length, tabindex: "-1" };
    return put(
      make("article", facts, ...block.pieces.map((piece) => drawPiece(card, piece)), drawWords(block, title)),
      block,
    );
  }

  const named = (card, tile) =>
    card.tiles.length > 1 ? `${card.id}, image ${tile.index} of ${card.tiles.length}` : card.id;
  const clip = (text, most) => (text.length > most ? `${text.slice(0, most)}…` : text);

  function drawPiece(card, piece) {
    const { tile } = piece;
    const source = shownAs(tile);
    const inner = source ? drawPicture(card, piece, source) : drawGap(card, piece);
    const size = tile.absent || !tile.link ? card.size : `${tile.width} × ${tile.height}`;
    const about = [size, tile.cost].filter(Boolean).join(" · ");
    const facts = make(
      "div",
      { class: "facts" },
      make("p", { title: about }, about),
      tile.task
        ? make("p", { class: "task" }, make("code", { title: tile.task }, tile.task), copyButton(tile.task, `task id of ${named(card, tile)}`))
        : null,
    );
    put(inner, { width: piece.width, height: piece.height });
    return put(make("div", { class: "piece" }, inner, facts), { left: piece.left, top: piece.top, width: piece.room });
  }

  function drawPicture(card, piece, source) {
    const { tile } = piece;
    const image = make("img", {
      src: source,
      width: tile.width,
      height: tile.height,
      loading: "lazy",
      decoding: "async",
      alt: `${named(card, tile)}: ${clip(card.prompt, 160)}`,
    });
    const warning = tile.warning
      ? make("span", { class: "warn", title: tile.warning }, icon("i-warn"), make("span", { class: "unseen" }, `Warning: ${tile.warning}`))
      : null;
    return make(
      "button",
      { class: "tile", type: "button", "data-at": piece.at, "aria-haspopup": "dialog", onclick: () => open(piece.at) },
      image,
      warning,
    );
  }

  function drawGap(card, piece) {
    const { tile } = piece;
    return make(
      "div",
      { class: `gap s-${tile.status}` },
      make(
        "button",
        { class: "tile open", type: "button", "data-at": piece.at, "aria-haspopup": "dialog", onclick: () => open(piece.at) },
        make("span", { class: `status s-${tile.status}` }, tile.status),
        make("span", { class: "unseen" }, `: ${named(card, tile)}. `),
        make("span", { class: "reason", dir: "auto" }, tile.error || tile.absent || ""),
      ),
      tile.command && tile.status !== "pending" ? drawCommand(tile.command) : null,
    );
  }

  const drawCommand = (command) =>
    make("div", { class: "command" }, make("code", { title: command, tabindex: "0" }, command), copyButton(command, "the command"));

  function drawWords(block, title) {
    const { card } = block;
    const extras = card.tags || card.originals ? drawExtras(block) : null;
    const words = make(
      "div",
      { class: "words" },
      make("div", { class: "line" }, make("h2", { class: "id", id: title, title: card.id }, card.id), copyButton(card.id, `id ${clip(card.id, 60)}`)),
      make("div", { class: "line" }, make("p", { class: "prompt", dir: "auto" }, clip(card.prompt, 400)), copyButton(card.prompt, `prompt of ${clip(card.id, 60)}`)),
      extras,
    );
    return put(words, { top: block.wordsTop, width: block.width });
  }

  function drawExtras(block) {
    const { card, pieces } = block;
    const originals = card.originals ?? [];
    const tags = card.tags ?? [];
    const shown = originals.slice(0, 4).map((one, number) =>
      one.link
        ? make(
            "button",
            { class: "original", type: "button", title: one.name, "aria-label": `Compare with the reference ${one.name}`, onclick: () => open(pieces[0].at, number) },
            make("img", { src: one.thumb ?? one.link, alt: "", loading: "lazy", decoding: "async", width: "28", height: "28" }),
          )
        : make("span", { class: "remote", title: one.name }, one.name),
    );
    const names = originals.map((one) => one.name).join("\n");
    return make(
      "div",
      { class: "extras" },
      ...tags.slice(0, 3).map((tag) => make("button", { class: "tag", type: "button", "data-tag": tag, title: `Only ${tag}` }, clip(tag, 40))),
      tags.length > 3 ? make("span", { class: "more", title: tags.join(", ") }, `+${tags.length - 3}`) : null,
      ...shown,
      originals.length > 4 ? make("span", { class: "more" }, `+${originals.length - 4}`) : null,
      originals.length ? copyButton(names, `references of ${clip(card.id, 60)}`) : null,
    );
  }

  // ── staying where the reader was ────────────────────────────────────────────────────────

  const feedTop = () => $("feed").getBoundingClientRect().top + scrollY;

  function spot() {
    const line = scrollY - feedTop();
    const block = blocks.find((one) => one.top + one.height > line);
    return line < 0 || !block ? { y: scrollY } : { id: block.card.id, off: line - block.top };
  }

  function goTo(where) {
    const block = where.id === undefined ? null : blocks.find((one) => one.card.id === where.id);
    scrollTo({ top: block ? feedTop() + block.top + where.off : (where.y ?? scrollY), behavior: "instant" });
  }

  function again(where) {
    const held = document.activeElement?.dataset?.at;
    painted.forEach((element) => element.remove());
    painted.clear();
    choose();
    arrange();
    if (where) goTo(where);
    paint();
    if (held !== undefined) document.querySelector(`[data-at="${held}"]`)?.focus({ preventScroll: true });
  }

  function changed() {
    const start = feedTop() - $("tools").offsetHeight - 16;
    again();
    if (scrollY > start) scrollTo({ top: start, behavior: "instant" });
    paint();
    save();
  }

  function focusTile(at) {
    if (at < 0 || at >= flat.length) return;
    const block = blocks[flat[at].block];
    const top = feedTop() + block.top - $("tools").offsetHeight - 24;
    if (scrollY > top || scrollY + innerHeight < top + Math.min(block.height, innerHeight * 0.7)) {
      scrollTo({ top, behavior: "instant" });
    }
    paint();
    document.querySelector(`[data-at="${at}"]`)?.focus({ preventScroll: true });
  }

  function save() {
    memory.write("sessionStorage", HERE, {
      ...wish,
      statuses: [...wish.statuses],
      spot: spot(),
      searching: document.activeElement === $("search"),
      held: document.activeElement?.dataset?.at,
      paused,
    });
  }

  // ── filters ─────────────────────────────────────────────────────────────────────────────

  function show(saved) {
    const has = (select, value) => select && [...select.options].some((one) => one.value === value);
    wish.words = String(saved.words ?? "");
    wish.statuses = new Set((saved.statuses ?? []).filter((one) => document.querySelector(`.chip[data-status="${CSS.escape(one)}"]`)));
    wish.tag = has($("tag"), saved.tag) ? saved.tag : "";
    wish.size = has($("size"), saved.size) ? saved.size : "";
    $("search").value = wish.words;
    if ($("tag")) $("tag").value = wish.tag;
    if ($("size")) $("size").value = wish.size;
    for (const chip of document.querySelectorAll(".chip")) {
      chip.setAttribute("aria-pressed", wish.statuses.has(chip.dataset.status));
    }
  }

  function listenToFilters() {
    $("search").addEventListener("input", () => {
      wish.words = $("search").value;
      typed = Date.now();
      changed();
    });
    for (const name of ["tag", "size"]) {
      $(name)?.addEventListener("change", () => {
        wish[name] = $(name).value;
        changed();
      });
    }
    for (const chip of document.querySelectorAll(".chip")) {
      chip.addEventListener("click", () => {
        const { status } = chip.dataset;
        if (!wish.statuses.delete(status)) wish.statuses.add(status);
        chip.setAttribute("aria-pressed", wish.statuses.has(status));
        changed();
      });
    }
    $("clear").addEventListener("click", () => {
      show({});
      changed();
      $("search").focus();
    });
    document.addEventListener("click", (event) => {
      const button = event.target.closest?.("[data-copy], [data-tag]");
      if (button?.dataset.copy !== undefined) copy(button);
      else if (button) {
        show({ ...wish, statuses: [...wish.statuses], tag: button.dataset.tag });
        if (view.open) view.close();
        changed();
      }
    });
  }

  // ── the large view ──────────────────────────────────────────────────────────────────────

  let view;
  let at = 0;
  let compared = -1;

  function open(number, original = -1) {
    at = number;
    compared = original;
    if (!view.open) view.showModal();
    fill();
  }

  function turn(step) {
    const next = Math.min(Math.max(at + step, 0), flat.length - 1);
    if (next !== at) open(next);
  }

  function fill() {
    const { tile, card } = flat[at];
    const source = tile.absent ? "" : tile.link;
    $("view-title").textContent = card.id;
    $("place").textContent = `${at + 1} of ${flat.length}${card.tiles.length > 1 ? ` · image ${tile.index} of ${card.tiles.length}` : ""}`;
    $("frame").hidden = !source;
    $("gap").hidden = Boolean(source);
    $("gap").className = `gap large s-${tile.status}`;
    $("gap").replaceChildren(...explain(tile));
    if (source) {
      $("frame").style.setProperty("--ratio", tile.width / tile.height);
      $("after").alt = `${named(card, tile)}: ${clip(card.prompt, 160)}`;
      if ($("after").getAttribute("src") !== source) $("after").src = source;
    } else {
      $("after").removeAttribute("src");
    }
    // Not `disabled`: that would take the keyboard away from whoever just pressed it.
    $("previous").setAttribute("aria-disabled", at === 0);
    $("next").setAttribute("aria-disabled", at === flat.length - 1);
    compare(source ? compared : -1);
    for (const near of [flat[at + 1], flat[at - 1]]) {
      if (near?.tile.link && !near.tile.absent) new Image().src = near.tile.link;
    }
  }

  const explain = (tile) => [
    make("span", { class: `status s-${tile.status}` }, tile.status),
    make("p", { class: "reason", dir: "auto" }, tile.error || tile.absent || "This picture cannot be shown: its file is missing or damaged."),
  ];

  function compare(number) {
    const { card, tile } = flat[at];
    const original = card.originals?.[number];
    compared = original?.link ? number : -1;
    const both = compared >= 0;
    $("frame").classList.toggle("both", both);
    $("before").hidden = $("cut").hidden = !both;
    if (both) {
      $("before").src = original.link;
      $("before").alt = `Reference: ${original.name}`;
    } else {
      $("before").removeAttribute("src");
    }
    slide(50);
    $("details").replaceChildren(...details(card, tile));
  }

  function slide(percent) {
    $("cut").value = percent;
    $("frame").style.setProperty("--cut", `${percent}%`);
  }

  const section = (title, ...children) => make("section", {}, make("h3", {}, title), ...children);

  function details(card, tile) {
    const parts = [];
    if (tile.warning) parts.push(make("p", { class: "warning" }, icon("i-warn"), tile.warning));
    if (tile.absent || tile.error) {
      const why = make("div", { class: "why" }, ...explain(tile));
      if (tile.error && tile.absent) why.append(make("p", {}, tile.absent));
      if (tile.kind) why.append(make("p", {}, make("code", {}, tile.kind)));
      if (tile.command) why.append(drawCommand(tile.command));
      parts.push(why);
    }
    const prompt = section("Prompt", make("div", { class: "line" }, make("p", { class: "whole", dir: "auto" }, card.prompt), copyButton(card.prompt, "the prompt")));
    parts.push(prompt);
    if (card.originals) parts.push(section("References", make("ul", { class: "originals" }, ...card.originals.map((one, number) => drawOriginal(one, number, tile)))));
    parts.push(section("Facts", drawFacts(card, tile)));
    if (card.tags) parts.push(section("Tags", make("div", { class: "extras" }, ...card.tags.map((tag) => make("button", { class: "tag", type: "button", "data-tag": tag }, tag)))));
    return parts;
  }

  function drawOriginal(one, number, tile) {
    const picture = one.link ? make("img", { src: one.thumb ?? one.link, alt: "", width: "44", height: "44", decoding: "async" }) : null;
    const name = make("span", { class: "name", dir: "auto" }, one.name);
    const action =
      one.link && tile.link && !tile.absent
        ? make("button", { class: "switch", type: "button", "aria-pressed": String(number === compared), "data-compare": number, onclick: () => toggle(number) }, icon("i-compare"), "Compare")
        : null;
    return make("li", {}, picture, name, copyButton(one.name, "the reference"), action);
  }

  function toggle(number) {
    compare(number === compared ? -1 : number);
    document.querySelector(`[data-compare="${number}"]`)?.focus();
  }

  function drawFacts(card, tile) {
    const list = make("dl", { class: "list" });
    const add = (name, value, copied = false, href = "") => {
      if (!value) return;
      const text = href ? make("a", { href, target: "_blank", rel: "noopener" }, value) : make("span", {}, value);
      list.append(make("dt", {}, name), make("dd", {}, text, copied ? copyButton(value, name.toLowerCase()) : null));
    };
    add("Status", tile.status);
    add("Asked for", card.size);
    if (tile.file) add("Delivered", `${tile.width} × ${tile.height}`);
    add("Cost", tile.cost);
    add("Task id", tile.task, true);
    add("Model", card.model);
    add("File", tile.file, true, tile.link);
    if (tile.bytes) add("File size", `${Math.max(1, Math.round(tile.bytes / 1024)).toLocaleString("en")} KB`);
    if (tile.finished) add("Finished", `${new Date(tile.finished * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`);
    if (tile.seconds) add("Took", `${tile.seconds} s`);
    if (tile.attempt > 1) add("Attempt", String(tile.attempt));
    add("Fingerprint", tile.fingerprint, true);
    return list;
  }

  function listenToView() {
    view = $("view");
    $("close").addEventListener("click", () => view.close());
    $("previous").addEventListener("click", () => turn(-1));
    $("next").addEventListener("click", () => turn(1));
    $("cut").addEventListener("input", () => slide($("cut").value));
    $("after").addEventListener("error", () => {
      $("frame").hidden = true;
      $("gap").hidden = false;
    });
    view.addEventListener("close", () => focusTile(at));
    view.addEventListener("click", (event) => event.target === view && view.close());
    view.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const step = { ArrowLeft: -1, ArrowRight: 1, Home: -flat.length, End: flat.length }[event.key];
      if (step && event.target !== $("cut")) {
        event.preventDefault();
        turn(step);
      } else if (event.key === "c") {
        const { card } = flat[at];
        compare(compared >= 0 ? -1 : (card.originals ?? []).findIndex((one) => one.link));
      }
    });
    let from = null;
    $("stage").addEventListener("touchstart", (event) => {
      from = event.touches.length === 1 && event.target !== $("cut") ? event.touches[0].clientX : null;
    }, { passive: true });
    $("stage").addEventListener("touchend", (event) => {
      const way = from === null ? 0 : event.changedTouches[0].clientX - from;
      if (Math.abs(way) > 50) turn(way < 0 ? 1 : -1);
    });
  }

  // ── the page's own switches, and looking for a newer page ───────────────────────────────

  let paused = false;
  let typed = 0;

  function listenToPage() {
    const theme = $("theme");
    theme.hidden = false;
    theme.setAttribute("aria-pressed", isDark());
    theme.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      theme.setAttribute("aria-pressed", isDark());
      memory.write("localStorage", "banana-batch theme", root.dataset.theme);
    });
    darkSystem.addEventListener("change", () => theme.setAttribute("aria-pressed", isDark()));
    let due = false;
    const later = () => {
      if (due) return;
      due = true;
      requestAnimationFrame(() => {
        due = false;
        paint();
      });
    };
    addEventListener("scroll", later, { passive: true });
    let width = 0;
    new ResizeObserver(() => {
      if (width && width !== $("feed").clientWidth) again(spot());
      width = $("feed").clientWidth;
      // What is scrolled to, by Tab or by link, must not end up under the tools.
      root.style.scrollPaddingTop = `${$("tools").offsetHeight + 16}px`;
      paint();
    }).observe($("feed"));
    addEventListener("beforeprint", () => paint(true));
    addEventListener("pagehide", save);
    document.addEventListener("keydown", (event) => {
      if (view.open || event.ctrlKey || event.metaKey || event.altKey) return;
      const held = event.target.dataset?.at;
      if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) {
        event.preventDefault();
        $("search").focus();
      } else if (held !== undefined && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
        event.preventDefault();
        focusTile(Number(held) + (event.key === "ArrowRight" ? 1 : -1));
      }
    });
  }

  function keepUp(seconds) {
    const live = $("live");
    live.hidden = false;
    const tell = () => {
      live.setAttribute("aria-pressed", !paused);
      live.lastElementChild.textContent = paused ? "Paused" : "Live";
      live.title = paused ? "Reload when the run goes on" : "Stop reloading";
    };
    live.addEventListener("click", () => {
      paused = !paused;
      tell();
      save();
    });
    tell();
    let down = false;
    addEventListener("pointerdown", () => (down = true));
    addEventListener("pointerup", () => (down = false));
    // Whoever looks closely, selects, types or went away is not disturbed.
    const busy = () =>
      paused || down || view.open || document.hidden || Date.now() - typed < 4000 || !getSelection().isCollapsed;
    setInterval(() => {
      if (busy()) return;
      save();
      location.reload();
    }, seconds * 1000);
  }

  function start() {
    cards = JSON.parse($("data").textContent);
    $("data").remove();
    for (const card of cards) total += card.tiles.length;
    const saved = memory.read("sessionStorage", HERE) ?? {};
    paused = saved.paused === true;
    listenToView();
    $("tools").hidden = !cards.length;
    show(saved);
    listenToFilters();
    history.scrollRestoration = "manual";
    again(saved.spot);
    listenToPage();
    if (saved.searching) $("search").focus({ preventScroll: true });
    else if (saved.held !== undefined) document.querySelector(`[data-at="${saved.held}"]`)?.focus({ preventScroll: true });
    const seconds = Number(document.body.dataset.reload);
    if (seconds) keepUp(seconds);
    root.dataset.ready = "";
  }

  document.addEventListener("DOMContentLoaded", start);
})();
