// Bundles the front end: entries below -> clinic/web/static/dist/ with a content hash in each name, and manifest.json
// from plain names ("app.css") to bundled ones. Fonts named by the stylesheets come along. Run from the project's root.
import { build } from "esbuild";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "..", "static", "dist");
const fresh = `${target}.new`;
const entries = ["js/patient.js", "js/staff.js", "js/board.js", "js/passkey.js", "css/app.css", "css/staff.css", "css/voice.css", "css/calendar.css"];

const present = entries.map((entry) => join(here, entry)).filter((path) => existsSync(path));
await rm(fresh, { recursive: true, force: true });
await mkdir(fresh, { recursive: true });

const result = await build({
  entryPoints: present,
  outdir: fresh,
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022", "safari16"],
  entryNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  loader: { ".woff2": "file", ".svg": "file", ".png": "file" },
  legalComments: "linked",
  metafile: true,
  logLevel: "warning", // a fault is printed with its file and line
}).catch(async () => {
  await rm(fresh, { recursive: true, force: true });
  process.exit(1);
});

const manifest = {};
for (const [output, { entryPoint, inputs }] of Object.entries(result.metafile.outputs)) {
  const source = entryPoint ?? Object.keys(inputs)[0];
  if (source && !output.endsWith(".LEGAL.txt")) manifest[basename(source)] = basename(output);
}
for (const name of Object.values(manifest)) {
  if (!/\.(js|css|svg)$/.test(name)) continue;
  const content = await readFile(join(fresh, name));
  await writeFile(join(fresh, `${name}.gz`), gzipSync(content, { level: 9 }));
  await writeFile(join(fresh, `${name}.br`), brotliCompressSync(content));
}
await writeFile(join(fresh, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
await rm(target, { recursive: true, force: true });
await rename(fresh, target);
