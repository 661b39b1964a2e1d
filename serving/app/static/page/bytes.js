// 784 bytes as base64, and on a canvas of 28 × 28.

export const toBase64 = (bytes) => btoa(String.fromCharCode(...bytes));

/** Shows 28 × 28 grey levels on a canvas of that size. */
export function paintPixels(canvas, pixels) {
  const image = new ImageData(28, 28);
  pixels.forEach((level, i) => image.data.set([level, level, level, 255], 4 * i));
  canvas.getContext("2d").putImageData(image, 0, 0);
}
