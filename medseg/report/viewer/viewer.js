const byId = (name) => document.getElementById(`viewer-${name}`);
const config = JSON.parse(byId("settings").textContent);
const dialog = document.getElementById("viewer"), canvas = byId("canvas");
const records = new Map([...document.querySelectorAll("script[data-layers]")].map((one) => [one.dataset.layers, one]));
const layers = Object.keys(config.layers);
let starting = null, view = null, scan = null, latest = 0, current = null, opened = null;

const order = () => {
  const rows = [...document.querySelectorAll("tr[data-case]")].filter((row) => !row.hidden);
  const listed = [...new Set(rows.map((row) => row.dataset.case))].filter((name) => records.has(name));
  return listed.includes(current) ? listed : [...records.keys()];
};

const start = async () => {
  if (!("DecompressionStream" in window)) throw new Error("this browser cannot unpack the viewer");
  if (!document.createElement("canvas").getContext("webgl2")) throw new Error("this browser has no WebGL 2");
  const script = document.createElement("script");
  script.textContent = new TextDecoder().decode(await unzipped(bytesOf(byId("script").textContent)));
  document.head.append(script);
  const made = new niivue.Niivue({
    logLevel: "error", loadingText: "", dragAndDropEnabled: false, isResizeCanvas: true, isNearestInterpolation: true,
    isRadiologicalConvention: true, sagittalNoseLeft: true, showAllOrientationMarkers: true, show3Dcrosshair: true,
    multiplanarShowRender: 0, multiplanarPadPixels: 4, tileMargin: -1, dragMode: 0,
    crosshairColor: [0.9, 0.9, 0.9, 1], crosshairWidth: 0.3, crosshairWidthUnit: "percent", crosshairGap: 20, // percent of X; the gap in widths
    fontColor: [0.88, 0.88, 0.88, 1], backColor: [0, 0, 0, 1], clipPlaneHotKey: "", cycleClipPlaneHotKey: "", viewModeHotKey: "",
  });
  const fit = made.resizeListener.bind(made); // a closed dialog has no size, and NiiVue would draw into less than none
  made.resizeListener = () => { if (canvas.offsetWidth && canvas.offsetHeight) fit(); };
  await made.attachToCanvas(canvas, false);
  const filter = made.updateInterpolation.bind(made); // the image smooth, the masks voxel by voxel
  made.updateInterpolation = (layer, smooth = false) => filter(layer, smooth || layer === 0);
  made.onLocationChange = tellValue;
  return made;
};

const names = new Map(config.labels.map((one) => [one.label, one.name]));
const figure = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3));
const tellValue = ({ mm, vox }) => {
  if (!scan) return;
  const [width, height] = scan.size, at = vox[0] + width * (vox[1] + height * vox[2]);
  const [low, high] = scan.range, parts = [`${[...mm].slice(0, 3).map((value) => value.toFixed(1)).join(", ")} mm`];
  if (scan.image !== null) parts.push(`image about ${figure(low + (scan.grey[at] / 255) * (high - low))}`);
  parts.push(scan.known ? `truth: ${names.get(scan.truth[at]) ?? "none"}` : "truth: not annotated");
  if (!byId("prediction").hidden) parts.push(`prediction: ${names.get(scan.predicted[at]) ?? "none"}`);
  byId("value").textContent = parts.join("\n");
};

const region = () => config.regions[byId("region").value];
const opacities = () => Object.fromEntries(layers.map((name) => {
  const box = byId(`show-${name}`);
  return [name, box.checked && !box.disabled ? byId(`opacity-${name}`).value / 100 : 0];
}));
const repaint = () => {
  if (!scan || !view) return;
  view.volumes[1].img = painted(scan, tableOf(config, region(), opacities()));
  view.updateGLVolume();
};
const drawLegends = () => layers.forEach((name) => {
  const items = [...coloursOf(config, region(), name).values()].filter((one) => one.kind !== "other" || region().members === null);
  byId(`legend-${name}`).replaceChildren(...items.map((one) => {
    const item = document.createElement("li"), swatch = document.createElement("span");
    swatch.className = "viewer-swatch";
    swatch.style.background = `rgb(${one.colour.join(" ")})`;
    item.append(swatch, one.name);
    return item;
  }));
});

