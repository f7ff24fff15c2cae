// From a scan to labels on its own grid, as synthtf.inference.segment does without refinement.
//
// Volumes are {data: Float32Array, shape: [x, y, z]}, the last axis fastest. A box is
// [[start, stop], ...]. `network` is network.json; `run(data, shape)` applies the network and gives
// posteriors of shape [x, y, z, labels].

// Intensities: synthtf/inference/intensity_range.py, normalize.py, foreground.py.

const TAILS = 2, LEAST = 1e-3, REST = 0.02, APART = 0.5, SPREAD = 0.1, LOOSE = [0.05, 0.01];
const VALUES = 32, TAIL = 0.005, ROUNDS = 4, SAMPLES = 500000;

const ends = (values, share) => {
  const cut = Math.floor(share * values.length);
  return [values[cut], values[values.length - 1 - cut]];
};

const numValues = (values) => {
  let count = 1;
  for (let i = 1; i < values.length; i++) count += values[i] !== values[i - 1];
  return count;
};

function paddingOf(values) {
  const total = values.length;
  let best = -1, far = 0, kept = null;
  const last = Math.floor((1 - REST) * total);
  for (let size = Math.max(1, Math.floor(LEAST * total)); size < last; size++) {
    const all = total - size;
    const rest = all - Math.floor(Math.min(LOOSE[0] * size, LOOSE[1] * all));
    const low = values[Math.floor(TAIL * (rest - 1))];
    const high = values[Math.floor((1 - TAIL) * (rest - 1))];
    const reach = high - low, first = values[total - size], nearest = values[rest - 1];
    const spread = values[total - 1 - Math.floor(0.1 * size)] - values[total - 1 - Math.floor(0.9 * size)];
    if (first - nearest > APART * reach && spread <= SPREAD * reach && first - nearest > far) {
      [best, far, kept] = [size, first - nearest, { rest, high, reach, first, nearest }];
    }
  }
  if (best < 0) return [0, 0];
  const inner = values.subarray(total - Math.floor(0.9 * best) - 1, total - Math.floor(0.1 * best));
  if (numValues(values.subarray(0, kept.rest)) < VALUES || numValues(inner) > VALUES) return [0, 0];
  const cut = Math.min(kept.high + TAILS * kept.reach, (kept.first + kept.nearest) / 2);
  let count = 0;
  for (const value of values) count += value > cut;
  return [count, cut];
}

export function withoutPadding(image) {
  const step = Math.floor(image.length / SAMPLES) | 1;
  let values = Float64Array.from({ length: Math.ceil(image.length / step) }, (_, i) => image[i * step]);
  values.sort();
  let floor = -Infinity, ceiling = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    let [size, cut] = paddingOf(values.map((x) => -x).reverse());
    if (size) {
      floor = -cut;
      values = values.subarray(size);
      continue;
    }
    [size, cut] = paddingOf(values);
    if (!size) break;
    ceiling = cut;
    values = values.subarray(0, values.length - size);
  }
  const [low, high] = ends(values, TAIL), [first, last] = ends(values, LEAST);
  const reach = high - low || Infinity, bottom = first - reach, top = last + reach;
  return image.map((x) => (x < floor || x > ceiling ? low : Math.min(Math.max(x, bottom), top)));
}

export function percentiles(image, wanted) {
  const sorted = Float32Array.from(image).sort();
  return wanted.map((percent) => {
    const place = (percent / 100) * (sorted.length - 1), low = Math.floor(place);
    const high = Math.min(low + 1, sorted.length - 1);
    return sorted[low] + (place - low) * (sorted[high] - sorted[low]);
  });
}

export function normalize(image, ct) {
  const data = ct ? image.map((x) => Math.min(Math.max(x, 0), 80)) : withoutPadding(image);
  let [low, high] = percentiles(data, [0.5, 99.5]);
  if (low === high) {
    low = high = data[0];
    for (const x of data) [low, high] = [Math.min(low, x), Math.max(high, x)];
  }
  if (low === high) return new Float32Array(data.length);
  return data.map((x) => (Math.min(Math.max(x, low), high) - low) / (high - low));
}

