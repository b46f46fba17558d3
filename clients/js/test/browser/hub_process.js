/**
 * The real binary as a child of a test: started on a port that the system chooses, and killed the
 * hard way.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const BINARY =
  process.env.WSHUB_BIN ?? fileURLToPath(new URL("../../../../target/release/wshub", import.meta.url));

const START_WITHIN_MS = 20_000;

export class HubProcess {
  #child;

  /** @param {string} url where its page is, with a slash at the end */
  constructor(child, url) {
    this.#child = child;
    this.url = url;
  }

  /** Resolves once the hub has said where it listens. */
  static async start(port = 0) {
    const child = spawn(BINARY, ["serve", "--listen", `127.0.0.1:${port}`]);
    try {
      return new HubProcess(child, await HubProcess.#address(child));
    } catch (error) {
      // A hub that says nothing must not outlive the test that waits for it.
      child.kill("SIGKILL");
      throw error;
    }
  }

  static #address(child) {
    return new Promise((resolve, reject) => {
      let said = "";
      const read = (bytes) => {
        said += bytes;
        const match = said.match(/http:\/\/127\.0\.0\.1:\d+\//);
        if (!match) return;
        clearTimeout(deadline);
        resolve(match[0]);
      };
      const deadline = setTimeout(() => fail("told no address"), START_WITHIN_MS);
      // Both streams are read on after the address was found: a full pipe would stop the hub.
      child.stdout.on("data", read);
      child.stderr.on("data", read);
      const fail = (why) => {
        clearTimeout(deadline);
        reject(new Error(`${BINARY} ${why}: ${said}`));
      };
      child.on("error", (error) => fail(`could not be started (${error.message})`));
      child.on("exit", (code) => fail(`ended with ${code}`));
    });
  }

  get port() {
    return Number(new URL(this.url).port);
  }

  /** SIGTERM: the hub asks its clients to move on, and ends when they have. */
  stop() {
    this.#child.kill("SIGTERM");
  }

  async end() {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, "exit");
  }

  /** SIGKILL: the hub says goodbye to nobody. */
  async kill() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exit;
  }
}
