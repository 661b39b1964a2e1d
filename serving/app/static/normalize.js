// A picture of one digit, any size → 28×28 the way that MNIST's pictures were made: digits.normalize in a browser.
//
//   normalize(grey, width, height)   grey levels 0–255 → Uint8Array(784), white ink on black
//
// A module without dependencies. The steps and their numbers are those of the Python module, which explains
// them; a test holds the results equal. Sums that decide are taken in float64 here, in float32 there.

export const SIDE = 28;
const AREA = SIDE * SIDE;
const BOX = 20, CENTRE = 14; // pixels
export const BLANK = 10; // grey levels of 255; less contrast is paper alone
const SMOOTH_FROM = 56; // pixels of the shorter side
const FLOOR = 0.15, EDGE = 0.3; // of the peak
const WHITE_RANK = 16;
const f32 = Math.fround;

/** The picture shows paper alone. */
export class Blank extends Error {}

/** Grey levels 0–255, any size, row by row → Uint8Array(784), white ink on black. Throws Blank. */
export function normalize(grey, width, height) {
  if (!(width > 0 && height > 0) || grey.length !== width * height) {
    throw new RangeError(`a picture of ${width} × ${height} has ${width * height} grey levels, not ${grey.length}`);
  }
  const paper = paperOf(grey, width, height);
  if (width === SIDE && height === SIDE && paper === 0) {
    const centre = centreOfMass(grey, width, height);
    if (centre.every((place) => Math.abs(place - CENTRE) <= 1)) return Uint8Array.from(grey, rounded);
  }
  const ink = inkOf(grey, paper);
  const soft = Math.min(width, height) >= SMOOTH_FROM ? smoothed(ink, width, height) : ink;
  const peak = soft.reduce((most, level) => Math.max(most, level), 0);
  if (peak < BLANK) throw new Blank(`the picture is blank: its contrast is ${Math.floor(peak)} of 255 levels`);
  const { top, left, bottom, right } = boundsOf(soft, width, height, f32(f32(EDGE) * peak));
  const crop = new Float32Array((bottom - top) * (right - left));
  for (let row = top, at = 0; row < bottom; row++) {
    for (let i = row * width + left; i < row * width + right; i++) {
      crop[at++] = clipped(f32(f32(f32(ink[i] / peak) - f32(FLOOR)) / f32(1 - FLOOR)));
    }
  }
  return centred(boxed(crop, right - left, bottom - top));
}

const rounded = (level) => Math.floor(f32(level + 0.5));
const clipped = (level) => Math.min(Math.max(level, 0), 1);

/** The outermost pixels, each once, as a Float32Array. */
export function ringOf(grey, width, height) {
  const ring = new Float32Array(height > 1 && width > 1 ? 2 * (width + height) - 4 : width * height);
  ring.set(grey.subarray(0, width));
  let at = width;
  for (let row = 1; row < height - 1; row++) {
    ring[at++] = grey[row * width];
    if (width > 1) ring[at++] = grey[row * width + width - 1];
  }
  if (height > 1) ring.set(grey.subarray((height - 1) * width), at);
  return ring;
}

function paperOf(grey, width, height) {
  const ring = ringOf(grey, width, height).sort();
  return ring[ring.length >> 1];
}

function inkOf(grey, paper) {
  let bright = 0, dark = 0;
  for (const level of grey) {
    const apart = level - paper;
    if (apart > 0) bright += apart * apart;
    else dark += apart * apart;
  }
  const sign = bright >= dark ? 1 : -1;
  return grey.map((level) => Math.max(sign * (level - paper), 0));
}

/** The 3×3 mean, zeros outside. */
function smoothed(ink, width, height) {
  const mean = new Float32Array(ink.length);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      let sum = 0;
      for (let y = Math.max(row - 1, 0); y <= Math.min(row + 1, height - 1); y++) {
        for (let x = Math.max(column - 1, 0); x <= Math.min(column + 1, width - 1); x++) sum += ink[y * width + x];
      }
      mean[row * width + column] = sum / 9;
    }
  }
  return mean;
}

function boundsOf(soft, width, height, edge) {
  let top = height, left = width, bottom = 0, right = 0;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      if (soft[row * width + column] <= edge) continue;
      top = Math.min(top, row);
      bottom = row + 1;
      left = Math.min(left, column);
      right = Math.max(right, column + 1);
    }
  }
  return { top, left, bottom, right };
}

/** Fitted into 20×20, and a thin pen made as white as MNIST's. */
function boxed(crop, width, height) {
  const factor = BOX / Math.max(width, height);
  const [across, down] = [width, height].map((side) => Math.max(1, Math.floor(side * factor + 0.5)));
  const small = resized(crop, width, height, across, down);
  const ranked = Float32Array.from(small).sort().reverse();
  const white = Math.max(ranked[WHITE_RANK - 1] ?? 0, ranked[0] / 4, f32(1e-6));
  return { levels: small.map((level) => clipped(level / white)), width: across, height: down };
}

/** With the antialiased triangle filter of `tf.image.resize`: rows first, then columns, in float32. */
export function resized(picture, width, height, across, down) {
  const narrow = new Float32Array(width * down);
  filter(height, down).forEach(({ first, weights }, row) => {
    weights.forEach((weight, k) => {
      const from = (first + k) * width;
      for (let x = 0; x < width; x++) narrow[row * width + x] += weight * picture[from + x];
    });
  });
  const small = new Float32Array(across * down);
  filter(width, across).forEach(({ first, weights }, column) => {
    for (let row = 0; row < down; row++) {
      weights.forEach((weight, k) => (small[row * across + column] += weight * narrow[row * width + first + k]));
    }
  });
  return small;
}

/** For each of `made` pixels: the first of `had` that it is made of, and their weights. */
function filter(had, made) {
  const step = f32(1 / f32(made / had)); // pixels of the one in a pixel of the other
  const reach = Math.max(step, 1);
  return Array.from({ length: made }, (_, i) => {
    const middle = f32(f32(i + 0.5) * step);
    const first = Math.max(0, Math.ceil(f32(f32(middle - reach) - 0.5)));
    const last = Math.min(had - 1, Math.floor(f32(f32(middle + reach) - 0.5)));
    const weights = Float32Array.from({ length: last - first + 1 }, (_, k) =>
      Math.max(0, 1 - Math.abs(f32(f32(first + k + 0.5 - middle) * f32(1 / reach)))));
    const sum = weights.reduce((a, b) => f32(a + b), 0);
    return { first, weights: weights.map((weight) => weight * f32(1 / sum)) };
  });
}

/** Placed on 28×28 by the centre of mass. */
function centred({ levels, width, height }) {
  const [row, column] = centreOfMass(levels, width, height);
  const place = (at, side) => Math.min(Math.max(Math.floor(CENTRE - at + 0.5), 0), SIDE - side);
  const top = place(row, height), left = place(column, width);
  const image = new Uint8Array(AREA);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) image[(top + y) * SIDE + left + x] = rounded(f32(levels[y * width + x] * 255));
  }
  return image;
}

/** [row, column]; far outside any picture when there is no mass. */
export function centreOfMass(grey, width, height) {
  let mass = 0, rows = 0, columns = 0;
  for (let row = 0, i = 0; row < height; row++) {
    for (let column = 0; column < width; column++, i++) {
      mass += grey[i];
      rows += grey[i] * row;
      columns += grey[i] * column;
    }
  }
  return mass > 0 ? [rows / mass, columns / mass] : [-1e6, -1e6];
}
