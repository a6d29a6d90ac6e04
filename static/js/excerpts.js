/** A battle's two excerpts, fetched and decoded before anything plays. At most two battles' are kept. */
import { bytes, persist } from './api.js';

const SAMPLE_RATE = 48_000; // the excerpts' own, so that nothing is resampled
const KEPT = 2; // battles; a minute of one excerpt is 23 MB decoded
const UNLOCK_MS = 1000;

/** This browser cannot play a clip of this battle. `stage`: `gone` (the server no longer has it), `fetch` or `decode`. */
export class CannotPlay extends Error {
  constructor(stage, cause) {
    super(`an excerpt cannot be played: ${stage}`, { cause });
    this.stage = stage;
  }
}

let context = null;

/** The page's one AudioContext. */
export function audioContext() {
  if (!context) {
    if (navigator.audioSession) navigator.audioSession.type = 'playback'; // iOS: sound in spite of the mute switch
    try {
      context = new AudioContext({ sampleRate: SAMPLE_RATE });
    } catch {
      context = new AudioContext();
    }
  }
  return context;
}

/** Let sound out: to be called inside a tap or a key press. Resolves to whether there is sound now. */
export async function unlock() {
  const { state } = audioContext();
  if (state === 'running') return true;
  const patience = new Promise((done) => { setTimeout(done, UNLOCK_MS); }); // outside a tap resume() may never answer
  await Promise.race([context.resume().catch(() => {}), patience]);
  return context.state === 'running';
}

const kept = []; // {id, buffers}, the oldest first
let onPage = null; // id of the battle whose buffers are never let go

/** This battle is on the page now, in place of the one before: its buffers stay. */
export function keep(battle) {
  onPage = battle.id;
}

/** A place for one more battle's buffers; the oldest other battle's are let go, also by a player that still has them. */
function makeRoom(id) {
  while (kept.length >= KEPT) {
    const [{ buffers }] = kept.splice(kept.findIndex((each) => each.id !== onPage), 1);
    delete buffers.A;
    delete buffers.B;
  }
  const place = { id, buffers: {} };
  kept.push(place);
  return place;
}

async function fetched(url, onWait) {
  try {
    return await persist(() => bytes(url), onWait);
  } catch (error) {
    throw new CannotPlay([404, 410].includes(error.status) ? 'gone' : 'fetch', error);
  }
}

async function decoded(data) {
  try {
    return await audioContext().decodeAudioData(data);
  } catch (error) {
    throw new CannotPlay('decode', error);
  }
}

/** {battle, buffers: {A, B}}. `onWait(seconds, TryLater)` before each pause without a connection. Throws CannotPlay. The buffers
    of two battles live: that on the page and the last one asked for. Such a battle is not fetched again. */
export async function load(battle, onWait) {
  const known = kept.find(({ id, buffers }) => id === battle.id && buffers.A && buffers.B);
  if (known) return { battle, buffers: known.buffers };
  const place = makeRoom(battle.id);
  try {
    const [A, B] = await Promise.all(['A', 'B'].map(async (slot) => {
      const data = await fetched(battle.clips[slot].url, onWait);
      if (!kept.includes(place)) throw new CannotPlay('fetch', new Error('two newer battles were asked for meanwhile'));
      return decoded(data);
    }));
    Object.assign(place.buffers, { A, B });
  } catch (error) {
    if (kept.includes(place)) kept.splice(kept.indexOf(place), 1);
    throw error;
  }
  return { battle, buffers: place.buffers };
}
