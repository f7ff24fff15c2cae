// The page: loads a scan, applies the network, shows labels over the scan and saves them.

import { Niivue, NVImage } from "./niivue.mjs";

const by = (id) => document.getElementById(id);
const viewer = new Niivue({ backColor: [0.08, 0.09, 0.1, 1], show3Dcrosshair: true });
const worker = new Worker("worker.mjs", { type: "module" });
let network = null, scan = null, name = "", result = null;

const say = (text) => (by("status").textContent = text);

// Give a scan to the worker, and wait for what it makes of it.
function segment(scan) {
  const provider = by("gpu").checked ? "webgpu" : "wasm";
  return new Promise((done, fail) => {
    worker.onmessage = ({ data }) => {
      if (data.text) say(data.text);
      if (data.failure) fail(new Error(data.failure));
      if (data.result) done(data.result);
    };
    worker.onerror = (event) => fail(new Error(event.message || "the worker did not start"));
    worker.postMessage({ scan, facts: network, ct: by("ct").checked, provider });
  });
}

function colours() {
  const map = { R: [0], G: [0], B: [0], A: [0], I: [0], labels: ["background"] };
  for (const label of network.labels) {
    [map.R, map.G, map.B].forEach((channel, i) => channel.push(label.colour[i]));
    map.A.push(255);
    map.I.push(label.value);
    map.labels.push(label.name);
  }
  return map;
}

async function open(file) {
  by("segment").disabled = by("save").disabled = true;
  say(`Reading ${file.name}`);
  try {
    while (viewer.volumes.length) viewer.removeVolumeByIndex(0);
    scan = await NVImage.loadFromFile({ file, name: file.name });
    if (scan.hdr.dims[0] > 3 && scan.hdr.dims[4] > 1) throw new Error("expected one frame");
    viewer.addVolume(scan);
  } catch (error) {
    return say(`${file.name} cannot be read: ${error.message ?? error}`);
  }
  name = file.name.replace(/\.(nii|mgh|mgz)?(\.gz)?$/i, "").replace(/\.nii$/i, "");
  by("segment").disabled = !network.output_labels;
  say(`${file.name}: ${scan.hdr.dims.slice(1, 4).join(" × ")} voxels`);
}

async function start() {
  by("segment").disabled = true;
  const begun = performance.now(), { hdr } = scan;
  const slope = hdr.scl_slope || 1, offset = hdr.scl_inter || 0;
  const volume = {
    data: Float32Array.from(scan.img, (x) => x * slope + offset),
    shape: hdr.dims.slice(1, 4),
    affine: hdr.affine,
  };
  try {
    result = await segment(volume);
  } catch (error) {
    by("segment").disabled = false;
    return say(`It failed: ${error.message ?? error}`);
  }
  await show(new File([nifti(result.labels, hdr)], "labels.nii"));
  legend();
  by("segment").disabled = by("save").disabled = false;
  say(`Done in ${((performance.now() - begun) / 1000).toFixed(1)} s`);
}

// Show labels over the scan.
async function show(file) {
  const overlay = await NVImage.loadFromFile({ file, name: file.name });
  overlay.setColormapLabel(colours());
  if (viewer.volumes.length > 1) viewer.removeVolumeByIndex(1);
  viewer.addVolume(overlay);
  viewer.setOpacity(1, Number(by("opacity").value));
}

function legend() {
  const rows = network.labels.map((label) => {
    const row = document.createElement("tr"), colour = document.createElement("span");
    colour.style.background = `rgb(${label.colour.join(",")})`;
    const volume = result && result.volumes[network.output_labels.indexOf(label.value)] / 1000;
    for (const content of [colour, label.name, volume === null ? "" : volume.toFixed(1)]) {
      const cell = document.createElement("td");
      cell.append(content);
      row.append(cell);
    }
    return row;
  });
  by("legend").tBodies[0].replaceChildren(...rows);
}

// A NIfTI-1 file of labels on the scan's grid.
function nifti(labels, hdr) {
  const bytes = new ArrayBuffer(352 + 2 * labels.length), view = new DataView(bytes);
  view.setInt32(0, 348, true);
  [3, ...hdr.dims.slice(1, 4), 1, 1, 1, 1].forEach((n, i) => view.setInt16(40 + 2 * i, n, true));
  view.setInt16(70, 4, true); // int16
  view.setInt16(72, 16, true);
  [1, ...hdr.pixDims.slice(1, 4)].forEach((mm, i) => view.setFloat32(76 + 4 * i, mm, true));
  view.setFloat32(108, 352, true);
  view.setFloat32(112, 1, true); // slope
  view.setUint8(123, 2); // mm
  view.setInt16(254, hdr.sform_code || 1, true);
  hdr.affine.slice(0, 3).forEach((row, i) => {
    row.forEach((x, j) => view.setFloat32(280 + 16 * i + 4 * j, x, true));
  });
  [0x6e, 0x2b, 0x31, 0].forEach((c, i) => view.setUint8(344 + i, c)); // "n+1"
  new Int16Array(bytes, 352).set(labels);
  return new Uint8Array(bytes);
}

async function save() {
  const packed = new Blob([nifti(result.labels, scan.hdr)]).stream().pipeThrough(new CompressionStream("gzip"));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await new Response(packed).blob());
  link.download = `${name}_labels.nii.gz`;
  link.click();
  URL.revokeObjectURL(link.href);
}

async function fetched(address) {
  const answer = await fetch(address);
  return new File([await answer.blob()], address.split("/").pop());
}

network = await (await fetch("network.json")).json();
by("model").textContent = network.name;
document.title = `synthtf ${network.name}`;
by("gpu").disabled = !(await navigator.gpu?.requestAdapter());
if (!network.output_labels) document.body.classList.add("without-network");
by("file").onchange = (event) => event.target.files[0] && open(event.target.files[0]);
by("segment").onclick = start;
by("save").onclick = save;
by("opacity").oninput = (event) => viewer.volumes.length > 1 && viewer.setOpacity(1, Number(event.target.value));
addEventListener("dragover", (event) => {
  event.preventDefault();
  by("view").classList.add("over");
});
addEventListener("dragleave", () => by("view").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  by("view").classList.remove("over");
  if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
});
await viewer.attachToCanvas(by("canvas"));
viewer.setSliceType(viewer.sliceTypeMultiplanar);
const asked = new URLSearchParams(location.search);
if (asked.get("scan")) await open(await fetched(asked.get("scan")));
if (asked.get("labels")) {
  await show(await fetched(asked.get("labels")));
  legend();
}
