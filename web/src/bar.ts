// The bar under the circuit: buttons of the walk, and the sentence of the step.

import { button, clear, h } from "./dom";
import { icon } from "./icons";
import type { Icon } from "./icons";
import { sentences, t } from "./words";
import type { Word } from "./words";

export interface Walk {
  first(): void;
  back(): void;
  play(): void;
  next(): void;
  last(): void;
}

export class Bar {
  readonly element = h("div", { class: "bar" });
  private buttons = h("div", { class: "buttons", role: "group" });
  private count = h("span", { class: "count" });
  private text = h("p", { class: "sentence", "aria-live": "polite", "aria-atomic": "true" });

  constructor(private walk: Walk) {
    this.element.append(this.buttons, this.count, this.text);
  }

  update(at: number, all: number, text: string, kind: string, playing: boolean): void {
    const focused = this.buttons.contains(document.activeElement)
      ? [...this.buttons.children].indexOf(document.activeElement!) : -1;
    const one = (word: Word & Icon, off: boolean, act: () => void) =>
      button(icon(word), { "aria-label": t(word), title: t(word), "aria-disabled": off && "true" }, act);
    this.buttons.setAttribute("aria-label", t("steps"));
    clear(this.buttons,
      one("first", at === 0, () => this.walk.first()),
      one("back", at === 0, () => this.walk.back()),
      one(playing ? "pause" : "play", false, () => this.walk.play()),
      one("next", false, () => this.walk.next()),
      one("last", at === all, () => this.walk.last()));
    (this.buttons.children[focused] as HTMLElement | undefined)?.focus();
    this.count.textContent = `${at} / ${all}`;
    this.count.setAttribute("aria-label", sentences.stepOf(at, all));
    this.text.className = `sentence ${kind}`;
    if (this.text.textContent !== text) this.text.textContent = text;
  }
}
