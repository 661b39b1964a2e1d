// The ways by which a picture comes: chooser, drop, paste. Each gives a File to `take`.

import { byId } from "./dom.js";

export function listen(take) {
  for (const id of ["file", "file-camera"]) {
    const input = byId(id);
    input.addEventListener("change", () => {
      if (input.files.length) take(input.files[0]);
      input.value = ""; // so that the same file may be chosen again
    });
  }
  byId("choose").addEventListener("click", () => byId("file").click());
  const page = document.documentElement;
  const files = (transfer) => Array.from(transfer?.files ?? []);
  page.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    page.classList.add("over");
  });
  page.addEventListener("dragleave", (event) => event.relatedTarget ?? page.classList.remove("over"));
  page.addEventListener("drop", (event) => {
    event.preventDefault(); // else the browser leaves the page for the file
    page.classList.remove("over");
    if (files(event.dataTransfer).length) take(files(event.dataTransfer)[0]);
  });
  page.addEventListener("paste", (event) => {
    const [pasted] = files(event.clipboardData);
    if (pasted) take(pasted);
  });
}
