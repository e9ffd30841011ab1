// What is under the pointer: its cluster, and its text or picture.

function makeHover(stage, columns, content) {
  const card = div("vmap-card");
  card.hidden = true;
  card.setAttribute("role", "tooltip");
  stage.append(card);
  let now = -1;
  let where = [0, 0];

  async function show(row, x, y) {
    if (row < 0) return hide();
    where = [x, y];
    if (row !== now) {
      now = row;
      card.replaceChildren(...fill(row));
      const body = await content.of(row);
      if (now !== row) return undefined;
      card.append(...bodyOf(body));
    }
    card.hidden = false;
    return beside(x, y);
  }

  function fill(row) {
    const group = columns.groups[row];
    const cluster = group < 0 ? null : columns.clusters[group];
    const head = div("vmap-card-head");
    const dot = div("vmap-dot");
    if (cluster && cluster.slot >= 0) dot.style.setProperty("--color", `var(--c${cluster.slot})`);
    head.append(dot, textDiv("vmap-card-title", cluster ? cluster.title : "noise"));
    if (cluster?.hidden) head.append(textDiv("vmap-quiet", "hidden"));
    return [head];
  }

  function bodyOf({ key, text, image, sure }) {
    const parts = [];
    if (image) {
      const picture = document.createElement("img");
      picture.addEventListener("load", () => beside(...where)); // now it has a height
      picture.src = image;
      picture.alt = "";
      parts.push(picture);
    }
    if (text) parts.push(textDiv("vmap-text", text));
    else if (!image && columns.thinned) parts.push(textDiv("vmap-quiet", "its text is not in this file"));
    const foot = div("vmap-card-foot");
    if (key !== null) foot.append(textDiv("", key));
    if (sure !== null) foot.append(textDiv("", `${sure} % sure`));
    parts.push(foot);
    return parts;
  }

  function beside(x, y) {
    const { clientWidth: width, clientHeight: height } = stage;
    const left = x + 16 + card.offsetWidth > width ? x - card.offsetWidth - 12 : x + 16;
    const top = y + 16 + card.offsetHeight > height ? y - card.offsetHeight - 12 : y + 16;
    const inside = (value, most) => Math.max(6, Math.min(value, most - 6));
    card.style.left = `${inside(left, width - card.offsetWidth)}px`;
    card.style.top = `${inside(top, height - card.offsetHeight)}px`;
  }

  function hide() {
    now = -1;
    card.hidden = true;
  }

  return { show, hide };
}

/** Texts, pictures and keys of rows; unpacked after the first picture is drawn. */
function makeContent(data, columns, options) {
  const columnsAt = Promise.all([columnOf(data.keys), columnOf(data.texts), columnOf(data.images)]);
  async function of(row) {
    const [keys, texts, images] = await columnsAt;
    const share = columns.probability?.[row];
    const told = {
      key: keys?.[row] ?? null,
      text: texts?.[row] ?? null,
      image: safeImage(images?.[row]),
      sure: share === undefined || columns.groups[row] < 0 ? null : Math.round(share / 2.55),
    };
    if (told.text === null && options.describe) Object.assign(told, await options.describe(row, told.key));
    return { ...told, image: safeImage(told.image) };
  }
  return { of, all: () => columnsAt };
}

/** Pictures that hold no script and ask for nothing, or that the server of this page has. */
function safeImage(value) {
  const own = /^data:image\/(png|jpeg|webp|gif|avif);base64,|^\/(?!\/)/;
  return typeof value === "string" && own.test(value) ? value : null;
}

function div(name) {
  const element = document.createElement("div");
  if (name) element.className = name;
  return element;
}

function textDiv(name, text) {
  const element = div(name);
  element.dir = "auto";
  element.textContent = text;
  return element;
}
