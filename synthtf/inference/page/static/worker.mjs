// Segments scans beside the page, which stays responsive.

import * as ort from "./ort.webgpu.min.mjs";
import { segment } from "./segment.mjs";

const sessions = {};

async function network(provider) {
  ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  const options = { executionProviders: [provider] };
  sessions[provider] ??= await ort.InferenceSession.create("model.onnx", options);
  return sessions[provider];
}

onmessage = async ({ data: { scan, facts, ct, provider } }) => {
  const say = (text) => postMessage({ text });
  const run = async (data, shape) => {
    const model = await network(provider);
    const image = new ort.Tensor("float32", data, [1, ...shape, 1]);
    const outputs = await model.run({ [model.inputNames[0]]: image });
    return outputs[model.outputNames[0]].data;
  };
  try {
    postMessage({ result: await segment(scan, facts, run, { ct, say }) });
  } catch (error) {
    postMessage({ failure: String(error.message ?? error) });
  }
};
