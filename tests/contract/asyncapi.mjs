// Has the parser of the AsyncAPI project read the document of the socket: what it warns of fails, too.

import { fileURLToPath } from "node:url";

import { Parser, fromFile } from "@asyncapi/parser";

const document = fileURLToPath(new URL("../../docs/asyncapi.json", import.meta.url));
const { diagnostics } = await fromFile(new Parser(), document).parse();
// 0 is an error, 1 a warning; below are hints, such as that there is a newer AsyncAPI.
const faults = diagnostics.filter(({ severity }) => severity <= 1);
for (const { path, message } of faults) {
  console.error(`docs/asyncapi.json: ${path.join("/")}: ${message}`);
}
process.exitCode = faults.length > 0 ? 1 : 0;
