/** For every page of the site: votes waiting in this browser are sent silently. The listening page does it itself,
    because it says what happened to them. */
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