const tune = () => {
  const image = view?.volumes[0];
  if (!image) return;
  const [low, high] = scan.range, step = (high - low) / 255;
  const dark = Number(byId("dark").value), bright = Math.max(dark + 1, Number(byId("bright").value));
  [image.cal_min, image.cal_max] = [low + dark * step, low + bright * step];
  view.updateGLVolume();
};
const zoom = () => {
  const scale = Number(byId("zoom").value), mm = view.frac2mm(view.scene.crosshairPos);
  view.setPan2Dxyzmm([...[0, 1, 2].map((axis) => -(scale - 1) * mm[axis]), scale]);
};
const LAYOUTS = { planes: [3, 0], both: [3, 1], axial: [0, 0], coronal: [1, 0], sagittal: [2, 0], space: [4, 0] };
const arrange = () => {
  const [slices, render] = LAYOUTS[byId("layout").value];
  view.opts.multiplanarShowRender = render;
  view.opts.multiplanarLayout = render ? 2 : 0;
  view.setSliceType(slices);
};

const goTo = (voxel) => {
  view.scene.crosshairPos = view.vox2frac(voxel);
  view.createOnLocationChange();
  view.drawScene();
};
const volumesOf = (next) => {
  const marks = painted(next, tableOf(config, region(), opacities()));
  const load = niivue.NVImage.loadFromUrl.bind(niivue.NVImage);
  return Promise.all([
    load({ url: nifti(next, UINT8, next.grey, next.range), name: "image.nii", colormap: "gray" }),
    load({ url: nifti(next, RGBA, marks, [0, 255]), name: "marks.nii" }),
  ]);
};
const show = (next, volumes) => {
  view.volumes = [];
  scan = next;
  volumes.forEach((volume) => view.addVolume(volume));
  view.setPan2Dxyzmm([0, 0, 0, 1]);
  arrange();
  view.updateGLVolume();
  goTo(next.start);
};
const prepare = (next) => {
  for (const name of ["difference", "truth"]) byId(`show-${name}`).disabled = !next.known;
  if (!next.known) byId("show-prediction").checked = true;
  [byId("dark").value, byId("bright").value, byId("zoom").value] = [0, 255, 1];
  drawLegends(); // a browser that comes back to a page fills in the region that was chosen, without a word
  document.querySelectorAll(".viewer-grey").forEach((row) => { row.hidden = next.image === null; });
  const spacing = [0, 1, 2].map((axis) => Math.hypot(...next.affine.map((row) => row[axis])).toFixed(1));
  byId("grid").textContent = `Shown in voxels of ${spacing.join(" × ")} mm${next.known ? "" : "; nobody annotated this scan"}.`;
};

const say = (text) => { byId("message").textContent = text; };
const label = (name) => {
  const listed = order(), place = listed.indexOf(name);
  byId("case").textContent = name;
  byId("note").textContent = document.querySelector(`[data-case="${CSS.escape(name)}"][data-note]`)?.dataset.note ?? "";
  byId("place").textContent = `${place + 1} of ${listed.length}`;
  [byId("previous").disabled, byId("next").disabled] = [place <= 0, place >= listed.length - 1];
  canvas.setAttribute("aria-label", `Slices of ${name}`);
};
const openCase = async (name) => {
  if (!records.has(name)) return false;
  const turn = ++latest;
  current = name;
  if (!dialog.open) {
    opened = name;
    dialog.showModal();
  }
  label(name);
  dialog.dataset.state = "opening";
  say("Opening…");
  try {
    view = await (starting ??= start());
    const next = await unpack(JSON.parse(records.get(name).textContent), config.cell);
    if (turn !== latest) return false;
    prepare(next);
    const volumes = await volumesOf(next);
    if (turn !== latest) return false;
    show(next, volumes);
    say("");
    dialog.dataset.state = "ready";
  } catch (problem) {
    say(`The viewer cannot be shown: ${problem.message}. The pictures of the page remain.`);
    dialog.dataset.state = "failed";
  }
  return dialog.dataset.state === "ready";
};
