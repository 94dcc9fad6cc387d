"use strict";

const form = document.querySelector("form");
const { picture, example, shows, count } = form.elements;
const [message, answers] = ["message", "answers"].map((id) => document.getElementById(id));
let latest = 0; // number of the newest query; answers to older ones are not shown

function refuse(reason) {
  const line = document.createElement("p");
  line.setAttribute("role", "alert");
  line.append("No search: " + reason);
  message.replaceChildren(line);
}

async function search() {
  const [file] = picture.files;
  if (!file && !example.value) return;
  const query = ++latest;
  const most = Number(form.dataset.mostBytes);
  if (file && file.size > most) {
    return refuse(`${file.name} has ${Math.ceil(file.size / 1e6)} MB, expected at most ${most / 1e6} MB`);
  }
  const asked = file ? { name: file.name } : { example: example.value };
  const settings = new URLSearchParams({ ...asked, shows: shows.value, count: count.value });
  answers.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(`answers?${settings}`, { method: "POST", body: file ?? "" });
    const text = await answer.text();
    if (query !== latest) return;
    message.replaceChildren();
    (answer.ok ? answers : message).innerHTML = text; // the server escapes every name
  } catch (error) {
    if (query === latest) refuse("the app does not answer, or the file cannot be read. Reload the page.");
  } finally {
    if (query === latest) answers.setAttribute("aria-busy", "false");
  }
}

picture.addEventListener("change", () => {
  if (!picture.files.length) return;
  example.value = shows.value = "";
  search();
});
example.addEventListener("change", () => {
  if (!example.value) return;
  picture.value = "";
  shows.value = example.selectedOptions[0].dataset.shows;
  search();
});
shows.addEventListener("change", search);
count.addEventListener("change", search);
count.addEventListener("input", () => (form.querySelector("output").value = count.value));

// A browser restores the controls of a page that is loaded again, but not a chosen file.
form.reset();
example.selectedIndex = 1;
example.dispatchEvent(new Event("change"));
