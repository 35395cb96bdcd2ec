import assert from "node:assert/strict";
import { test } from "node:test";
import { exact, short } from "../src/numbers";

test("four significant digits for the eye", () => {
  const shown = [0.7310585786300049, -0.19661193324148185, 3, -12, 0, 123456, 1234567, 0.00001234,
    -0.000099999, 999999, 1e300, 5e-324];
  assert.deepEqual(shown.map(short), ["0.7311", "−0.1966", "3", "−12", "0", "123500", "1.235e6",
    "1.234e−5", "−1e−4", "1000000", "1e300", "4.941e−324"]);
  assert.deepEqual((["nan", "inf", "-inf"] as const).map(short), ["NaN", "∞", "−∞"]);
});

test("exact texts read back as the same number", () => {
  for (const n of [0.1, 1e-7, -0, 1 / 3, 2 ** 53, 5e-324, 1.7976931348623157e308]) {
    assert.ok(Object.is(Number(exact(n)), n));
  }
});
