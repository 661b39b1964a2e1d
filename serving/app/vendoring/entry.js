// The part of TensorFlow.js that answers with a graph model: in WebAssembly, or in JavaScript where that is barred.
export { env, ready, setBackend, tensor, tidy, version_core as version } from "@tensorflow/tfjs-core";
export { loadGraphModel } from "@tensorflow/tfjs-converter";
export { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import "@tensorflow/tfjs-backend-cpu";