function foreground({ data, shape }, spacing, margin = 10) {
  const everything = shape.map((n) => [0, n]);
  const image = withoutPadding(data), [low, high] = percentiles(image, [1, 99]);
  if (!(high > low)) return everything;
  const counts = shape.map((n) => new Float64Array(n));
  forEach(shape, (index, at) => {
    if (image[index] > low + 0.1 * (high - low)) at.forEach((i, axis) => counts[axis][i]++);
  });
  const box = [];
  for (let axis = 0; axis < 3; axis++) {
    const least = (1e-3 * image.length) / shape[axis];
    const used = span(counts[axis], (count) => count > least);
    if (!used || (used[1] - used[0]) * spacing[axis] < 50) return everything;
    const extra = Math.ceil(margin / spacing[axis]);
    box.push([Math.max(0, used[0] - extra), Math.min(shape[axis], used[1] + extra)]);
  }
  return box;
}

// Grids: synthtf/inference/conform.py, synthtf/data/resampling.py.

function determinant([[a, b, c], [d, e, f], [g, h, i]]) {
  return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
}

function inverse(m) {
  const [[a, b, c], [d, e, f], [g, h, i]] = m, det = determinant(m);
  return [
    [e * i - f * h, c * h - b * i, b * f - c * e],
    [f * g - d * i, a * i - c * g, c * d - a * f],
    [d * h - e * g, b * g - a * h, a * e - b * d],
  ].map((row) => row.map((x) => x / det));
}

// Axis of RAS and sign for each axis of the scan, by the rotation that is nearest to the affine.
export function orientation(affine) {
  const size = [0, 1, 2].map((j) => Math.hypot(affine[0][j], affine[1][j], affine[2][j]));
  let r = [0, 1, 2].map((i) => [0, 1, 2].map((j) => affine[i][j] / size[j]));
  for (let step = 0; step < 40; step++) {
    const back = inverse(r);
    r = r.map((row, i) => row.map((x, j) => (x + back[j][i]) / 2));
  }
  const clear = (j) => Math.max(...r.map((row) => row[j] ** 2));
  const order = [0, 1, 2].sort((a, b) => clear(b) - clear(a));
  const found = [];
  for (const j of order) {
    const axis = [0, 1, 2].reduce((best, i) => (Math.abs(r[i][j]) > Math.abs(r[best][j]) ? i : best));
    found[j] = { axis, sign: r[axis][j] < 0 ? -1 : 1 };
    r[axis] = [0, 0, 0];
  }
  return { found, size };
}

function ramp(x) {
  x = Math.min(Math.max(x, -1), 1);
  return x < 0 ? (1 + x) ** 2 / 2 : 1 - (1 - x) ** 2 / 2;
}

// Rows of weights as {first, weights}: most are zero.
export function axisMatrix(numIn, numOut, ratio) {
  const width = Math.sqrt(Math.max(ratio ** 2 - 1, 0)), rows = [];
  for (let i = 0; i < numOut; i++) {
    const centre = (i - (numOut - 1) / 2) * ratio + (numIn - 1) / 2;
    const low = centre - width / 2, high = centre + width / 2, row = new Map();
    for (let source = Math.floor(low) - 1; source <= Math.ceil(high) + 1; source++) {
      const weight =
        width > 1e-3
          ? (ramp(high - source) - ramp(low - source)) / width
          : Math.max(0, 1 - Math.abs(centre - source));
      const place = Math.min(Math.max(source, 0), numIn - 1);
      if (weight) row.set(place, (row.get(place) ?? 0) + weight);
    }
    rows.push([...row]);
  }
  return rows;
}

// Multiply each axis by its matrix; null leaves an axis as it is.
function resample({ data, shape }, matrices) {
  for (let axis = 0; axis < 3; axis++) {
    if (!matrices[axis]) continue;
    const outer = shape.slice(0, axis).reduce((a, b) => a * b, 1);
    const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    const numIn = shape[axis], numOut = matrices[axis].length;
    const out = new Float32Array(outer * numOut * inner);
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < numOut; i++) {
        const to = (o * numOut + i) * inner;
        for (const [source, weight] of matrices[axis][i]) {
          const from = (o * numIn + source) * inner;
          for (let k = 0; k < inner; k++) out[to + k] += weight * data[from + k];
        }
      }
    }
    data = out;
    shape = shape.map((n, d) => (d === axis ? numOut : n));
  }
  return { data, shape };
}

