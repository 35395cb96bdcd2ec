// Numbers in the panel: a scalar, or the statistics, histogram, picture and elements of an array.

import { h, s } from "./dom";
import { drawPicture, safeImage } from "./draw";
import { count, exact, percent, short } from "./numbers";
import type { Num, Numbers } from "./snapshot";
import { t } from "./words";
import type { Word } from "./words";

export interface Where {
  wire?: string;
  gate?: string;
  input?: number;
  role: string;
}

export function number(n: Num, where: Where, kind: string): HTMLElement {
  return h("span", {
    class: "number", title: exact(n), "data-value": exact(n), "data-role": where.role,
    "data-kind": kind, "data-wire": where.wire, "data-gate": where.gate,
    "data-input": where.input,
  }, short(n));
}

/** One number that stands for all: the scalar, or the norm. */
export function brief(numbers: Numbers, where: Where): HTMLElement {
  if (numbers.scalar !== undefined) return number(numbers.scalar, where, "scalar");
  const norm = number(numbers.norm ?? "nan", where, "norm");
  return h("span", { class: "norm" }, h("abbr", { title: t("norm") }, "‖·‖"), " ", norm);
}

const STATISTICS = ["norm", "min", "max", "mean"] as const satisfies readonly Word[];

/** Everything that the snapshot tells of a value. */
export function full(numbers: Numbers, where: Where): HTMLElement {
  if (numbers.scalar !== undefined) {
    return h("div", { class: "figure" }, h("p", { class: "big" }, brief(numbers, where)));
  }
  const table = h("dl", { class: "statistics" });
  for (const name of STATISTICS) {
    const n = numbers[name];
    if (n !== undefined) table.append(h("dt", {}, t(name)), h("dd", {}, number(n, where, name)));
  }
  if (numbers.zeros) {
    const share = number(numbers.zeros, where, "zeros");
    share.textContent = percent(numbers.zeros);
    table.append(h("dt", {}, t("zeros")), h("dd", {}, share));
  }
  if (numbers.bad) {
    table.append(h("dt", {}, t("bad")), h("dd", { class: "alarm" }, count(numbers.bad)));
  }
  return h("div", { class: "figure" }, table, pictures(numbers, where), elements(numbers, where));
}

function pictures(numbers: Numbers, where: Where): HTMLElement | null {
  const { image, histogram } = numbers;
  if (!image && !histogram) return null;
  const row = h("div", { class: "pictures" });
  if (image) {
    const width = Math.min(180, Math.max(72, image.width * 3));
    row.append(h("img", {
      class: "pixels", src: safeImage(image.src), alt: t("picture"), width,
      height: Math.round((width * image.height) / image.width),
    }));
  }
  if (histogram) row.append(histogramFigure(numbers, where));
  return row;
}

function histogramFigure(numbers: Numbers, where: Where): HTMLElement {
  const { low, high, counts } = numbers.histogram!;
  const label = `${t("histogram")} ${t("from")} ${short(low)} ${t("to")} ${short(high)}`;
  const drawn = drawPicture({ histogram: numbers.histogram! }, 0, 0, 100);
  const svg = s("svg", {
    viewBox: "0 0 100 101", preserveAspectRatio: "none", class: "histogram", role: "img",
    "aria-label": `${label}: ${counts.join(", ")}`,
  }, drawn);
  const ends = h("figcaption", {}, number(low, where, "low"), number(high, where, "high"));
  const figure = h("figure", {}, ends);
  figure.prepend(svg);
  return figure;
}

function elements(numbers: Numbers, where: Where): HTMLElement | null {
  if (!numbers.elements?.length) return null;
  const list = h("dl", { class: "elements", "aria-label": t("chosen") });
  for (const { index, value } of numbers.elements) {
    list.append(
      h("dt", {}, `[${index.join(", ")}]`),
      h("dd", {}, number(value, where, `element:${index.join(",")}`)));
  }
  return list;
}
