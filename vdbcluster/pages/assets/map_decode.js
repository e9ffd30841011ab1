// What a page brings, as arrays. See vdbclusterMap in map_main.js for the form of `data`.

function bytesOf(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

/** A column of texts: an array as it is, base64 of gzip of JSON unpacked, nothing as null. */
async function columnOf(value) {
  if (value === undefined || value === null) return null;
  if (Array.isArray(value)) return value;
  const stream = new Blob([bytesOf(value)]).stream();
  const plain = stream.pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(plain).text());
}

function axisOf(axis, range, n) {
  if (typeof axis !== "string") return Float32Array.from(axis);
  const steps = new Uint16Array(bytesOf(axis).buffer, 0, n);
  const [low, high] = range;
  return Float32Array.from(steps, (step) => low + (step / 65535) * (high - low));
}

function groupsOf(data, clusters) {
  if (typeof data.groups === "string") return new Int32Array(bytesOf(data.groups).buffer);
  const place = new Map(clusters.map((one, i) => [one.id, i]));
  return Int32Array.from(data.labels, (id) => place.get(id) ?? -1);
}

function spread(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [0, 1];
}

/** The span of all but a few in a thousand, so that strays do not make the rest small. */
function usualSpan(values) {
  const step = Math.max(1, Math.floor(values.length / 20000));
  const some = [];
  for (let i = 0; i < values.length; i += step) some.push(values[i]);
  if (some.length < 500) return spread(values);
  some.sort((a, b) => a - b);
  const cut = Math.floor(some.length * 0.002);
  return [some[cut], some[some.length - 1 - cut]];
}

/** The middle member, for a cluster that does not say where its name stands. */
function middleOf(rows, axes) {
  return axes.map((axis) => {
    const sorted = Float32Array.from(rows, (row) => axis[row]).sort();
    return sorted[sorted.length >> 1];
  });
}

function columnsOf(data) {
  const n = data.n ?? data.axes[0].length;
  const axes = data.axes.map((axis, d) => axisOf(axis, data.ranges?.[d], n));
  const clusters = data.clusters.map((one) => ({ keywords: [], description: "", ...one }));
  const groups = groupsOf(data, clusters);
  const members = clusters.map(() => []);
  const noise = [];
  for (let row = 0; row < n; row++) (groups[row] < 0 ? noise : members[groups[row]]).push(row);
  const palette = data.palette ?? PALETTE;
  clusters.forEach((one, i) => {
    one.place = i;
    one.rows = members[i];
    one.slot = one.hidden ? -1 : (one.slot ?? one.id % palette.light.length);
    if (!one.at?.length && one.rows.length) one.at = middleOf(one.rows, axes);
  });
  return {
    n,
    axes,
    flat: axes.length === 2,
    spans: axes.map(spread),
    groups,
    noise,
    clusters,
    inner: data.inner ?? [],
    byId: new Map(clusters.map((one) => [one.id, one])),
    palette,
    probability: typeof data.probability === "string" ? bytesOf(data.probability) : null,
    shown: data.shown ?? {},
    thinned: Boolean(data.thinned),
  };
}
