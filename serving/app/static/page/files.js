// A chosen file → whether it can be read at all, before anything is sent: kind by its first bytes, size, pixels.

import { sizeOf, Unreadable } from "../picture.js";

const KINDS = [
  ["PNG", [0, "\x89PNG\r\n\x1a\n"]],
  ["JPEG", [0, "\xff\xd8\xff"]],
  ["GIF", [0, "GIF8"]],
  ["BMP", [0, "BM"]],
  ["TIFF", [0, "II*\0"]],
  ["TIFF", [0, "MM\0*"]],
  ["WebP", [8, "WEBP"]],
];
const OTHERS = [
  ["a PDF", [0, "%PDF"]],
  ["a HEIC photo", [4, "ftyphei"]],
  ["a HEIC photo", [4, "ftypmif1"]],
  ["an AVIF picture", [4, "ftypavif"]],
  ["an archive or office document", [0, "PK\x03\x04"]],
  ["an SVG drawing", [0, "<svg"]],
];
const HERE = new Set(["PNG", "JPEG"]); // what this browser's model reads

const among = (kinds, head) =>
  kinds.find(([, [at, mark]]) => [...mark].every((letter, i) => head[at + i] === letter.charCodeAt(0)))?.[0];

/** Why a file can't be read, as a sentence; null when it may be. limits: {bytes, pixels}; local: by this browser. */
export async function problemOf(file, limits, local) {
  if (file.size === 0) return "The file is empty.";
  if (file.size > limits.bytes) {
    return `The file has ${megabytes(file.size)} MB, more than the ${megabytes(limits.bytes)} MB that are read here. ` +
      "Save the picture smaller.";
  }
  const head = new Uint8Array(await file.slice(0, 64).arrayBuffer());
  const kind = among(KINDS, head);
  if (!kind) {
    const other = among(OTHERS, head);
    return `This is ${other ?? "no picture that can be read"}, whatever its name says. ` +
      "Choose a PNG, JPEG, GIF, BMP, TIFF or WebP picture.";
  }
  if (local && !HERE.has(kind)) return `This browser's model reads PNG and JPEG; for ${kind} the server is needed.`;
  return HERE.has(kind) ? tooMany(file, limits.pixels) : null;
}

async function tooMany(file, most) {
  try {
    const { width, height } = sizeOf(new Uint8Array(await file.slice(0, 1 << 20).arrayBuffer()));
    if (width > 0 && height > 0 && width * height <= most) return null;
    return `The picture is ${width} × ${height} pixels; up to ${(most / 1e6).toFixed(0)} million are read here. ` +
      "Save it smaller.";
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return file.size > 1 << 20 ? null : "The picture ends within its header: it was cut short on its way.";
  }
}

const megabytes = (bytes) => (bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0);
