// What a browser can do better than a reload: keep what is being typed, send it once when the connection is back,
// search while typing, and follow what others do. Every page works without any of it.
"use strict";

const RETRY_MS = 5000;
const POLL_MS = 30000;
const TYPING_MS = 200;
const said = document.body.dataset;

// The server writes dates in this zone from the next page on.
if (document.documentElement.dataset.zone === "unknown") {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  document.cookie = `efi_zone=${zone};path=/;max-age=31536000;samesite=lax`;
}

async function fetched(address, options) {
  const answer = await fetch(address, {headers: {accept: "text/html"}, ...options});
  return {answer, page: new DOMParser().parseFromString(await answer.text(), "text/html")};
}

function tell(form, text, action, label) {
  let line = form.querySelector(".told");
  if (!line) {
    line = document.createElement("p");
    line.className = "notice told";
    line.setAttribute("role", "status");
    form.prepend(line);
  }
  line.textContent = text + " ";
  if (action) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", action);
    line.append(button);
  }
}

// Drafts: each form under a name of its own, for this person. The key by which it takes effect once is kept with it,
// so that a form whose answer got lost is not taken twice.

function typed(form, submitter) {
  return [...new FormData(form, submitter)].filter(([, value]) => typeof value === "string");
}

function store(form, place) {
  const entries = typed(form).filter(([name]) => name !== "csrf_token" && name !== "revision");
  try {
    localStorage.setItem(place, JSON.stringify(entries));
  } catch {
    // Full or forbidden: the form itself still works.
  }
}

function restore(form, place) {
  const kept = localStorage.getItem(place);
  if (!kept) return;
  const left = new Map();
  for (const [name, value] of JSON.parse(kept)) left.set(name, [...(left.get(name) ?? []), value]);
  for (const field of form.elements) {
    // With what was typed comes back what it was typed over.
    if (!field.name || (field.type === "hidden" && !/^(once|was_.*)$/.test(field.name))) continue;
    if (field.type === "checkbox" || field.type === "radio") {
      field.checked = (left.get(field.name) ?? []).includes(field.value);
    } else if (left.get(field.name)?.length) {
      field.value = left.get(field.name).shift();
    }
    if (field.type !== "hidden" && field.value && field.value !== field.defaultValue) field.closest("details")?.setAttribute("open", "");
  }
  for (const field of form.querySelectorAll("[data-pick]")) {
    field.dataset.chosen = (left.get(field.dataset.name) ?? []).join(" ");
  }
  tell(form, said.restored, () => { localStorage.removeItem(place); location.reload(); }, said.discard);
}

async function send(form, place, submitter) {
  const files = form.enctype === "multipart/form-data";
  const body = files ? new FormData(form, submitter) : new URLSearchParams(typed(form, submitter));
  const buttons = [...form.querySelectorAll("button")];
  buttons.forEach((button) => { button.disabled = true; });
  try {
    const {answer, page} = await fetched(form.action, {method: "POST", body});
    if (answer.redirected) {
      localStorage.removeItem(place);
      location.assign(answer.url);
      return;
    }
    if (answer.ok) localStorage.removeItem(place);
    document.querySelector("main").replaceWith(page.querySelector("main"));
    document.title = page.title;
    start();
    document.querySelector("[role=alert]")?.focus();
    scrollTo(0, 0);
  } catch {
    tell(form, said.offline);
    let waiting = true;
    const again = () => { if (waiting) { waiting = false; send(form, place, submitter); } };
    addEventListener("online", again, {once: true});
    setTimeout(again, RETRY_MS);
  }
}

function keep(form) {
  const place = `efi:${said.user}:${form.dataset.draft}`;
  // A form that was refused shows what was sent, and has a new key.
  if (document.querySelector("main [role=alert]")) store(form, place);
  else restore(form, place);
  form.addEventListener("input", () => store(form, place));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    store(form, place);
    send(form, place, event.submitter);
  });
}

