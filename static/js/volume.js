/** How loud this page plays: the one gain that a listener sets, and the calm sound to set it by. */
import { audioContext, unlock } from './excerpts.js';
import * as preferences from './preferences.js';

const RATE = 48_000;
const LOOP_S = 16;
const JOIN_S = 2; // the end of the loop fades into its beginning
const TARGET_LUFS = -23; // as every excerpt
const OFFSET_LUFS = -0.691; // ITU-R BS.1770-4, equation 2
const HUM = 48; // quality of a resonance: narrow enough for a pitch, wide enough to stay a breath
const CHORDS = [[110, 164.81, 220, 277.18], [98, 146.83, 246.94, 293.66]]; // A major, then G major, in Hz
// The two stages of BS.1770-4's K weighting at 48 kHz, tables 1 and 2: [feedforward, feedback].
const K_WEIGHTING = [
  [[1.53512485958697, -2.69169618940638, 1.19839281085285], [1, -1.69065929318241, 0.73248077421585]],
  [[1, -2, 1], [1, -1.99004745483398, 0.99007225036621]],
];
const PATIENCE_S = 4; // a sound this late will not come

/** No sound comes out: no device, or a context that stays suspended. */
export class Silence extends Error {}

/** The page's gain, 0 to 1. */
export const level = () => Math.min(1, Math.max(0, preferences.get('volume')));

export const setLevel = (value) => preferences.set('volume', value);

/** Play a buffer at the page's volume, from inside a tap or a key press.

    {startsAt, in seconds of the audio clock; loudness(level); stop(); ended, a promise that fails with Silence}. */
export function play(buffer, { loop = false } = {}) {
  const context = audioContext();
  unlock();
  const gain = new GainNode(context, { gain: level() });
  const source = new AudioBufferSourceNode(context, { buffer, loop });
  source.connect(gain).connect(context.destination);
  const startsAt = context.currentTime + 0.02;
  source.start(startsAt);
  const ended = new Promise((resolve, reject) => {
    source.onended = resolve;
    if (!loop) setTimeout(() => reject(new Silence('no sound came out')), (buffer.duration + PATIENCE_S) * 1000);
  });
  return {
    startsAt,
    ended,
    loudness: (value) => gain.gain.setTargetAtTime(value, context.currentTime, 0.02),
    stop() {
      gain.gain.setTargetAtTime(0, context.currentTime, 0.03);
      source.stop(context.currentTime + 0.2);
    },
  };
}

/** Pink noise breathing through two slow chords, 16 s that loop without a seam, at -23 LUFS. Always the same. */
export async function referenceSound() {
  const breath = await breathing(RATE * (LOOP_S + JOIN_S));
  const loop = new AudioBuffer({ length: RATE * LOOP_S, sampleRate: RATE, numberOfChannels: 2 });
  for (let channel = 0; channel < 2; channel += 1) join(breath.getChannelData(channel), loop.getChannelData(channel));
  const gain = 10 ** ((TARGET_LUFS - (await loudness(loop))) / 20);
  for (let channel = 0; channel < 2; channel += 1) {
    loop.getChannelData(channel).forEach((value, i, samples) => { samples[i] = value * gain; });
  }
  return loop;
}

async function breathing(length) {
  const context = new OfflineAudioContext(2, length, RATE);
  const noise = new AudioBuffer({ length, sampleRate: RATE, numberOfChannels: 2 });
  for (let channel = 0; channel < 2; channel += 1) pinkNoise(noise.getChannelData(channel), 20_000 + channel);
  const source = new AudioBufferSourceNode(context, { buffer: noise });
  const veil = new BiquadFilterNode(context, { type: 'lowpass', frequency: 900 });
  source.connect(veil).connect(new GainNode(context, { gain: 0.05 })).connect(context.destination);
  CHORDS.forEach((chord, number) => {
    const swell = new GainNode(context);
    swell.gain.setValueCurveAtTime(swelling(number * Math.PI), 0, length / RATE);
    swell.connect(context.destination);
    for (const frequency of chord) {
      source.connect(new BiquadFilterNode(context, { type: 'bandpass', frequency, Q: HUM })).connect(swell);
    }
  });
  source.start();
  return context.startRendering();
}

/** A gain that comes and goes once in LOOP_S seconds. */
function swelling(phase) {
  return Float32Array.from({ length: 2 * (LOOP_S + JOIN_S) + 1 }, (_, i) => {
    const turn = (2 * Math.PI * i) / 2 / LOOP_S;
    return Math.sin(turn / 2 + phase / 2) ** 2;
  });
}

/** Paul Kellet's refined filter: 1/f within 0.05 dB above 9 Hz (musicdsp.org, "Pink noise filter"). */
function pinkNoise(samples, seed) {
  const random = uniform(seed);
  const b = new Float64Array(7);
  const poles = [0.99886, 0.99332, 0.969, 0.8665, 0.55, -0.7616];
  const gains = [0.0555179, 0.0750759, 0.153852, 0.3104856, 0.5329522, -0.016898];
  for (let i = 0; i < samples.length; i += 1) {
    const white = 2 * random() - 1;
    let sum = b[6] + white * 0.5362;
    for (let pole = 0; pole < 6; pole += 1) {
      b[pole] = poles[pole] * b[pole] + gains[pole] * white;
      sum += b[pole];
    }
    b[6] = white * 0.115926;
    samples[i] = sum * 0.11;
  }
}

/** Tommy Ettinger's mulberry32: the same seed, the same noise. */
function uniform(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Equal power, because the end and the beginning of a noise have nothing in common. */
function join(from, into) {
  const overlap = JOIN_S * RATE;
  into.set(from.subarray(0, into.length));
  for (let i = 0; i < overlap; i += 1) {
    const angle = (i / overlap) * (Math.PI / 2);
    into[i] = from[i] * Math.sin(angle) + from[into.length + i] * Math.cos(angle);
  }
}

/** Integrated loudness in LUFS without the gates: for a sound without silence. */
async function loudness(buffer) {
  const context = new OfflineAudioContext(2, buffer.length, RATE);
  const source = new AudioBufferSourceNode(context, { buffer });
  K_WEIGHTING.reduce(
    (node, [feedforward, feedback]) => node.connect(new IIRFilterNode(context, { feedforward, feedback })),
    source,
  ).connect(context.destination);
  source.start();
  const weighted = await context.startRendering();
  let power = 0;
  for (let channel = 0; channel < 2; channel += 1) {
    power += weighted.getChannelData(channel).reduce((sum, value) => sum + value * value, 0) / buffer.length;
  }
  return OFFSET_LUFS + 10 * Math.log10(power);
}
