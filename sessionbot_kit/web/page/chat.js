// The chat page. Every row has an id, and stands where its id first stood: so a row that comes twice
// is shown once, and an edit lands where the message is. All words of people become text nodes.
"use strict";

const WORDS = {
  en: {
    attach: "Add files", canceled: "Remove", choices: "Answers to choose from", connecting: "Connecting…",
    conversation: "Conversation", copy: "Download this conversation", deleted: "This message was taken back",
    drop: "Drop files here", edited: "edited", empty: "Say something to begin.", failed: "could not be sent",
    files: "Files to send", leave: "End and begin anew", leaving: "End this conversation and begin a new one?",
    menu: "More", offline: "No connection. What you write is kept and sent later.", online: "Online",
    large: "is larger than 10 MB", reacted: "reacted", send: "Send", sending: "sending…", typing: "is writing…",
    write: "Write a message", you: "You", away: "Away", busy: "Busy",
  },
  fr: {
    attach: "Ajouter des fichiers", canceled: "Retirer", choices: "Réponses au choix", connecting: "Connexion…",
    conversation: "Conversation", copy: "Télécharger cette conversation", deleted: "Ce message a été retiré",
    drop: "Déposez les fichiers ici", edited: "modifié", empty: "Écrivez quelque chose pour commencer.",
    failed: "n’a pas pu être envoyé", files: "Fichiers à envoyer", leave: "Terminer et recommencer",
    leaving: "Terminer cette conversation et en commencer une nouvelle ?", menu: "Plus",
    offline: "Pas de connexion. Ce que vous écrivez est gardé et sera envoyé plus tard.", online: "En ligne",
    large: "dépasse 10 Mo", reacted: "a réagi", send: "Envoyer", sending: "envoi…", typing: "écrit…",
    write: "Écrivez un message", you: "Vous", away: "Absent", busy: "Occupé",
  },
};
const language = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => WORDS[tag]) || "en";
const words = WORDS[language];
const base = location.pathname.replace(/\/+$/, "");
const MAX_FILE_BYTES = 10_000_000;
const LONGEST_WAIT_MS = 15_000;
const KEY = `sessionbot${base}`;

const at = (id) => document.getElementById(id);
const element = (name, className, text) => {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

const rows = new Map(); // id: {row, item}
let pending = restore(); // said, and not seen on the page of the server yet
let tray = []; // files that go with the next message
let socket = null;
let cursor = 0;
let attempts = 0;
let session = "";
let botName = "";
let typingTimer = 0;

// ---- what was said and not taken yet, also across a reload

function restore() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) || [];
  } catch {
    return [];
  }
}

function keepPending() {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(pending));
  } catch { /* no room, or not allowed: it lives in this page alone */ }
}

// ---- the connection

async function connect() {
  setState("connecting");
  try {
    const answer = await fetch(`${base}/api/session`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ cookie: true }),
    });
    if (!answer.ok) throw new Error(answer.status);
    const begun = await answer.json();
    if (session && session !== begun.session_id) forget();
    session = begun.session_id;
  } catch {
    return later();
  }
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const mine = new WebSocket(`${scheme}//${location.host}${base}/ws`);
  socket = mine;
  mine.onopen = () => mine.send(JSON.stringify({ type: "hello", after: cursor }));
  mine.onmessage = (event) => take(JSON.parse(event.data));
  mine.onclose = () => {
    if (socket !== mine) return;
    socket = null;
    later();
  };
}

function later() {
  setState("offline");
  hideTyping();
  attempts += 1;
  const most = Math.min(LONGEST_WAIT_MS, 250 * 2 ** attempts);
  setTimeout(connect, most / 2 + (Math.random() * most) / 2);
}

function forget() {
  rows.forEach(({ item }) => item.remove());
  rows.clear();
  cursor = 0;
  showChoices([]);
}

