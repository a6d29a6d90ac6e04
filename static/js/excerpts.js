/** A battle's two excerpts, fetched and decoded before anything plays. */
import { bytes, persist } from './api.js';

const SAMPLE_RATE = 48_000; // the excerpts' own, so that nothing is resampled

/** This browser cannot play a clip of this battle. */
export class CannotPlay extends Error {}

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

async function decode(url, onWait) {
  let data;
  try {
    data = await persist(() => bytes(url), onWait);
    return await audioContext().decodeAudioData(data);
  } catch (error) {
    throw new CannotPlay(data ? 'could not be decoded' : 'could not be fetched', { cause: error });
  }
}

/** {battle, buffers: {A, B}}. About 23 MB a minute when decoded: keep at most two of these. */
export async function load(battle, onWait) {
  const [A, B] = await Promise.all(['A', 'B'].map((slot) => decode(battle.clips[slot].url, onWait)));
  return { battle, buffers: { A, B } };
}