export class Grid {
  // scanShape: voxels of the scan; affine: rows of voxels to mm.
  constructor(scanShape, affine, spacing) {
    const { found, size } = orientation(affine);
    this.scanShape = scanShape;
    this.size = size; // mm, along the axes of the scan
    this.found = found;
    this.orientedShape = [0, 0, 0];
    const voxel = [0, 0, 0];
    found.forEach(({ axis }, j) => {
      this.orientedShape[axis] = scanShape[j];
      voxel[axis] = size[j];
    });
    this.ratios = [0, 1, 2].map((d) => {
      const ratio = spacing[d] / voxel[d];
      return Math.abs(ratio - 1) * this.orientedShape[d] < 0.1 ? 1 : ratio;
    });
    this.voxel = Math.abs(determinant(affine)) * this.ratios.reduce((a, b) => a * b); // mm³
    this.shape = [0, 1, 2].map((d) => {
      return Math.max(1, Math.ceil(this.orientedShape[d] / this.ratios[d] - 0.05));
    });
  }

  // Place in the scan, its first axis fastest as in a NIfTI file, of a voxel in RAS orientation.
  scanIndex(at) {
    let index = 0, stride = 1;
    this.found.forEach(({ axis, sign }, j) => {
      index += stride * (sign > 0 ? at[axis] : this.scanShape[j] - 1 - at[axis]);
      stride *= this.scanShape[j];
    });
    return index;
  }

  // data: voxels as in a NIfTI file.
  conform(data) {
    const oriented = new Float32Array(data.length);
    forEach(this.orientedShape, (index, at) => (oriented[index] = data[this.scanIndex(at)]));
    const matrices = this.ratios.map((ratio, d) =>
      ratio === 1 ? null : axisMatrix(this.orientedShape[d], this.shape[d], ratio),
    );
    return resample({ data: oriented, shape: this.orientedShape }, matrices);
  }

  // The most likely label on the scan's grid. posteriors: [x, y, z, labels] in a box of the grid.
  restoreLabels(posteriors, values, box) {
    const shape = box.map(([start, stop]) => stop - start), count = values.length;
    const matrices = this.ratios.map((ratio, d) => {
      if (ratio === 1) {
        return Array.from({ length: this.orientedShape[d] }, (_, i) =>
          i >= box[d][0] && i < box[d][1] ? [[i - box[d][0], 1]] : [],
        );
      }
      return axisMatrix(this.shape[d], this.orientedShape[d], 1 / ratio).map((row) =>
        row.filter(([i]) => i >= box[d][0] && i < box[d][1]).map(([i, w]) => [i - box[d][0], w]),
      );
    });
    const weights = matrices.map((rows) => rows.map((row) => row.reduce((sum, [, w]) => sum + w, 0)));
    const channel = (index) => {
      const data = new Float32Array(shape[0] * shape[1] * shape[2]);
      for (let i = 0; i < data.length; i++) data[i] = posteriors[i * count + index];
      return resample({ data, shape }, matrices).data;
    };
    const best = channel(0), winner = new Int32Array(best.length).fill(values[0]);
    forEach(this.orientedShape, (index, [x, y, z]) => {
      best[index] += 1 - weights[0][x] * weights[1][y] * weights[2][z];
    });
    for (let c = 1; c < count; c++) {
      const candidate = channel(c);
      for (let i = 0; i < best.length; i++) {
        if (candidate[i] > best[i]) {
          best[i] = candidate[i];
          winner[i] = values[c];
        }
      }
    }
    const labels = new Int32Array(winner.length);
    forEach(this.orientedShape, (index, at) => (labels[this.scanIndex(at)] = winner[index]));
    return labels;
  }
}

// The window: synthtf/inference/locate.py.