function take(frame) {
  if (frame.type === "ready") {
    attempts = 0;
    nameBot(frame.bot);
    frame.messages.forEach(place);
    cursor = Math.max(cursor, frame.cursor);
    setState("online");
    pending.forEach(say);
    at("empty").hidden = rows.size > 0;
    showOpenQuestion();
    down(true);
  } else if (frame.type === "message") {
    const near = isNearEnd();
    place(frame);
    if (frame.n) cursor = Math.max(cursor, frame.n);
    if (frame.who === "bot") hideTyping();
    at("empty").hidden = true;
    if (frame.who === "user") showChoices([]);
    down(near || frame.who === "user");
  } else if (frame.type === "typing") {
    showTyping();
  } else if (frame.type === "suggestion") {
    showChoices(frame.choices);
  } else if (frame.type === "status") {
    setState(frame.state);
  } else if (frame.type === "error") {
    fail(frame);
  }
}

function fail(frame) {
  const message = pending.find((each) => each.id === frame.id);
  if (frame.again_s) {
    if (frame.code === "rate_limited") trouble(frame.detail);
    if (message) setTimeout(() => say(message), 1000 * frame.again_s);
  } else if (frame.id && !frame.code.startsWith("token") && frame.code !== "session_ended") {
    // It will never be taken: say so, and give the words back.
    pending = pending.filter((each) => each.id !== frame.id);
    keepPending();
    trouble(frame.detail);
    const known = rows.get(frame.id);
    if (known) known.item.remove();
    rows.delete(frame.id);
    if (message && !at("text").value) at("text").value = message.content;
    grow();
  }
}

function setState(state) {
  const shown = at("state");
  shown.dataset.state = state;
  shown.textContent = words[state] || state;
}

function nameBot(name) {
  botName = name;
  at("bot").textContent = name;
  at("face").textContent = [...name][0]?.toUpperCase() || "";
  document.title = name;
}

// ---- rows

function place(row) {
  const known = rows.get(row.id);
  if (known && row.n && known.row.n > row.n) return;
  const item = draw(row);
  if (known) known.item.replaceWith(item);
  else at("log").append(item);
  rows.set(row.id, { row, item });
  if (row.who === "user" && row.n) trouble("");
  if (row.who === "user" && row.n) {
    pending = pending.filter((each) => each.id !== row.id);
    keepPending();
    // What waits still comes after what was taken.
    pending.forEach((each) => rows.has(each.id) && at("log").append(rows.get(each.id).item));
  }
}

function draw(row) {
  const item = element("li", row.who === "user" ? "user" : "bot");
  item.dataset.id = row.id;
  item.append(element("span", "sr", `${row.who === "user" ? words.you : botName}:`));
  if (row.deleted) {
    item.classList.add("deleted");
    item.append(element("div", "bubble", words.deleted));
  } else {
    (row.media || []).forEach((file) => item.append(drawFile(file)));
    if (row.content) {
      const bubble = element("div", "bubble");
      fill(bubble, row.content);
      item.append(bubble);
    }
  }
  const chips = Object.entries(row.reactions || {});
  if (chips.length) {
    const list = element("div", "chips");
    chips.forEach(([emoji, who]) => {
      const chip = element("span", "", who.length > 1 ? `${emoji} ${who.length}` : emoji);
      chip.setAttribute("role", "img");
      chip.setAttribute("aria-label", `${botName} ${words.reacted}: ${emoji}`);
      list.append(chip);
    });
    item.append(list);
  }
  if (row.waiting) item.classList.add("waiting");
  const note = row.waiting ? words.sending : row.edited ? words.edited : "";
  if (note) item.append(element("span", "meta", note));
  if (row.is_complete === false) item.setAttribute("aria-busy", "true");
  if (row.at) item.title = new Date(row.at).toLocaleString(language);
  return item;
}

