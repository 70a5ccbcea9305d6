// Renders an AsyncAPI document as one page that needs no network: `node page.mjs FILE OUT`.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { createRequire } from "node:module";
import { Parser, stringify } from "@asyncapi/parser";

const [file, out] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const folder = dirname(require.resolve("@asyncapi/react-component/package.json"));
const [source, styles, script] = await Promise.all([
  readFile(file, "utf8"),
  readFile(`${folder}/styles/default.min.css`, "utf8"),
  readFile(`${folder}/browser/standalone/without-parser.js`, "utf8"),
]);
const { document, diagnostics } = await new Parser().parse(source, { source: file });
if (document === undefined) {
  throw new Error(`${file}: ${diagnostics.map(({ message }) => message).join("; ")}`);
}

// "<" would end a script; in JSON it may be written as an escape, in the bundle only inside strings, too.
const escape = (text) => text.replaceAll("</script", "<\\/script");
const settings = { show: { sidebar: true, errors: false }, sidebar: { showOperations: "byDefault" } };
const page = `<!doctype html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${document.info().title()}</title>
<style>${styles}</style>
</head>
<body>
<div id="asyncapi"></div>
<script>${escape(script)}</script>
<script>
AsyncApiStandalone.render({ schema: ${JSON.stringify(stringify(document)).replaceAll("<", "\\u003c")}, config: ${JSON.stringify(settings)} }, document.getElementById("asyncapi"));
</script>
</body>
</html>
`;
await mkdir(dirname(out), { recursive: true });
await writeFile(out, page);
console.log(`${out}: ${(page.length / 2 ** 20).toFixed(1)} MiB`);