async function locate(find, outer, shape, margin) {
  const long = (p) => p[1] - p[0];
  if (outer.every((part, d) => long(part) <= 1.1 * shape[d])) return outer;
  const sizes = outer.map((part, d) => Math.min(shape[d], long(part)));
  const starts = outer.map((part, d) => Math.floor((part[0] + part[1] - sizes[d]) / 2));
  const bottom = outer[2][0], step = Math.max(1, Math.floor(sizes[2] / 2)), places = [];
  for (let top = outer[2][1] - sizes[2]; top > bottom; top -= step) places.push(top);
  let window, found = null;
  for (starts[2] of [...places, bottom]) {
    window = starts.map((start, d) => [start, start + sizes[d]]);
    found = extent(await find(window), sizes);
    if (found) break;
  }
  for (let pass = 0; pass < 5 && found; pass++) {
    const centred = window.map(([start, stop], d) => {
      const size = stop - start;
      const wanted = start + Math.floor((found[d][0] + found[d][1] - size) / 2);
      const first = Math.min(Math.max(wanted, outer[d][0]), outer[d][1] - size);
      return [first, first + size];
    });
    if (Math.max(...window.map(([start], d) => Math.abs(start - centred[d][0]))) <= 1) break;
    window = centred;
    found = extent(await find(window), sizes);
  }
  if (!found) return outer;
  const filled = window.map(([start, stop], d) => [
    found[d][0] === 0 && start > outer[d][0],
    found[d][1] === stop - start && stop < outer[d][1],
  ]);
  if (filled.filter(([low, high]) => low && high).length >= 2) return outer;
  return window.map(([start, stop], d) => [
    Math.max(start - filled[d][0] * margin[d], outer[d][0]),
    Math.min(stop + filled[d][1] * margin[d], outer[d][1]),
  ]);
}

function extent(mask, shape) {
  const { pieces, sizes } = components(mask, shape);
  if (sizes.length === 1) return null;
  const largest = sizes.indexOf(Math.max(...sizes.slice(1)), 1);
  const counts = shape.map((n) => new Float64Array(n));
  forEach(shape, (index, at) => {
    if (pieces[index] === largest) at.forEach((i, axis) => counts[axis][i]++);
  });
  return counts.map((axis) => span(axis, (count) => count > 0.01 * Math.max(...axis)));
}

// Pieces: synthtf/inference/components.py.

// Number the pieces of a mask that are connected through faces, in the order of their first voxel.
export function components(mask, shape) {
  const [, ny, nz] = shape, pieces = new Int32Array(mask.length), sizes = [0], stack = [];
  for (let seed = 0; seed < mask.length; seed++) {
    if (!mask[seed] || pieces[seed]) continue;
    const piece = sizes.length;
    sizes.push(0);
    pieces[seed] = piece;
    stack.push(seed);
    while (stack.length) {
      const i = stack.pop(), z = i % nz, y = Math.floor(i / nz) % ny;
      sizes[piece]++;
      const beside = [i - ny * nz, i + ny * nz];
      if (y > 0) beside.push(i - nz);
      if (y < ny - 1) beside.push(i + nz);
      if (z > 0) beside.push(i - 1);
      if (z < nz - 1) beside.push(i + 1);
      for (const j of beside) {
        if (mask[j] && !pieces[j]) {
          pieces[j] = piece;
          stack.push(j);
        }
      }
    }
  }
  return { pieces, sizes };
}

const largestOf = (sizes) => sizes.reduce((best, n, i) => (i && n > (sizes[best] || 0) ? i : best), 0);

function keepLargest(posteriors, count, shape) {
  const mask = new Uint8Array(posteriors.length / count);
  for (let i = 0; i < mask.length; i++) mask[i] = 1 - posteriors[i * count] > 0.25;
  const { pieces, sizes } = components(mask, shape);
  if (sizes.length === 1) return;
  const largest = largestOf(sizes);
  for (let i = 0; i < mask.length; i++) {
    if (pieces[i] === largest) continue;
    posteriors.fill(0, i * count, (i + 1) * count);
    posteriors[i * count] = 1;
  }
}

