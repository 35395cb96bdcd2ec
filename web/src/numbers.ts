// How a number is written: rounded for the eye, exact for whoever asks.

import type { Num } from "./snapshot";

/** The shortest decimal that reads back as the same double. */
export function exact(n: Num): string {
  return Object.is(n, -0) ? "-0" : String(n);
}

const SPECIAL: Record<string, string> = { nan: "NaN", inf: "∞", "-inf": "−∞" };

/** Four significant digits, with a true minus sign. */
export function short(n: Num): string {
  if (typeof n === "string") return SPECIAL[n] ?? n;
  if (n === 0) return "0";
  const size = Math.abs(n);
  if (size >= 1e-4 && size < 1e6) return minus(String(Number(n.toPrecision(4))));
  const [mantissa, exponent] = n.toExponential(3).split("e");
  return minus(`${Number(mantissa)}e${exponent!.replace("+", "")}`);
}

/** Whole numbers with thin spaces between thousands. */
export function count(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

export function percent(share: number): string {
  return `${short(100 * share)}\u202f%`;
}

export function shapeText(shape: number[]): string {
  return shape.length ? shape.join("×") : "";
}

function minus(text: string): string {
  return text.replace(/-/g, "−");
}
