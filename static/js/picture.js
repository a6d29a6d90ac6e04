/** A coarse picture of a decoded excerpt. The server sends none: one that came with every battle would name the clip in
    the next. */

const STRETCHES = 240; // of an excerpt, whatever its length
const STEP = 3; // every third sample is enough to draw from

const pictures = new WeakMap(); // of an AudioBuffer, drawn once

/** The largest |sample| of each stretch of an AudioBuffer, over its channels. */
export function pictureOf(buffer) {
  if (!pictures.has(buffer)) pictures.set(buffer, drawn(buffer));
  return pictures.get(buffer);
}

function drawn(buffer) {
  const picture = new Float32Array(STRETCHES);
  for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
    const samples = buffer.getChannelData(channel);
    for (let stretch = 0; stretch < STRETCHES; stretch += 1) {
      const end = Math.floor(((stretch + 1) / STRETCHES) * samples.length);
      let most = picture[stretch];
      for (let i = Math.floor((stretch / STRETCHES) * samples.length); i < end; i += STEP) {
        most = Math.max(most, Math.abs(samples[i]));
      }
      picture[stretch] = most;
    }
  }
  return picture;
}
