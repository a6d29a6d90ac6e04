/** Tells the server now and then that the pair on the page is being heard, so that nobody else gets its place. */
import { call } from './api.js';

const EVERY_MS = 60_000;

/** `activity()`: null without a pair on the page, else {battle, playing, events}: its id, whether it plays now, and how
    often the listener has done something with it. */
export function watchPresence(activity) {
  let last = null;
  setInterval(() => {
    const now = activity();
    const before = now?.battle === last?.battle ? last : null;
    last = now;
    if (now?.playing || (now?.events ?? 0) > (before?.events ?? 0)) {
      call('POST', `/api/battles/${now.battle}/listening/`).catch(() => {}); // the answer counts without it
    }
  }, EVERY_MS);
}
