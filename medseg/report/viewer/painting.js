// What one voxel shows of each layer: the number of its colour in the layer's list, null where it shows none.
const difference = (true_, found) => {
  if (true_ && found) return true_ === found ? "right" : "other";
  return true_ ? "missed" : found ? "false" : null;
};

const over = ([r, g, b, a], [R, G, B, A]) => {
  const alpha = a + A * (1 - a);
  return alpha ? [[r, R], [g, G], [b, B]].map(([front, back]) => (front * a + back * A * (1 - a)) / alpha).concat(alpha) : [0, 0, 0, 0];
};

// A region is one thing to find (1 or 0); "every label" (members null) tells labels apart.
const seenAs = (region, label) => (region.members === null ? label : region.members.includes(label) ? 1 : 0);

const coloursOf = (config, region, name) => {
  if (name === "difference") return new Map(config.difference.map((one) => [one.kind, one]));
  if (region.members !== null) return new Map([[1, { name: region.name, colour: config.layers[name] }]]);
  return new Map(config.labels.map((one) => [one.label, one]));
};

// One colour for each pair of true and found label, so that painting a scan is one look into a table for each voxel.
const tableOf = (config, region, opacity) => {
  const table = new Uint32Array(65536), bytes = new Uint8ClampedArray(table.buffer);
  const colours = Object.fromEntries(Object.keys(opacity).map((name) => [name, coloursOf(config, region, name)]));
  const labels = [0, ...config.labels.map((one) => one.label)];
  for (const truth of labels) for (const predicted of labels) {
    const [there, found] = [seenAs(region, truth), seenAs(region, predicted)];
    const shown = { prediction: found, truth: there, difference: difference(there, found) };
    let colour = [0, 0, 0, 0];
    for (const [name, value] of Object.entries(shown)) {
      const own = value && opacity[name] ? colours[name].get(value) : null;
      if (own) colour = over([...own.colour, opacity[name]], colour);
    }
    bytes.set([colour[0], colour[1], colour[2], 255 * colour[3]], 4 * (256 * truth + predicted));
  }
  return table;
};

const painted = (scan, table) => {
  const colours = new Uint32Array(scan.truth.length);
  for (let at = 0; at < colours.length; at++) {
    const pair = 256 * scan.truth[at] + scan.predicted[at];
    if (pair) colours[at] = table[pair];
  }
  return new Uint8Array(colours.buffer);
};
