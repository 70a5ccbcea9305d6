// Checks an AsyncAPI document: `node check.mjs FILE`. AsyncAPI's own parser and rules judge the document, ajv its
// examples (the parser does not read those of AsyncAPI 3). Prints every finding; exits with 1 when there is one.
import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";
import Ajv from "ajv";
import addFormats from "ajv-formats";

const severities = ["error", "warning", "information", "hint"];
const file = process.argv[2];
const { document, diagnostics } = await new Parser().parse(await readFile(file, "utf8"), { source: file });
const findings = diagnostics.map(
  ({ severity, code, path, message }) => `${severities[severity]} ${code} ${path.join(".")}: ${message}`,
);

const ajv = new Ajv({ allErrors: true, strict: false });
addFormats(ajv);
const checked = { channels: 0, operations: 0, messages: 0, examples: 0 };
if (document !== undefined) {
  checked.channels = document.channels().all().length;
  checked.operations = document.operations().all().length;
  for (const message of document.components().messages().all()) {
    checked.messages += 1;
    const examples = message.examples().all();
    if (examples.length === 0) {
      findings.push(`error no-example ${message.id()}`);
    }
    for (const example of examples) {
      checked.examples += 1;
      check(message.id(), "payload", message.payload(), example.payload());
      check(message.id(), "headers", message.headers(), example.headers());
    }
  }
}

function check(id, part, schema, value) {
  if (schema === undefined && value === undefined) {
    return;
  }
  const validate = ajv.compile(schema?.json() ?? false);
  if (!validate(value)) {
    findings.push(`error example ${id}.${part}: ${ajv.errorsText(validate.errors, { dataVar: part })}`);
  }
}

for (const finding of findings) {
  console.log(finding);
}
console.log(Object.entries(checked).map(([name, count]) => `${count} ${name}`).join(", "));
process.exit(findings.length > 0 || document === undefined ? 1 : 0);
