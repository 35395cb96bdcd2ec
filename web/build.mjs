// Bundles the page: page.js and page.css (formula fonts inlined), the layout engine beside them.
// `--test` bundles the unit tests for node instead; `--same` only compares with what is committed.
import { createHash } from "node:crypto";
import {
  copyFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import * as esbuild from "esbuild";

const HOME = "../backlit/views/page";
const FILES = ["page.js", "page.css", "layout.js", "LICENCES.txt"];

const FONTS = ["AMS-Regular", "Caligraphic-Regular", "Main-Bold", "Main-Italic", "Main-Regular",
  "Math-BoldItalic", "Math-Italic", "Size1-Regular", "Size2-Regular", "Size3-Regular",
  "Size4-Regular", "Typewriter-Regular"];

// Of each formula font only woff2, and only the faces that mathematics here is set in.
function formulaStyle() {
  const css = readFileSync("node_modules/katex/dist/katex.css", "utf8");
  return css.replace(/@font-face\s*{[^}]*}/g, (face) => {
    const name = /KaTeX_([\w-]+)\.woff2/.exec(face)[1];
    if (!FONTS.includes(name)) return "";
    const font = readFileSync(`node_modules/katex/dist/fonts/KaTeX_${name}.woff2`);
    const data = `url(data:font/woff2;base64,${font.toString("base64")}) format("woff2")`;
    return face.replace(/src:[^;]*;/, `src: ${data};`);
  });
}

function licences() {
  const texts = [
    ["elkjs", "layout.js", "node_modules/elkjs/LICENSE.md"],
    ["KaTeX", "parts of page.js and page.css, the fonts", "node_modules/katex/LICENSE"],
  ];
  return texts.map(([name, where, path]) => {
    const { version } = JSON.parse(readFileSync(join(dirname(path), "package.json")));
    const rule = "=".repeat(72);
    const text = readFileSync(path, "utf8").trim();
    return `${rule}\n${name} ${version}: ${where}\n${rule}\n\n${text}\n`;
  }).join("\n");
}

async function page(folder) {
  const common = { bundle: true, minify: true, legalComments: "none", logLevel: "warning" };
  await esbuild.build({
    ...common, entryPoints: ["src/main.ts"], outfile: join(folder, "page.js"),
    format: "iife", target: "es2022", charset: "utf8",
  });
  const style = formulaStyle() + readFileSync("src/page.css", "utf8");
  const made = await esbuild.transform(style, { loader: "css", minify: true, charset: "utf8" });
  writeFileSync(join(folder, "page.css"), made.code);
  copyFileSync("node_modules/elkjs/lib/elk-worker.min.js", join(folder, "layout.js"));
  writeFileSync(join(folder, "LICENCES.txt"), licences());
}

const hash = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");

if (process.argv.includes("--test")) {
  rmSync("build", { recursive: true, force: true });
  const tests = readdirSync("test").filter((name) => name.endsWith(".test.ts"));
  await esbuild.build({
    entryPoints: tests.map((name) => `test/${name}`), outdir: "build", bundle: true,
    platform: "node", format: "esm", outExtension: { ".js": ".mjs" }, logLevel: "warning",
    external: ["elkjs"],
  });
} else if (process.argv.includes("--same")) {
  const folder = mkdtempSync(join(tmpdir(), "page-"));
  await page(folder);
  const stale = FILES.filter((name) => hash(join(folder, name)) !== hash(join(HOME, name)));
  rmSync(folder, { recursive: true });
  if (stale.length) {
    console.error(`${stale.join(", ")} in backlit/views/page: not what web/ builds; npm run build`);
    process.exit(1);
  }
} else {
  mkdirSync(HOME, { recursive: true });
  await page(HOME);
}
