// The page says everything without this script. It adds filters, which it keeps in the URL, and opens what a link leads to.
"use strict";
(() => {
  const form = document.getElementById("filters");
  const section = document.getElementById("all-laws");
  const notes = [...document.querySelectorAll("details.note")];
  const names = ["state", "backend", "note", "text"];
  const unexpected = form.dataset.unexpected.split("|");
  const folded = form.dataset.folded.split("|");
  const backends = form.elements.backend.options.length - 1;
  const openedHere = new Set();

  const laws = notes.flatMap((note) => [...note.querySelectorAll("table.laws > tbody")].map((body) => ({
    note,
    body,
    states: [...body.rows[0].cells].slice(1, backends + 1).map((cell) => cell.firstElementChild.textContent),
    text: [...body.rows].map((row) => row.cells[0].textContent).join(" ").toLowerCase(),
  })));

  function apply() {
    const [state, , note, text] = names.map((name) => form.elements[name].value);
    const wanted = state === "unexpected" ? unexpected : [state];
    const column = form.elements.backend.selectedIndex - 1; // -1 for any
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const filtering = names.some((name) => form.elements[name].value !== "");
    const shown = new Map(notes.map((each) => [each, 0]));
    for (const law of laws) {
      const states = column < 0 ? law.states : [law.states[column]];
      const fits = (note === "" || law.note.dataset.note === note)
        && (state === "" || states.some((each) => wanted.includes(each)))
        && words.every((word) => law.text.includes(word));
      law.body.hidden = !fits;
      shown.set(law.note, shown.get(law.note) + fits);
    }
    for (const [each, count] of shown) {
      each.hidden = count === 0;
      if (filtering && count > 0 && !each.open) openedHere.add(each);
      if (filtering) each.open = each.open || count > 0;
      else if (openedHere.delete(each)) each.open = false;
    }
    section.toggleAttribute("data-all", filtering); // a law that is counted has to be seen
    section.toggleAttribute("data-none", wanted.some((each) => folded.includes(each)));
    if (column < 0) delete section.dataset.only;
    else section.dataset.only = column + 1;
    const total = [...shown.values()].reduce((sum, count) => sum + count, 0);
    form.querySelector("output").textContent = `${total.toLocaleString("en")} of ${laws.length.toLocaleString("en")} laws`;
  }

  function save() {
    const query = new URLSearchParams();
    for (const name of names) if (form.elements[name].value) query.set(name, form.elements[name].value);
    history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}${location.hash}`);
  }

  function load() {
    const query = new URLSearchParams(location.search);
    for (const name of names) {
      const field = form.elements[name];
      field.value = query.get(name) ?? "";
      if (field.selectedIndex === -1) field.value = ""; // a value that this report does not have
    }
    apply();
  }

  function reveal() {
    let id = location.hash.slice(1);
    try { id = decodeURIComponent(id); } catch { return; }
    const target = id && document.getElementById(id);
    if (!target) return;
    if (target.closest("[hidden]")) { form.reset(); apply(); save(); }
    for (let each = target.closest("details"); each; each = each.parentElement.closest("details")) each.open = true;
    target.scrollIntoView();
  }

  form.addEventListener("input", () => { apply(); save(); });
  form.addEventListener("reset", () => setTimeout(() => { apply(); save(); }));
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", reveal);
  addEventListener("popstate", load);
  form.hidden = false;
  load();
  reveal();
})();