// Links are made of text; nothing is fetched until somebody follows one.
function fill(bubble, text) {
  let end = 0;
  for (const found of text.matchAll(/\bhttps?:\/\/[^\s<>"'`]+[^\s<>"'`.,;:!?)\]}]/g)) {
    bubble.append(text.slice(end, found.index));
    const link = element("a", "", found[0]);
    link.href = found[0];
    link.rel = "noopener noreferrer nofollow";
    link.target = "_blank";
    bubble.append(link);
    end = found.index + found[0].length;
  }
  bubble.append(text.slice(end));
}

function drawFile(file) {
  const bubble = element("div", "bubble media");
  const address = file.id ? `${base}/api/uploads/${encodeURIComponent(file.id)}` : file.url;
  const kind = file.id && /^(image\/(png|jpeg|gif|webp)|audio|video)/.exec(file.mime || "");
  if (kind) {
    const tag = kind[0].startsWith("image") ? "img" : kind[0];
    const shown = element(tag);
    shown.src = address;
    if (tag === "img") {
      shown.alt = file.caption || file.name;
      bubble.classList.add("picture");
    } else {
      shown.controls = true;
      shown.setAttribute("aria-label", file.caption || file.name);
    }
    shown.addEventListener("load", () => isNearEnd(400) && down(true));
    bubble.append(shown);
  } else {
    const safe = address && /^(\/|https:)/.test(address);
    const link = element(safe ? "a" : "span", "file", file.name);
    if (safe) {
      link.href = address;
      link.rel = "noopener noreferrer nofollow";
      if (file.id) link.download = file.name;
      else link.target = "_blank";
    }
    if (file.size !== undefined) link.append(element("small", "", size(file.size)));
    bubble.append(link);
  }
  if (file.caption) bubble.append(element("div", "meta", file.caption));
  return bubble;
}

function size(bytes) {
  const unit = bytes < 1_000_000 ? ["kilobyte", 1000] : ["megabyte", 1_000_000];
  return new Intl.NumberFormat(language, { style: "unit", unit: unit[0], maximumFractionDigits: 1 })
    .format(bytes / unit[1]);
}

// ---- saying

function speak(content) {
  const ready = tray.filter((each) => each.note);
  if (!content.trim() && !ready.length) return false;
  if (tray.some((each) => !each.note && !each.failed)) return false; // a file is still on its way
  const message = { id: newId(), content, files: ready.map((each) => each.note.id) };
  message.media = ready.map((each) => each.note);
  tray = [];
  drawTray();
  trouble("");
  pending.push(message);
  keepPending();
  showChoices([]);
  at("empty").hidden = true;
  say(message);
  down(true);
  return true;
}

function say(message) {
  if (!rows.has(message.id)) {
    place({ id: message.id, who: "user", content: message.content, media: message.media, waiting: true });
  }
  if (socket?.readyState !== WebSocket.OPEN || at("state").dataset.state === "connecting") return;
  if (!pending.includes(message)) return;
  const { id, content, files } = message;
  socket.send(JSON.stringify({ type: "message", id, content, files }));
}

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// ---- files

function addFiles(list) {
  for (const file of list) {
    if (file.size > MAX_FILE_BYTES) {
      trouble(`${file.name} ${words.large}`);
      continue;
    }
    const entry = { file, done: 0, note: null, failed: false };
    tray.push(entry);
    upload(entry);
  }
  drawTray();
}

function upload(entry) {
  // Not fetch: it does not tell how far it has come.
  const request = new XMLHttpRequest();
  entry.request = request;
  request.open("POST", `${base}/api/uploads?name=${encodeURIComponent(entry.file.name)}`);
  request.setRequestHeader("content-type", entry.file.type || "application/octet-stream");
  request.upload.onprogress = (event) => {
    entry.done = event.loaded / event.total;
    if (entry.bar) entry.bar.value = entry.done;
  };
  request.onloadend = () => {
    if (request.status === 201) entry.note = JSON.parse(request.responseText);
    else {
      entry.failed = true;
      tray = tray.filter((each) => each !== entry);
      if (!entry.canceled) trouble(`${entry.file.name} ${words.failed}`);
    }
    drawTray();
  };
  request.send(entry.file);
}

function drawTray() {
  at("tray").replaceChildren(...tray.map((entry) => {
    const item = element("li");
    item.append(element("span", "", entry.file.name));
    if (!entry.note) {
      entry.bar = element("progress");
      entry.bar.max = 1;
      entry.bar.value = entry.done;
      entry.bar.setAttribute("aria-label", entry.file.name);
      item.append(entry.bar);
    }
    const button = element("button", "", "×");
    button.type = "button";
    button.setAttribute("aria-label", `${words.canceled}: ${entry.file.name}`);
    button.onclick = () => {
      entry.canceled = true;
      if (!entry.note) entry.request.abort();
      tray = tray.filter((each) => each !== entry);
      drawTray();
    };
    item.append(button);
    return item;
  }));
  grow();
}

// ---- small things

function showTyping() {
  const near = isNearEnd();
  at("typing").hidden = false;
  clearTimeout(typingTimer);
  typingTimer = setTimeout(hideTyping, 6000);
  down(near);
}

function hideTyping() {
  clearTimeout(typingTimer);
  at("typing").hidden = true;
}

function showChoices(choices) {
  const near = isNearEnd();
  at("choices").hidden = !choices.length;
  at("choices").replaceChildren(...choices.map((choice) => {
    const button = element("button", "", String(choice));
    button.type = "button";
    button.onclick = () => {
      speak(String(choice));
      at("text").focus();
    };
    return button;
  }));
  down(near);
}

function showOpenQuestion() {
  const last = [...rows.values()].at(-1)?.row;
  showChoices(last?.who === "bot" && last.choices ? last.choices : []);
}

function isNearEnd(distance = 120) {
  const box = at("scroll");
  return box.scrollHeight - box.scrollTop - box.clientHeight < distance;
}

function down(wanted) {
  if (wanted) at("scroll").scrollTop = at("scroll").scrollHeight;
}

function trouble(text) {
  at("trouble").hidden = !text;
  at("trouble").textContent = text;
}

function grow() {
  const box = at("text");
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + 2}px`;
  const nothing = !box.value.trim() && !tray.some((each) => each.note);
  at("send").setAttribute("aria-disabled", String(nothing));
}

function begin() {
  document.documentElement.lang = language;
  document.querySelectorAll("[data-text]").forEach((each) => { each.textContent = words[each.dataset.text]; });
  document.querySelectorAll("[data-label]").forEach((each) => {
    each.setAttribute("aria-label", words[each.dataset.label]);
    if (each.matches("button, summary")) each.title = words[each.dataset.label];
  });
  at("text").placeholder = words.write;
  at("drop").dataset.hint = words.drop;
  at("copy").href = `${base}/api/export?format=txt`;
  at("form").onsubmit = (event) => {
    event.preventDefault();
    if (speak(at("text").value)) at("text").value = "";
    grow();
    at("text").focus();
  };
  at("text").oninput = grow;
  at("text").onkeydown = (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      at("form").requestSubmit();
    }
  };
  at("text").onpaste = (event) => {
    if (event.clipboardData.files.length) {
      event.preventDefault();
      addFiles(event.clipboardData.files);
    }
  };
  at("attach").onclick = () => at("files").click();
  at("files").onchange = () => {
    addFiles(at("files").files);
    at("files").value = "";
  };
  at("leave").onclick = async () => {
    at("menu").open = false;
    if (!confirm(words.leaving)) return;
    pending = [];
    keepPending();
    await fetch(`${base}/api/session`, { method: "DELETE" });
    socket?.close();
  };
  document.addEventListener("click", (event) => {
    if (!at("menu").contains(event.target)) at("menu").open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") at("menu").open = false;
  });
  const drop = at("drop");
  drop.ondragover = (event) => {
    event.preventDefault();
    drop.classList.add("over");
  };
  drop.ondragleave = (event) => {
    if (!drop.contains(event.relatedTarget)) drop.classList.remove("over");
  };
  drop.ondrop = (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    addFiles(event.dataTransfer.files);
  };
  addEventListener("online", () => { attempts = 0; });
  pending.forEach(say);
  grow();
  at("text").focus();
  connect();
}

begin();
