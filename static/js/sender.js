/** For every page of the site: votes that wait in this browser go out, silently. The listening page does it itself,
    because it tells what became of them. */
import { sendAll } from './outbox.js';

let busy = false;

async function go() {
  if (busy || document.getElementById('listen')) return;
  busy = true;
  try {
    await sendAll();
  } finally {
    busy = false;
  }
}

addEventListener('online', go);
await go();
