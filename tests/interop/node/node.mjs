/**
 * One node: the real binary, started on a port of the system's choice and ended by its process.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";

const BINARY =
  process.env.WSHUB_BIN ?? fileURLToPath(new URL("../../../target/release/wshub", import.meta.url));

/** Starts a node with these settings; resolves once it has said its address. */
export function startNode(...settings) {
  return startNodeOn(0, ...settings);
}

/** Starts a node on a port that another one has left; 0 for any that is free. */
export async function startNodeOn(wanted, ...settings) {
  const set = settings.flatMap((setting) => ["--set", setting]);
  const child = spawn(BINARY, ["serve", "--listen", `127.0.0.1:${wanted}`, ...set], { cwd: tmpdir() });
  const port = await new Promise((resolve, reject) => {
    let said = "";
    // Both streams are read on after the address was found: a full pipe would hold up the node.
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (bytes) => {
        said += bytes;
        const found = said.match(/http:\/\/127\.0\.0\.1:(\d+)\//);
        if (found) resolve(found[1]);
      });
    }
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`${BINARY} ended with ${code}: ${said}`)));
  });
  return {
    address: `http://127.0.0.1:${port}`,
    socketAddress: `ws://127.0.0.1:${port}/ws`,
    port: Number(port),
    end: () => end(child),
    kill: () => kill(child),
  };
}

/** Asks again and again until so many messages wait in queues. */
export async function queued(hub, number) {
  const deadline = AbortSignal.timeout(10_000);
  while ((await ledger(hub)).queued !== number) deadline.throwIfAborted();
}

async function ledger(hub) {
  return (await (await fetch(`${hub.address}/stats`)).json()).ledger;
}

/** Asks the node to end; resolves to its exit code. */
async function end(child) {
  const exit = once(child, "exit", { signal: AbortSignal.timeout(30_000) });
  child.kill("SIGTERM");
  try {
    return (await exit)[0];
  } finally {
    child.kill("SIGKILL");
  }
}

/** SIGKILL: the node says goodbye to nobody. */
async function kill(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit", { signal: AbortSignal.timeout(30_000) });
  child.kill("SIGKILL");
  await exit;
}
