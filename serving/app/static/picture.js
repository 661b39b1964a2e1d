// A PNG or JPEG, or what a canvas holds → grey levels, as the `encoded` signature of the model reads them.
//
//   await grey(file)    Blob, or ImageData → {levels: Float32Array(width · height) of 0–255, width, height}
//
// The browser decodes: upright by EXIF, colours as stored. What it can't give back differs a little from the
// server: 16-bit pictures come with 8, and colours below a faint alpha are rounded.

const MAX_PIXELS = 16_000_000; // as `export.max_pixels` of params.yaml
const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], JPEG = [0xff, 0xd8, 0xff];
const f32 = Math.fround;
const LUMA = [0.299, 0.587, 0.114].map(f32);

/** The file is not what the model reads, or too large. */
export class Unreadable extends Error {}

/** Grey levels of a picture. Throws Unreadable. */
export async function grey(picture, maxPixels = MAX_PIXELS) {
  const image = picture instanceof Blob ? await decoded(picture, maxPixels) : picture;
  return { levels: levels(image.data), width: image.width, height: image.height };
}

/** RGBA bytes, alpha not multiplied in → grey levels 0–255; transparent pixels show paper. */
export function levels(rgba) {
  const luma = new Float32Array(rgba.length / 4);
  let inked = 0, opaque = 0, clear = false;
  for (let i = 0, at = 0; i < luma.length; i++, at += 4) {
    const [r, g, b] = [rgba[at], rgba[at + 1], rgba[at + 2]];
    luma[i] = r === g && g === b ? r : f32(f32(LUMA[0] * r) + f32(LUMA[1] * g)) + f32(LUMA[2] * b);
    inked += luma[i] * rgba[at + 3];
    opaque += rgba[at + 3];
    clear ||= rgba[at + 3] < 255;
  }
  if (!clear) return luma;
  const paper = inked / Math.max(opaque, 1e-6) < 128 ? 255 : 0;
  return luma.map((level, i) => {
    const alpha = f32(rgba[4 * i + 3] / 255);
    return f32(level * alpha) + paper * f32(1 - alpha);
  });
}

async function decoded(file, maxPixels) {
  const { width, height } = sizeOf(new Uint8Array(await file.arrayBuffer()));
  if (!(width > 0 && height > 0 && width * height <= maxPixels)) {
    throw new Unreadable(`the picture is ${width} pixels wide and ${height} high, expected 1 to ${maxPixels} in all`);
  }
  let bitmap;
  try {
    const asStored = { colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "from-image" };
    bitmap = await createImageBitmap(file, asStored);
  } catch {
    throw new Unreadable("the picture is damaged: its header is that of a PNG or JPEG, what follows is not");
  }
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** Width and height as the header tells, before anything is decoded: 2 KB of PNG can hold 2.5 billion pixels. */
export function sizeOf(bytes) {
  const begins = (mark) => mark.every((byte, i) => bytes[i] === byte);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    if (begins(PNG)) return { width: view.getUint32(16), height: view.getUint32(20) };
    if (begins(JPEG)) return frameOf(view);
  } catch (error) {
    if (error instanceof RangeError) throw new Unreadable("the picture ends within its header");
    throw error;
  }
  throw new Unreadable("the file is neither a PNG nor a JPEG");
}

/** The frame header of a JPEG, behind segments that say how long they are. */
function frameOf(view) {
  let at = 2;
  for (;;) {
    while (view.getUint8(at) !== 0xff) at++;
    while (view.getUint8(at) === 0xff) at++;
    const marker = view.getUint8(at);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return { height: view.getUint16(at + 4), width: view.getUint16(at + 6) };
    const alone = marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);
    at += alone ? 1 : 1 + view.getUint16(at + 1);
  }
}
