/** The small sum that a study under attack asks of a browser first, done beside the page. */
const PATIENCE_MS = 60_000;
const TRIES = 2; // a phone that slept over the sum comes too late with it

/** The numbers for a challenge, {challenge, bits, parts}; null where this browser cannot find them. */
function solve({ challenge, bits, parts }) {
  if (!globalThis.Worker) return Promise.resolve(null);
  const signature = challenge.slice(challenge.lastIndexOf('.') + 1);
  const seed = Array.from({ length: 8 }, (_, i) => parseInt(signature.slice(8 * i, 8 * i + 8), 16) | 0);
  return new Promise((done) => {
    const worker = new Worker(new URL('./proof-worker.js', import.meta.url));
    const end = (numbers) => {
      worker.terminate();
      done(numbers);
    };
    setTimeout(end, PATIENCE_MS, null);
    worker.onmessage = ({ data }) => end(data);
    worker.onerror = () => end(null);
    worker.postMessage({ seed, bits, parts });
  });
}

/** The reply to `ask(more)`, {status, body}; where the server wants the sum first, to the one with its answer.
    `onSum()` before each sum. */
export async function proven(ask, onSum = () => {}) {
  let reply = await ask({});
  for (let tries = 0; reply.body.code === 'proof_needed' && tries < TRIES; tries += 1) {
    onSum();
    const numbers = await solve(reply.body);
    if (!numbers) break;
    reply = await ask({ proof: { challenge: reply.body.challenge, numbers } });
  }
  return reply;
}
