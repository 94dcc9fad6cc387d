"use strict";

const form = document.querySelector("form");
const { picture, shows, count } = form.elements;
const [message, status, answers] = ["message", "status", "answers"].map((id) => document.getElementById(id));
const SLOW = 250; // milliseconds of a search, after which the page says that it searches
let wanted = false; // whether the controls have changed since the last search began
let searching = false;

function refuse(reason) {
  const line = document.createElement("p");
  line.setAttribute("role", "alert");
  line.append("No search: " + reason);
  message.replaceChildren(line);
}

// Search for what the controls say. Of several changes during a search, only the last one is searched for.
async function search() {
  wanted = true;
  if (searching) return;
  searching = true;
  while (wanted) {
    wanted = false;
    await searchOnce();
  }
  searching = false;
}

async function searchOnce() {
  const [file] = picture.files;
  const example = form.querySelector("[name=example]:checked");
  if (!file && !example) return;
  const query = file ? { name: file.name } : { example: example.value };
  const settings = new URLSearchParams({ ...query, shows: shows.value, count: count.value });
  const slow = setTimeout(() => {
    status.textContent = "Searching …";
    status.classList.remove("unseen");
  }, SLOW);
  answers.setAttribute("aria-busy", "true");
  let summary = "";
  try {
    const { ok, text } = await answerOf(file, settings);
    message.replaceChildren();
    (ok ? answers : message).innerHTML = text; // the server escapes every name
    if (ok) summary = [...answers.querySelectorAll("h3")].map((heading) => heading.textContent).join(". ");
  } catch (error) {
    refuse(error.message);
  }
  clearTimeout(slow);
  answers.setAttribute("aria-busy", "false");
  status.classList.add("unseen");
  status.textContent = summary; // for screen readers
}

async function answerOf(file, settings) {
  const most = Number(form.dataset.mostBytes);
  if (file?.size > most) {
    throw Error(`${file.name} has ${Math.ceil(file.size / 1e6)} MB, expected at most ${most / 1e6} MB`);
  }
  try {
    await file?.slice(0, 1).arrayBuffer();
  } catch {
    throw Error(`${file.name} cannot be read: choose it again`);
  }
  try {
    const answer = await fetch(`answers?${settings}`, { method: "POST", body: file ?? "" });
    return { ok: answer.ok, text: await answer.text() };
  } catch {
    throw Error("the app does not answer. If it has ended, start it again with `qsmi app`, and reload this page.");
  }
}

function chosen() {
  if (!picture.files.length) return;
  for (const example of form.querySelectorAll("[name=example]")) example.checked = false;
  shows.value = "";
  search();
}

function take(files) {
  const first = new DataTransfer();
  first.items.add(files[0]);
  picture.files = first.files;
  chosen();
}

form.addEventListener("submit", (event) => event.preventDefault());
picture.addEventListener("change", chosen);
shows.addEventListener("change", search);
count.addEventListener("change", search);
count.addEventListener("input", () => (form.querySelector("output").value = count.value));
form.querySelector("fieldset").addEventListener("change", (event) => {
  picture.value = "";
  shows.value = event.target.dataset.shows;
  search();
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length) take(event.dataTransfer.files);
  else refuse("what was dropped is no file: save the picture first");
});
addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) take(event.clipboardData.files);
});

form.reset(); // a browser restores the controls of a page that is loaded again, but the answers are those of the start
