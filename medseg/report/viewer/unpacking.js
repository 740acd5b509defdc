const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

const unzipped = async (bytes) => {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};

// The sheet of all slices: see sheet.py for its layout.
const greysOf = async (record, cell) => {
  const [width, height, slices] = record.size, voxels = new Uint8Array(width * height * slices);
  if (record.image === null) return voxels;
  const blob = new Blob([bytesOf(record.image)], { type: "image/webp" });
  const picture = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.width, picture.height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(picture, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
  const wide = cell * Math.ceil(width / cell), high = cell * Math.ceil(height / cell);
  let at = 0;
  for (let z = 0; z < slices; z++) {
    const left = (z % record.columns) * wide, top = Math.floor(z / record.columns) * high;
    for (let y = 0; y < height; y++) {
      let from = 4 * ((top + y) * canvas.width + left);
      for (let x = 0; x < width; x++, from += 4) voxels[at++] = pixels[from];
    }
  }
  return voxels;
};

const unpack = async (record, cell) => {
  const [grey, marks] = await Promise.all([greysOf(record, cell), unzipped(bytesOf(record.marks))]);
  const half = marks.length / 2;
  return { ...record, grey, truth: marks.subarray(0, half), predicted: marks.subarray(half) };
};

// A NIfTI-1 file in memory. Source: nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h
const UINT8 = [2, 8], RGBA = [2304, 32];
const nifti = (scan, [type, bits], voxels, [low, high]) => {
  const file = new Uint8Array(352 + voxels.byteLength), view = new DataView(file.buffer);
  const spacing = [0, 1, 2].map((axis) => Math.hypot(...scan.affine.map((row) => row[axis])));
  view.setInt32(0, 348, true);
  [3, ...scan.size, 1, 1, 1, 1].forEach((value, index) => view.setInt16(40 + 2 * index, value, true));
  view.setInt16(70, type, true);
  view.setInt16(72, bits, true);
  [1, ...spacing, 1, 1, 1, 1].forEach((value, index) => view.setFloat32(76 + 4 * index, value, true));
  view.setFloat32(108, 352, true);
  view.setFloat32(112, (high - low) / 255, true);
  view.setFloat32(116, low, true);
  view.setUint8(123, 2);
  view.setFloat32(124, high, true);
  view.setFloat32(128, low, true);
  view.setInt16(254, 1, true);
  scan.affine.flat().forEach((value, index) => view.setFloat32(280 + 4 * index, value, true));
  file.set([110, 43, 49, 0], 344);
  file.set(voxels, 352);
  return file.buffer;
};
