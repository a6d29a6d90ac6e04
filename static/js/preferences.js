/** What a listener has set once for this browser; where it keeps nothing, for this page. */
import { owns } from './older.js';

const DEFAULTS = { shortcuts: true, autoplay: false, volume: 1 };
const PREFIX = 'arena.preference.';
const chosen = new Map();

function fallback(name) {
  if (!owns(DEFAULTS, name)) throw new RangeError(`There is no preference ${name}.`);
  return DEFAULTS[name];
}

/** The value set last, here or in another tab; the default if none is, or none of its kind. */
export function get(name) {
  const standard = fallback(name);
  if (chosen.has(name)) return chosen.get(name);
  try {
    const value = JSON.parse(localStorage.getItem(PREFIX + name));
    return typeof value === typeof standard ? value : standard;
  } catch { // storage is blocked, or holds something we did not write
    return standard;
  }
}

export function set(name, value) {
  if (typeof value !== typeof fallback(name)) throw new TypeError(`The preference ${name} is no ${typeof value}.`);
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
    chosen.delete(name);
  } catch { // blocked or full
    chosen.set(name, value);
  }
}