// Sent from the page that follows a new sign-in: the draft of the same key has done its duty.
function forget(form) {
  form.addEventListener("submit", () => {
    const key = new FormData(form).get("once");
    for (const place of Object.keys(localStorage)) {
      if (key && localStorage.getItem(place).includes(`["once","${key}"]`)) localStorage.removeItem(place);
    }
  });
}

// Search while typing; the address follows, so that going back leads back to what was found. What was asked last counts.
function whileTyping(field, address, show) {
  let timer, latest = 0;
  const look = async () => {
    const turn = ++latest;
    const asked = address();
    const {answer, page} = await fetched(asked);
    if (turn === latest && answer.ok) show(page, asked);
  };
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => look().catch(() => {}), TYPING_MS);
  });
  return look;
}

function search(form) {
  const results = document.getElementById(form.dataset.results);
  whileTyping(form, () => `${form.action}?${new URLSearchParams(new FormData(form))}`, (page, asked) => {
    const found = page.getElementById(form.dataset.results);
    if (!found) return;
    results.replaceChildren(...found.childNodes);
    history.replaceState(null, "", asked);
  });
}

// Choosing one of many: what is found stands below the field, after what is chosen already.
function pick(field) {
  const {name} = field.dataset;
  const found = document.getElementById(`${name}-found`);
  const restored = (field.dataset.chosen ?? "").split(" ").filter(Boolean);
  const look = whileTyping(field, () => {
    const asked = new URL(field.dataset.pick, location.href);
    const chosen = [...found.querySelectorAll(":checked")].map((one) => one.value);
    for (const one of new Set([...chosen, ...restored.splice(0)])) if (one) asked.searchParams.append("chosen", one);
    asked.searchParams.append("name", name);
    asked.searchParams.append("q", field.value);
    return asked;
  }, (page) => found.replaceChildren(...page.getElementById(found.id)?.childNodes ?? []));
  field.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  field.form.querySelector(`button[value="find-${name}"]`)?.remove();
  if (restored.length || field.value) look().catch(() => {});
}

// Live parts: the server says that something changed, and the parts of the page that show it are fetched anew. A part
// in which somebody is writing stays.
function untouched(part) {
  return !part.contains(document.activeElement) && ![...part.querySelectorAll("input,textarea")].some((field) =>
    field.type !== "hidden" && (field.value !== field.defaultValue || field.checked !== field.defaultChecked));
}

async function refresh() {
  const {answer, page} = await fetched(location.href);
  if (!answer.ok || answer.redirected) return;
  for (const part of document.querySelectorAll("[data-part]")) {
    const fresh = page.querySelector(`[data-part="${part.dataset.part}"]`);
    if (!fresh || !untouched(part)) continue;
    part.replaceWith(fresh);
    fresh.querySelectorAll("[data-pick]").forEach(pick);
  }
}

let source = null;

function follow(main) {
  const poll = () => setInterval(() => refresh().catch(() => {}), POLL_MS);
  if (!window.EventSource) { poll(); return; }
  source?.close();
  source = new EventSource(main.dataset.live);
  source.addEventListener("changed", () => refresh().catch(() => {}));
  source.addEventListener("error", ({target}) => { if (target.readyState === EventSource.CLOSED) poll(); });
}

// A page that waits in the browser's history must not hold a connection.
addEventListener("pagehide", () => source?.close());
addEventListener("pageshow", ({persisted}) => { if (persisted && source) location.reload(); });

// A second tab keeps what is typed in this one; drafts do so without it.
function stay(form) {
  form.removeAttribute("target");
}

function start() {
  document.querySelectorAll("form[data-draft]").forEach(keep);
  document.querySelectorAll("form[data-kept]").forEach(forget);
  document.querySelectorAll("form[target]").forEach(stay);
  document.querySelectorAll("form[data-results]").forEach(search);
  document.querySelectorAll("[data-pick]").forEach(pick);
  document.querySelectorAll("main[data-live]").forEach(follow);
}

start();
