/** Leaving a battle without an answer, with the reason. */
import { call, persist } from './api.js';
import { notice } from './states.js';
import { noAnswer, whyRefused } from './words.js';

let skipping = false;

/** Skip `battle` for `reason` (the server's words), then `next()`. Pressing twice is still one skip. */
export async function skip(battle, reason, next) {
  if (skipping) return;
  skipping = true;
  const reply = await persist(
    () => call('POST', `/api/battles/${battle.id}/skip/`, { reason }),
    (...why) => notice(noAnswer(...why)),
  );
  notice(reply.status < 300 || reply.status === 404 ? '' : whyRefused(reply));
  skipping = false;
  await next();
}
