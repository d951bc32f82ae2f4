/**
 * The page's title: one value, written as it is typed; of two written at once everybody shows the same.
 */

import { readTitle, type Page } from "../page.js";
import { byId, setValue } from "./dom.js";
import { report } from "./toast.js";

/** Connects the title field, and tells `named` of every title. */
export function mountTitle(page: Page, named: (title: string) => void): void {
  const field = byId<HTMLTextAreaElement>("title");
  const { signal, doc } = page;
  let composing = false;
  const commit = (): void => {
    if (composing) return;
    const title = field.value.replace(/\s*\n\s*/gu, " ");
    if (title !== field.value) setValue(field, title);
    if (title === readTitle(doc.value)) return;
    try {
      doc.change((data) => {
        data.title = title;
      });
    } catch (error) {
      report(error);
    }
  };
  const show = (): void => {
    const title = readTitle(doc.value);
    if (!composing) setValue(field, title);
    named(title);
  };
  field.value = "";
  field.addEventListener("compositionstart", () => (composing = true), { signal });
  field.addEventListener("compositionend", () => {
    composing = false;
    commit();
  }, { signal });
  field.addEventListener("input", commit, { signal });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    byId("text").focus();
  }, { signal });
  signal.addEventListener("abort", doc.subscribe((data) => data.title, show));
}
