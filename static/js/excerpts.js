/** A battle's two excerpts, fetched and decoded before anything plays. At most two battles' excerpts stay loaded. */
import { bytes, persist } from './api.js';
import { pictureOf } from './picture.js';

const SAMPLE_RATE = 48_000; // the excerpts' own, so that nothing is resampled
const MAX_LOADED = 2; // battles; a minute of one excerpt is 23 MB decoded
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

/** Unlock sound; to be called inside a tap or a key press. Resolves to whether there is sound now. */
export async function unlock() {
  const { state } = audioContext();
  if (state === 'running') return true;
  const patience = new Promise((done) => { setTimeout(done, UNLOCK_MS); }); // outside a tap resume() may never answer
  await Promise.race([context.resume().catch(() => {}), patience]);
  return context.state === 'running';
}

const loaded = []; // {id, buffers}, the oldest first
let onPage = null; // id of the battle whose buffers are never released

/** This battle is now on the page, instead of the previous one: its buffers stay loaded. */
export function keep(battle) {
  onPage = battle.id;
}

/** Make room for one more battle's buffers. The oldest other battle's are released, even if a player still has them. */
function makeRoom(id) {
  while (loaded.length >= MAX_LOADED) {
    const [{ buffers }] = loaded.splice(loaded.findIndex((each) => each.id !== onPage), 1);
    delete buffers.A;
    delete buffers.B;
  }
  const place = { id, buffers: {} };
  loaded.push(place);
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

/** {battle, buffers: {A, B}}. Calls `onWait(seconds, TryLater)` before each pause without a connection. Throws CannotPlay.
    The buffers of two battles stay: the one on the page and the last one asked for. They are not fetched again. */
export async function load(battle, onWait) {
  const known = loaded.find(({ id, buffers }) => id === battle.id && buffers.A && buffers.B);
  if (known) return { battle, buffers: known.buffers };
  const place = makeRoom(battle.id);
  try {
    const [A, B] = await Promise.all(['A', 'B'].map(async (slot) => {
      const data = await fetched(battle.clips[slot].url, onWait);
      if (!loaded.includes(place)) throw new CannotPlay('fetch', new Error('two newer battles were asked for meanwhile'));
      return decoded(data);
    }));
    for (const buffer of [A, B]) pictureOf(buffer); // now: later somebody waits for the battle
    Object.assign(place.buffers, { A, B });
  } catch (error) {
    if (loaded.includes(place)) loaded.splice(loaded.indexOf(place), 1);
    throw error;
  }
  return { battle, buffers: place.buffers };
}