function removeIslands(posteriors, count, shape, classes, minimum) {
  const labels = new Uint8Array(posteriors.length / count);
  for (let i = 0; i < labels.length; i++) {
    for (let c = 1; c < count; c++) {
      if (posteriors[i * count + c] > posteriors[i * count + labels[i]]) labels[i] = c;
    }
  }
  for (const channels of classes) {
    const member = new Uint8Array(count);
    for (const channel of channels) member[channel] = 1;
    const mask = labels.map((label) => member[label]);
    const { pieces, sizes } = components(mask, shape), largest = largestOf(sizes);
    const island = sizes.map((n, i) => i > 0 && (minimum ? n < minimum : i !== largest));
    if (!island.some(Boolean)) continue;
    for (let i = 0; i < labels.length; i++) {
      if (!island[pieces[i]]) continue;
      const part = posteriors.subarray(i * count, (i + 1) * count);
      for (const channel of channels) part[channel] = 0;
      const total = part.reduce((sum, x) => sum + x, 0);
      if (total > 0) part.forEach((x, c) => (part[c] = x / total));
      else part[0] = 1;
    }
  }
}

// Where nothing was measured: synthtf/inference/absent.py.

// 1 in the region of a scan, as in a NIfTI file, that a mask, defacing or the field of view cut away.
export function absent(data, shape, size) {
  const [nx, ny, nz] = shape, lowest = new Uint8Array(data.length);
  const least = data.reduce((a, b) => Math.min(a, b), Infinity);
  for (const value of new Set([0, least])) {
    let count = 0;
    for (const x of data) count += x === value;
    if (count >= 0.01 * data.length) data.forEach((x, i) => x === value && (lowest[i] = 1));
  }
  if (!lowest.includes(1)) return null;
  const cube = size.map((mm) => Math.max(1, roundEven(4 / mm)));
  const num = shape.map((n, d) => Math.ceil(n / cube[d]));
  // Cubes with a rim of one around them: beyond the field of view is nothing either.
  const rim = num.map((n) => n + 2), cubes = new Uint8Array(rim[0] * rim[1] * rim[2]).fill(1);
  const place = (i, j, k) => (i * rim[1] + j) * rim[2] + k;
  for (let z = 0, i = 0; z < nz; z++) {
    for (let y = 0; y < ny; y++) {
      for (let x = 0; x < nx; x++, i++) {
        if (lowest[i]) continue;
        const at = [x, y, z].map((v, d) => Math.floor(v / cube[d]) + 1);
        cubes[place(...at)] = 0;
      }
    }
  }
  const { pieces } = components(cubes, rim), outer = pieces[0];
  const near = (i, j, k) => {
    for (let a = -1; a < 2; a++) {
      for (let b = -1; b < 2; b++) {
        for (let c = -1; c < 2; c++) if (pieces[place(i + a, j + b, k + c)] === outer) return true;
      }
    }
    return false;
  };
  const known = new Map(), gone = new Uint8Array(data.length);
  for (let z = 0, i = 0; z < nz; z++) {
    for (let y = 0; y < ny; y++) {
      for (let x = 0; x < nx; x++, i++) {
        if (!lowest[i]) continue;
        const at = [x, y, z].map((v, d) => Math.floor(v / cube[d]) + 1), key = place(...at);
        if (!known.has(key)) known.set(key, near(...at));
        gone[i] = known.get(key);
      }
    }
  }
  return gone;
}

const roundEven = (x) => (x % 1 === 0.5 && Math.floor(x) % 2 === 0 ? Math.floor(x) : Math.round(x));

// All of it.

function forEach(shape, visit) {
  let index = 0;
  const at = [0, 0, 0];
  for (at[0] = 0; at[0] < shape[0]; at[0]++) {
    for (at[1] = 0; at[1] < shape[1]; at[1]++) {
      for (at[2] = 0; at[2] < shape[2]; at[2]++) visit(index++, at);
    }
  }
}

function span(values, wanted) {
  let first = -1, last = -1;
  values.forEach((value, i) => {
    if (!wanted(value)) return;
    if (first < 0) first = i;
    last = i;
  });
  return first < 0 ? null : [first, last + 1];
}

function cut({ data, shape }, box) {
  const part = { shape: box.map(([start, stop]) => stop - start) };
  part.data = new Float32Array(part.shape[0] * part.shape[1] * part.shape[2]);
  forEach(part.shape, (index, [x, y, z]) => {
    part.data[index] = data[((x + box[0][0]) * shape[1] + y + box[1][0]) * shape[2] + z + box[2][0]];
  });
  return part;
}

