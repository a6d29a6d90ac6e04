/* Does the sum that a study under attack asks for (docs/decisions/proof-of-work.md): for each part p the number n with
   SHA-256(seed + p + n) beginning with `bits` zero bits. A classic worker, since older browsers have no module workers,
   with a SHA-256 of its own: the browser's is asynchronous, and absent outside secure contexts.

   In: {seed: the signature's 8 words, bits, parts}. Out: [n, ...]. */
'use strict';

const K = new Int32Array(64);
const START = new Int32Array(8);
const W = new Int32Array(64);

/** The constants of SHA-256: the first 32 bits of the fractional parts of roots of the first primes. */
(function constants() {
  let found = 0;
  for (let candidate = 2; found < 64; candidate += 1) {
    let prime = true;
    for (let divisor = 2; divisor * divisor <= candidate; divisor += 1) if (candidate % divisor === 0) prime = false;
    if (prime) {
      const bits = (root) => ((root - Math.floor(root)) * 4294967296) | 0;
      if (found < 8) START[found] = bits(Math.sqrt(candidate));
      K[found] = bits(Math.cbrt(candidate));
      found += 1;
    }
  }
}());

/** The first word of the hash of the block in W[0..15]. */
function firstWord() {
  for (let i = 16; i < 64; i += 1) {
    const x = W[i - 15];
    const y = W[i - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    W[i] = (W[i - 16] + s0 + W[i - 7] + s1) | 0;
  }
  let a = START[0];
  let b = START[1];
  let c = START[2];
  let d = START[3];
  let e = START[4];
  let f = START[5];
  let g = START[6];
  let h = START[7];
  for (let i = 0; i < 64; i += 1) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + W[i]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  return (START[0] + a) | 0;
}

/** The number of a part. */
function solve(seed, part, bits) {
  W.set(seed);
  W[8] = part;
  W[10] = 0x80000000; // the message has 40 bytes, then the padding
  W.fill(0, 11, 15);
  W[15] = 320;
  for (let n = 0; n < 4294967296; n += 1) {
    W[9] = n;
    if (firstWord() >>> (32 - bits) === 0) return n;
  }
  throw new RangeError('There is no such number.');
}

onmessage = ({ data: { seed, bits, parts } }) => {
  postMessage(Array.from({ length: parts }, (_, part) => solve(seed, part, bits)));
};
