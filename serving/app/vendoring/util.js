// What TensorFlow.js asks of Node's `util` when it runs there, as the tests have it; browsers never ask.
export const { TextDecoder, TextEncoder } = globalThis;
export const types = Object.fromEntries(
  ["Float32Array", "Int32Array", "Uint8Array", "Uint8ClampedArray"].map((name) => [
    `is${name}`,
    (value) => value instanceof globalThis[name],
  ]),
);