function pad({ data, shape }, multiple) {
  const extra = shape.map((n) => (multiple - (n % multiple)) % multiple);
  const low = extra.map((n) => Math.floor(n / 2)), padded = shape.map((n, d) => n + extra[d]);
  const out = new Float32Array(padded[0] * padded[1] * padded[2]);
  forEach(shape, (index, [x, y, z]) => {
    out[((x + low[0]) * padded[1] + y + low[1]) * padded[2] + z + low[2]] = data[index];
  });
  return { data: out, shape: padded, inner: low };
}

const flipped = ({ data, shape }) => {
  const plane = shape[1] * shape[2], out = new Float32Array(data.length);
  for (let x = 0; x < shape[0]; x++) {
    out.set(data.subarray(x * plane, (x + 1) * plane), (shape[0] - 1 - x) * plane);
  }
  return { data: out, shape };
};

async function predict(run, part, network, flip) {
  const padded = pad(part, network.multiple), count = network.output_labels.length;
  const found = await run(padded.data, padded.shape);
  const mirror = flip ? await run(flipped(padded).data, padded.shape) : null;
  const out = new Float32Array(part.data.length * count), swapped = network.mirrored;
  const [X, Y, Z] = padded.shape;
  forEach(part.shape, (index, [x, y, z]) => {
    const [a, b, c] = [x + padded.inner[0], y + padded.inner[1], z + padded.inner[2]];
    const here = ((a * Y + b) * Z + c) * count, there = (((X - 1 - a) * Y + b) * Z + c) * count;
    for (let k = 0; k < count; k++) {
      out[index * count + k] = flip ? (found[here + k] + mirror[there + swapped[k]]) / 2 : found[here + k];
    }
  });
  return out;
}

// Segment a scan: voxels as in a NIfTI file, its shape and affine. Gives labels in the same order,
// and volumes in mm³ by label.
export async function segment(scan, network, run, { ct = false, flip = true, say = () => {} } = {}) {
  const grid = new Grid(scan.shape, scan.affine, network.spacing_mm);
  const data = Float32Array.from(scan.data, (x) => (Number.isFinite(x) ? x : 0));
  const image = grid.conform(ct ? data : withoutPadding(data));
  const count = network.output_labels.length, brain = network.brain_channels;
  const margin = network.spacing_mm.map((mm) => Math.ceil(8 / mm));
  const find = async (box) => {
    const part = cut(image, box);
    part.data = normalize(part.data, ct);
    const found = await predict(run, part, network, false);
    const mask = new Uint8Array(part.data.length);
    for (let i = 0; i < mask.length; i++) {
      mask[i] = brain.reduce((sum, c) => sum + found[i * count + c], 0) > 0.5;
    }
    return mask;
  };
  say("Looking for the brain");
  const outer = foreground(image, network.spacing_mm);
  const box = await locate(find, outer, network.shape, margin);
  say("Segmenting");
  const part = cut(image, box);
  part.data = normalize(part.data, ct);
  const posteriors = await predict(run, part, network, flip && network.mirrored !== null);
  say("Cleaning");
  keepLargest(posteriors, count, part.shape);
  removeIslands(posteriors, count, part.shape, network.one_piece);
  if (network.minimum_mm3 > 0) {
    const each = Array.from({ length: count - 1 }, (_, i) => [i + 1]);
    removeIslands(posteriors, count, part.shape, each, Math.ceil(network.minimum_mm3 / grid.voxel));
  }
  const gone = absent(scan.data, scan.shape, grid.size);
  if (gone) {
    const there = cut(grid.conform(Float32Array.from(gone)), box).data;
    there.forEach((share, i) => {
      const at = i * count;
      for (let c = 1; c < count; c++) posteriors[at + c] *= 1 - share;
      posteriors[at] += (1 - posteriors[at]) * share;
    });
  }
  const volumes = network.output_labels.map((_, c) => {
    let sum = 0;
    for (let i = c; i < posteriors.length; i += count) sum += posteriors[i];
    return sum * grid.voxel;
  });
  say("Going back to the scan's grid");
  const labels = grid.restoreLabels(posteriors, network.output_labels, box);
  if (gone) gone.forEach((is, i) => is && (labels[i] = network.output_labels[0]));
  return { labels, volumes };
}
